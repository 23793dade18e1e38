/* upgrade_test.c - the handshake of a WebSocket (RFC 6455 section 4.2): what is one, which page
 * may, and the answer. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>

#include "http/cors.h"
#include "http/upgrade.h"
#include "request_made.h"

#define KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define ASKS "Upgrade: websocket\r\nConnection: Upgrade\r\n"
#define VERSION "Sec-WebSocket-Version: 13\r\n"

static enum error judged_by(const char *line, const char *fields, const struct cors_policy *cors)
{
    struct request request;
    char head[2048];

    request_init(&request);
    snprintf(head, sizeof head, "%s\r\nHost: chat.example:8080\r\n%s\r\n", line, fields);
    request_make(&request, head);
    enum error error = upgrade_judge(&request, cors);
    request_release(&request);
    return error;
}

static enum error judged(const char *fields)
{
    static const struct cors_policy none = {0};

    return judged_by("GET /api/ws HTTP/1.1", fields, &none);
}

static void a_handshake_is_one_in_any_form_the_rfc_allows(void **state)
{
    (void)state;
    assert_int_equal(judged(ASKS KEY VERSION), OK);
    assert_int_equal(judged("uPGRADE: foo, WebSocket\r\nconnection: keep-alive\r\n"
                            "Connection: x,\tUPGRADE\r\n" KEY VERSION),
                     OK);
    assert_int_equal(judged(ASKS KEY VERSION "Sec-WebSocket-Extensions: permessage-foo\r\n"), OK);
}

static void what_asks_for_no_upgrade_is_told_which(void **state)
{
    static const struct cors_policy none = {0};

    (void)state;
    assert_int_equal(judged(""), ERROR_UPGRADE_REQUIRED);
    assert_int_equal(judged("Upgrade: websocket\r\n" KEY VERSION), ERROR_UPGRADE_REQUIRED);
    assert_int_equal(judged("Connection: Upgrade\r\n" KEY VERSION), ERROR_UPGRADE_REQUIRED);
    assert_int_equal(judged("Upgrade: websockets\r\nConnection: Upgrade\r\n" KEY VERSION),
                     ERROR_UPGRADE_REQUIRED);
    assert_int_equal(judged("Upgrade: websocket\r\nConnection: upgrade-not\r\n" KEY VERSION),
                     ERROR_UPGRADE_REQUIRED);
    assert_int_equal(judged(ASKS KEY), ERROR_UPGRADE_REQUIRED);
    assert_int_equal(judged(ASKS KEY "Sec-WebSocket-Version: 8\r\n"), ERROR_UPGRADE_REQUIRED);
    assert_int_equal(judged_by("GET /api/ws HTTP/1.0", ASKS KEY VERSION, &none),
                     ERROR_UPGRADE_REQUIRED);
    assert_int_equal(judged_by("HEAD /api/ws HTTP/1.1", ASKS KEY VERSION, &none),
                     ERROR_UPGRADE_REQUIRED);
}

static void a_key_is_sixteen_bytes_in_base64_and_given_once(void **state)
{
    (void)state;
    assert_int_equal(judged(ASKS VERSION), ERROR_HANDSHAKE_MALFORMED);
    assert_int_equal(judged(ASKS VERSION KEY KEY), ERROR_HANDSHAKE_MALFORMED);
    assert_int_equal(judged(ASKS VERSION "Sec-WebSocket-Key: \r\n"), ERROR_HANDSHAKE_MALFORMED);
    assert_int_equal(judged(ASKS VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=\r\n"),
                     ERROR_HANDSHAKE_MALFORMED);
    assert_int_equal(judged(ASKS VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZWFi\r\n"),
                     ERROR_HANDSHAKE_MALFORMED);
    assert_int_equal(judged(ASKS VERSION "Sec-WebSocket-Key: !!!!!!!!!!!!!!!!!!!!!!==\r\n"),
                     ERROR_HANDSHAKE_MALFORMED);
}

static void a_page_may_that_may_read_answers_or_is_of_the_host(void **state)
{
    static const struct {
        const char *origin;
        enum error error;
    } cases[] = {
        {"https://chat.example:8080", OK},
        {"http://CHAT.example:8080", OK},
        {"https://chat.example", ERROR_ORIGIN_NOT_ALLOWED},
        {"https://chat.example:8080.evil", ERROR_ORIGIN_NOT_ALLOWED},
        {"https://evil.example", ERROR_ORIGIN_NOT_ALLOWED},
        {"chat.example:8080", ERROR_ORIGIN_NOT_ALLOWED},
        {"https:chat.example:8080", ERROR_ORIGIN_NOT_ALLOWED},
        {"null", ERROR_ORIGIN_NOT_ALLOWED},
        {"", ERROR_ORIGIN_NOT_ALLOWED},
    };
    char fields[512];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        snprintf(fields, sizeof fields, ASKS KEY VERSION "Origin: %s\r\n", cases[i].origin);
        assert_int_equal(judged(fields), cases[i].error);
    }
}

static void the_answer_is_that_of_the_rfc(void **state)
{
    struct exchange *exchange = exchange_new();

    (void)state;
    request_make(&exchange->request, "GET /api/ws HTTP/1.1\r\nHost: a\r\n" ASKS KEY VERSION "\r\n");
    upgrade_answer(exchange, STR("migchat.v1"));
    assert_int_equal(exchange->response.status, 101);
    assert_true(exchange->response.has_more);
    struct buf *fields = &exchange->response.fields;
    buf_append_char(fields, '\0');
    /* RFC 6455 section 1.3. */
    assert_non_null(strstr(fields->ptr, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
    assert_non_null(strstr(fields->ptr, "Sec-WebSocket-Protocol: migchat.v1\r\n"));
    assert_null(strstr(fields->ptr, "Extensions"));
    exchange_free(exchange);
}

static void an_offered_protocol_is_found_in_lists(void **state)
{
    struct request request;
    struct str rest;

    (void)state;
    request_init(&request);
    request_make(&request, "GET / HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Protocol: a, migchat.v1\r\n"
                           "sec-websocket-protocol:bearer.abc , bearer.def\r\n\r\n");
    assert_true(upgrade_offers(&request, STR("bearer."), &rest));
    assert_str(rest, "abc");
    assert_true(upgrade_offers(&request, STR("migchat.v1"), &rest));
    assert_str(rest, "");
    assert_false(upgrade_offers(&request, STR("migchat.v2"), &rest));
    request_release(&request);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_handshake_is_one_in_any_form_the_rfc_allows),
        cmocka_unit_test(what_asks_for_no_upgrade_is_told_which),
        cmocka_unit_test(a_key_is_sixteen_bytes_in_base64_and_given_once),
        cmocka_unit_test(a_page_may_that_may_read_answers_or_is_of_the_host),
        cmocka_unit_test(the_answer_is_that_of_the_rfc),
        cmocka_unit_test(an_offered_protocol_is_found_in_lists),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
