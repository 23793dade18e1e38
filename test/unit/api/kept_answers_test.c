/* kept_answers_test.c - what is given again, to whom, and when no more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "api/kept_answers.h"
#include "support/loopback.h"
#include "support/store_fake.h"

#define TOKEN_A "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define TOKEN_B "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB"
#define LIST "/api/messages"
#define NOW_MS 1700000000000
#define HOUR_MS (60 * 60 * 1000)
#define PLENTY_BYTES (1024 * 1024)

static struct store *store;
static struct loopback loopback;
static struct changes changes;
static struct kept_answers *kept;

static int set_up(void **state)
{
    (void)state;
    store = store_fake_new();
    loopback_init(&loopback, store);
    memset(&changes, 0, sizeof changes);
    kept = kept_answers_new(PLENTY_BYTES, &changes);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    kept_answers_free(kept);
    loopback_release(&loopback);
    store_fake_free(store);
    return 0;
}

static struct exchange *asked(const char *method, const char *target, const char *token,
                              const char *fields)
{
    char request[1024];

    (void)snprintf(request, sizeof request,
                   "%s %s HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\n%s\r\n", method,
                   target, token, fields);
    struct exchange *exchange = loopback_admit(&loopback, str_from(request));
    assert_false(exchange->is_done);
    return exchange;
}

/* As a read lane leaves it. */
static void answer(struct exchange *exchange, int64_t account_id, const char *body)
{
    struct response *response = &exchange->response;

    response->status = 200;
    response->type = CONTENT_JSON;
    response_field(response, STR("ETag"), STR("\"e.1.2.3\""));
    response_field(response, STR("MigChat-Cursor"), STR("e:2"));
    response_field(response, STR("Link"), STR("</x>; rel=\"next\""));
    buf_append_str(&response->body, str_from(body));
    exchange->is_done = true;
    exchange->may_be_kept = true;
    exchange->account_id = account_id;
    exchange->change = changes_now(&changes);
    exchange->read_at_ms = NOW_MS;
}

static void keep(const char *target, const char *token, int64_t account_id, const char *body)
{
    struct exchange *exchange = asked("GET", target, token, "");

    answer(exchange, account_id, body);
    kept_answers_take(kept, exchange, NOW_MS);
    exchange_free(exchange);
}

/* The status given again, 0 for none. */
static int recalled_at(const char *method, const char *target, const char *token,
                       const char *fields, const char *body, int64_t now_ms)
{
    struct exchange *exchange = asked(method, target, token, fields);
    int status = 0;

    if (kept_answers_recall(kept, exchange, now_ms)) {
        assert_true(exchange->is_done);
        status = exchange->response.status;
        assert_true(str_equal(buf_str(&exchange->response.body), str_from(body)));
    } else {
        assert_false(exchange->is_done);
        assert_int_equal(exchange->response.status, 0);
    }
    exchange_free(exchange);
    return status;
}

static int recalled(const char *target, const char *token, const char *body)
{
    return recalled_at("GET", target, token, "", body, NOW_MS);
}

static void commit_of(int64_t account_id)
{
    uint64_t number = changes_begin(&changes);

    changes_mark_account(&changes, account_id, number);
    changes_end(&changes, number);
}

static void an_answer_is_given_again_to_its_token_and_target_only(void **state)
{
    (void)state;
    keep(LIST, TOKEN_A, 1, "[1]");
    assert_int_equal(recalled(LIST, TOKEN_A, "[1]"), 200);
    assert_int_equal(recalled(LIST, TOKEN_A, "[1]"), 200);
    assert_int_equal(recalled_at("HEAD", LIST, TOKEN_A, "", "[1]", NOW_MS), 200);
    assert_int_equal(recalled(LIST, TOKEN_B, ""), 0);
    assert_int_equal(recalled(LIST "?limit=1", TOKEN_A, ""), 0);
    assert_int_equal(recalled("/api/conversations", TOKEN_A, ""), 0);
    assert_int_equal(recalled("/api/sessions", TOKEN_A, ""), 0);
}

static void all_fields_come_again_and_a_304_has_those_of_the_moment(void **state)
{
    struct exchange *again;

    (void)state;
    keep(LIST, TOKEN_A, 1, "[1]");
    again = asked("GET", LIST, TOKEN_A, "");
    assert_true(kept_answers_recall(kept, again, NOW_MS));
    assert_true(str_equal(buf_str(&again->response.fields),
                          STR("ETag: \"e.1.2.3\"\r\nMigChat-Cursor: e:2\r\n"
                              "Link: </x>; rel=\"next\"\r\n")));
    exchange_free(again);
    again = asked("GET", LIST, TOKEN_A, "If-None-Match: \"e.1.2.3\"\r\n");
    assert_true(kept_answers_recall(kept, again, NOW_MS));
    assert_int_equal(again->response.status, 304);
    assert_int_equal(again->response.body.len, 0);
    assert_true(str_equal(buf_str(&again->response.fields),
                          STR("ETag: \"e.1.2.3\"\r\nMigChat-Cursor: e:2\r\n")));
    exchange_free(again);
    assert_int_equal(
        recalled_at("GET", LIST, TOKEN_A, "If-None-Match: \"e.1.2.2\"\r\n", "[1]", NOW_MS), 200);
}

static void a_later_commit_of_the_account_or_a_rename_ends_it(void **state)
{
    (void)state;
    keep(LIST, TOKEN_A, 1, "[1]");
    commit_of(2);
    assert_int_equal(recalled(LIST, TOKEN_A, "[1]"), 200);
    commit_of(1);
    assert_int_equal(recalled(LIST, TOKEN_A, ""), 0);
    assert_int_equal(kept_answers_count(kept), 0);
    keep(LIST, TOKEN_A, 1, "[2]");
    assert_int_equal(recalled(LIST, TOKEN_A, "[2]"), 200);
    uint64_t number = changes_begin(&changes);
    changes_mark_names(&changes, number);
    changes_end(&changes, number);
    assert_int_equal(recalled(LIST, TOKEN_A, ""), 0);
}

static void an_answer_from_before_a_commit_that_came_meanwhile_is_never_given(void **state)
{
    struct exchange *slow = asked("GET", LIST, TOKEN_A, "");

    (void)state;
    answer(slow, 1, "[old]");
    commit_of(1);
    kept_answers_take(kept, slow, NOW_MS);
    exchange_free(slow);
    assert_int_equal(recalled(LIST, TOKEN_A, ""), 0);
}

static void once_an_hour_the_long_way_is_gone(void **state)
{
    (void)state;
    keep(LIST, TOKEN_A, 1, "[1]");
    int64_t hour_end_ms = NOW_MS - NOW_MS % HOUR_MS + HOUR_MS;
    assert_int_equal(recalled_at("GET", LIST, TOKEN_A, "", "[1]", hour_end_ms - 1), 200);
    assert_int_equal(recalled_at("GET", LIST, TOKEN_A, "", "", hour_end_ms), 0);
}

/* Its hour is that of its reading, which judged whether a use was to be noted. */
static void an_answer_that_came_back_in_the_next_hour_is_not_given(void **state)
{
    struct exchange *exchange = asked("GET", LIST, TOKEN_A, "");
    int64_t hour_end_ms = NOW_MS - NOW_MS % HOUR_MS + HOUR_MS;

    (void)state;
    answer(exchange, 1, "[1]");
    kept_answers_take(kept, exchange, hour_end_ms);
    exchange_free(exchange);
    assert_int_equal(recalled_at("GET", LIST, TOKEN_A, "", "", hour_end_ms), 0);
}

static void a_list_of_several_pages_answers_only_what_matches(void **state)
{
    struct exchange *first = asked("GET", LIST, TOKEN_A, "");

    (void)state;
    answer(first, 1, "[a page");
    first->response.has_more = true;
    kept_answers_take(kept, first, NOW_MS);
    exchange_free(first);
    assert_int_equal(recalled(LIST, TOKEN_A, ""), 0);
    assert_int_equal(
        recalled_at("GET", LIST, TOKEN_A, "If-None-Match: W/\"e.1.2.3\"\r\n", "", NOW_MS), 304);
}

static void a_304_does_not_put_out_the_list_that_is_kept(void **state)
{
    struct exchange *poll = asked("GET", LIST, TOKEN_A, "If-None-Match: \"e.1.2.3\"\r\n");

    (void)state;
    keep(LIST, TOKEN_A, 1, "[1]");
    answer(poll, 1, "");
    poll->response.status = 304;
    kept_answers_take(kept, poll, NOW_MS);
    exchange_free(poll);
    assert_int_equal(recalled(LIST, TOKEN_A, "[1]"), 200);
}

static void what_may_not_be_kept_is_not(void **state)
{
    struct exchange *exchange = asked("GET", LIST, TOKEN_A, "");

    (void)state;
    answer(exchange, 1, "[1]");
    exchange->may_be_kept = false;
    kept_answers_take(kept, exchange, NOW_MS);
    exchange_free(exchange);
    assert_int_equal(kept_answers_count(kept), 0);
}

static void what_is_too_long_or_has_no_tag_is_not_kept(void **state)
{
    char body[2600];
    char target[600];
    struct exchange *exchange = asked("GET", LIST, TOKEN_A, "");

    (void)state;
    exchange->response.status = 200;
    exchange->may_be_kept = true;
    exchange->account_id = 1;
    kept_answers_take(kept, exchange, NOW_MS);
    response_field(&exchange->response, STR("ETag"), STR("\"e.1.2.3\""));
    kept_answers_take(kept, exchange, NOW_MS);
    exchange_free(exchange);
    assert_int_equal(kept_answers_count(kept), 0);

    (void)snprintf(target, sizeof target, LIST "?limit=%0*d", 550, 1);
    keep(target, TOKEN_A, 1, "[1]");
    assert_int_equal(kept_answers_count(kept), 0);
    keep(LIST, TOKEN_A, 1, "[1]");
    assert_int_equal(recalled(target, TOKEN_A, ""), 0);

    kept_answers_free(kept);
    kept = kept_answers_new(10000, &changes);
    memset(body, 'x', sizeof body - 1);
    body[sizeof body - 1] = '\0';
    keep(LIST, TOKEN_A, 1, body); /* more than a quarter of the room */
    assert_int_equal(kept_answers_count(kept), 0);
    kept_answers_free(NULL);
}

static void the_limit_holds_and_the_longest_unused_goes_first(void **state)
{
    char body[1000];
    char target[64];

    (void)state;
    memset(body, 'x', sizeof body - 1);
    body[sizeof body - 1] = '\0';
    kept_answers_free(kept);
    kept = kept_answers_new(10000, &changes);
    for (int i = 0; i < 50; i++) {
        (void)snprintf(target, sizeof target, LIST "?limit=%d", i + 1);
        keep(target, TOKEN_A, 1, body);
        assert_true(kept_answers_bytes(kept) <= 10000);
        /* The first is asked for all the time. */
        assert_int_equal(recalled(LIST "?limit=1", TOKEN_A, body), 200);
    }
    assert_true(kept_answers_count(kept) >= 7);
    assert_int_equal(recalled(LIST "?limit=2", TOKEN_A, ""), 0);
    assert_int_equal(recalled(LIST "?limit=50", TOKEN_A, body), 200);
    kept_answers_free(kept);
    kept = kept_answers_new(0, &changes);
    keep(LIST, TOKEN_A, 1, "[1]");
    assert_int_equal(kept_answers_count(kept), 0);
}

int main(void)
{
#define KEPT_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        KEPT_TEST(an_answer_is_given_again_to_its_token_and_target_only),
        KEPT_TEST(all_fields_come_again_and_a_304_has_those_of_the_moment),
        KEPT_TEST(a_later_commit_of_the_account_or_a_rename_ends_it),
        KEPT_TEST(an_answer_from_before_a_commit_that_came_meanwhile_is_never_given),
        KEPT_TEST(once_an_hour_the_long_way_is_gone),
        KEPT_TEST(an_answer_that_came_back_in_the_next_hour_is_not_given),
        KEPT_TEST(a_list_of_several_pages_answers_only_what_matches),
        KEPT_TEST(a_304_does_not_put_out_the_list_that_is_kept),
        KEPT_TEST(what_may_not_be_kept_is_not),
        KEPT_TEST(what_is_too_long_or_has_no_tag_is_not_kept),
        KEPT_TEST(the_limit_holds_and_the_longest_unused_goes_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
