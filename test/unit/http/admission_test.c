/* admission_test.c - what is answered before the body is read, and whether it can be read away. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>

#include "http/admission.h"
#include "request_made.h"

#define TOKEN "Authorization: Bearer abcdefghijABCDEFGHIJ0123456789xy\r\n"

static enum error nothing_done(struct exchange *exchange, struct services *services)
{
    (void)exchange;
    (void)services;
    return OK;
}

#define STEP                                                                                       \
    {                                                                                              \
        {                                                                                          \
            LANE_READ, nothing_done                                                                \
        }                                                                                          \
    }

static const struct route routes[] = {
    {METHOD_GET, "/health", false, BODY_NONE, LIMIT_NONE, STEP},
    {METHOD_POST, "/create", false, BODY_REQUIRED, LIMIT_SIGNUP, STEP},
    {METHOD_GET, "/messages", true, BODY_NONE, LIMIT_SIGNUP, STEP},
    {METHOD_POST, "/messages", true, BODY_REQUIRED, LIMIT_NONE, STEP},
    {METHOD_GET, "/keys/{username}", false, BODY_NONE, LIMIT_NONE, STEP},
};
static const struct str origins[] = {{"https://a.example", 17}};
static const struct cors_policy cors_all = {NULL, 0, true};
static const struct cors_policy cors_one = {origins, 1, false};

static struct exchange *exchange;
static enum admission admission;
static bool must_close;

static int exchange_setup(void **state)
{
    (void)state;
    exchange = exchange_new();
    return 0;
}

static int exchange_teardown(void **state)
{
    (void)state;
    exchange_free(exchange);
    return 0;
}

static struct limits *limits; /* NULL: none */
static struct proxies proxies;

static int64_t clock_stands(void)
{
    return 1;
}

static void peer_find(const struct exchange *asking, struct ip_address *out_address)
{
    (void)asking;
    assert_true(ip_address_read(STR("192.0.2.1"), out_address));
}

/* Admits the request; the fields come after Host. The status, 0 when it was admitted. */
static int admit(const struct cors_policy *cors, const char *line, const char *fields)
{
    const struct admission_policy policy = {.routes = {routes, sizeof routes / sizeof routes[0]},
                                            .cors = cors,
                                            .body_max_bytes = 1000,
                                            .limits = limits,
                                            .proxies = &proxies,
                                            .peer_find = peer_find};
    char head[2048];

    snprintf(head, sizeof head, "%s HTTP/1.1\r\nHost: a\r\n%s\r\n", line, fields);
    exchange_clear(exchange);
    request_make(&exchange->request, head);
    must_close = false;
    admission = exchange_admit(exchange, &policy, &must_close);
    assert_int_equal(admission == ADMITTED, exchange->response.status == 0);
    assert_int_equal(admission == ADMITTED, exchange->route != NULL);
    assert_true(exchange->request_id[0] != '\0');
    return exchange->response.status;
}

static bool answer_has(const char *line)
{
    struct buf *fields = &exchange->response.fields;

    buf_append_char(fields, '\0');
    bool found = strstr(fields->ptr, line) != NULL;
    buf_truncate(fields, fields->len - 1);
    return found;
}

static void a_good_request_is_admitted_with_its_route(void **state)
{
    (void)state;
    assert_int_equal(admit(&cors_all, "GET /health", ""), 0);
    assert_ptr_equal(exchange->route, &routes[0]);
    assert_int_equal(admit(&cors_all, "HEAD /health?x", ""), 0);
    assert_ptr_equal(exchange->route, &routes[0]);
    assert_int_equal(admit(&cors_all, "POST http://a/create", "Content-Length: 1000\r\n"), 0);
    assert_ptr_equal(exchange->route, &routes[1]);
    assert_int_equal(admit(&cors_all, "POST /messages", TOKEN "Transfer-Encoding: chunked\r\n"), 0);
    assert_ptr_equal(exchange->route, &routes[3]);
    assert_int_equal(admit(&cors_all, "GET /keys/a%20b", ""), 0);
    assert_str(exchange->route_parameter, "a b");
    assert_int_equal(
        admit(&cors_all, "POST /create", "Expect: 100-continue\r\nContent-Length: 5\r\n"), 0);
    assert_true(exchange->request.expects_continue);
}

static void an_address_that_asks_too_often_is_refused_before_its_body(void **state)
{
    (void)state;
    limits = limits_new(clock_stands);
    limits_rate_set(limits, LIMIT_SIGNUP, (struct limit_rate){2, 60});
    assert_int_equal(admit(&cors_all, "POST /create", "Content-Length: 5\r\n"), 0);
    /* What is refused for another reason takes nothing. */
    assert_int_equal(admit(&cors_all, "POST /create", "Content-Length: 1001\r\n"), 413);
    assert_int_equal(admit(&cors_all, "PUT /create", ""), 405);
    assert_int_equal(admit(&cors_all, "OPTIONS /create", ""), 204);
    assert_int_equal(admit(&cors_all, "POST /create", "Content-Length: 5\r\n"), 0);
    assert_int_equal(admit(&cors_all, "POST /create", "Content-Length: 5\r\n"), 429);
    assert_true(answer_has("Retry-After: 30\r\n"));
    assert_false(must_close);
    assert_true(exchange->slows_client);
    /* Others, accounts and what has no limit go on. */
    assert_int_equal(admit(&cors_all, "GET /health", ""), 0);
    assert_int_equal(admit(&cors_all, "GET /messages", TOKEN), 0);
    limits_free(limits);
    limits = NULL;
}

static void judgements_come_in_the_contracts_order(void **state)
{
    static const struct {
        const char *line;
        const char *fields;
        int status;
    } cases[] = {
        {"DELETE /nothing#", "Host: b\r\nExpect: x\r\nContent-Length: 5000\r\n", 400},
        {"DELETE /no\\thing", "Expect: x\r\nContent-Length: 5000\r\n", 400},
        {"DELETE /nothing", "Expect: x\r\nContent-Length: 5000\r\n", 404},
        {"DELETE /messages", "Expect: x\r\nContent-Length: 5000\r\n", 405},
        {"POST /messages", "Expect: x\r\nContent-Length: 5000\r\n", 417},
        {"POST /messages", "Content-Length: 5000\r\n", 413},
        {"POST /messages", "Content-Length: 50\r\n", 401},
        {"POST /messages", "Authorization: Bearer bad\r\nContent-Length: 50\r\n", 401},
        {"OPTIONS /nothing", "Expect: x\r\n", 404},
        {"OPTIONS /messages", "Expect: x\r\n", 417},
        {"GET *", "", 400},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(admit(&cors_all, cases[i].line, cases[i].fields), cases[i].status);
    }
}

static void a_head_in_doubt_ends_the_connection(void **state)
{
    (void)state;
    assert_int_equal(admit(&cors_all, "GET /health", "Host: b\r\n"), 400);
    assert_true(must_close);
    assert_int_equal(exchange->response.error, ERROR_HOST_MALFORMED);
    assert_int_equal(admit(&cors_all, "POST /create", "Transfer-Encoding: gzip, chunked\r\n"), 501);
    assert_true(must_close);
    assert_int_equal(admit(&cors_all, "POST /create", "Transfer-Encoding: gzip\r\n"), 400);
    assert_true(must_close);
}

static void a_refused_request_is_read_away_when_it_can_be(void **state)
{
    static const struct {
        const char *line;
        const char *fields;
        int status;
        bool must_close;
    } cases[] = {
        {"GET /nothing", "", 404, false},
        {"POST /nothing", "Content-Length: 1000\r\n", 404, false},
        {"POST /nothing", "Transfer-Encoding: chunked\r\n", 404, false},
        {"POST /nothing", "Content-Length: 1001\r\n", 404, true},
        {"POST /nothing", "Content-Length: 5\r\nExpect: 100-continue\r\n", 404, true},
        {"POST /nothing", "Expect: 100-continue\r\n", 404, false},
        {"POST /messages", "Content-Length: 5\r\nExpect: 100-continue\r\n", 401, true},
        {"POST /messages", "Content-Length: 5\r\n", 401, false},
        {"POST /create", "Content-Length: 1001\r\n", 413, true},
        {"POST /create", "Content-Length: 18446744073709551615\r\n", 413, true},
        {"POST /create", "Content-Length: 5\r\nExpect: x\r\n", 417, true},
        {"POST /create", "Expect: x\r\n", 417, false},
        {"POST /health", "Content-Length: 5\r\n", 405, false},
        {"OPTIONS /health", "Content-Length: 5\r\n", 204, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(admit(&cors_all, cases[i].line, cases[i].fields), cases[i].status);
        assert_int_equal(must_close, cases[i].must_close);
    }
}

static void a_wrong_method_is_told_the_right_ones(void **state)
{
    (void)state;
    assert_int_equal(admit(&cors_all, "DELETE /messages", ""), 405);
    assert_true(answer_has("Allow: GET, HEAD, POST, OPTIONS\r\n"));
    assert_int_equal(exchange->response.error, ERROR_METHOD_NOT_ALLOWED);
    assert_false(answer_has("Access-Control"));
}

static void a_missing_token_is_asked_for(void **state)
{
    (void)state;
    assert_int_equal(admit(&cors_all, "GET /messages", ""), 401);
    assert_int_equal(exchange->response.error, ERROR_TOKEN_MISSING);
    assert_true(answer_has("WWW-Authenticate: Bearer\r\n"));
    assert_int_equal(admit(&cors_all, "GET /messages", "Authorization: Bearer x\r\n"), 401);
    assert_int_equal(exchange->response.error, ERROR_TOKEN_INVALID);
}

static void options_answers_allow(void **state)
{
    (void)state;
    assert_int_equal(admit(&cors_all, "OPTIONS /messages", ""), 204);
    assert_true(answer_has("Allow: GET, HEAD, POST, OPTIONS\r\n"));
    assert_false(answer_has("Access-Control"));
    assert_int_equal(admit(&cors_all, "OPTIONS *", ""), 204);
    assert_true(answer_has("Allow: GET, HEAD, POST, OPTIONS\r\n"));
    assert_int_equal(admit(&cors_all, "OPTIONS /nothing", ""), 404);
    assert_int_equal(exchange->response.error, ERROR_ROUTE_NOT_FOUND);
}

static void a_preflight_is_told_what_is_allowed(void **state)
{
    const char *preflight = "Origin: https://a.example\r\nAccess-Control-Request-Method: POST\r\n";
    const char *foreign = "Origin: https://b.example\r\nAccess-Control-Request-Method: POST\r\n";

    (void)state;
    assert_int_equal(admit(&cors_all, "OPTIONS /messages", preflight), 204);
    assert_true(answer_has("Access-Control-Allow-Methods: GET, HEAD, POST, OPTIONS\r\n"));
    assert_true(answer_has("Access-Control-Allow-Headers: Authorization, Content-Type, "
                           "Idempotency-Key, If-None-Match, Last-Event-ID, X-Request-Id\r\n"));
    assert_true(answer_has("Access-Control-Max-Age: "));
    assert_false(answer_has("Credentials"));
    assert_int_equal(admit(&cors_one, "OPTIONS /messages", preflight), 204);
    assert_true(answer_has("Access-Control-Allow-Methods: "));
    assert_int_equal(admit(&cors_one, "OPTIONS /messages", foreign), 204);
    assert_false(answer_has("Access-Control"));
    assert_int_equal(admit(&cors_all, "OPTIONS /messages", "Origin: https://a.example\r\n"), 204);
    assert_false(answer_has("Access-Control"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_request_is_admitted_with_its_route),
        cmocka_unit_test(an_address_that_asks_too_often_is_refused_before_its_body),
        cmocka_unit_test(judgements_come_in_the_contracts_order),
        cmocka_unit_test(a_head_in_doubt_ends_the_connection),
        cmocka_unit_test(a_refused_request_is_read_away_when_it_can_be),
        cmocka_unit_test(a_wrong_method_is_told_the_right_ones),
        cmocka_unit_test(a_missing_token_is_asked_for),
        cmocka_unit_test(options_answers_allow),
        cmocka_unit_test(a_preflight_is_told_what_is_allowed),
    };

    return cmocka_run_group_tests(tests, exchange_setup, exchange_teardown);
}
