/* target_test.c - the forms of a target, and the grammar of hosts in them. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>

#include "http/authority.h"
#include "http/router.h"
#include "request_made.h"

/* "PATH ? QUERY" of the target, "PATH" without a query, or the error's code. */
static const char *split(const char *method, const char *target)
{
    static char out[256];
    char head[256];
    struct request request;

    request_init(&request);
    snprintf(head, sizeof head, "%s %s HTTP/1.1\r\n\r\n", method, target);
    request_make(&request, head);
    enum error error = request_split_target(&request);
    if (error != OK) {
        snprintf(out, sizeof out, "%s", error_code(error));
    } else if (request.query.ptr == NULL) {
        snprintf(out, sizeof out, "%.*s", STR_ARGS(request.path));
    } else {
        snprintf(out, sizeof out, "%.*s ? %.*s", STR_ARGS(request.path), STR_ARGS(request.query));
    }
    request_release(&request);
    return out;
}

static void an_origin_form_is_path_and_query(void **state)
{
    (void)state;
    assert_string_equal(split("GET", "/"), "/");
    assert_string_equal(split("GET", "/a/b"), "/a/b");
    assert_string_equal(split("GET", "/a?"), "/a ? ");
    assert_string_equal(split("GET", "/a?b=c&d=/?e"), "/a ? b=c&d=/?e");
    assert_string_equal(split("GET", "//health"), "//health");
    assert_string_equal(split("GET", "/a%20b/"), "/a%20b/");
    assert_string_equal(split("GET", "/api/keys/[a]{b}|^`"), "/api/keys/[a]{b}|^`");
    assert_string_equal(split("GET", "/a?[b]{c}|^`"), "/a ? [b]{c}|^`");
    assert_string_equal(split("GET", "/a?b=%zz"), "/a ? b=%zz");
}

static void an_absolute_form_is_taken_apart(void **state)
{
    (void)state;
    assert_string_equal(split("GET", "http://a/b?c"), "/b ? c");
    assert_string_equal(split("GET", "HTTP://a:80/b"), "/b");
    assert_string_equal(split("GET", "hTTps://[::1]:1/b"), "/b");
    assert_string_equal(split("GET", "http://a"), "/");
    assert_string_equal(split("GET", "http://a?b"), "/ ? b");
    assert_string_equal(split("OPTIONS", "http://a"), "*");
    assert_string_equal(split("OPTIONS", "http://a/"), "/");
    assert_string_equal(split("OPTIONS", "*"), "*");
}

static void other_targets_are_refused(void **state)
{
    static const char *const targets[] = {
        "*",           "http:///health", "http://:80/a", "http://a:b@c/d", "http://@c/d",
        "ftp://a/b",   "http://a:x/",    "http://a,b/c", "/a#b",           "/\\health",
        "/a\\b",       "/a\"b",          "/a<b>",        "/%zz",           "/a%",
        "/a%4",        "/a?b#c",         "/a?<b>",       "http://[::1/",   "http://[x]/",
        "http://a%zz/"};

    (void)state;
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        struct http_parser parser;
        struct request request;
        char head[100];
        size_t taken;
        enum error error = OK;

        /* llhttp refuses some of these itself. */
        snprintf(head, sizeof head, "GET %s HTTP/1.1\r\n\r\n", targets[i]);
        request_init(&request);
        http_parser_begin(&parser, &request);
        if (http_parser_feed(&parser, head, strlen(head), &taken, &error) == PARSER_HEAD) {
            assert_int_equal(request_split_target(&request), ERROR_TARGET_MALFORMED);
        } else {
            assert_int_equal(error, ERROR_REQUEST_MALFORMED);
        }
        request_release(&request);
    }
}

static void hosts_follow_the_grammar(void **state)
{
    static const char *const good[] = {"a",
                                       "localhost:3000",
                                       "example.org",
                                       "127.0.0.1:80",
                                       "[::1]",
                                       "[::1]:80",
                                       "a:",
                                       "A-b_c~.d",
                                       "xn--caf-dma.example",
                                       "a%20b",
                                       "a:99999",
                                       "[::1]:",
                                       "[2001:db8::1.2.3.4]"};
    static const char *const bad[] = {
        "",     ":80",     "a b",  "a,b",     "a/b",       "u@a",   "a:8x",
        "a:-1", "a:80:1",  "[::1", "[::1]80", "[::1]a",    "[]",    "[::g]",
        "::1",  "caf\xe9", "a%zz", "a%2",     "[::1%25a]", "a\tb",  "[1.2.3.4]",
        "a?b",  "a#b",     "a\\b", "[::1]]",  "\"a\"",     "a:80 ", "<a>"};

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(authority_is_valid(str_from(good[i])));
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(authority_is_valid(str_from(bad[i])));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_origin_form_is_path_and_query),
        cmocka_unit_test(an_absolute_form_is_taken_apart),
        cmocka_unit_test(other_targets_are_refused),
        cmocka_unit_test(hosts_follow_the_grammar),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
