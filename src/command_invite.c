/* command_invite.c - a code is shown once, when it is made; the list has ids, and is asked for in
 * pages.
 */
#include "command_invite.h"

#include <stdio.h>

#include "admin_client.h"
#include "api/json.h"
#include "command_answer.h"

#define QUESTION_MAX_BYTES 256u
#define SECONDS_A_DAY 86400u
/* So that seconds fit into what the server reads; it judges by itself. */
#define NUMBER_MAX 1000000000u

static bool invite_create(const struct config *config, struct buf *out);
static bool row_show(struct str element, int64_t *after_id, struct buf *out, bool is_json);
static bool invite_revoke(const struct config *config, struct buf *out);
static bool number_read(struct str text, const char *what, uint64_t *out_number);

static const struct command_pages invite_pages = {
    .target = "/invites?after=",
    .heading = "ID         STATE    ACCOUNTS  CREATED                   UNTIL",
    .rows = "invites",
    .show_row = row_show,
};

int command_invite(const struct config *config, struct buf *out)
{
    bool is_good;

    switch (config->command) {
    case COMMAND_INVITE_CREATE:
        is_good = invite_create(config, out);
        break;
    case COMMAND_INVITE_LIST:
        is_good = command_list(config, &invite_pages, out);
        break;
    default:
        is_good = invite_revoke(config, out);
        break;
    }
    return is_good ? EXIT_OK : EXIT_FAILED;
}

static bool invite_create(const struct config *config, struct buf *out)
{
    static const char *const labels[] = {"code", "id", "accounts", "until"};
    struct json_member members[] = {{.name = "code", .form = JSON_TEXT},
                                    {.name = "id", .form = JSON_INTEGER},
                                    {.name = "uses_left", .form = JSON_INTEGER},
                                    {.name = "expires_at", .form = JSON_TEXT}};
    struct buf question, body;
    uint64_t uses = 0;
    uint64_t days = 0;

    buf_init(&question, QUESTION_MAX_BYTES);
    buf_init(&body, ADMIN_ANSWER_MAX_BYTES);
    bool is_good = number_read(config->operands[0], "for how many accounts", &uses) &&
                   number_read(config->operands[1], "for how many days", &days);
    if (is_good) {
        buf_append_format(&question, "{\"uses\":%llu,\"lasts_seconds\":%llu}",
                          (unsigned long long)uses, (unsigned long long)days * SECONDS_A_DAY);
        is_good = command_ask(config, "POST", "/invites", buf_str(&question), &body) &&
                  command_show(config, buf_str(&body), members, labels,
                               sizeof labels / sizeof labels[0], out);
    }
    buf_release(&question);
    buf_release(&body);
    return is_good;
}

static bool row_show(struct str element, int64_t *after_id, struct buf *out, bool is_json)
{
    struct json_member members[] = {{.name = "id", .form = JSON_INTEGER},
                                    {.name = "state", .form = JSON_TEXT},
                                    {.name = "uses_left", .form = JSON_INTEGER},
                                    {.name = "created_at", .form = JSON_TEXT},
                                    {.name = "expires_at", .form = JSON_TEXT}};
    struct arena arena;

    arena_init(&arena);
    bool is_good = json_read(element, members, sizeof members / sizeof members[0], &arena) == OK &&
                   members[0].integer > *after_id;
    if (is_good) {
        *after_id = members[0].integer;
    }
    if (is_good && is_json) {
        json_show(out, element);
    } else if (is_good) {
        buf_append_format(out, "%-10lld ", (long long)members[0].integer);
        text_show(out, members[1].text);
        buf_append_format(out, "%*s %8lld  ",
                          members[1].text.len < 8 ? 8 - (int)members[1].text.len : 0, "",
                          (long long)members[2].integer);
        text_show(out, members[3].text);
        buf_append_str(out, STR("  "));
        text_show(out, members[4].text);
        buf_append_char(out, '\n');
    }
    arena_release(&arena);
    return is_good;
}

static bool invite_revoke(const struct config *config, struct buf *out)
{
    static const char *const labels[] = {"id"};
    struct json_member members[] = {{.name = "id", .form = JSON_INTEGER}};
    struct buf body;
    char target[64];
    uint64_t id = 0;

    buf_init(&body, ADMIN_ANSWER_MAX_BYTES);
    bool is_good = number_read(config->operands[0], "which invite of `invite list`", &id);
    if (is_good) {
        (void)snprintf(target, sizeof target, "/invites/%llu", (unsigned long long)id);
        is_good = command_ask(config, "DELETE", target, (struct str){NULL, 0}, &body) &&
                  command_show(config, buf_str(&body), members, labels, 1, out);
    }
    buf_release(&body);
    return is_good;
}

static bool number_read(struct str text, const char *what, uint64_t *out_number)
{
    if (str_to_uint(text, NUMBER_MAX, out_number)) {
        return true;
    }
    fprintf(stderr, "migchat-server: say %s as a whole number\n", what);
    return false;
}
