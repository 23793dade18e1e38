/* limits_test.c - rates under a clock of our own: who is counted for what, and when again. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "http/limits.h"

#define NS_PER_S INT64_C(1000000000)

static int64_t now_ns;

static int64_t clock_now_ns(void)
{
    return now_ns;
}

static struct limits *limits;

static int set_up(void **state)
{
    (void)state;
    now_ns = 5 * NS_PER_S;
    limits = limits_new(clock_now_ns);
    limits_rate_set(limits, LIMIT_SEND, (struct limit_rate){3, 30});
    limits_rate_set(limits, LIMIT_LOGIN, (struct limit_rate){2, 10});
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    limits_free(limits);
    return 0;
}

/* Retry-After in seconds; 0 when it was allowed. */
static unsigned account_asks(enum limit limit, int64_t account_id)
{
    struct exchange *exchange = exchange_new();

    exchange->account_id = account_id;
    enum error error = limits_judge_account(limits, limit, exchange);
    unsigned retry_after_s = error == OK ? 0 : exchange->retry_after_s;
    assert_true(error == OK || error == ERROR_RATE_LIMITED);
    exchange_free(exchange);
    return retry_after_s;
}

static unsigned address_asks(const char *text)
{
    struct exchange *exchange = exchange_new();
    struct ip_address address;

    assert_true(ip_address_read(str_from(text), &address));
    enum error error = limits_judge_address(limits, LIMIT_LOGIN, &address, exchange);
    unsigned retry_after_s = error == OK ? 0 : exchange->retry_after_s;
    exchange_free(exchange);
    return retry_after_s;
}

static void each_account_has_its_own(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(account_asks(LIMIT_SEND, 1), 0);
        assert_int_equal(account_asks(LIMIT_SEND, 2), 0);
    }
    assert_int_equal(account_asks(LIMIT_SEND, 1), 10);
    assert_int_equal(account_asks(LIMIT_SEND, 2), 10);
    assert_int_equal(account_asks(LIMIT_SEND, 3), 0);
    assert_int_equal(limits_refused(limits, LIMIT_SEND), 2);
    assert_int_equal(limits_refused(limits, LIMIT_LOGIN), 0);
}

static void each_limit_has_its_own(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(account_asks(LIMIT_SEND, 1), 0);
    }
    assert_int_equal(account_asks(LIMIT_LOGIN, 1), 0);
    assert_int_equal(account_asks(LIMIT_LOGIN, 1), 0);
    assert_int_equal(account_asks(LIMIT_LOGIN, 1), 5);
}

static void one_comes_back_after_its_share_of_the_time(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(account_asks(LIMIT_SEND, 1), 0);
    }
    now_ns += 10 * NS_PER_S - 1;
    assert_int_equal(account_asks(LIMIT_SEND, 1), 1); /* rounded up */
    now_ns += 1;
    assert_int_equal(account_asks(LIMIT_SEND, 1), 0);
    assert_int_equal(account_asks(LIMIT_SEND, 1), 10);
    now_ns += 30 * NS_PER_S;
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(account_asks(LIMIT_SEND, 1), 0);
    }
    assert_int_equal(account_asks(LIMIT_SEND, 1), 10);
}

static void an_exchange_that_is_run_again_is_counted_once(void **state)
{
    (void)state;
    struct exchange *exchange = exchange_new();

    exchange->account_id = 1;
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(limits_judge_account(limits, LIMIT_SEND, exchange), OK);
        exchange_mark(exchange);
        exchange_take_back(exchange);
    }
    assert_int_equal(account_asks(LIMIT_SEND, 1), 0);
    assert_int_equal(account_asks(LIMIT_SEND, 1), 0);
    assert_int_equal(account_asks(LIMIT_SEND, 1), 10);
    exchange_clear(exchange);
    exchange->account_id = 1;
    assert_int_equal(limits_judge_account(limits, LIMIT_SEND, exchange), ERROR_RATE_LIMITED);
    exchange_free(exchange);
}

static void a_limit_that_is_off_or_none_refuses_nobody(void **state)
{
    (void)state;
    struct exchange *exchange = exchange_new();

    limits_rate_set(limits, LIMIT_SEND, (struct limit_rate){0, 0});
    for (unsigned i = 0; i < 1000; i++) {
        assert_int_equal(account_asks(LIMIT_SEND, 1), 0);
        assert_int_equal(account_asks(LIMIT_NONE, 1), 0);
        assert_int_equal(account_asks(LIMIT_READ, 1), 0);
        assert_int_equal(limits_judge_account(NULL, LIMIT_SEND, exchange), OK);
    }
    exchange_free(exchange);
}

static void a_rate_changes_between_two_requests(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(account_asks(LIMIT_SEND, 1), 0);
    }
    limits_rate_set(limits, LIMIT_SEND, (struct limit_rate){4, 40});
    assert_int_equal(account_asks(LIMIT_SEND, 1), 0);
    assert_int_equal(account_asks(LIMIT_SEND, 1), 10);
}

static void addresses_are_counted_as_networks(void **state)
{
    (void)state;
    assert_int_equal(address_asks("2001:db8::1"), 0);
    assert_int_equal(address_asks("2001:db8::2"), 0);
    assert_int_equal(address_asks("2001:db8::3"), 5);
    assert_int_equal(address_asks("2001:db8:0:1::1"), 0);
    assert_int_equal(address_asks("192.0.2.1"), 0);
    assert_int_equal(address_asks("192.0.2.1"), 0);
    assert_int_equal(address_asks("192.0.2.1"), 5);
    assert_int_equal(address_asks("192.0.2.2"), 0);
}

int main(void)
{
#define LIMITS_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        LIMITS_TEST(each_account_has_its_own),
        LIMITS_TEST(each_limit_has_its_own),
        LIMITS_TEST(one_comes_back_after_its_share_of_the_time),
        LIMITS_TEST(an_exchange_that_is_run_again_is_counted_once),
        LIMITS_TEST(a_limit_that_is_off_or_none_refuses_nobody),
        LIMITS_TEST(a_rate_changes_between_two_requests),
        LIMITS_TEST(addresses_are_counted_as_networks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
