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

static unsigned quality_of_gzip(const char *line)
{
    char head[200];
    struct request request;

    snprintf(head, sizeof head, "GET / HTTP/1.1\r\nHost: a\r\n%s\r\n", line);
    request_init(&request);
    request_make(&request, head);
    unsigned quality = accept_quality(&request, STR("Accept-Encoding"), STR("gzip"));
    assert_int_equal(accept_names(&request, STR("Accept-Encoding"), STR("gzip")), quality > 0);
    request_release(&request);
    return quality;
}

static bool names_gzip(const char *line)
{
    return quality_of_gzip(line) > 0;
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

static void a_quality_is_told_in_thousandths(void **state)
{
    (void)state;
    assert_int_equal(quality_of_gzip("Accept-Encoding: gzip\r\n"), 1000);
    assert_int_equal(quality_of_gzip("Accept-Encoding: gzip;a=b;q=0.8;c\r\n"), 800);
    assert_int_equal(quality_of_gzip("Accept-Encoding: br;q=1,gzip;q=0.075\r\n"), 75);
    assert_int_equal(quality_of_gzip("Accept-Encoding: gzip;q=1.000\r\n"), 1000);
    assert_int_equal(quality_of_gzip("Accept-Encoding: gzip;q=0.\r\n"), 0);
    /* None of these is a quality. */
    assert_int_equal(quality_of_gzip("Accept-Encoding: gzip;q=\r\n"), 1000);
    assert_int_equal(quality_of_gzip("Accept-Encoding: gzip;q=0.5x\r\n"), 1000);
    assert_int_equal(quality_of_gzip("Accept-Encoding: gzip;q=7\r\n"), 1000);
    assert_int_equal(quality_of_gzip("Accept-Encoding: gzip;q=05\r\n"), 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_coding_is_named_unless_its_quality_is_zero),
        cmocka_unit_test(a_wildcard_names_nothing),
        cmocka_unit_test(a_quality_is_told_in_thousandths),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
