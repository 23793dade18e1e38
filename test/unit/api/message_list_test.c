/* Message lists over the loopback, on the fake store: what comes over many pages is what a plain
 * rendering of the same rows gives, and no page is longer than it may be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "api/name_memo.h"
#include "domain/account.h"
#include "support/list_reference.h"
#include "support/store_fake.h"

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

static void an_empty_list_is_one_page(void **state)
{
    struct answer answer;

    (void)state;
    reference_ask("/api/messages", NULL, &answer);
    assert_true(str_equal(buf_str(&answer.body), STR("[]")));
    assert_int_equal(answer.page_count, 1);
    answer_release(&answer);
    reference_ask("/api/messages?limit=5", NULL, &answer);
    assert_true(str_equal(buf_str(&answer.body), STR("[]")));
    assert_false(answer_has_field(&answer, "Link"));
    answer_release(&answer);
}

static void many_small_rows_come_over_many_pages(void **state)
{
    struct answer answer;

    (void)state;
    reference_create_carl();
    reference_send_small(1500);
    reference_ask("/api/messages", NULL, &answer);
    assert_list(&answer, 0, 0, INT64_MAX, SIZE_MAX);
    assert_true(answer.page_count > 2);
    answer_release(&answer);
    reference_ask("/api/messages/filtered", NULL, &answer);
    assert_list(&answer, 0, 0, INT64_MAX, SIZE_MAX);
    answer_release(&answer);
    reference_ask("/api/messages/filtered?with_user=BEN", NULL, &answer);
    assert_list(&answer, BEN_ID, 0, INT64_MAX, SIZE_MAX);
    assert_true(answer.page_count > 1);
    answer_release(&answer);
    reference.loopback.uses_write_lane_only = true;
    reference_ask("/api/messages", NULL, &answer);
    assert_list(&answer, 0, 0, INT64_MAX, SIZE_MAX);
    answer_release(&answer);
}

static void rows_longer_than_a_page_are_cut_and_come_whole(void **state)
{
    struct answer answer;

    (void)state;
    reference_create_carl();
    assert_int_equal(store_batch_begin(reference.store), OK);
    reference_send(ANNA_ID, BEN_ID, reference_text('\x01', SENT_TEXT_MAX_BYTES)); /* 6 bytes each */
    reference_send(BEN_ID, ANNA_ID, STR("x"));
    reference_send(CARL_ID, ANNA_ID, reference_text('"', SENT_TEXT_MAX_BYTES)); /* 2 bytes each */
    reference_send(ANNA_ID, BEN_ID, reference_text('x', SENT_TEXT_MAX_BYTES - 200));
    reference_send(ANNA_ID, BEN_ID, reference_text('\x02', SENT_TEXT_MAX_BYTES));
    assert_int_equal(store_batch_commit(reference.store), OK);
    reference_ask("/api/messages", NULL, &answer);
    assert_list(&answer, 0, 0, INT64_MAX, SIZE_MAX);
    assert_true(answer.page_count > 12);
    answer_release(&answer);
    reference_ask("/api/messages/filtered?with_user=ben", NULL, &answer);
    assert_list(&answer, BEN_ID, 0, INT64_MAX, SIZE_MAX);
    answer_release(&answer);
    reference_ask("/api/messages?limit=2", NULL, &answer);
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
    assert_int_equal(store_batch_begin(reference.store), OK);
    for (unsigned i = 0; i <= NAME_MEMO_SLOTS; i++) {
        snprintf(name, sizeof name, "sender %u of many", i);
        assert_int_equal(
            account_create(reference.store, str_from(name), STR("x"), 1, &arena, &issued), OK);
        out_ids[i == 0 ? 0 : 1] = issued.account_id;
    }
    assert_int_equal(store_batch_commit(reference.store), OK);
    assert_int_equal(out_ids[1] - out_ids[0], NAME_MEMO_SLOTS);
    arena_release(&arena);
}

static void receive_from(const int64_t *ids, size_t count)
{
    assert_int_equal(store_batch_begin(reference.store), OK);
    for (size_t i = 0; i < count; i++) {
        const struct entry entry = {.kind = ENTRY_MESSAGE_RECEIVED,
                                    .other_id = ids[i % 2],
                                    .ref = (int64_t)i + 1,
                                    .text = STR("x")};
        int64_t seq;

        assert_int_equal(store_entry_append(reference.store, ANNA_ID, &entry, 0, &seq), OK);
    }
    assert_int_equal(store_batch_commit(reference.store), OK);
}

static void a_stream_stays_small_in_memory(void **state)
{
    struct answer answer;
    int64_t ids[2];

    (void)state;
    senders_create(ids);
    receive_from(ids, 700);
    reference_ask("/api/messages", NULL, &answer);
    assert_int_equal(answer.status, 200);
    size_t two_pages_bytes = answer.arena_max_bytes;
    assert_int_equal(answer.page_count, 2);
    answer_release(&answer);
    receive_from(ids, 1400);
    reference_ask("/api/messages", NULL, &answer);
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
    assert_int_equal(store_batch_begin(reference.store), OK);
    reference_send(BEN_ID, ANNA_ID, STR("later"));
    if (page == 2) {
        store_unit_begin(reference.store, UNIT_SAVED);
        assert_int_equal(
            account_rename(reference.store, BEN_ID, STR("benjamin the longer"), 5, &arena), OK);
        assert_int_equal(store_unit_keep(reference.store), OK);
    }
    assert_int_equal(store_batch_commit(reference.store), OK);
    arena_release(&arena);
}

static void a_list_is_of_one_moment_and_a_cut_row_keeps_its_names(void **state)
{
    struct buf expected;
    struct answer answer;

    (void)state;
    assert_int_equal(store_batch_begin(reference.store), OK);
    reference_send(ANNA_ID, ANNA_ID, STR("first"));
    reference_send(BEN_ID, ANNA_ID, reference_text('\x01', SENT_TEXT_MAX_BYTES));
    assert_int_equal(store_batch_commit(reference.store), OK);
    buf_init(&expected, LIST_MAX_BYTES);
    reference_write(&expected, 0, 0, INT64_MAX, SIZE_MAX);

    reference_ask("/api/messages", change_between, &answer);
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
    assert_int_equal(store_batch_begin(reference.store), OK);
    reference_send(BEN_ID, ANNA_ID, STR("old"));
    reference_send(BEN_ID, ANNA_ID, reference_text('\x01', SENT_TEXT_MAX_BYTES));
    assert_int_equal(store_batch_commit(reference.store), OK);
    buf_init(&expected, LIST_MAX_BYTES);
    reference_write(&expected, BEN_ID, 0, INT64_MAX, 1);
    reference_ask("/api/messages/filtered?with_user=ben&limit=1", change_between, &answer);
    assert_true(answer_has_field(&answer, "&before=2>"));
    assert_true(str_equal(buf_str(&answer.body), buf_str(&expected)));
    answer_release(&answer);
    buf_release(&expected);
}

static void end_between(struct loopback *ended, unsigned page)
{
    if (page == 1) {
        loopback_expect(ended, "POST", "/api/account/logout", reference.anna, NULL, 204, NULL);
    }
}

static void a_token_that_ends_ends_its_stream(void **state)
{
    struct answer answer;

    (void)state;
    reference_create_carl();
    reference_send_small(1500);
    reference_ask("/api/messages", end_between, &answer);
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
    reference_create_carl();
    reference_send_small(230);
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        char target[256];
        int64_t before = INT64_MAX;
        size_t pages = 0;

        snprintf(target, sizeof target, "%s", lists[i].target);
        for (;;) {
            struct answer answer;
            struct buf unused;

            reference_ask(target, NULL, &answer);
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
    reference_create_carl();
    reference_send_small(20);
    reference_ask("/api/messages?before=15&after=5", NULL, &answer);
    assert_list(&answer, 0, 5, 15, 100);
    assert_false(answer_has_field(&answer, "Link"));
    answer_release(&answer);
    reference_ask("/api/messages?after=5&limit=3", NULL, &answer);
    assert_list(&answer, 0, 5, INT64_MAX, 3);
    assert_true(answer_has_field(&answer, "Link: </api/messages?after=5&limit=3&before=18>"));
    answer_release(&answer);
    reference_ask("/api/messages?after=20", NULL, &answer);
    assert_list(&answer, 0, 20, INT64_MAX, 100);
    answer_release(&answer);
    reference_ask("/api/messages?before=1", NULL, &answer);
    assert_list(&answer, 0, 0, 1, 100);
    answer_release(&answer);
    reference_ask("/api/messages/filtered?with_user=ben&before=13&after=6", NULL, &answer);
    assert_list(&answer, BEN_ID, 6, 13, 100);
    answer_release(&answer);
    loopback_expect(&reference.loopback, "GET", "/api/messages/filtered?with_user=ben&before=4",
                    reference.anna, NULL, 400, "seq_not_allowed"); /* a message to herself */
    loopback_expect(&reference.loopback, "GET", "/api/messages/filtered?with_user=x",
                    reference.anna, NULL, 404, "account_not_found");
    loopback_expect(&reference.loopback, "GET", "/api/messages?limit=0", reference.anna, NULL, 400,
                    "limit_not_allowed");
    loopback_expect(&reference.loopback, "GET", "/api/conversations?limit=1001", reference.anna,
                    NULL, 400, "limit_not_allowed");
}

static void ask_if_none_match(const char *target, const char *token, const char *tag,
                              struct answer *out_answer)
{
    char fields[256];

    snprintf(fields, sizeof fields, "If-None-Match: %s\r\n", tag);
    loopback_request(&reference.loopback, "GET", target, token, NULL, fields, out_answer);
}

static void an_unchanged_list_is_304_until_the_log_or_a_name_changes(void **state)
{
    static const char *const targets[] = {"/api/messages", "/api/conversations",
                                          "/api/messages/filtered?with_user=ben"};
    char tag[128];
    struct answer answer;

    (void)state;
    reference_create_carl();
    reference_send_small(3);
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        reference_ask(targets[i], NULL, &answer);
        assert_true(answer_has_field(&answer, "MigChat-Cursor: "));
        buf_append_char(&answer.fields, '\0');
        const char *at = strstr(answer.fields.ptr, "ETag: ");
        assert_non_null(at);
        snprintf(tag, sizeof tag, "%.*s", (int)strcspn(at + 6, "\r"), at + 6);
        answer_release(&answer);

        ask_if_none_match(targets[i], reference.anna, tag, &answer);
        assert_int_equal(answer.status, 304);
        assert_int_equal(answer.body.len, 0);
        assert_true(answer_has_field(&answer, tag));
        assert_true(answer_has_field(&answer, "MigChat-Cursor: "));
        answer_release(&answer);
        if (strstr(targets[i], "ben") == NULL) {
            ask_if_none_match(targets[i], reference.ben, tag, &answer);
            assert_int_equal(answer.status, 200);
            answer_release(&answer);
        }
        loopback_expect(&reference.loopback, "POST", "/api/account/update-username", reference.ben,
                        i % 2 == 0 ? "{\"new_username\":\"Ben\"}" : "{\"new_username\":\"ben\"}",
                        200, NULL);
        ask_if_none_match(targets[i], reference.anna, tag, &answer);
        assert_int_equal(answer.status, 200);
        answer_release(&answer);
    }
    /* Errors come before the condition. */
    ask_if_none_match("/api/messages?limit=x", reference.anna, "*", &answer);
    assert_int_equal(answer.status, 400);
    assert_false(answer_has_field(&answer, "ETag"));
    answer_release(&answer);
}

static void every_failing_read_is_503_or_a_failed_stream(void **state)
{
    (void)state;
    reference_create_carl();
    reference_send_small(1000);
    for (size_t n = 1;; n += n < 40 ? 1 : 97) {
        struct answer answer;

        store_fake_fail_at(reference.store, n, ERROR_STORE_FAILED, false);
        reference_ask("/api/messages?limit=1000", NULL, &answer);
        bool has_failed = store_fake_has_failed(reference.store);
        store_fake_fail_at(reference.store, 0, OK, false);
        assert_true(!has_failed || answer.failed || answer.status == 503);
        answer_release(&answer);
        if (!has_failed) {
            break;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define WITH_ACCOUNTS(test)                                                                        \
    cmocka_unit_test_setup_teardown(test, reference_set_up, reference_tear_down)
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
