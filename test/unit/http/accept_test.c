/* accept_test.c - what counts as named in a list with qualities. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>

#include "http/accept.h"
#include "request_made.h"

static bool names_gzip(const char *line)
{
    char head[200];
    struct request request;

    snprintf(head, sizeof head, "GET / HTTP/1.1\r\nHost: a\r\n%s\r\n", line);
    request_init(&request);
    request_make(&request, head);
    bool is_named = accept_names(&request, STR("Accept-Encoding"), STR("gzip"));
    request_release(&request);
    return is_named;
}

static void a_coding_is_named_unless_its_quality_is_zero(void **state)
{
    (void)state;
    assert_true(names_gzip("Accept-Encoding: gzip\r\n"));
    assert_true(names_gzip("accept-encoding: deflate,\tGZip , br\r\n"));
    assert_true(names_gzip("Accept-Encoding: identity;q=1, gzip;q=0.001\r\n"));
    assert_true(names_gzip("Accept-Encoding: gzip ; q = 1.0\r\n"));
    assert_false(names_gzip("Accept-Encoding: gzip;q=0\r\n"));
    assert_false(names_gzip("Accept-Encoding: gzip; Q=0.000, br\r\n"));
    assert_false(names_gzip("Accept-Encoding: xgzip, gzipx, x-gzip\r\n"));
    assert_false(names_gzip("Accept-Encoding: br;gzip\r\n"));
    assert_false(names_gzip("Accept-Encoding:\r\n"));
    assert_false(names_gzip("Accept: gzip\r\n"));
    assert_false(names_gzip(""));
}

/* Everybody can read the plain form, so a wildcard asks for nothing. */
static void a_wildcard_names_nothing(void **state)
{
    (void)state;
    assert_false(names_gzip("Accept-Encoding: *\r\n"));
    assert_true(names_gzip("Accept-Encoding: *;q=0, gzip\r\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_coding_is_named_unless_its_quality_is_zero),
        cmocka_unit_test(a_wildcard_names_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
