/* config_address_test.c - addresses with a port: what is one, and its two halves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "config_option.h"

static void assert_endpoint(const char *text, const char *address, uint16_t port)
{
    struct str found = {NULL, 0};
    uint16_t found_port = 1;

    assert_true(endpoint_read(str_from(text), &found, &found_port));
    assert_true(str_equal(found, str_from(address)));
    assert_int_equal(found_port, port);
}

static void an_endpoint_is_an_address_and_a_port(void **state)
{
    (void)state;
    assert_endpoint("127.0.0.1:9464", "127.0.0.1", 9464);
    assert_endpoint("0.0.0.0:0", "0.0.0.0", 0);
    assert_endpoint("[::1]:65535", "::1", 65535);
    assert_endpoint("[fe80::1%eth0]:80", "fe80::1%eth0", 80);
}

static void all_else_is_none(void **state)
{
    static const char *const wrong[] = {
        "",           "127.0.0.1",      "127.0.0.1:",    ":9464",         "9464",
        "::1:9464",   "[::1]",          "[::1]:",        "[::1]9464",     "[127.0.0.1]:9464",
        "[::1:9464",  "[]:1",           "1.2.3.4:65536", "1.2.3.4:-1",    "1.2.3.4: 1",
        "1.2.3.4:1 ", "localhost:9464", "1.2.3:80",      "[fe80::1%]:80", "1.2.3.4:80:80",
        "none:1"};

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct str address = {NULL, 0};
        uint16_t port = 0;

        if (endpoint_read(str_from(wrong[i]), &address, &port)) {
            fail_msg("\"%s\" was taken", wrong[i]);
        }
    }
}

static void a_configuration_has_it_or_none(void **state)
{
    static const char *const nothing[] = {"MIGCHAT_CONFIG=/dev/null", NULL};
    static const char *const flags[][3] = {{"migchat-server", NULL, NULL},
                                           {"migchat-server", "--metrics-listen=[::1]:9", NULL}};
    char address[CONFIG_ADDRESS_MAX_BYTES] = "";
    uint16_t port = 0;

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct config config;
        struct buf message;

        buf_init(&message, 4096);
        assert_int_equal(config_read(1 + i, flags[i], nothing, &config, &message), CONFIG_READY);
        assert_int_equal(config_endpoint(&config, OPTION_METRICS_LISTEN, address, &port), i == 1);
        config_release(&config);
        buf_release(&message);
    }
    assert_string_equal(address, "::1");
    assert_int_equal(port, 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_endpoint_is_an_address_and_a_port),
        cmocka_unit_test(all_else_is_none),
        cmocka_unit_test(a_configuration_has_it_or_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
