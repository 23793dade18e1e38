/* head_test.c - what a head says of Host, length, coding, connection and expectation. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>

#include "http/request.h"

/* The judgement of a request with these field lines; the request is left for more questions. It is
 * taken apart here: llhttp refuses some of these heads itself, and the judgement must not lean on
 * that. */
static enum error judge(struct request *request, const char *line, const char *fields)
{
    struct str rest;

    request_clear(request);
    request->version_minor = str_equal(str_from(line), STR("POST / HTTP/1.1")) ? 1 : 0;
    buf_append_str(&request->head, str_from(fields));
    rest = buf_str(&request->head);
    while (rest.len > 0) {
        struct str value = str_cut(&rest, '\n');
        struct str name = str_cut(&value, ':');
        value = str_trim((struct str){value.ptr, value.len - 1});
        if (request->field_count == request->fields_capacity) {
            assert_true(request_fields_grow(request));
        }
        request->fields[request->field_count++] =
            (struct request_field){(uint16_t)(name.ptr - request->head.ptr), (uint16_t)name.len,
                                   (uint16_t)(value.ptr - request->head.ptr), (uint16_t)value.len};
    }
    return request_judge_head(request);
}

#define POST_1_1 "POST / HTTP/1.1"
#define POST_1_0 "POST / HTTP/1.0"

static int request_setup(void **state)
{
    static struct request request;

    request_init(&request);
    *state = &request;
    return 0;
}

static int request_teardown(void **state)
{
    request_release(*state);
    return 0;
}

static void http_1_1_needs_exactly_one_host(void **state)
{
    assert_int_equal(judge(*state, POST_1_1, "Host: a\r\n"), OK);
    assert_int_equal(judge(*state, POST_1_1, "hOST: a\r\n"), OK);
    assert_int_equal(judge(*state, POST_1_1, "Host:\r\n"), OK);
    assert_int_equal(judge(*state, POST_1_1, ""), ERROR_HOST_MALFORMED);
    assert_int_equal(judge(*state, POST_1_1, "Host: a\r\nHost: a\r\n"), ERROR_HOST_MALFORMED);
    assert_int_equal(judge(*state, POST_1_1, "Host: a b\r\n"), ERROR_HOST_MALFORMED);
    assert_int_equal(judge(*state, POST_1_1, "Host: caf\xe9\r\n"), ERROR_HOST_MALFORMED);
}

static void http_1_0_takes_one_host_or_none(void **state)
{
    assert_int_equal(judge(*state, POST_1_0, ""), OK);
    assert_int_equal(judge(*state, POST_1_0, "Host: a\r\n"), OK);
    assert_int_equal(judge(*state, POST_1_0, "Host: a\r\nHost: b\r\n"), ERROR_HOST_MALFORMED);
}

static void some_fields_may_be_given_once(void **state)
{
    assert_int_equal(judge(*state, POST_1_1,
                           "Host: a\r\nAuthorization: Bearer a\r\nAuthorization: Bearer a\r\n"),
                     ERROR_FIELD_DOUBLED);
    assert_int_equal(judge(*state, POST_1_1,
                           "Host: a\r\nContent-Type: text/plain\r\ncontent-type: text/plain\r\n"),
                     ERROR_FIELD_DOUBLED);
    assert_int_equal(judge(*state, POST_1_1, "Host: a\r\nAccept: a\r\nAccept: b\r\n"), OK);
}

static void a_length_is_decimal_whatever_zeros_lead(void **state)
{
    struct request *request = *state;

    assert_int_equal(judge(request, POST_1_1, "Host: a\r\nContent-Length: 0056\r\n"), OK);
    assert_int_equal(request->content_length, 56);
    assert_true(request->has_body);
    assert_false(request->is_chunked);
    assert_int_equal(
        judge(request, POST_1_1, "Host: a\r\nContent-Length: 000000000000000000000000000\r\n"), OK);
    assert_int_equal(request->content_length, 0);
    assert_false(request->has_body);
    assert_int_equal(
        judge(request, POST_1_1, "Host: a\r\nContent-Length: 18446744073709551615\r\n"), OK);
    assert_true(request->content_length == UINT64_MAX);
    assert_int_equal(
        judge(request, POST_1_1, "Host: a\r\nContent-Length: 18446744073709551621\r\n"), OK);
    assert_true(request->content_length == UINT64_MAX);
    assert_int_equal(judge(request, POST_1_1, "Host: a\r\n"), OK);
    assert_false(request->has_body);
}

static void a_length_that_is_none_is_refused(void **state)
{
    static const char *const lengths[] = {"",    "-0",   "+5",   "5x",     "0x5", "5 5",
                                          "5,5", "5, 5", "56.0", "\xa0 5", "\x0b"};

    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        char fields[200];
        snprintf(fields, sizeof fields, "Host: a\r\nContent-Length: %s\r\n", lengths[i]);
        assert_int_equal(judge(*state, POST_1_1, fields), ERROR_FRAMING_MALFORMED);
    }
    assert_int_equal(
        judge(*state, POST_1_1, "Host: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n"),
        ERROR_FRAMING_MALFORMED);
    assert_int_equal(
        judge(*state, POST_1_1, "Host: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
        ERROR_FRAMING_MALFORMED);
}

static void only_chunked_frames_a_request(void **state)
{
    static const struct {
        const char *codings;
        enum error error;
    } cases[] = {
        {"chunked", OK},
        {"ChunKed", OK},
        {"gzip, chunked", ERROR_CODING_UNKNOWN},
        {"cow, chunked", ERROR_CODING_UNKNOWN},
        {"gzip", ERROR_FRAMING_MALFORMED},
        {"identity", ERROR_FRAMING_MALFORMED},
        {"xchunked", ERROR_FRAMING_MALFORMED},
        {"chunkedchunked", ERROR_FRAMING_MALFORMED},
        {"chunked;a=b", ERROR_FRAMING_MALFORMED},
        {"\"chunked\"", ERROR_FRAMING_MALFORMED},
        {"\xa0 chunked", ERROR_FRAMING_MALFORMED},
        {"chunked, gzip", ERROR_FRAMING_MALFORMED},
        {"chunked, chunked", ERROR_FRAMING_MALFORMED},
        {"gzip, chunked, chunked", ERROR_FRAMING_MALFORMED},
        {"chunked,", ERROR_FRAMING_MALFORMED},
        {", chunked", ERROR_FRAMING_MALFORMED},
        {"", ERROR_FRAMING_MALFORMED},
    };
    struct request *request = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char fields[200];
        snprintf(fields, sizeof fields, "Host: a\r\nTransfer-Encoding: %s\r\n", cases[i].codings);
        assert_int_equal(judge(request, POST_1_1, fields), cases[i].error);
        assert_int_equal(request->is_chunked, cases[i].error == OK);
        assert_int_equal(request->has_body, cases[i].error == OK);
    }
    assert_int_equal(judge(request, POST_1_0, "Transfer-Encoding: chunked\r\n"),
                     ERROR_FRAMING_MALFORMED);
    assert_int_equal(judge(request, POST_1_1,
                           "Host: a\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n"),
                     ERROR_FRAMING_MALFORMED);
}

static void a_connection_goes_on_unless_somebody_says_close(void **state)
{
    static const struct {
        const char *line;
        const char *connection;
        bool keeps_alive;
    } cases[] = {
        {POST_1_1, "", true},
        {POST_1_1, "keep-alive", true},
        {POST_1_1, "upgrade", true},
        {POST_1_1, "close", false},
        {POST_1_1, "CLOSE", false},
        {POST_1_1, "close\t", false},
        {POST_1_1, "x, close", false},
        {POST_1_1, "close ,x", false},
        {POST_1_1, "closed", true},
        {POST_1_1, "keep-alive, close", false},
        {POST_1_1, "x\r\nConnection: close", false},
        {POST_1_0, "", false},
        {POST_1_0, "keep-alive", true},
        {POST_1_0, "Keep-Alive", true},
        {POST_1_0, "x,keep-alive", true},
        {POST_1_0, "keep-alive, close", false},
    };
    struct request *request = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char fields[200];
        snprintf(fields, sizeof fields, "Host: a\r\nConnection: %s\r\n", cases[i].connection);
        assert_int_equal(judge(request, cases[i].line, fields), OK);
        assert_int_equal(request->keeps_alive, cases[i].keeps_alive);
    }
}

static void an_expectation_counts_with_a_body_by_http_1_1(void **state)
{
    struct request *request = *state;

    assert_int_equal(
        judge(request, POST_1_1, "Host: a\r\nExpect: 100-Continue\r\nContent-Length: 5\r\n"), OK);
    assert_true(request->expects_continue);
    assert_false(request_expects_unknown(request));
    assert_int_equal(judge(request, POST_1_1, "Host: a\r\nExpect: 100-continue\r\n"), OK);
    assert_false(request->expects_continue);
    assert_int_equal(judge(request, POST_1_0, "Expect: 100-continue\r\nContent-Length: 5\r\n"), OK);
    assert_false(request->expects_continue);
    assert_int_equal(judge(request, POST_1_1, "Host: a\r\nExpect: 100-continue, x\r\n"), OK);
    assert_true(request_expects_unknown(request));
    assert_int_equal(judge(request, POST_1_1, "Host: a\r\nExpect: 200-ok\r\n"), OK);
    assert_true(request_expects_unknown(request));
    assert_int_equal(judge(request, POST_1_0, "Expect: 200-ok\r\n"), OK);
    assert_false(request_expects_unknown(request));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(http_1_1_needs_exactly_one_host),
        cmocka_unit_test(http_1_0_takes_one_host_or_none),
        cmocka_unit_test(some_fields_may_be_given_once),
        cmocka_unit_test(a_length_is_decimal_whatever_zeros_lead),
        cmocka_unit_test(a_length_that_is_none_is_refused),
        cmocka_unit_test(only_chunked_frames_a_request),
        cmocka_unit_test(a_connection_goes_on_unless_somebody_says_close),
        cmocka_unit_test(an_expectation_counts_with_a_body_by_http_1_1),
    };

    return cmocka_run_group_tests(tests, request_setup, request_teardown);
}
