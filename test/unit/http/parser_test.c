/* parser_test.c - request lines and heads, each whole, byte by byte and at random cuts. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "parser_trace.h"

/* A head from pieces: `repeated` stands `times` times between the others. */
static void check_repeated(const char *before, const char *repeated, size_t times,
                           const char *after, const char *expected)
{
    struct buf bytes;

    buf_init(&bytes, TRACE_MAX_BYTES);
    buf_append_str(&bytes, str_from(before));
    for (size_t i = 0; i < times; i++) {
        buf_append_str(&bytes, str_from(repeated));
    }
    buf_append_str(&bytes, str_from(after));
    if (expected != NULL) {
        check_trace_len(buf_str(&bytes), true, expected);
    } else {
        /* Accepted, whatever its long trace is; the three ways agree with the first. */
        struct buf trace;
        buf_init(&trace, TRACE_MAX_BYTES);
        trace_of(buf_str(&bytes), (struct cutting){bytes.len, 1}, true, &trace);
        assert_non_null(strstr(trace.ptr, "] ok; body ''; "));
        check_trace_len(buf_str(&bytes), true, trace.ptr);
        buf_release(&trace);
    }
    buf_release(&bytes);
}

static void a_request_gives_its_parts(void **state)
{
    (void)state;
    check_trace("GET /health HTTP/1.1\r\nHost: a\r\nX-B:  c d \t\r\nX-Empty:\r\n\r\n",
                "GET /health 1.1 [Host=a,X-B=c d,X-Empty=] ok; body ''; ");
    check_trace("POST /a?b=c HTTP/1.0\r\n\r\n", "POST /a?b=c 1.0 [] ok; body ''; ");
    check_trace("GET / HTTP/1.1\r\nX-A: \r\nHost:\ta\t\r\nX-C: \t \r\n\r\n",
                "GET / 1.1 [X-A=,Host=a,X-C=] ok; body ''; ");
}

static void every_method_of_ours_is_known(void **state)
{
    static const char *const methods[] = {"GET",    "HEAD",  "POST",   "PUT",
                                          "DELETE", "PATCH", "OPTIONS"};

    (void)state;
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        char bytes[100], expected[100];
        snprintf(bytes, sizeof bytes, "%s / HTTP/1.1\r\nHost: a\r\n\r\n", methods[i]);
        snprintf(expected, sizeof expected, "%s / 1.1 [Host=a] ok; body ''; ", methods[i]);
        check_trace(bytes, expected);
    }
}

static void pipelined_requests_come_one_by_one(void **state)
{
    (void)state;
    check_trace("GET /a HTTP/1.1\r\nHost: a\r\n\r\nPOST /b HTTP/1.1\r\nHost: a\r\n"
                "Content-Length: 2\r\n\r\nhi\r\nGET /c HTTP/1.1\r\nHost: a\r\n\r\nGET /d",
                "GET /a 1.1 [Host=a] ok; body ''; POST /b 1.1 [Host=a,Content-Length=2] ok; "
                "body 'hi'; GET /c 1.1 [Host=a] ok; body ''; head...");
    check_trace("GET /a HTTP/1.1\r\nHost: a\r\n\r\nINVALID\r\n\r\n",
                "GET /a 1.1 [Host=a] ok; body ''; FAIL request_malformed");
}

static void an_upgrade_is_an_ordinary_request(void **state)
{
    (void)state;
    check_trace("GET /a HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                "Content-Length: 2\r\n\r\nhiGET /b HTTP/1.1\r\nHost: a\r\n\r\n",
                "GET /a 1.1 [Host=a,Connection=Upgrade,Upgrade=websocket,Content-Length=2] ok; "
                "body 'hi'; GET /b 1.1 [Host=a] ok; body ''; ");
    check_trace("GET /a HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
                "GET /b HTTP/1.1\r\nHost: a\r\n\r\n",
                "GET /a 1.1 [Host=a,Connection=Upgrade,Upgrade=h2c] ok; body ''; "
                "GET /b 1.1 [Host=a] ok; body ''; ");
}

static void blank_lines_before_a_request_are_skipped_and_counted(void **state)
{
    struct request request;
    struct http_parser parser;
    size_t taken;
    enum error error;

    (void)state;
    check_trace("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / 1.1 [Host=a] ok; body ''; ");
    check_trace("\n\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "FAIL request_malformed");
    check_trace("\r\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", "FAIL request_malformed");
    check_trace("\r\n", "");
    check_repeated("", "\r\n", 8000, "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
                   "GET / 1.1 [Host=a] ok; body ''; ");
    check_repeated("", "\r\n", 8193, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "FAIL head_too_large");
    check_repeated("", "\r\n", 8180, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "FAIL head_too_large");

    request_init(&request);
    http_parser_begin(&parser, &request);
    assert_int_equal(http_parser_feed(&parser, "\r\n", 2, &taken, &error), PARSER_NEEDS_MORE);
    assert_false(http_parser_has_begun(&parser));
    assert_int_equal(http_parser_feed(&parser, "G", 1, &taken, &error), PARSER_NEEDS_MORE);
    assert_true(http_parser_has_begun(&parser));
    request_release(&request);
}

static void what_is_no_request_line_is_refused(void **state)
{
    static const char *const lines[] = {
        "GET HTTP/1.1\r\n",
        "GET  / HTTP/1.1\r\n",
        "GET /  HTTP/1.1\r\n",
        "GET / HTTP/1.1 \r\n",
        " GET / HTTP/1.1\r\n",
        "GET\t/ HTTP/1.1\r\n",
        "GET /a b HTTP/1.1\r\n",
        "GET /\r\n",
        "GET /\n",
        "GET / http/1.1\r\n",
        "GET / HTTP/1\r\n",
        "GET / HTTP/1.\r\n",
        "GET / HTTP/11\r\n",
        "GET / HTTP/01.1\r\n",
        "GET / HTTP/1.10\r\n",
        "GET / HTTP/ 1.1\r\n",
        "GET / HTTP/1.1x\r\n",
        "GET / HTTP/1.1\n",
        "GET / HTTP/1.1\rHost: a\r\n",
        "GET / HTTP/4294967297.1\r\n",
        "GET / RTSP/1.0\r\n",
        "SOURCE / ICE/1.0\r\n",
        "Extra lineGET / HTTP/1.1\r\n",
        "G{T / HTTP/1.1\r\n",
        "G(T / HTTP/1.1\r\n",
        "GET /a\x07 HTTP/1.1\r\n",
        "GET /a\x7f HTTP/1.1\r\n",
        "GET /caf\xc3\xa9 HTTP/1.1\r\n",
        "GET a HTTP/1.1\r\n\r\n",
        "   \r\n",
        "\x16\x03\x01",
        "\x01\x02\xfe\xff",
        ": / HTTP/1.1\r\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        check_trace(lines[i], "FAIL request_malformed");
    }
    check_trace_len(STR("GET /\0 HTTP/1.1\r\n"), true, "FAIL request_malformed");
    check_trace_len(STR("\0"), true, "FAIL request_malformed");
    check_trace_len(STR("G\0T / HTTP/1.1\r\n"), true, "FAIL request_malformed");
}

static void bytes_that_cannot_become_a_line_do_not_wait_for_its_end(void **state)
{
    (void)state;
    check_trace("\x16", "FAIL request_malformed");
    check_trace("GET /a HTTP/1.1x", "FAIL request_malformed");
    check_trace("GET /a X", "FAIL request_malformed");
    check_trace("GET /caf\xc3", "FAIL request_malformed");
    check_trace("GET /a\x7f", "FAIL request_malformed");
    check_trace("G(", "FAIL request_malformed");
    check_trace("get /a HTTP/1.", "head...");
}

static void an_unknown_method_in_a_good_line_is_said_so(void **state)
{
    static const char *const methods[] = {
        "get",      "FOO",  "CONNECT", "TRACE", "DESCRIBE",
        "M-SEARCH", "GETS", "GE",      "PRI",   "!#$%&'*+-.^_`|~"};

    (void)state;
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        char bytes[100];
        snprintf(bytes, sizeof bytes, "%s /a HTTP/1.1\r\n", methods[i]);
        check_trace(bytes, "FAIL method_unknown");
    }
    check_trace("CONNECT a:80 HTTP/1.1\r\n", "FAIL method_unknown");
}

static void another_version_in_a_good_line_is_said_so(void **state)
{
    (void)state;
    check_trace("GET / HTTP/1.2\r\n", "FAIL version_unknown");
    check_trace("GET / HTTP/0.9\r\n", "FAIL version_unknown");
    check_trace("GET / HTTP/2.0\r\n", "FAIL version_unknown");
    check_trace("GET / HTTP/9.9\r\n", "FAIL version_unknown");
    check_trace("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "FAIL version_unknown");
    check_trace("FOO / HTTP/3.0\r\n", "FAIL version_unknown");
}

static void a_request_line_may_be_8_KiB_long(void **state)
{
    size_t most = REQUEST_LINE_MAX_BYTES - strlen("GET / HTTP/1.1");

    (void)state;
    check_repeated("GET /", "a", most, " HTTP/1.1\r\nHost: a\r\n\r\n", NULL);
    check_repeated("GET /", "a", most + 1, " HTTP/1.1\r\nHost: a\r\n\r\n", "FAIL target_too_long");
    check_repeated("GET /", "a", 20000, "", "FAIL target_too_long");
    check_repeated("", "A", 20000, "", "FAIL target_too_long");
    check_repeated("FOO /", "a", most + 1, " HTTP/1.1\r\n", "FAIL target_too_long");
    check_repeated("\r\nGET /", "a", most, " HTTP/1.1\r\nHost: a\r\n\r\n", NULL);
}

static void a_head_may_be_16_KiB_long(void **state)
{
    const char *before = "GET / HTTP/1.1\r\nHost: a\r\nX-A: ";
    size_t most = REQUEST_HEAD_MAX_BYTES - strlen(before) - strlen("\r\n\r\n");

    (void)state;
    check_repeated(before, "a", most, "\r\n\r\n", NULL);
    check_repeated(before, "a", most + 1, "\r\n\r\n", "FAIL head_too_large");
    check_repeated(before, "a", 100000, "", "FAIL head_too_large");
    check_repeated("GET / HTTP/1.1\r\nHost: a\r\n", "a", 20000, "", "FAIL head_too_large");
}

static void a_head_may_have_100_fields(void **state)
{
    (void)state;
    check_repeated("GET / HTTP/1.1\r\nHost: a\r\n", "X-A: b\r\n", 99, "\r\n", NULL);
    check_repeated("GET / HTTP/1.1\r\nHost: a\r\n", "X-A: b\r\n", 100, "\r\n",
                   "FAIL head_too_large");
    check_repeated("GET / HTTP/1.1\r\nHost: a\r\n", "X-A: b\r\n", 99, "bad name: c\r\n\r\n",
                   "FAIL request_malformed");
    check_repeated("GET / HTTP/1.1\r\nHost: a\r\n", "A:\r\n", 5000, "\r\n", "FAIL head_too_large");
}

static void a_field_line_out_of_form_is_refused(void **state)
{
    static const char *const lines[] = {
        "X-A\t: v\r\n",  "X-A : v\r\n",           "X-A: v\r\n w\r\n", "X-A: v\r\n\tw\r\n",
        " X-A: v\r\n",   "NoColonHere\r\n",       ": v\r\n",          "\xef-foo: v\r\n",
        "X-A: a\rb\r\n", "X-A: v\nX-B: w\r\n",    "X-A: a\x07 b\r\n", "X-A: a\x7f\r\n",
        "X-A: v\r\n\rZ", "Transfer-\r\nE: f\r\n", "X A: v\r\n",       "X-A\r\n: v\r\n",
        "X(A): v\r\n",   "X-A: \x0b\r\n",         "X-A:\r\n v\r\n",   "X-A: v\r\r\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        char bytes[100];
        snprintf(bytes, sizeof bytes, "GET / HTTP/1.1\r\nHost: a\r\n%s\r\n", lines[i]);
        check_trace(bytes, "FAIL request_malformed");
    }
    check_trace_len(STR("GET / HTTP/1.1\r\nX-A: a\0b\r\n\r\n"), true, "FAIL request_malformed");
    check_trace_len(STR("GET / HTTP/1.1\r\nX\0A: b\r\n\r\n"), true, "FAIL request_malformed");
    check_trace("GET / HTTP/1.1\r\n Host: a\r\n\r\n", "FAIL request_malformed");
}

/* The parser reads fields in parts of 512 bytes: a name, its colon, a tab and a length on either
 * side of where one ends. */
static void fields_that_lie_across_a_part_are_whole(void **state)
{
    static const char fields[] = "X: a\tb\r\nContent-Length:\t2\t\r\n\r\nhi";

    (void)state;
    for (int padding_len = 500 - (int)sizeof fields; padding_len < 520; padding_len++) {
        char bytes[800];
        char expected[800];
        snprintf(bytes, sizeof bytes, "PUT / HTTP/1.1\r\nHost: a\r\nP: %0*d\r\n%s", padding_len, 0,
                 fields);
        snprintf(expected, sizeof expected,
                 "PUT / 1.1 [Host=a,P=%0*d,X=a\tb,Content-Length=2] ok; body 'hi'; ", padding_len,
                 0);
        check_trace(bytes, expected);
    }
}

/* llhttp does not see lines with a path; it would take each of these. */
static void every_visible_byte_stands_in_a_path(void **state)
{
    (void)state;
    for (char byte = 0x21; byte < 0x7f; byte++) {
        char bytes[] = "GET /?? HTTP/1.1\r\nHost: a\r\n\r\n";
        char expected[] = "GET /?? 1.1 [Host=a] ok; body ''; ";
        bytes[6] = byte;
        expected[6] = byte;
        check_trace(bytes, expected);
        bytes[5] = byte;
        expected[5] = byte;
        check_trace(bytes, expected);
    }
}

/* What RFC 9110 allows in names (tchar) and values (VCHAR, obs-text, and SP and HTAB inside). */
static void exactly_the_allowed_bytes_stand_in_names_and_values(void **state)
{
    (void)state;
    for (int byte = 1; byte < 256; byte++) {
        char name[] = "GET / HTTP/1.1\r\nHost: a\r\nX?Y: v\r\n\r\n";
        char value[] = "GET / HTTP/1.1\r\nHost: a\r\nX: a?b\r\n\r\n";
        bool in_name = (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
                       (byte >= 'A' && byte <= 'Z') || strchr("!#$%&'*+-.^_`|~", byte) != NULL;
        bool in_value = byte == '\t' || (byte >= 0x20 && byte != 0x7f);
        struct buf trace;

        *strchr(name, '?') = (char)byte;
        *strchr(value, '?') = (char)byte;
        buf_init(&trace, TRACE_MAX_BYTES);
        if (byte != ':') {
            trace_of(str_from(name), (struct cutting){1, 1}, true, &trace);
            assert_int_equal(strncmp(trace.ptr, "FAIL request_malformed", 22) != 0, in_name);
        }
        buf_clear(&trace);
        trace_of(str_from(value), (struct cutting){1, 1}, true, &trace);
        assert_int_equal(strncmp(trace.ptr, "FAIL request_malformed", 22) != 0, in_value);
        buf_release(&trace);
    }
}

static void a_head_that_failed_has_no_fields(void **state)
{
    struct request request;
    struct http_parser parser;
    size_t taken;
    enum error error = OK;
    struct str bytes = STR("GET / HTTP/1.1\r\nHost: a\r\nAccept: b\r\nBad Name: c\r\n\r\n");

    (void)state;
    request_init(&request);
    http_parser_begin(&parser, &request);
    assert_int_equal(http_parser_feed(&parser, bytes.ptr, bytes.len, &taken, &error),
                     PARSER_FAILED);
    assert_int_equal(error, ERROR_REQUEST_MALFORMED);
    assert_int_equal(request.field_count, 0);
    request_release(&request);
}

static void a_cleared_request_starts_from_nothing(void **state)
{
    (void)state;
    check_trace("POST /a HTTP/1.1\r\nHost: a\r\nX-Long-Field: value\r\nTransfer-Encoding: chunked"
                "\r\n\r\n2\r\nhi\r\n0\r\n\r\nGET /b HTTP/1.0\r\n\r\nGET /c HTTP/1.1\r\n\r\n",
                "POST /a 1.1 [Host=a,X-Long-Field=value,Transfer-Encoding=chunked] ok; body 'hi'; "
                "GET /b 1.0 [] ok; body ''; GET /c 1.1 [] host_malformed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_gives_its_parts),
        cmocka_unit_test(every_method_of_ours_is_known),
        cmocka_unit_test(pipelined_requests_come_one_by_one),
        cmocka_unit_test(an_upgrade_is_an_ordinary_request),
        cmocka_unit_test(blank_lines_before_a_request_are_skipped_and_counted),
        cmocka_unit_test(what_is_no_request_line_is_refused),
        cmocka_unit_test(bytes_that_cannot_become_a_line_do_not_wait_for_its_end),
        cmocka_unit_test(an_unknown_method_in_a_good_line_is_said_so),
        cmocka_unit_test(another_version_in_a_good_line_is_said_so),
        cmocka_unit_test(a_request_line_may_be_8_KiB_long),
        cmocka_unit_test(a_head_may_be_16_KiB_long),
        cmocka_unit_test(a_head_may_have_100_fields),
        cmocka_unit_test(a_field_line_out_of_form_is_refused),
        cmocka_unit_test(fields_that_lie_across_a_part_are_whole),
        cmocka_unit_test(every_visible_byte_stands_in_a_path),
        cmocka_unit_test(exactly_the_allowed_bytes_stand_in_names_and_values),
        cmocka_unit_test(a_head_that_failed_has_no_fields),
        cmocka_unit_test(a_cleared_request_starts_from_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
