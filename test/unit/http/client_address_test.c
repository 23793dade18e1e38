/* client_address_test.c - who is believed about whom it asks for, and what is read then. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>

#include "http/client_address.h"
#include "request_made.h"

static struct ip_address address(const char *text)
{
    struct ip_address read;

    assert_true(ip_address_read(str_from(text), &read));
    return read;
}

/* 127.0.0.1 and 10.0.0.0/8 are trusted. */
static void assert_client_by(enum proxy_field field, const char *peer_text, const char *lines,
                             const char *wanted_text)
{
    char head[500];
    struct request request;
    struct proxies proxies = {.count = 2, .field = field};
    struct ip_address peer = address(peer_text);
    struct ip_address wanted = address(wanted_text);
    struct ip_address found;

    assert_true(ip_network_read(STR("127.0.0.1"), &proxies.networks[0]));
    assert_true(ip_network_read(STR("10.0.0.0/8"), &proxies.networks[1]));
    snprintf(head, sizeof head, "GET / HTTP/1.1\r\nHost: a\r\n%s\r\n", lines);
    request_init(&request);
    request_make(&request, head);
    client_address_find(&peer, &request, &proxies, &found);
    assert_memory_equal(&found, &wanted, sizeof found);
    request_release(&request);
}

static void assert_client(const char *peer, const char *lines, const char *wanted)
{
    assert_client_by(PROXY_FORWARDED_FOR, peer, lines, wanted);
}

static void who_is_not_trusted_is_the_client(void **state)
{
    (void)state;
    assert_client("192.0.2.1", "X-Forwarded-For: 198.51.100.1\r\n", "192.0.2.1");
    assert_client("192.0.2.1", "", "192.0.2.1");
    assert_client_by(PROXY_FLY, "192.0.2.1", "Fly-Client-IP: 198.51.100.1\r\n", "192.0.2.1");
}

static void a_proxy_that_says_nothing_is_the_client(void **state)
{
    (void)state;
    assert_client("127.0.0.1", "", "127.0.0.1");
    assert_client("127.0.0.1", "X-Forwarded-For:\r\n", "127.0.0.1");
    assert_client("127.0.0.1", "Fly-Client-IP: 198.51.100.1\r\n", "127.0.0.1");
    assert_client_by(PROXY_FLY, "127.0.0.1", "X-Forwarded-For: 198.51.100.1\r\n", "127.0.0.1");
}

static void the_last_that_is_no_proxy_of_ours_is_the_client(void **state)
{
    (void)state;
    assert_client("127.0.0.1", "X-Forwarded-For: 198.51.100.1\r\n", "198.51.100.1");
    assert_client("127.0.0.1", "X-Forwarded-For: 1.1.1.1, 198.51.100.1\r\n", "198.51.100.1");
    assert_client("127.0.0.1", "X-Forwarded-For: 1.1.1.1, 198.51.100.1, 10.0.0.1\r\n",
                  "198.51.100.1");
    assert_client("127.0.0.1",
                  "X-Forwarded-For: 1.1.1.1\r\nx-forwarded-for: 198.51.100.1 ,\t10.9.9.9\r\n",
                  "198.51.100.1");
    assert_client("10.1.1.1", "X-Forwarded-For: 10.0.0.1, 10.0.0.2\r\n", "10.0.0.1");
    assert_client("127.0.0.1", "X-Forwarded-For: 2001:db8::7\r\n", "2001:db8::7");
}

static void ports_do_not_count(void **state)
{
    (void)state;
    assert_client("127.0.0.1", "X-Forwarded-For: 198.51.100.1:4711\r\n", "198.51.100.1");
    assert_client("127.0.0.1", "X-Forwarded-For: [2001:db8::7]:4711\r\n", "2001:db8::7");
    assert_client("127.0.0.1", "X-Forwarded-For: [2001:db8::7]\r\n", "2001:db8::7");
}

/* What a client wrote itself must not make it somebody else. */
static void behind_what_cannot_be_read_nothing_is_believed(void **state)
{
    (void)state;
    assert_client("127.0.0.1", "X-Forwarded-For: 198.51.100.1, unknown\r\n", "127.0.0.1");
    assert_client("127.0.0.1", "X-Forwarded-For: unknown, 198.51.100.1\r\n", "198.51.100.1");
    assert_client("127.0.0.1", "X-Forwarded-For: 198.51.100.1, unknown, 10.0.0.1\r\n", "10.0.0.1");
    assert_client("127.0.0.1", "X-Forwarded-For: 198.51.100.1,\r\n", "127.0.0.1");
    assert_client_by(PROXY_FLY, "127.0.0.1", "Fly-Client-IP: somebody\r\n", "127.0.0.1");
    assert_client_by(PROXY_FLY, "127.0.0.1",
                     "Fly-Client-IP: 198.51.100.1\r\nFly-Client-IP: 198.51.100.2\r\n", "127.0.0.1");
}

static void fly_says_it_in_a_field_of_its_own(void **state)
{
    (void)state;
    assert_client_by(PROXY_FLY, "10.1.1.1", "Fly-Client-IP: 198.51.100.1\r\n", "198.51.100.1");
    assert_client_by(PROXY_FLY, "10.1.1.1", "fly-client-ip: 2001:db8::7\r\n", "2001:db8::7");
}

static void an_ipv6_client_is_its_network(void **state)
{
    (void)state;
    struct ip_address one = address("2001:db8:0:1::1");
    struct ip_address same = address("2001:db8:0:1:ffff::2");
    struct ip_address other = address("2001:db8:0:2::1");
    struct ip_address v4 = address("192.0.2.1");
    struct ip_address v4_other = address("192.0.2.2");

    assert_true(str_equal(client_address_key(&one), client_address_key(&same)));
    assert_false(str_equal(client_address_key(&one), client_address_key(&other)));
    assert_false(str_equal(client_address_key(&v4), client_address_key(&v4_other)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_not_trusted_is_the_client),
        cmocka_unit_test(a_proxy_that_says_nothing_is_the_client),
        cmocka_unit_test(the_last_that_is_no_proxy_of_ours_is_the_client),
        cmocka_unit_test(ports_do_not_count),
        cmocka_unit_test(behind_what_cannot_be_read_nothing_is_believed),
        cmocka_unit_test(fly_says_it_in_a_field_of_its_own),
        cmocka_unit_test(an_ipv6_client_is_its_network),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
