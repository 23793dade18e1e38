/* command.c - each command fills a text, which is printed at the end. */
#include "command.h"

#include <stdio.h>
#include <uv.h>

#include "api/json.h"
#include "api/routes.h"
#include "base/require.h"
#include "command_answer.h"
#include "command_backup.h"
#include "command_doctor.h"
#include "command_export.h"
#include "command_invite.h"
#include "command_restore.h"
#include "command_session.h"
#include "command_stats.h"
#include "command_user.h"
#include "command_verify.h"
#include "domain/password.h"
#include "healthcheck.h"
#include "http/parser.h"
#include "startup.h"
#include "store/store.h"

#define TEXT_MAX_BYTES ((size_t)256 * 1024)

static int configuration_check(const struct config *config, struct buf *out);
static void routes_write(struct buf *out);
static void errors_write(struct buf *out);
static void version_write(struct buf *out);

int command_run(const struct config *config)
{
    struct buf text;
    int exit_code = EXIT_OK;

    buf_init(&text, TEXT_MAX_BYTES);
    switch (config->command) {
    case COMMAND_CHECK:
        exit_code = configuration_check(config, &text);
        break;
    case COMMAND_DUMP:
        config_write_dump(config, &text);
        break;
    case COMMAND_BACKUP:
        exit_code = command_backup(config, config->operands[0], &text);
        break;
    case COMMAND_EXPORT:
        exit_code = command_export(config, config->operands[0], &text);
        break;
    case COMMAND_VERIFY:
        exit_code = command_verify(config, config->operands[0], &text);
        break;
    case COMMAND_RESTORE:
        exit_code = command_restore(config, config->operands[0], &text);
        break;
    case COMMAND_USER_ADD:
    case COMMAND_USER_LIST:
    case COMMAND_USER_SHOW:
    case COMMAND_USER_RESET_PASSWORD:
    case COMMAND_USER_DISABLE:
    case COMMAND_USER_ENABLE:
    case COMMAND_USER_DELETE:
        exit_code = command_user(config, &text);
        break;
    case COMMAND_SESSION_LIST:
    case COMMAND_SESSION_END:
        exit_code = command_session(config, &text);
        break;
    case COMMAND_INVITE_CREATE:
    case COMMAND_INVITE_LIST:
    case COMMAND_INVITE_REVOKE:
        exit_code = command_invite(config, &text);
        break;
    case COMMAND_STATS:
        exit_code = command_stats(config, &text);
        break;
    case COMMAND_DOCTOR:
        exit_code = command_doctor(config, &text);
        break;
    case COMMAND_HEALTHCHECK:
        exit_code = healthcheck_run(config, &text);
        break;
    case COMMAND_ROUTES:
        routes_write(&text);
        break;
    case COMMAND_ERRORS:
        errors_write(&text);
        break;
    case COMMAND_DOCS_MAN:
        config_write_man(&text);
        break;
    case COMMAND_DOCS_CONF:
        config_write_conf(config, &text);
        break;
    case COMMAND_DOCS_BASH:
        config_write_bash(&text);
        break;
    case COMMAND_DOCS_ZSH:
        config_write_zsh(&text);
        break;
    case COMMAND_DOCS_FISH:
        config_write_fish(&text);
        break;
    case COMMAND_HELP:
        config_write_help(&text);
        break;
    case COMMAND_VERSION:
        version_write(&text);
        break;
    case COMMAND_SERVE:
    case COMMAND_COUNT:
        REQUIRE(!"a command of this file");
    }
    REQUIRE(!text.overflowed);
    if (!command_print(&text)) {
        exit_code = EXIT_FAILED;
    }
    buf_release(&text);
    return exit_code;
}

void command_warn(const struct buf *messages)
{
    struct str rest = buf_str(messages);

    while (rest.len > 0) {
        struct str line = str_cut(&rest, '\n');
        fprintf(stderr, "migchat-server: %.*s\n", STR_ARGS(line));
    }
}

/* Its values were judged when they were read. */
static int configuration_check(const struct config *config, struct buf *out)
{
    struct buf why;

    buf_init(&why, TEXT_MAX_BYTES);
    bool is_good = libraries_suffice(config, &why);
    if (is_good) {
        buf_append_str(out, STR("the configuration is good\n"));
    }
    command_warn(&why);
    buf_release(&why);
    return is_good ? EXIT_OK : EXIT_USAGE;
}

static void routes_write(struct buf *out)
{
    for (size_t i = 0; i < api_routes.count; i++) {
        const struct route *route = &api_routes.routes[i];
        buf_append_str(out, method_name(route->method));
        buf_append_format(out, " %s\n", route->path);
    }
}

static void errors_write(struct buf *out)
{
    for (int i = OK + 1; i < ERROR_COUNT; i++) {
        buf_append_format(out, "%s %d\n", error_code((enum error)i), error_status((enum error)i));
    }
}

/* Versions of libraries are those loaded now, not those this was built with. */
static void version_write(struct buf *out)
{
    buf_append_format(out, "migchat-server %s (commit %s)\n", MIGCHAT_VERSION, MIGCHAT_COMMIT);
    buf_append_format(out, "libuv %s\n", uv_version_string());
    buf_append_format(out, "%s\n", parser_library_version());
    buf_append_format(out, "%s\n", store_library_version());
    buf_append_format(out, "cJSON %s\n", json_library_version());
    buf_append_format(out, "%s\n", password_library_version());
}
