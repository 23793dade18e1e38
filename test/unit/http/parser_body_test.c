/* parser_body_test.c - content by length and by chunks, each whole, byte by byte and cut at random.
 */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "parser_trace.h"

#define LENGTH_HEAD "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: "
#define CHUNKED_HEAD "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
#define CHUNKED_TRACE "POST / 1.1 [Host=a,Transfer-Encoding=chunked] ok; "

static void check_chunked(const char *body, const char *expected)
{
    struct buf bytes, trace;

    buf_init(&bytes, TRACE_MAX_BYTES);
    buf_init(&trace, TRACE_MAX_BYTES);
    buf_append_str(&bytes, STR(CHUNKED_HEAD));
    buf_append_str(&bytes, str_from(body));
    buf_append_str(&trace, STR(CHUNKED_TRACE));
    buf_append_str(&trace, str_from(expected));
    buf_append_char(&trace, '\0');
    check_trace_len(buf_str(&bytes), true, trace.ptr);
    buf_release(&bytes);
    buf_release(&trace);
}

static void check_chunked_repeated(const char *before, const char *repeated, size_t times,
                                   const char *after, const char *expected)
{
    struct buf body;

    buf_init(&body, TRACE_MAX_BYTES);
    buf_append_str(&body, str_from(before));
    for (size_t i = 0; i < times; i++) {
        buf_append_str(&body, str_from(repeated));
    }
    buf_append_str(&body, str_from(after));
    buf_append_char(&body, '\0');
    check_chunked(body.ptr, expected);
    buf_release(&body);
}

static void a_length_frames_the_content(void **state)
{
    (void)state;
    check_trace(LENGTH_HEAD "5\r\n\r\nhello",
                "POST / 1.1 [Host=a,Content-Length=5] ok; body 'hello'; ");
    check_trace(LENGTH_HEAD "0\r\n\r\n", "POST / 1.1 [Host=a,Content-Length=0] ok; body ''; ");
    check_trace(LENGTH_HEAD "0005\r\n\r\nhello",
                "POST / 1.1 [Host=a,Content-Length=0005] ok; body 'hello'; ");
    check_trace(LENGTH_HEAD "\t5 \r\n\r\nhello",
                "POST / 1.1 [Host=a,Content-Length=5] ok; body 'hello'; ");
    check_trace(LENGTH_HEAD "6\r\n\r\nhello", "POST / 1.1 [Host=a,Content-Length=6] ok; body...");
}

static void a_length_that_is_none_is_refused(void **state)
{
    static const char *const lengths[] = {"-0",
                                          "+5",
                                          "0o70",
                                          "5_6",
                                          "5x",
                                          "",
                                          "56.0",
                                          "5, 5",
                                          "5, 6",
                                          "\xa0 5",
                                          "5 5",
                                          "0x5",
                                          "99999999999999999999999",
                                          "5\r\nContent-Length: 5",
                                          "\r\nContent-Length: 5"};

    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        char bytes[200];
        snprintf(bytes, sizeof bytes, LENGTH_HEAD "%s\r\n\r\nhello", lengths[i]);
        check_trace(bytes, "FAIL framing_malformed");
    }
}

static void a_length_over_the_limit_is_refused_before_the_content(void **state)
{
    (void)state;
    check_trace(LENGTH_HEAD "1001\r\n\r\n",
                "POST / 1.1 [Host=a,Content-Length=1001] ok; FAIL body_too_large");
    check_trace(LENGTH_HEAD "4294967301\r\n\r\nhello",
                "POST / 1.1 [Host=a,Content-Length=4294967301] ok; FAIL body_too_large");
    check_trace(LENGTH_HEAD "18446744073709551615\r\n\r\nhello",
                "POST / 1.1 [Host=a,Content-Length=18446744073709551615] ok; FAIL body_too_large");
    check_trace(LENGTH_HEAD "18446744073709551621\r\n\r\nhello", "FAIL framing_malformed");
}

static void length_and_coding_together_are_refused(void **state)
{
    (void)state;
    check_trace(LENGTH_HEAD "5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                "FAIL framing_malformed");
    check_trace("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n"
                "\r\n0\r\n\r\n",
                "FAIL framing_malformed");
}

static void chunks_frame_the_content(void **state)
{
    (void)state;
    check_chunked("5\r\nhello\r\n0\r\n\r\n", "body 'hello'; ");
    check_chunked("0\r\n\r\n", "body ''; ");
    check_chunked("1\r\nh\r\n004\r\nello\r\n000\r\n\r\n", "body 'hello'; ");
    check_chunked("A\r\n0123456789\r\na\r\nabcdefghij\r\n0\r\n\r\n",
                  "body '0123456789abcdefghij'; ");
    check_chunked("5;a=b\r\nhello\r\n0;c\r\n\r\n", "body 'hello'; ");
    check_chunked("5;a=\"b;c\"\r\nhello\r\n0\r\n\r\n", "body 'hello'; ");
    check_chunked("5\r\nhello\r\n", "body...");
    check_trace(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: ChunKed\r\n\r\n1\r\nx\r\n0\r\n\r\n",
        "POST / 1.1 [Host=a,Transfer-Encoding=ChunKed] ok; body 'x'; ");
}

static void chunks_out_of_form_are_refused(void **state)
{
    static const char *const bodies[] = {
        "0x5\r\nhello\r\n0\r\n\r\n",
        "5 \r\nhello\r\n0\r\n\r\n",
        "\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "5\rXhello\r\n0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "5\r\nhello!!\r\n0\r\n\r\n",
        "5;a\rX\r\nhello\r\n0\r\n\r\n",
        "5;b[=x\r\nhello\r\n0\r\n\r\n",
        "0\r\nX:POST /e HTTP/1.1\r\n\rX",
        "FFFFFFFFFFFFFFFF0\r\nhello\r\n0\r\n\r\n",
        "10000000000000005\r\nhello\r\n",
        "5\r\nhello\r\n0\r\n\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\n0\r\nbad line\r\n\r\n",
        "5\r\nhello\r\n0\r\nContent-Length: 9\r\n\r\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        check_chunked(bodies[i], "FAIL framing_malformed");
    }
}

static void chunks_over_the_limit_are_refused_at_their_size(void **state)
{
    (void)state;
    check_chunked("3E9\r\n", "FAIL body_too_large");
    check_chunked("7FFFFFFFFFFFFFFF\r\nhello", "FAIL body_too_large");
    check_chunked("FFFFFFFFFFFFFFFF\r\nhello", "FAIL body_too_large");
    check_chunked("5\r\nhello\r\nFFFFFFFFFFFFFFFB\r\n", "FAIL body_too_large");
    check_chunked_repeated("", "1\r\na\r\n", 1001, "0\r\n\r\n", "FAIL body_too_large");
}

static void the_limit_itself_is_allowed(void **state)
{
    char expected[TRACE_BODY_MAX_BYTES + 20] = "body '";

    (void)state;
    memset(expected + 6, 'a', TRACE_BODY_MAX_BYTES);
    memcpy(expected + 6 + TRACE_BODY_MAX_BYTES, "'; ", 4);
    check_chunked_repeated("", "1\r\na\r\n", 1000, "0\r\n\r\n", expected);
    check_chunked_repeated("3e8\r\n", "a", 1000, "\r\n0\r\n\r\n", expected);
}

static void trailers_are_dropped(void **state)
{
    (void)state;
    check_chunked("5\r\nhello\r\n0\r\nX-T: v\r\nAuthorization: Bearer x\r\n\r\n"
                  "GET /b HTTP/1.1\r\nHost: b\r\n\r\n",
                  "body 'hello'; GET /b 1.1 [Host=b] ok; body ''; ");
}

static void a_trailer_is_no_field_of_the_request(void **state)
{
    struct str bytes = STR(CHUNKED_HEAD "0\r\nX-T: v\r\n\r\n");
    struct request request;
    struct http_parser parser;
    size_t head_taken = 0, body_taken = 0;
    enum error error = OK;
    struct str value;

    (void)state;
    request_init(&request);
    http_parser_begin(&parser, &request);
    assert_int_equal(http_parser_feed(&parser, bytes.ptr, bytes.len, &head_taken, &error),
                     PARSER_HEAD);
    assert_int_equal(head_taken, strlen(CHUNKED_HEAD));
    http_parser_expect_body(&parser, 10, true);
    assert_int_equal(http_parser_feed(&parser, bytes.ptr + head_taken, bytes.len - head_taken,
                                      &body_taken, &error),
                     PARSER_MESSAGE);
    assert_int_equal(head_taken + body_taken, bytes.len);
    assert_int_equal(request.field_count, 2);
    assert_false(request_field_find(&request, STR("X-T"), &value));
    request_release(&request);
}

static void floods_of_chunk_framing_end(void **state)
{
    (void)state;
    check_chunked_repeated("5;", "a", 100000, "", "FAIL body_too_large");
    check_chunked_repeated("5\r\nhello\r\n0\r\nX-T: ", "a", 100000, "\r\n\r\n",
                           "FAIL head_too_large");
    check_chunked_repeated("5\r\nhello\r\n0\r\n", "A: b\r\n", 10000, "\r\n", "FAIL head_too_large");
    check_chunked_repeated("", "1;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\nx\r\n", 900,
                           "0\r\n\r\n", "FAIL body_too_large");
    check_chunked_repeated("", "0", 100000, "5\r\nhello\r\n0\r\n\r\n", "FAIL body_too_large");
}

static void framing_may_be_as_long_as_the_header_says(void **state)
{
    /* "1;" + n + CRLF before the content; 8 bytes more for it leave room for the 7 behind it. */
    size_t most = BODY_FRAMING_MAX_BYTES - strlen("1;\r\n");

    (void)state;
    check_chunked_repeated("1;", "a", most, "\r\nx\r\n0\r\n\r\n", "body 'x'; ");
    check_chunked_repeated("1;", "a", most + 1, "\r\nx\r\n0\r\n\r\n", "FAIL body_too_large");
}

static void a_body_thrown_away_is_counted_all_the_same(void **state)
{
    (void)state;
    check_trace_len(STR(LENGTH_HEAD "5\r\n\r\nhello"), false,
                    "POST / 1.1 [Host=a,Content-Length=5] ok; body ''; ");
    check_trace_len(STR(CHUNKED_HEAD "5\r\nhello\r\n0\r\n\r\n"), false, CHUNKED_TRACE "body ''; ");
    check_trace_len(STR(CHUNKED_HEAD "3E9\r\n"), false, CHUNKED_TRACE "FAIL body_too_large");
}

static void a_body_may_be_dropped_half_way(void **state)
{
    struct str bytes = STR(LENGTH_HEAD "10\r\n\r\n01234");
    struct request request;
    struct http_parser parser;
    size_t head_taken = 0, taken = 0;
    enum error error = OK;

    (void)state;
    request_init(&request);
    http_parser_begin(&parser, &request);
    assert_int_equal(http_parser_feed(&parser, bytes.ptr, bytes.len, &head_taken, &error),
                     PARSER_HEAD);
    http_parser_expect_body(&parser, 10, true);
    assert_int_equal(
        http_parser_feed(&parser, bytes.ptr + head_taken, bytes.len - head_taken, &taken, &error),
        PARSER_NEEDS_MORE);
    http_parser_expect_body(&parser, 10, false);
    assert_int_equal(http_parser_feed(&parser, "56789GET", 8, &taken, &error), PARSER_MESSAGE);
    assert_int_equal(taken, 5);
    assert_int_equal(request.body.len, 5);
    request_release(&request);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_length_frames_the_content),
        cmocka_unit_test(a_length_that_is_none_is_refused),
        cmocka_unit_test(a_length_over_the_limit_is_refused_before_the_content),
        cmocka_unit_test(length_and_coding_together_are_refused),
        cmocka_unit_test(chunks_frame_the_content),
        cmocka_unit_test(chunks_out_of_form_are_refused),
        cmocka_unit_test(chunks_over_the_limit_are_refused_at_their_size),
        cmocka_unit_test(the_limit_itself_is_allowed),
        cmocka_unit_test(trailers_are_dropped),
        cmocka_unit_test(a_trailer_is_no_field_of_the_request),
        cmocka_unit_test(floods_of_chunk_framing_end),
        cmocka_unit_test(framing_may_be_as_long_as_the_header_says),
        cmocka_unit_test(a_body_thrown_away_is_counted_all_the_same),
        cmocka_unit_test(a_body_may_be_dropped_half_way),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
