/* ip_test.c - addresses and networks are read as they are written, and nothing else is. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>

#include "base/ip.h"

static struct ip_address address(const char *text)
{
    struct ip_address read;

    assert_true(ip_address_read(str_from(text), &read));
    return read;
}

static bool is_in(const char *text, const char *network_text)
{
    struct ip_network network;
    struct ip_address read = address(text);

    assert_true(ip_network_read(str_from(network_text), &network));
    return ip_network_has(&network, &read);
}

static void an_ipv4_address_is_the_ipv6_one_that_stands_for_it(void **state)
{
    (void)state;
    struct ip_address short_form = address("192.0.2.1");
    struct ip_address long_form = address("::ffff:192.0.2.1");

    assert_memory_equal(&short_form, &long_form, sizeof short_form);
    assert_true(ip_address_is_v4(&short_form));
    struct ip_address other = address("2001:db8::1");
    assert_false(ip_address_is_v4(&other));
}

static void what_is_none_is_not_read(void **state)
{
    (void)state;
    static const char *const none[] = {
        "",
        "a",
        "1.2.3",
        "1.2.3.4.5",
        "256.0.0.1",
        "1.2.3.4 ",
        ":",
        "fe80::1%lo",
        "1.2.3.4:80",
        "[::1]",
        "::1/64",
        "0x7f.1",
        "::g",
        "01.2.3.4.",
        "1:2:3:4:5:6:7:8:9",
        "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc"};
    struct ip_address read;

    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        assert_false(ip_address_read(str_from(none[i]), &read));
    }
    assert_false(ip_address_read((struct str){"1.2.3.4\0", 8}, &read));
}

static void networks_hold_what_begins_as_they_do(void **state)
{
    (void)state;
    assert_true(is_in("10.1.2.3", "10.0.0.0/8"));
    assert_false(is_in("11.1.2.3", "10.0.0.0/8"));
    assert_true(is_in("172.31.255.255", "172.16.0.0/12"));
    assert_false(is_in("172.32.0.0", "172.16.0.0/12"));
    assert_true(is_in("192.0.2.1", "192.0.2.1"));
    assert_false(is_in("192.0.2.2", "192.0.2.1"));
    assert_true(is_in("192.0.2.1", "192.0.2.1/32"));
    assert_true(is_in("8.8.8.8", "0.0.0.0/0"));
    assert_false(is_in("::1", "0.0.0.0/0"));
    assert_true(is_in("8.8.8.8", "::/0"));
    assert_true(is_in("fdaa:1:2::3", "fdaa::/16"));
    assert_false(is_in("fdab::1", "fdaa::/16"));
    assert_true(is_in("2001:db8::7f", "2001:db8::/121"));
    assert_false(is_in("2001:db8::80", "2001:db8::/121"));
    assert_true(is_in("::1", "::1"));
    assert_false(is_in("::2", "::1"));
}

static void what_is_no_network_is_not_read(void **state)
{
    (void)state;
    static const char *const none[] = {"",          "/8",         "10.0.0.0/33", "::/129",
                                       "10.0.0.0/", "10.0.0.0/x", "10.0.0/8",    "::1/-1",
                                       "::1/64/2",  "a/8"};
    struct ip_network read;

    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        assert_false(ip_network_read(str_from(none[i]), &read));
    }
}

static void a_socket_has_an_address_if_it_is_one_of_ip(void **state)
{
    (void)state;
    struct sockaddr_storage socket = {.ss_family = AF_UNIX};
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    struct ip_address found;
    struct ip_address wanted = address("198.51.100.7");

    assert_false(ip_address_of_socket(&socket, &found));
    assert_int_equal(inet_pton(AF_INET, "198.51.100.7", &v4.sin_addr), 1);
    memcpy(&socket, &v4, sizeof v4);
    assert_true(ip_address_of_socket(&socket, &found));
    assert_memory_equal(&found, &wanted, sizeof found);
    assert_int_equal(inet_pton(AF_INET6, "::ffff:198.51.100.7", &v6.sin6_addr), 1);
    memcpy(&socket, &v6, sizeof v6);
    assert_true(ip_address_of_socket(&socket, &found));
    assert_memory_equal(&found, &wanted, sizeof found);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_ipv4_address_is_the_ipv6_one_that_stands_for_it),
        cmocka_unit_test(what_is_none_is_not_read),
        cmocka_unit_test(networks_hold_what_begins_as_they_do),
        cmocka_unit_test(what_is_no_network_is_not_read),
        cmocka_unit_test(a_socket_has_an_address_if_it_is_one_of_ip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
