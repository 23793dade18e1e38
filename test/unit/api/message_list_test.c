/* Lists over the loopback, on the fake store: what comes over many pages is what a plain rendering
 * of the same rows gives, and no page is longer than it may be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/name_memo.h"
#include "base/clock.h"
#include "base/json_text.h"
#include "domain/account.h"
#include "domain/message.h"
#include "support/loopback.h"
#include "support/store_fake.h"

#define ANNA_ID 1
#define BEN_ID 2
#define CARL_ID 3
#define SENT_MAX 2048u
#define TEXT_MAX_BYTES (64u * 1024u)
#define LIST_MAX_BYTES (256u << 20)

static struct store *store;
static struct loopback loopback;
static char anna[TOKEN_LEN + 1];
static char ben[TOKEN_LEN + 1];

static int set_up(void **state)
{
    (void)state;
    store = store_fake_new();
    loopback_init(&loopback, store);
    loopback_account(&loopback, "anna", anna);
    loopback_account(&loopback, "ben", ben);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    loopback_release(&loopback);
    store_fake_free(store);
    return 0;
}

/* What a test sent, in order: the reference. */
static struct sent {
    int64_t from_id;
    int64_t to_id;
    int64_t seq; /* in anna's log */
    int64_t at_ms;
    struct str text;
} sent[SENT_MAX];
static size_t sent_count;
static int64_t anna_seq;
static struct arena texts;

static int set_up_sent(void **state)
{
    sent_count = 0;
    anna_seq = 0;
    arena_init(&texts);
    return set_up(state);
}

static int tear_down_sent(void **state)
{
    arena_release(&texts);
    return tear_down(state);
}

static const char *const names[] = {"", "anna", "ben", "carl \\\"c\\\""};

/* Within a batch. */
static void send_one(int64_t from_id, int64_t to_id, struct str text)
{
    static const char *const raw_names[] = {"", "anna", "ben", "carl \"c\""};
    struct message_sent message;
    struct arena arena;
    struct buf escaped;

    arena_init(&arena);
    buf_init(&escaped, TEXT_MAX_BYTES * 6);
    json_escape(text, &escaped);
    struct message_draft draft = {
        .sender_id = from_id,
        .to_username = str_from(raw_names[to_id]),
        .content = text,
        .content_json = buf_str(&escaped),
        .now_ms = 1762171200000 + (int64_t)sent_count * 1001,
    };
    store_unit_begin(store);
    assert_int_equal(message_send(store, &draft, &arena, &message), OK);
    assert_int_equal(store_unit_keep(store), OK);
    anna_seq++;
    assert_true(sent_count < SENT_MAX);
    sent[sent_count] = (struct sent){from_id, to_id, anna_seq, draft.now_ms,
                                     arena_copy(&texts, buf_str(&escaped))};
    sent_count++;
    buf_release(&escaped);
    arena_release(&arena);
}

static struct str filled_text(char fill, size_t len)
{
    char *text = arena_alloc(&texts, len);

    memset(text, fill, len);
    return (struct str){text, len};
}

/* anna's entries in (after, before), with `other` or with all (0), newest first, at most `limit`;
 * the seq of the last one, 0 for none. */
static int64_t reference_write(struct buf *out, int64_t other, int64_t after, int64_t before,
                               size_t limit)
{
    char time[TIME_RFC3339_LEN + 1];
    int64_t last_seq = 0;
    size_t count = 0;

    buf_append_char(out, '[');
    for (size_t i = sent_count; i > 0 && count < limit; i--) {
        const struct sent *row = &sent[i - 1];

        if (row->seq <= after || row->seq >= before ||
            (other != 0 && row->from_id != other && row->to_id != other)) {
            continue;
        }
        time_to_rfc3339(row->at_ms, time);
        buf_append_format(out, "%s{\"id\":%zu,\"from_username\":\"%s\",\"to_username\":\"%s\",",
                          count == 0 ? "" : ",", i, names[row->from_id], names[row->to_id]);
        buf_append_str(out, STR("\"content\":\""));
        buf_append_str(out, row->text);
        buf_append_format(out, "\",\"created_at\":\"%s\",\"seq\":%lld}", time,
                          (long long)row->seq);
        last_seq = row->seq;
        count++;
    }
    buf_append_char(out, ']');
    return last_seq;
}

static void ask(const char *target, between_pages between, struct answer *out_answer)
{
    char request[1024];

    snprintf(request, sizeof request,
             "GET %s HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\n\r\n", target, anna);
    loopback_ask(&loopback, str_from(request), between, out_answer);
}

static void assert_list(const struct answer *answer, int64_t other, int64_t after, int64_t before,
                        size_t limit)
{
    struct buf expected;

    buf_init(&expected, LIST_MAX_BYTES);
    reference_write(&expected, other, after, before, limit);
    assert_int_equal(answer->status, 200);
    assert_false(answer->failed);
    assert_int_equal(answer->body.len, expected.len);
    assert_memory_equal(answer->body.ptr, expected.ptr, expected.len);
    assert_true(answer->page_max_bytes <= RESPONSE_PAGE_BYTES);
    buf_release(&expected);
}

static void send_small(size_t count)
{
    assert_int_equal(store_batch_begin(store), OK);
    for (size_t i = 0; i < count; i++) {
        switch (i % 5) {
        case 0:
        case 1:
            send_one(ANNA_ID, BEN_ID, STR("a \"b\"\n"));
            break;
        case 2:
            send_one(BEN_ID, ANNA_ID, STR("x"));
            break;
        case 3:
            send_one(ANNA_ID, ANNA_ID, STR("me"));
            break;
        default:
            send_one(CARL_ID, ANNA_ID, STR("\xf0\x9f\x98\x80"));
            break;
        }
    }
    assert_int_equal(store_batch_commit(store), OK);
}

static void create_carl(void)
{
    char token[TOKEN_LEN + 1];

    loopback_account(&loopback, "carl \\\"c\\\"", token);
}

static void an_empty_list_is_one_page(void **state)
{
    struct answer answer;

    (void)state;
    ask("/api/messages", NULL, &answer);
    assert_true(str_equal(buf_str(&answer.body), STR("[]")));
    assert_int_equal(answer.page_count, 1);
    answer_release(&answer);
    ask("/api/messages?limit=5", NULL, &answer);
    assert_true(str_equal(buf_str(&answer.body), STR("[]")));
    assert_false(answer_has_field(&answer, "Link"));
    answer_release(&answer);
    ask("/api/conversations", NULL, &answer);
    assert_true(str_equal(buf_str(&answer.body), STR("[]")));
    answer_release(&answer);
}

static void many_small_rows_come_over_many_pages(void **state)
{
    struct answer answer;

    (void)state;
    create_carl();
    send_small(1500);
    ask("/api/messages", NULL, &answer);
    assert_list(&answer, 0, 0, INT64_MAX, SIZE_MAX);
    assert_true(answer.page_count > 2);
    answer_release(&answer);
    ask("/api/messages/filtered", NULL, &answer);
    assert_list(&answer, 0, 0, INT64_MAX, SIZE_MAX);
    answer_release(&answer);
    ask("/api/messages/filtered?with_user=BEN", NULL, &answer);
    assert_list(&answer, BEN_ID, 0, INT64_MAX, SIZE_MAX);
    assert_true(answer.page_count > 1);
    answer_release(&answer);
    loopback.uses_write_lane_only = true;
    ask("/api/messages", NULL, &answer);
    assert_list(&answer, 0, 0, INT64_MAX, SIZE_MAX);
    answer_release(&answer);
}

static void rows_longer_than_a_page_are_cut_and_come_whole(void **state)
{
    struct answer answer;

    (void)state;
    create_carl();
    assert_int_equal(store_batch_begin(store), OK);
    send_one(ANNA_ID, BEN_ID, filled_text('\x01', TEXT_MAX_BYTES)); /* 6 bytes each */
    send_one(BEN_ID, ANNA_ID, STR("x"));
    send_one(CARL_ID, ANNA_ID, filled_text('"', TEXT_MAX_BYTES)); /* 2 bytes each */
    send_one(ANNA_ID, BEN_ID, filled_text('x', TEXT_MAX_BYTES - 200));
    send_one(ANNA_ID, BEN_ID, filled_text('\x02', TEXT_MAX_BYTES));
    assert_int_equal(store_batch_commit(store), OK);
    ask("/api/messages", NULL, &answer);
    assert_list(&answer, 0, 0, INT64_MAX, SIZE_MAX);
    assert_true(answer.page_count > 12);
    answer_release(&answer);
    ask("/api/messages/filtered?with_user=ben", NULL, &answer);
    assert_list(&answer, BEN_ID, 0, INT64_MAX, SIZE_MAX);
    answer_release(&answer);
    ask("/api/messages?limit=2", NULL, &answer);
    assert_list(&answer, 0, 0, INT64_MAX, 2);
    assert_true(answer_has_field(&answer, "Link: </api/messages?limit=2&before=4>"));
    answer_release(&answer);
}

/* Two accounts whose names share a slot of the memo, so that every row looks one up. */
static void senders_create(int64_t *out_ids)
{
    struct session_issued issued;
    struct arena arena;
    char name[32];

    arena_init(&arena);
    assert_int_equal(store_batch_begin(store), OK);
    for (unsigned i = 0; i <= NAME_MEMO_SLOTS; i++) {
        snprintf(name, sizeof name, "sender %u of many", i);
        assert_int_equal(account_create(store, str_from(name), STR("x"), 1, &arena, &issued), OK);
        out_ids[i == 0 ? 0 : 1] = issued.account_id;
    }
    assert_int_equal(store_batch_commit(store), OK);
    assert_int_equal(out_ids[1] - out_ids[0], NAME_MEMO_SLOTS);
    arena_release(&arena);
}

static void receive_from(const int64_t *ids, size_t count)
{
    assert_int_equal(store_batch_begin(store), OK);
    for (size_t i = 0; i < count; i++) {
        const struct entry entry = {.kind = ENTRY_MESSAGE_RECEIVED,
                                    .other_id = ids[i % 2],
                                    .ref = (int64_t)i + 1,
                                    .text = STR("x")};
        int64_t seq;

        assert_int_equal(store_entry_append(store, ANNA_ID, &entry, 0, &seq), OK);
    }
    assert_int_equal(store_batch_commit(store), OK);
}

static void a_stream_stays_small_in_memory(void **state)
{
    struct answer answer;
    int64_t ids[2];

    (void)state;
    senders_create(ids);
    receive_from(ids, 700);
    ask("/api/messages", NULL, &answer);
    assert_int_equal(answer.status, 200);
    size_t two_pages_bytes = answer.arena_max_bytes;
    assert_int_equal(answer.page_count, 2);
    answer_release(&answer);
    receive_from(ids, 1400);
    ask("/api/messages", NULL, &answer);
    assert_true(answer.page_count > 4);
    assert_true(answer.arena_max_bytes <= two_pages_bytes);
    answer_release(&answer);
}

/* More comes, and a name changes, in the middle of what is written. */
static void change_between(struct loopback *changed, unsigned page)
{
    struct arena arena;

    (void)changed;
    arena_init(&arena);
    assert_int_equal(store_batch_begin(store), OK);
    send_one(BEN_ID, ANNA_ID, STR("later"));
    if (page == 2) {
        store_unit_begin(store);
        assert_int_equal(account_rename(store, BEN_ID, STR("benjamin the longer"), 5, &arena), OK);
        assert_int_equal(store_unit_keep(store), OK);
    }
    assert_int_equal(store_batch_commit(store), OK);
    arena_release(&arena);
}

static void a_list_is_of_one_moment_and_a_cut_row_keeps_its_names(void **state)
{
    struct buf expected;
    struct answer answer;

    (void)state;
    assert_int_equal(store_batch_begin(store), OK);
    send_one(ANNA_ID, ANNA_ID, STR("first"));
    send_one(BEN_ID, ANNA_ID, filled_text('\x01', TEXT_MAX_BYTES));
    assert_int_equal(store_batch_commit(store), OK);
    buf_init(&expected, LIST_MAX_BYTES);
    reference_write(&expected, 0, 0, INT64_MAX, SIZE_MAX);

    ask("/api/messages", change_between, &answer);
    assert_true(answer.page_count > 4);
    assert_true(str_equal(buf_str(&answer.body), buf_str(&expected)));
    answer_release(&answer);
    buf_release(&expected);
}

static void a_filtered_list_is_of_one_moment_from_its_first_byte(void **state)
{
    struct buf expected;
    struct answer answer;

    (void)state;
    assert_int_equal(store_batch_begin(store), OK);
    send_one(BEN_ID, ANNA_ID, STR("old"));
    send_one(BEN_ID, ANNA_ID, filled_text('\x01', TEXT_MAX_BYTES));
    assert_int_equal(store_batch_commit(store), OK);
    buf_init(&expected, LIST_MAX_BYTES);
    reference_write(&expected, BEN_ID, 0, INT64_MAX, 1);
    ask("/api/messages/filtered?with_user=ben&limit=1", change_between, &answer);
    assert_true(answer_has_field(&answer, "&before=2>"));
    assert_true(str_equal(buf_str(&answer.body), buf_str(&expected)));
    answer_release(&answer);
    buf_release(&expected);
}

static void end_between(struct loopback *ended, unsigned page)
{
    if (page == 1) {
        loopback_expect(ended, "POST", "/api/account/logout", anna, NULL, 204, NULL);
    }
}

static void a_token_that_ends_ends_its_stream(void **state)
{
    struct answer answer;

    (void)state;
    create_carl();
    send_small(1500);
    ask("/api/messages", end_between, &answer);
    assert_int_equal(answer.status, 200);
    assert_true(answer.failed);
    assert_int_equal(answer.error, ERROR_TOKEN_INVALID);
    assert_int_equal(answer.page_count, 2);
    answer_release(&answer);
}

static void pages_follow_each_other_by_their_links(void **state)
{
    static const struct {
        const char *target;
        int64_t other;
        size_t limit;
    } lists[] = {{"/api/messages?limit=7", 0, 7},
                 {"/api/messages/filtered?with_user=ben&limit=4", BEN_ID, 4},
                 {"/api/messages/filtered?limit=1000", 0, 1000},
                 {"/api/messages?after=0", 0, 100}};

    (void)state;
    create_carl();
    send_small(230);
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        char target[256];
        int64_t before = INT64_MAX;
        size_t pages = 0;

        snprintf(target, sizeof target, "%s", lists[i].target);
        for (;;) {
            struct answer answer;
            struct buf unused;

            ask(target, NULL, &answer);
            assert_list(&answer, lists[i].other, 0, before, lists[i].limit);
            buf_init(&unused, LIST_MAX_BYTES);
            before = reference_write(&unused, lists[i].other, 0, before, lists[i].limit);
            buf_release(&unused);
            pages++;
            snprintf(target, sizeof target, "%s&before=%lld", lists[i].target, (long long)before);
            char link[300];
            snprintf(link, sizeof link, "Link: <%s>; rel=\"next\"\r\n", target);
            bool has_next = answer_has_field(&answer, "Link: ");
            assert_int_equal(has_next, answer_has_field(&answer, link));
            answer_release(&answer);
            if (!has_next) {
                break;
            }
        }
        size_t rows = lists[i].other == 0 ? 230 : 138; /* ben: 3 of 5 */
        assert_int_equal(pages, (rows + lists[i].limit - 1) / lists[i].limit);
    }
}

static void before_and_after_are_exclusive(void **state)
{
    struct answer answer;

    (void)state;
    create_carl();
    send_small(20);
    ask("/api/messages?before=15&after=5", NULL, &answer);
    assert_list(&answer, 0, 5, 15, 100);
    assert_false(answer_has_field(&answer, "Link"));
    answer_release(&answer);
    ask("/api/messages?after=5&limit=3", NULL, &answer);
    assert_list(&answer, 0, 5, INT64_MAX, 3);
    assert_true(answer_has_field(&answer, "Link: </api/messages?after=5&limit=3&before=18>"));
    answer_release(&answer);
    ask("/api/messages?after=20", NULL, &answer);
    assert_list(&answer, 0, 20, INT64_MAX, 100);
    answer_release(&answer);
    ask("/api/messages?before=1", NULL, &answer);
    assert_list(&answer, 0, 0, 1, 100);
    answer_release(&answer);
    ask("/api/messages/filtered?with_user=ben&before=13&after=6", NULL, &answer);
    assert_list(&answer, BEN_ID, 6, 13, 100);
    answer_release(&answer);
    loopback_expect(&loopback, "GET", "/api/messages/filtered?with_user=ben&before=4", anna, NULL,
                    400, "seq_not_allowed"); /* a message to herself */
    loopback_expect(&loopback, "GET", "/api/messages/filtered?with_user=x", anna, NULL, 404,
                    "account_not_found");
    loopback_expect(&loopback, "GET", "/api/messages?limit=0", anna, NULL, 400,
                    "limit_not_allowed");
    loopback_expect(&loopback, "GET", "/api/conversations?limit=1001", anna, NULL, 400,
                    "limit_not_allowed");
}

static void ask_if_none_match(const char *target, const char *token, const char *tag,
                              struct answer *out_answer)
{
    char fields[256];

    snprintf(fields, sizeof fields, "If-None-Match: %s\r\n", tag);
    loopback_request(&loopback, "GET", target, token, NULL, fields, out_answer);
}

static void an_unchanged_list_is_304_until_the_log_or_a_name_changes(void **state)
{
    static const char *const targets[] = {"/api/messages", "/api/conversations",
                                          "/api/messages/filtered?with_user=ben"};
    char tag[128];
    struct answer answer;

    (void)state;
    create_carl();
    send_small(3);
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        ask(targets[i], NULL, &answer);
        assert_true(answer_has_field(&answer, "MigChat-Cursor: "));
        buf_append_char(&answer.fields, '\0');
        const char *at = strstr(answer.fields.ptr, "ETag: ");
        assert_non_null(at);
        snprintf(tag, sizeof tag, "%.*s", (int)strcspn(at + 6, "\r"), at + 6);
        answer_release(&answer);

        ask_if_none_match(targets[i], anna, tag, &answer);
        assert_int_equal(answer.status, 304);
        assert_int_equal(answer.body.len, 0);
        assert_true(answer_has_field(&answer, tag));
        assert_true(answer_has_field(&answer, "MigChat-Cursor: "));
        answer_release(&answer);
        if (strstr(targets[i], "ben") == NULL) {
            ask_if_none_match(targets[i], ben, tag, &answer);
            assert_int_equal(answer.status, 200);
            answer_release(&answer);
        }
        loopback_expect(&loopback, "POST", "/api/account/update-username", ben,
                        i % 2 == 0 ? "{\"new_username\":\"Ben\"}" : "{\"new_username\":\"ben\"}",
                        200, NULL);
        ask_if_none_match(targets[i], anna, tag, &answer);
        assert_int_equal(answer.status, 200);
        answer_release(&answer);
    }
    /* Errors come before the condition. */
    ask_if_none_match("/api/messages?limit=x", anna, "*", &answer);
    assert_int_equal(answer.status, 400);
    assert_false(answer_has_field(&answer, "ETag"));
    answer_release(&answer);
}

static void every_failing_read_is_503_or_a_failed_stream(void **state)
{
    (void)state;
    create_carl();
    send_small(1000);
    for (size_t n = 1;; n += n < 40 ? 1 : 97) {
        struct answer answer;

        store_fake_fail_at(store, n, ERROR_STORE_FAILED, false);
        ask("/api/messages?limit=1000", NULL, &answer);
        bool has_failed = store_fake_has_failed(store);
        store_fake_fail_at(store, 0, OK, false);
        assert_true(!has_failed || answer.failed || answer.status == 503);
        answer_release(&answer);
        if (!has_failed) {
            break;
        }
    }
}

/* ---- conversations ---------------------------------------------------------------------------*/

static void conversations_show_the_last_message_and_what_is_unread(void **state)
{
    struct answer answer;

    (void)state;
    create_carl();
    send_small(8);
    ask("/api/conversations", NULL, &answer);
    assert_true(str_equal(
        buf_str(&answer.body),
        STR("[{\"username\":\"ben\",\"last_message\":\"x\","
            "\"last_message_time\":\"2025-11-03T12:00:07.007Z\",\"unread_count\":2},"
            "{\"username\":\"carl \\\"c\\\"\",\"last_message\":\"\xf0\x9f\x98\x80\","
            "\"last_message_time\":\"2025-11-03T12:00:04.004Z\",\"unread_count\":1},"
            "{\"username\":\"anna\",\"last_message\":\"me\","
            "\"last_message_time\":\"2025-11-03T12:00:03.003Z\",\"unread_count\":0}]")));
    answer_release(&answer);
    loopback_expect(&loopback, "POST", "/api/messages/mark-read?with_user=ben", anna, NULL, 200,
                    NULL);
    ask("/api/conversations?limit=1", NULL, &answer);
    assert_string_equal(answer_member(&answer, "username"), "ben");
    assert_string_equal(answer_member(&answer, "unread_count"), "0");
    assert_null(memmem(answer.body.ptr, answer.body.len, "carl", 4));
    answer_release(&answer);
}

static void long_last_messages_come_over_many_pages(void **state)
{
    struct buf expected;
    struct answer answer;
    char time[TIME_RFC3339_LEN + 1];

    (void)state;
    create_carl();
    assert_int_equal(store_batch_begin(store), OK);
    send_one(ANNA_ID, CARL_ID, STR("x"));
    send_one(ANNA_ID, ANNA_ID, filled_text('"', TEXT_MAX_BYTES));
    send_one(BEN_ID, ANNA_ID, filled_text('\x01', TEXT_MAX_BYTES));
    assert_int_equal(store_batch_commit(store), OK);
    buf_init(&expected, LIST_MAX_BYTES);
    for (size_t i = sent_count; i > 0; i--) {
        const struct sent *row = &sent[i - 1];

        time_to_rfc3339(row->at_ms, time);
        buf_append_format(&expected, "%c{\"username\":\"%s\",\"last_message\":\"",
                          i == sent_count ? '[' : ',',
                          names[row->from_id == ANNA_ID ? row->to_id : row->from_id]);
        buf_append_str(&expected, row->text);
        buf_append_format(&expected, "\",\"last_message_time\":\"%s\",\"unread_count\":%d}", time,
                          row->from_id == BEN_ID ? 1 : 0);
    }
    buf_append_char(&expected, ']');
    ask("/api/conversations", change_between, &answer);
    assert_true(answer.page_count > 8);
    assert_true(answer.page_max_bytes <= RESPONSE_PAGE_BYTES);
    assert_true(str_equal(buf_str(&answer.body), buf_str(&expected)));
    assert_true(answer.arena_max_bytes <= 32u * 1024u);
    answer_release(&answer);
    buf_release(&expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define WITH_ACCOUNTS(test) cmocka_unit_test_setup_teardown(test, set_up_sent, tear_down_sent)
        WITH_ACCOUNTS(an_empty_list_is_one_page),
        WITH_ACCOUNTS(many_small_rows_come_over_many_pages),
        WITH_ACCOUNTS(rows_longer_than_a_page_are_cut_and_come_whole),
        WITH_ACCOUNTS(a_stream_stays_small_in_memory),
        WITH_ACCOUNTS(a_list_is_of_one_moment_and_a_cut_row_keeps_its_names),
        WITH_ACCOUNTS(a_filtered_list_is_of_one_moment_from_its_first_byte),
        WITH_ACCOUNTS(a_token_that_ends_ends_its_stream),
        WITH_ACCOUNTS(pages_follow_each_other_by_their_links),
        WITH_ACCOUNTS(before_and_after_are_exclusive),
        WITH_ACCOUNTS(an_unchanged_list_is_304_until_the_log_or_a_name_changes),
        WITH_ACCOUNTS(every_failing_read_is_503_or_a_failed_stream),
        WITH_ACCOUNTS(conversations_show_the_last_message_and_what_is_unread),
        WITH_ACCOUNTS(long_last_messages_come_over_many_pages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
