/* list_reference.c - sends by the domain's own call, without the API that is tested. */
#include "support/list_reference.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/json_text.h"
#include "base/require.h"
#include "domain/message.h"
#include "support/store_fake.h"

#define ESCAPE_MAX_BYTES 6u
#define FIRST_SENT_AT_MS 1762171200000 /* 2025-11-03T12:00:00Z */
#define SENT_EVERY_MS 1001

struct list_reference reference;

static const char *const names[] = {"", "anna", "ben", "carl \"c\""};
static const char *const names_in_json[] = {"", "anna", "ben", "carl \\\"c\\\""};

int reference_set_up(void **state)
{
    (void)state;
    memset(&reference, 0, sizeof reference);
    arena_init(&reference.texts);
    reference.store = store_fake_new();
    loopback_init(&reference.loopback, reference.store);
    loopback_account(&reference.loopback, names_in_json[ANNA_ID], reference.anna);
    loopback_account(&reference.loopback, names_in_json[BEN_ID], reference.ben);
    return 0;
}

int reference_tear_down(void **state)
{
    (void)state;
    arena_release(&reference.texts);
    loopback_release(&reference.loopback);
    store_fake_free(reference.store);
    return 0;
}

void reference_create_carl(void)
{
    char token[TOKEN_LEN + 1];

    loopback_account(&reference.loopback, names_in_json[CARL_ID], token);
}

void reference_send(int64_t from_id, int64_t to_id, struct str text)
{
    struct message_sent message;
    struct arena arena;
    struct buf escaped;

    arena_init(&arena);
    buf_init(&escaped, SENT_TEXT_MAX_BYTES * ESCAPE_MAX_BYTES);
    json_escape(text, &escaped);
    struct message_draft draft = {
        .sender_id = from_id,
        .to_username = str_from(names[to_id]),
        .content = text,
        .content_json = buf_str(&escaped),
        .now_ms = FIRST_SENT_AT_MS + (int64_t)reference.sent_count * SENT_EVERY_MS,
    };
    store_unit_begin(reference.store, UNIT_SAVED);
    REQUIRE(message_send(reference.store, &draft, &arena, &message) == OK);
    REQUIRE(store_unit_keep(reference.store) == OK);
    REQUIRE(reference.sent_count < SENT_MAX);
    reference.sent[reference.sent_count] = (struct sent){
        .from_id = from_id,
        .to_id = to_id,
        .seq = (int64_t)reference.sent_count + 1,
        .at_ms = draft.now_ms,
        .text = arena_copy(&reference.texts, buf_str(&escaped)),
    };
    reference.sent_count++;
    buf_release(&escaped);
    arena_release(&arena);
}

void reference_send_small(size_t count)
{
    REQUIRE(store_batch_begin(reference.store) == OK);
    for (size_t i = 0; i < count; i++) {
        switch (i % 5) {
        case 0:
        case 1:
            reference_send(ANNA_ID, BEN_ID, STR("a \"b\"\n"));
            break;
        case 2:
            reference_send(BEN_ID, ANNA_ID, STR("x"));
            break;
        case 3:
            reference_send(ANNA_ID, ANNA_ID, STR("me"));
            break;
        default:
            reference_send(CARL_ID, ANNA_ID, STR("\xf0\x9f\x98\x80"));
            break;
        }
    }
    REQUIRE(store_batch_commit(reference.store) == OK);
}

struct str reference_text(char fill, size_t len)
{
    char *text = arena_alloc(&reference.texts, len);

    memset(text, fill, len);
    return (struct str){text, len};
}

const char *reference_name(int64_t account_id)
{
    return names_in_json[account_id];
}

int64_t reference_write(struct buf *out, int64_t other_id, int64_t after, int64_t before,
                        size_t limit)
{
    char time[TIME_RFC3339_LEN + 1];
    int64_t last_seq = 0;
    size_t count = 0;

    buf_append_char(out, '[');
    for (size_t i = reference.sent_count; i > 0 && count < limit; i--) {
        const struct sent *row = &reference.sent[i - 1];

        if (row->seq <= after || row->seq >= before ||
            (other_id != 0 && row->from_id != other_id && row->to_id != other_id)) {
            continue;
        }
        time_to_rfc3339(row->at_ms, time);
        buf_append_format(out, "%s{\"id\":%zu,\"from_username\":\"%s\",\"to_username\":\"%s\",",
                          count == 0 ? "" : ",", i, names_in_json[row->from_id],
                          names_in_json[row->to_id]);
        buf_append_str(out, STR("\"content\":\""));
        buf_append_str(out, row->text);
        buf_append_format(out, "\",\"created_at\":\"%s\",\"seq\":%" PRId64 "}", time, row->seq);
        last_seq = row->seq;
        count++;
    }
    buf_append_char(out, ']');
    return last_seq;
}

void reference_ask(const char *target, between_pages between, struct answer *out_answer)
{
    char request[1024];

    snprintf(request, sizeof request,
             "GET %s HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\n\r\n", target,
             reference.anna);
    loopback_ask(&reference.loopback, str_from(request), between, out_answer);
}
