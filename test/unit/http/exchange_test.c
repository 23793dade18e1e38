/* exchange_test.c - request ids, and steps with their lanes. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>

#include "request_made.h"

static enum error step_error;
static unsigned runs;

static enum error step_counted(struct exchange *exchange, struct services *services)
{
    (void)services;
    runs++;
    if (step_error == OK) {
        exchange->response.status = 200;
        buf_append_str(&exchange->response.body, STR("page"));
        exchange->response.has_more = exchange->page < 2;
    }
    return step_error;
}

static const struct route three_steps = {
    METHOD_POST,
    "/a",
    false,
    BODY_REQUIRED,
    LIMIT_NONE,
    {{LANE_READ, step_counted}, {LANE_HASH, step_counted}, {LANE_WRITE, step_counted}}};
static const struct route one_step = {METHOD_GET, "/b",       false,
                                      BODY_NONE,  LIMIT_NONE, {{LANE_READ, step_counted}}};

static int exchange_setup(void **state)
{
    *state = exchange_new();
    step_error = OK;
    runs = 0;
    return 0;
}

static int exchange_teardown(void **state)
{
    exchange_free(*state);
    return 0;
}

static const char *name_of(struct exchange *exchange, const char *fields)
{
    char head[512];

    snprintf(head, sizeof head, "GET / HTTP/1.1\r\n%s\r\n", fields);
    exchange_clear(exchange);
    request_make(&exchange->request, head);
    exchange_name(exchange);
    return exchange->request_id;
}

static void a_good_request_id_is_taken(void **state)
{
    char fields[200], longest[REQUEST_ID_MAX_BYTES + 1] = "";

    assert_string_equal(name_of(*state, "X-Request-ID: a-1!~\"\\\r\n"), "a-1!~\"\\");
    memset(longest, 'a', REQUEST_ID_MAX_BYTES);
    snprintf(fields, sizeof fields, "X-Request-Id: %s\r\n", longest);
    assert_string_equal(name_of(*state, fields), longest);
}

static void another_request_id_is_made(void **state)
{
    static const char *const fields[] = {
        "",
        "X-Request-Id:\r\n",
        "X-Request-Id: a b\r\n",
        "X-Request-Id: caf\xc3\xa9\r\n",
        "X-Request-Id: a\r\nX-Request-Id: a\r\n",
        "X-Request-Id: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n"};

    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        const char *id = name_of(*state, fields[i]);
        assert_int_equal(strlen(id), 16);
        assert_int_equal(strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                    "0123456789"),
                         16);
    }
}

static void made_request_ids_differ(void **state)
{
    char before[REQUEST_ID_MAX_BYTES + 1];

    for (int i = 0; i < 100; i++) {
        snprintf(before, sizeof before, "%s", name_of(*state, ""));
        assert_string_not_equal(name_of(*state, ""), before);
    }
}

static void steps_run_in_order_each_on_its_lane(void **state)
{
    struct exchange *exchange = *state;
    static const enum lane lanes[] = {LANE_READ, LANE_HASH, LANE_WRITE};

    exchange->route = &three_steps;
    for (unsigned i = 0; i < 3; i++) {
        assert_false(exchange->is_done);
        assert_int_equal(exchange_lane(exchange), lanes[i]);
        exchange_run_step(exchange, NULL);
        assert_int_equal(runs, i + 1);
    }
    assert_true(exchange->is_done);
    assert_int_equal(exchange->response.status, 200);
}

static void an_error_ends_the_steps(void **state)
{
    struct exchange *exchange = *state;

    exchange->route = &three_steps;
    exchange_run_step(exchange, NULL);
    step_error = ERROR_USERNAME_TAKEN;
    exchange_run_step(exchange, NULL);
    assert_true(exchange->is_done);
    assert_int_equal(exchange->response.status, 409);
    assert_int_equal(exchange->response.error, ERROR_USERNAME_TAKEN);
    assert_int_equal(runs, 2);
}

static void a_noted_use_goes_to_the_write_lane(void **state)
{
    struct exchange *exchange = *state;

    exchange->route = &one_step;
    exchange_run_step(exchange, NULL);
    assert_true(exchange->is_done);
    exchange->notes_use = true;
    assert_int_equal(exchange_lane(exchange), LANE_WRITE);
}

static void pages_run_the_last_step_again(void **state)
{
    struct exchange *exchange = *state;

    exchange->route = &one_step;
    exchange_run_step(exchange, NULL);
    assert_true(exchange->is_done);
    assert_true(exchange->response.has_more);
    for (exchange->page = 1; exchange->page <= 2; exchange->page++) {
        assert_int_equal(exchange_lane(exchange), LANE_READ);
        exchange_run_step(exchange, NULL);
        assert_int_equal(exchange->response.body.len, 4);
        assert_int_equal(exchange->response.has_more, exchange->page < 2);
    }
    assert_int_equal(runs, 3);
}

static void an_error_in_a_later_page_fails_the_stream(void **state)
{
    struct exchange *exchange = *state;

    exchange->route = &one_step;
    exchange_run_step(exchange, NULL);
    exchange->page = 1;
    step_error = ERROR_STORE_FAILED;
    exchange_run_step(exchange, NULL);
    assert_true(exchange->response.failed);
    assert_false(exchange->response.has_more);
    assert_int_equal(exchange->response.status, 200);
    assert_int_equal(exchange->response.error, ERROR_STORE_FAILED);
    assert_int_equal(exchange->response.body.len, 0);
}

static void a_cleared_exchange_is_as_new(void **state)
{
    struct exchange *exchange = *state;

    request_make(&exchange->request, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    exchange->route = &one_step;
    exchange_name(exchange);
    exchange_run_step(exchange, NULL);
    exchange->account_id = 5;
    exchange->page = 2;
    exchange_clear(exchange);
    assert_null(exchange->route);
    assert_false(exchange->is_done);
    assert_int_equal(exchange->step, 0);
    assert_int_equal(exchange->page, 0);
    assert_int_equal(exchange->account_id, 0);
    assert_int_equal(exchange->request.field_count, 0);
    assert_int_equal(exchange->response.status, 0);
    assert_string_equal(exchange->request_id, "");
}

#define EXCHANGE_TEST(name) cmocka_unit_test_setup_teardown(name, exchange_setup, exchange_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EXCHANGE_TEST(a_good_request_id_is_taken),
        EXCHANGE_TEST(another_request_id_is_made),
        EXCHANGE_TEST(made_request_ids_differ),
        EXCHANGE_TEST(steps_run_in_order_each_on_its_lane),
        EXCHANGE_TEST(an_error_ends_the_steps),
        EXCHANGE_TEST(a_noted_use_goes_to_the_write_lane),
        EXCHANGE_TEST(pages_run_the_last_step_again),
        EXCHANGE_TEST(an_error_in_a_later_page_fails_the_stream),
        EXCHANGE_TEST(a_cleared_exchange_is_as_new),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
