/* response_test.c - heads as bytes, error bodies, CORS fields. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>

#include "base/clock.h"
#include "request_made.h"

#define DATE "Mon, 03 Nov 2025 12:00:00 GMT"
#define COMMON "X-Request-Id: abc\r\nX-Content-Type-Options: nosniff\r\n"
#define NO_STORE "Cache-Control: no-store\r\n"
#define EXPOSED                                                                                    \
    "Access-Control-Expose-Headers: ETag, Link, MigChat-Cursor, Idempotent-Replay, "               \
    "Retry-After, X-Request-Id\r\n"

static const struct str origins[] = {{"https://a.example", 17}, {"https://b.example", 17}};
static const struct cors_policy cors_all = {NULL, 0, true};
static const struct cors_policy cors_two = {origins, 2, false};

static struct exchange *exchange;
static struct buf head;

static int exchange_setup(void **state)
{
    (void)state;
    exchange = exchange_new();
    buf_init(&head, 16384);
    return 0;
}

static int exchange_teardown(void **state)
{
    (void)state;
    exchange_free(exchange);
    buf_release(&head);
    return 0;
}

static void request_is(const char *bytes)
{
    exchange_clear(exchange);
    request_make(&exchange->request, bytes);
    assert_int_equal(request_judge_head(&exchange->request), OK);
    memcpy(exchange->request_id, "abc", 4);
}

static const char *head_bytes(const struct cors_policy *cors)
{
    buf_clear(&head);
    response_write_head(exchange, cors, DATE, &head);
    buf_append_char(&head, '\0');
    return head.ptr;
}

static bool head_has(const struct cors_policy *cors, const char *line)
{
    return strstr(head_bytes(cors), line) != NULL;
}

static void a_head_has_all_its_fields(void **state)
{
    (void)state;
    request_is("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    exchange->response.status = 200;
    exchange->response.type = CONTENT_JSON;
    buf_append_str(&exchange->response.body, STR("{}"));
    response_field(&exchange->response, STR("ETag"), STR("\"x\""));
    assert_string_equal(head_bytes(&cors_all),
                        "HTTP/1.1 200 OK\r\nDate: " DATE
                        "\r\nContent-Type: application/json\r\n" NO_STORE
                        "Content-Length: 2\r\n" COMMON "ETag: \"x\"\r\n\r\n");
}

static void no_content_and_not_modified_have_no_length(void **state)
{
    (void)state;
    request_is("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    exchange->response.status = 204;
    assert_string_equal(head_bytes(&cors_all),
                        "HTTP/1.1 204 No Content\r\nDate: " DATE "\r\n" NO_STORE COMMON "\r\n");
    exchange->response.status = 304;
    assert_false(head_has(&cors_all, "Content-Length"));
    exchange->response.status = 404;
    assert_true(head_has(&cors_all, "HTTP/1.1 404 Not Found\r\n"));
    assert_true(head_has(&cors_all, "Content-Length: 0\r\n"));
}

static void only_what_describes_itself_may_be_kept_by_a_cache(void **state)
{
    static const enum content_type others[] = {CONTENT_NONE, CONTENT_JSON, CONTENT_TEXT,
                                               CONTENT_PROBLEM};

    (void)state;
    request_is("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        exchange->response.status = 200;
        exchange->response.type = others[i];
        assert_true(head_has(&cors_all, NO_STORE));
    }
    exchange->response.type = CONTENT_OWN;
    response_field(&exchange->response, STR("Content-Type"), STR("text/html"));
    buf_borrow(&exchange->response.body, STR("<p>"));
    assert_string_equal(head_bytes(&cors_all),
                        "HTTP/1.1 200 OK\r\nDate: " DATE "\r\nContent-Length: 3\r\n" COMMON
                        "Content-Type: text/html\r\n\r\n");
    response_clear(&exchange->response);
    buf_append_str(&exchange->response.body, STR("own"));
    assert_str(buf_str(&exchange->response.body), "own");
}

static void a_stream_is_chunked_or_ends_with_the_connection(void **state)
{
    (void)state;
    request_is("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    exchange->response.status = 200;
    exchange->response.has_more = true;
    assert_true(head_has(&cors_all, "Transfer-Encoding: chunked\r\n"));
    assert_false(head_has(&cors_all, "Content-Length"));
    assert_false(head_has(&cors_all, "Connection:"));
    assert_false(response_ends_connection(exchange));

    request_is("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    exchange->response.status = 200;
    exchange->response.has_more = true;
    assert_false(head_has(&cors_all, "Transfer-Encoding"));
    assert_false(head_has(&cors_all, "Content-Length"));
    assert_true(head_has(&cors_all, "Connection: close\r\n"));
    assert_true(response_ends_connection(exchange));
    /* Still so when the last page is written. */
    exchange->page = 3;
    exchange->response.has_more = false;
    assert_true(response_ends_connection(exchange));
}

static void the_head_says_how_the_connection_goes_on(void **state)
{
    (void)state;
    request_is("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    exchange->response.status = 200;
    assert_false(head_has(&cors_all, "Connection:"));
    exchange->response.closes = true;
    assert_true(head_has(&cors_all, "Connection: close\r\n"));
    request_is("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    exchange->response.status = 200;
    assert_true(head_has(&cors_all, "Connection: close\r\n"));
    request_is("GET / HTTP/1.0\r\n\r\n");
    exchange->response.status = 200;
    assert_true(head_has(&cors_all, "HTTP/1.1 200 OK\r\n"));
    assert_true(head_has(&cors_all, "Connection: close\r\n"));
    request_is("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    exchange->response.status = 200;
    assert_true(head_has(&cors_all, "Connection: keep-alive\r\n"));
    assert_false(head_has(&cors_all, "Connection: close\r\n"));
}

static void every_origin_may_read_when_all_are_allowed(void **state)
{
    (void)state;
    request_is("GET / HTTP/1.1\r\nHost: a\r\nOrigin: https://any\r\n\r\n");
    exchange->response.status = 200;
    assert_true(head_has(&cors_all, "Access-Control-Allow-Origin: *\r\n" EXPOSED));
    assert_false(head_has(&cors_all, "Vary"));
    assert_false(head_has(&cors_all, "Credentials"));
    request_is("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    exchange->response.status = 200;
    assert_false(head_has(&cors_all, "Access-Control"));
}

static void only_listed_origins_may_read_when_narrowed(void **state)
{
    (void)state;
    request_is("GET / HTTP/1.1\r\nHost: a\r\nOrigin: https://b.example\r\n\r\n");
    response_error(exchange, ERROR_ROUTE_NOT_FOUND);
    assert_true(
        head_has(&cors_two, "Vary: Origin\r\nAccess-Control-Allow-Origin: https://b.example\r\n"));
    assert_true(head_has(&cors_two, EXPOSED));
    request_is("GET / HTTP/1.1\r\nHost: a\r\nOrigin: https://b.example.evil\r\n\r\n");
    exchange->response.status = 200;
    assert_true(head_has(&cors_two, "Vary: Origin\r\n"));
    assert_false(head_has(&cors_two, "Access-Control"));
    request_is("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    exchange->response.status = 200;
    assert_true(head_has(&cors_two, "Vary: Origin\r\n"));
}

static void an_error_is_json_with_its_code(void **state)
{
    (void)state;
    request_is("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    buf_append_str(&exchange->response.body, STR("half an answer"));
    response_field(&exchange->response, STR("ETag"), STR("\"x\""));
    exchange->response.has_more = true;
    response_error(exchange, ERROR_RECIPIENT_NOT_FOUND);
    assert_str(buf_str(&exchange->response.body),
               "{\"error\":\"No account has this name\",\"code\":\"recipient_not_found\","
               "\"status\":404,\"request_id\":\"abc\"}");
    assert_int_equal(exchange->response.status, 404);
    assert_int_equal(exchange->response.error, ERROR_RECIPIENT_NOT_FOUND);
    assert_false(exchange->response.has_more);
    assert_false(head_has(&cors_all, "ETag"));
    assert_true(head_has(&cors_all, "Content-Type: application/json\r\n"));
}

static void quotes_and_backslashes_in_an_error_are_escaped(void **state)
{
    (void)state;
    request_is("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    memcpy(exchange->request_id, "a\"\\", 4);
    response_error(exchange, ERROR_USERNAME_NOT_ALLOWED);
    buf_append_char(&exchange->response.body, '\0');
    assert_non_null(strstr(exchange->response.body.ptr, "\"request_id\":\"a\\\"\\\\\""));
    assert_non_null(strstr(exchange->response.body.ptr, "/ \\\\ ?"));
}

static void an_error_is_a_problem_for_those_who_ask(void **state)
{
    static const char *const asking[] = {"application/problem+json",
                                         "text/html, Application/Problem+JSON;q=0.5, */*"};
    static const char *const not_asking[] = {"*/*",
                                             "application/json",
                                             "application/*",
                                             "application/problem+json;q=0",
                                             "application/problem+json; q=0.00",
                                             "application/problem+jsonx"};

    (void)state;
    for (size_t i = 0; i < sizeof asking / sizeof asking[0]; i++) {
        char bytes[200];
        snprintf(bytes, sizeof bytes, "GET / HTTP/1.1\r\nHost: a\r\nAccept: %s\r\n\r\n", asking[i]);
        request_is(bytes);
        response_error(exchange, ERROR_OVERLOADED);
        assert_str(buf_str(&exchange->response.body),
                   "{\"type\":\"about:blank\",\"title\":\"Service Unavailable\",\"status\":503,"
                   "\"detail\":\"The server is busy; nothing was done, try again\","
                   "\"code\":\"overloaded\",\"request_id\":\"abc\"}");
        assert_true(head_has(&cors_all, "Content-Type: application/problem+json\r\n"));
    }
    for (size_t i = 0; i < sizeof not_asking / sizeof not_asking[0]; i++) {
        char bytes[200];
        snprintf(bytes, sizeof bytes, "GET / HTTP/1.1\r\nHost: a\r\nAccept: %s\r\n\r\n",
                 not_asking[i]);
        request_is(bytes);
        response_error(exchange, ERROR_OVERLOADED);
        assert_int_equal(exchange->response.type, CONTENT_JSON);
    }
}

static void errors_carry_the_fields_of_their_status(void **state)
{
    (void)state;
    request_is("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    for (int number = OK + 1; number < ERROR_COUNT; number++) {
        enum error error = (enum error)number;
        int status = error_status(error);
        exchange->retry_after_s = 17;
        response_error(exchange, error);
        assert_int_equal(head_has(&cors_all, "WWW-Authenticate: Bearer\r\n"), status == 401);
        assert_int_equal(head_has(&cors_all, "Retry-After: 1\r\n"), status == 503);
        assert_int_equal(head_has(&cors_all, "Retry-After: 17\r\n"), status == 429);
        assert_string_not_equal(status_phrase(status), "Status");
        assert_false(exchange->response.body.overflowed);
    }
}

static void an_error_before_any_request_has_an_id_and_closes(void **state)
{
    (void)state;
    exchange_clear(exchange);
    response_error(exchange, ERROR_REQUEST_MALFORMED);
    assert_int_equal(strlen(exchange->request_id), 16);
    assert_true(head_has(&cors_all, "Connection: close\r\n"));
    assert_true(head_has(&cors_all, exchange->request_id));
}

/* The writer reserves room for it once: when this grows, look at HEAD_OWN_MAX_BYTES. */
static void the_longest_head_has_room(void **state)
{
    (void)state;
    request_is("GET / HTTP/1.0\r\n\r\n");
    memset(exchange->request_id, 'i', REQUEST_ID_MAX_BYTES);
    exchange->request_id[REQUEST_ID_MAX_BYTES] = '\0';
    exchange->response.status = 431;
    exchange->response.type = CONTENT_TEXT;
    exchange->response.closes = true;
    exchange->response.body.len = SIZE_MAX; /* only its digits are asked for */
    buf_release(&head);                     /* so that its capacity is what the writer reserves */
    size_t len = strlen(head_bytes(&cors_all));
    exchange->response.body.len = 0;
    assert_int_equal(len, 46 + 37 + 41 + 38 + 19 + 80 + 58 + 2);
}

static void a_field_too_much_is_left_out_whole(void **state)
{
    static char value[RESPONSE_FIELDS_MAX_BYTES];

    (void)state;
    request_is("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    memset(value, 'v', sizeof value);
    response_field(&exchange->response, STR("A"), STR("1"));
    response_field(&exchange->response, STR("B"), (struct str){value, sizeof value - 10});
    assert_str(buf_str(&exchange->response.fields), "A: 1\r\n");
    assert_true(exchange->response.fields.overflowed);
    response_clear(&exchange->response);
    response_field(&exchange->response, STR("B"), (struct str){value, sizeof value - 5});
    assert_int_equal(exchange->response.fields.len, sizeof value);
}

static void a_chunk_begins_with_its_size_in_hexadecimal(void **state)
{
    static const size_t sizes[] = {0, 1, 9, 10, 15, 16, 255, 65535, 65536, 3735928559, SIZE_MAX};

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char wanted[32];

        snprintf(wanted, sizeof wanted, "%zx\r\n", sizes[i]);
        buf_clear(&head);
        chunk_size_append(&head, sizes[i]);
        assert_int_equal(head.len, strlen(wanted));
        assert_memory_equal(head.ptr, wanted, head.len);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_head_has_all_its_fields),
        cmocka_unit_test(no_content_and_not_modified_have_no_length),
        cmocka_unit_test(only_what_describes_itself_may_be_kept_by_a_cache),
        cmocka_unit_test(a_stream_is_chunked_or_ends_with_the_connection),
        cmocka_unit_test(the_head_says_how_the_connection_goes_on),
        cmocka_unit_test(every_origin_may_read_when_all_are_allowed),
        cmocka_unit_test(only_listed_origins_may_read_when_narrowed),
        cmocka_unit_test(an_error_is_json_with_its_code),
        cmocka_unit_test(quotes_and_backslashes_in_an_error_are_escaped),
        cmocka_unit_test(an_error_is_a_problem_for_those_who_ask),
        cmocka_unit_test(errors_carry_the_fields_of_their_status),
        cmocka_unit_test(an_error_before_any_request_has_an_id_and_closes),
        cmocka_unit_test(the_longest_head_has_room),
        cmocka_unit_test(a_field_too_much_is_left_out_whole),
        cmocka_unit_test(a_chunk_begins_with_its_size_in_hexadecimal),
    };

    return cmocka_run_group_tests(tests, exchange_setup, exchange_teardown);
}
