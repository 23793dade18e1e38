/* command_session.c - the account is named as in the API; a session by the id its list shows. */
#include "command_session.h"

#include <stdio.h>

#include "admin_client.h"
#include "api/json.h"
#include "command_answer.h"

#define QUESTION_MAX_BYTES ((size_t)1024 * 1024)

static bool sessions_show(const struct config *config, struct str body, struct buf *out);
static bool session_show(struct str element, struct buf *out);
static bool question_write(struct str which, struct buf *out);
static bool end_show(const struct config *config, struct str body, struct buf *out);

int command_session(const struct config *config, struct buf *out)
{
    bool is_end = config->command == COMMAND_SESSION_END;
    struct buf target, question, body;

    buf_init(&target, QUESTION_MAX_BYTES);
    buf_init(&question, QUESTION_MAX_BYTES);
    buf_init(&body, ADMIN_ANSWER_MAX_BYTES);
    target_append(&target, "/accounts/", config->operands[0],
                  is_end ? "/sessions/end" : "/sessions");
    bool is_good =
        name_is_asked(config->operands[0]) &&
        (!is_end || question_write(config->operands[1], &question)) &&
        command_ask(config, is_end ? "POST" : "GET", target.ptr, buf_str(&question), &body) &&
        (is_end ? end_show(config, buf_str(&body), out)
                : sessions_show(config, buf_str(&body), out));
    buf_release(&target);
    buf_release(&question);
    buf_release(&body);
    return is_good ? EXIT_OK : EXIT_FAILED;
}

static bool sessions_show(const struct config *config, struct str body, struct buf *out)
{
    struct str element;

    if (config->command_flags[FLAG_JSON]) {
        json_show(out, body);
        return true;
    }
    buf_append_format(out, "%-10s %-24s %-24s  %s\n", "ID", "CREATED", "LAST USE", "LABEL");
    while (json_element_next(&body, &element)) {
        if (!session_show(element, out)) {
            fprintf(stderr, "migchat-server: the server's list is not one of sessions\n");
            return false;
        }
    }
    return true;
}

static bool session_show(struct str element, struct buf *out)
{
    struct json_member members[] = {{.name = "id", .form = JSON_INTEGER},
                                    {.name = "created_at", .form = JSON_TEXT},
                                    {.name = "last_used_at", .form = JSON_TEXT},
                                    {.name = "label", .form = JSON_TEXT, .is_optional = true}};
    struct arena arena;

    arena_init(&arena);
    bool is_good = json_read(element, members, sizeof members / sizeof members[0], &arena) == OK;
    if (is_good) {
        buf_append_format(out, "%-10lld ", (long long)members[0].integer);
        text_show(out, members[1].text);
        buf_append_char(out, ' ');
        text_show(out, members[2].text);
        buf_append_str(out, STR("  "));
        text_show(out, members[3].is_present ? members[3].text : STR("-"));
        buf_append_char(out, '\n');
    }
    arena_release(&arena);
    return is_good;
}

static bool question_write(struct str which, struct buf *out)
{
    uint64_t id = 0;

    if (str_equal(which, STR("all"))) {
        buf_append_str(out, STR("{}"));
        return true;
    }
    if (!str_to_uint(which, (uint64_t)JSON_INTEGER_MAX, &id) || id == 0) {
        fprintf(stderr, "migchat-server: a session is a number of `session list`, or all\n");
        return false;
    }
    buf_append_format(out, "{\"id\":%llu}", (unsigned long long)id);
    return true;
}

static bool end_show(const struct config *config, struct str body, struct buf *out)
{
    static const char *const labels[] = {"id", "name", "sessions ended"};
    struct json_member members[] = {{.name = "user_id", .form = JSON_INTEGER},
                                    {.name = "username", .form = JSON_TEXT},
                                    {.name = "ended_sessions", .form = JSON_INTEGER}};

    return command_show(config, body, members, labels, sizeof labels / sizeof labels[0], out);
}
