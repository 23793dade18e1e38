/* command_user.c - one question a command, but for the list, which is asked for in pages. */
#include "command_user.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "admin_client.h"
#include "api/json.h"
#include "api/params.h"
#include "base/json_text.h"
#include "base/utf8.h"
#include "command_answer.h"

/* A target is shorter; a body holds a name and a password. */
#define QUESTION_MAX_BYTES ((size_t)1024 * 1024)
/* More than a password may have, so that a longer one is refused and not cut. */
#define PASSWORD_LINE_MAX_BYTES 1024u

static bool line_show(struct str element, int64_t *out_id, struct buf *out, bool is_json);
static bool user_show(const struct config *config, struct buf *out);
static bool user_change(const struct config *config, struct buf *out);
static const char *change_path(enum config_command command);
static bool question_write(const struct config *config, struct buf *out);
static bool password_read(struct buf *out);
static bool change_show(const struct config *config, struct str body, struct buf *out);

static_assert(LIMIT_MAX == 1000, "the largest page is asked for");
static const struct command_pages user_pages = {
    .target = "/accounts?limit=1000&after=",
    .heading = "ID         CREATED                  SESSIONS  NAME",
    .rows = "accounts",
    .show_row = line_show,
};

int command_user(const struct config *config, struct buf *out)
{
    bool is_good;

    switch (config->command) {
    case COMMAND_USER_LIST:
        is_good = command_list(config, &user_pages, out);
        break;
    case COMMAND_USER_SHOW:
        is_good = name_is_asked(config->operands[0]) && user_show(config, out);
        break;
    default:
        is_good = name_is_asked(config->operands[0]) && user_change(config, out);
        break;
    }
    return is_good ? EXIT_OK : EXIT_FAILED;
}

/* ---- list ------------------------------------------------------------------------------------*/

static bool line_show(struct str element, int64_t *out_id, struct buf *out, bool is_json)
{
    struct json_member members[] = {{.name = "user_id", .form = JSON_INTEGER},
                                    {.name = "username", .form = JSON_TEXT},
                                    {.name = "created_at", .form = JSON_TEXT},
                                    {.name = "sessions", .form = JSON_INTEGER}};
    struct arena arena;

    arena_init(&arena);
    bool is_good = json_read(element, members, sizeof members / sizeof members[0], &arena) == OK &&
                   members[0].integer > *out_id;
    if (is_good && is_json) {
        json_show(out, element);
    } else if (is_good) {
        size_t line_at = out->len;

        buf_append_format(out, "%-10lld ", (long long)members[0].integer);
        text_show(out, members[2].text);
        buf_append_format(out, " %8lld  ", (long long)members[3].integer);
        text_show(out, members[1].text);
        buf_append_char(out, '\n');
        is_good = out->len > line_at;
    }
    *out_id = is_good ? members[0].integer : *out_id;
    arena_release(&arena);
    return is_good;
}

/* ---- show ------------------------------------------------------------------------------------*/

static bool user_show(const struct config *config, struct buf *out)
{
    static const char *const labels[] = {
        "id",       "name",          "created",           "disabled",    "sessions",
        "last use", "conversations", "messages received", "log entries", "one-time keys left"};
    struct json_member members[] = {
        {.name = "user_id", .form = JSON_INTEGER},
        {.name = "username", .form = JSON_TEXT},
        {.name = "created_at", .form = JSON_TEXT},
        {.name = "disabled_at", .form = JSON_TEXT, .is_optional = true},
        {.name = "sessions", .form = JSON_INTEGER},
        {.name = "last_used_at", .form = JSON_TEXT, .is_optional = true},
        {.name = "conversations", .form = JSON_INTEGER},
        {.name = "messages_received", .form = JSON_INTEGER},
        {.name = "log_entries", .form = JSON_INTEGER},
        {.name = "one_time_prekeys", .form = JSON_INTEGER, .is_optional = true}};
    struct buf target, body;

    buf_init(&target, QUESTION_MAX_BYTES);
    buf_init(&body, ADMIN_ANSWER_MAX_BYTES);
    target_append(&target, "/accounts/", config->operands[0], "");
    bool is_good = command_ask(config, "GET", target.ptr, (struct str){NULL, 0}, &body) &&
                   command_show(config, buf_str(&body), members, labels,
                                sizeof labels / sizeof labels[0], out);
    buf_release(&target);
    buf_release(&body);
    return is_good;
}

/* ---- add, reset-password, disable, enable, delete
 * -------------------------------------------------------------*/

static bool user_change(const struct config *config, struct buf *out)
{
    struct buf target, question, body;
    const char *method = config->command == COMMAND_USER_DELETE ? "DELETE" : "POST";

    buf_init(&target, QUESTION_MAX_BYTES);
    buf_init(&question, QUESTION_MAX_BYTES);
    buf_init(&body, ADMIN_ANSWER_MAX_BYTES);
    if (config->command == COMMAND_USER_ADD) {
        target_append(&target, "/accounts", STR(""), "");
    } else {
        target_append(&target, "/accounts/", config->operands[0], change_path(config->command));
    }
    bool has_body =
        config->command == COMMAND_USER_ADD || config->command == COMMAND_USER_RESET_PASSWORD;
    bool is_good = (!has_body || question_write(config, &question)) &&
                   command_ask(config, method, target.ptr, buf_str(&question), &body) &&
                   change_show(config, buf_str(&body), out);
    if (question.ptr != NULL) {
        explicit_bzero(question.ptr, question.len);
    }
    buf_release(&target);
    buf_release(&question);
    buf_release(&body);
    return is_good;
}

/* What stands behind the account's name. */
static const char *change_path(enum config_command command)
{
    switch (command) {
    case COMMAND_USER_RESET_PASSWORD:
        return "/password";
    case COMMAND_USER_DISABLE:
        return "/disable";
    case COMMAND_USER_ENABLE:
        return "/enable";
    default:
        return "";
    }
}

/* {"username":…,"password":…}, of which a route takes what it knows. */
static bool question_write(const struct config *config, struct buf *out)
{
    bool is_good = true;

    buf_append_str(out, STR("{\"username\":\""));
    json_escape(config->operands[0], out);
    buf_append_char(out, '"');
    if (config->command_flags[FLAG_PASSWORD_STDIN]) {
        buf_append_str(out, STR(",\"password\":\""));
        is_good = password_read(out);
        buf_append_char(out, '"');
    }
    buf_append_char(out, '}');
    return is_good;
}

/* Byte by byte, so that what follows the line is left for whoever reads stdin next. */
static bool password_read(struct buf *out)
{
    char line[PASSWORD_LINE_MAX_BYTES];
    size_t len = 0;
    const char *fault = NULL;
    ssize_t got = 1;

    while (fault == NULL && (got = read(STDIN_FILENO, line + len, 1)) == 1 && line[len] != '\n') {
        fault = ++len == sizeof line ? "the password on stdin is too long" : NULL;
    }
    struct str password = {line, len};
    if (fault == NULL && (got < 0 || len == 0)) {
        fault = "there is no password on stdin";
    } else if (fault == NULL && (memchr(line, '\0', len) != NULL || !utf8_is_valid(password))) {
        fault = "the password on stdin is not UTF-8, or has a NUL";
    }
    if (fault == NULL) {
        json_escape(password, out);
    } else {
        fprintf(stderr, "migchat-server: %s\n", fault);
    }
    explicit_bzero(line, sizeof line);
    return fault == NULL;
}

static bool change_show(const struct config *config, struct str body, struct buf *out)
{
    static const char *const labels[] = {"id", "name", "sessions ended", "password"};
    struct json_member members[] = {
        {.name = "user_id", .form = JSON_INTEGER},
        {.name = "username", .form = JSON_TEXT},
        {.name = "ended_sessions", .form = JSON_INTEGER, .is_optional = true},
        {.name = "password", .form = JSON_TEXT, .is_optional = true}};

    return command_show(config, body, members, labels, sizeof labels / sizeof labels[0], out);
}
