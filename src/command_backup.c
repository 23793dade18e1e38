/* command_backup.c - asks for the backup, then how it goes, until it is over.
 *
 * The server writes the file, so its folder must be one the server may write to.
 */
#include "command_backup.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin_client.h"
#include "api/json.h"
#include "base/json_text.h"
#include "command_answer.h"

#define LOOK_EVERY_US (100 * 1000)
#define QUESTION_MAX_BYTES ((size_t)8 * PATH_MAX)
#define STATE_DONE STR("done")
#define STATE_RUNNING STR("running")

struct backup_answer {
    int64_t id;
    struct str state;
    int64_t pages_done, pages_total;
    int64_t accounts, messages;
    struct str reason;
};

static bool path_absolute(struct str file, char out_path[PATH_MAX]);
static bool backup_ask(const struct config *config, const char *path, struct arena *arena,
                       int64_t *out_id);
static bool backup_look(const struct config *config, struct arena *arena,
                        struct backup_answer *out_answer);

int command_backup(const struct config *config, struct str file, struct buf *out)
{
    struct arena arena;
    struct backup_answer answer = {.state = STATE_RUNNING};
    char path[PATH_MAX];
    int64_t id = 0;
    bool is_good;

    arena_init(&arena);
    const struct arena_mark mark = arena_mark(&arena);
    is_good = path_absolute(file, path) && backup_ask(config, path, &arena, &id);
    while (is_good && str_equal(answer.state, STATE_RUNNING)) {
        usleep(LOOK_EVERY_US);
        arena_rewind(&arena, mark);
        is_good = backup_look(config, &arena, &answer);
        if (is_good && isatty(STDERR_FILENO)) {
            fprintf(stderr, "\r%lld of %lld pages", (long long)answer.pages_done,
                    (long long)answer.pages_total);
        }
        if (is_good && answer.id != id) {
            fprintf(stderr, "migchat-server: another backup was begun meanwhile\n");
            is_good = false;
        }
    }
    if (is_good && isatty(STDERR_FILENO)) {
        fprintf(stderr, "\r");
    }
    if (is_good && !str_equal(answer.state, STATE_DONE)) {
        fprintf(stderr, "migchat-server: %.*s\n", STR_ARGS(answer.reason));
        is_good = false;
    }
    if (is_good) {
        buf_append_format(out, "%s has %lld accounts and %lld messages, verified\n", path,
                          (long long)answer.accounts, (long long)answer.messages);
    }
    arena_release(&arena);
    return is_good ? EXIT_OK : EXIT_FAILED;
}

/* The server's working folder is another one. */
static bool path_absolute(struct str file, char out_path[PATH_MAX])
{
    char folder[PATH_MAX] = "";
    bool is_relative = file.len > 0 && file.ptr[0] != '/';
    int len;

    if (is_relative && getcwd(folder, sizeof folder) == NULL) {
        fprintf(stderr, "migchat-server: this folder: %s\n", strerror(errno));
        return false;
    }
    len = snprintf(out_path, PATH_MAX, "%s%s%.*s", folder, is_relative ? "/" : "", STR_ARGS(file));
    if (len <= 0 || len >= PATH_MAX) {
        fprintf(stderr, "migchat-server: the file's name is empty or too long\n");
        return false;
    }
    return true;
}

static bool backup_ask(const struct config *config, const char *path, struct arena *arena,
                       int64_t *out_id)
{
    struct json_member member = {.name = "id", .form = JSON_INTEGER};
    struct buf question, body;

    buf_init(&question, QUESTION_MAX_BYTES);
    buf_init(&body, ADMIN_ANSWER_MAX_BYTES);
    buf_append_str(&question, STR("{\"path\":\""));
    json_escape(str_from(path), &question);
    buf_append_str(&question, STR("\"}"));
    bool is_good = command_ask(config, "POST", "/backups", buf_str(&question), &body) &&
                   command_answer_read(buf_str(&body), &member, 1, arena);
    *out_id = member.integer;
    buf_release(&question);
    buf_release(&body);
    return is_good;
}

static bool backup_look(const struct config *config, struct arena *arena,
                        struct backup_answer *out_answer)
{
    struct json_member members[] = {
        {.name = "id", .form = JSON_INTEGER},
        {.name = "state", .form = JSON_TEXT},
        {.name = "pages_done", .form = JSON_INTEGER},
        {.name = "pages_total", .form = JSON_INTEGER},
        {.name = "accounts", .form = JSON_INTEGER, .is_optional = true},
        {.name = "messages", .form = JSON_INTEGER, .is_optional = true},
        {.name = "reason", .form = JSON_TEXT, .is_optional = true},
    };
    struct buf body;

    buf_init(&body, ADMIN_ANSWER_MAX_BYTES);
    bool is_good =
        command_ask(config, "GET", "/backups", (struct str){NULL, 0}, &body) &&
        command_answer_read(buf_str(&body), members, sizeof members / sizeof members[0], arena);
    *out_answer = (struct backup_answer){.id = members[0].integer,
                                         .state = members[1].text,
                                         .pages_done = members[2].integer,
                                         .pages_total = members[3].integer,
                                         .accounts = members[4].integer,
                                         .messages = members[5].integer,
                                         .reason = members[6].text};
    buf_release(&body);
    return is_good;
}
