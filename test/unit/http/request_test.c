/* request_test.c - fields, methods and tokens. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>

#include "request_made.h"

static enum error token_of(const char *authorization, char out[TOKEN_LEN + 1])
{
    struct request request;
    struct str token;
    char head[256];

    request_init(&request);
    snprintf(head, sizeof head, "GET / HTTP/1.1\r\n%s%s%s\r\n",
             authorization != NULL ? "Authorization: " : "",
             authorization != NULL ? authorization : "", authorization != NULL ? "\r\n" : "");
    request_make(&request, head);
    enum error error = request_token(&request, &token);
    if (error == OK) {
        memcpy(out, token.ptr, TOKEN_LEN);
        out[TOKEN_LEN] = '\0';
    }
    request_release(&request);
    return error;
}

static void a_field_is_found_in_any_case_and_the_first_of_several(void **state)
{
    struct request request;
    struct str value;

    (void)state;
    request_init(&request);
    request_make(&request, "GET / HTTP/1.1\r\nX-A: 1\r\nx-a: 2\r\nX-B:\r\n\r\n");
    assert_true(request_field_find(&request, STR("x-A"), &value));
    assert_str(value, "1");
    assert_int_equal(request_field_count(&request, STR("X-a")), 2);
    assert_true(request_field_find(&request, STR("X-B"), &value));
    assert_str(value, "");
    assert_false(request_field_find(&request, STR("X-C"), &value));
    assert_int_equal(request_field_count(&request, STR("X")), 0);
    request_clear(&request);
    assert_false(request_field_find(&request, STR("X-A"), &value));
    request_release(&request);
}

static void methods_are_known_by_their_exact_name(void **state)
{
    (void)state;
    for (enum method method = METHOD_GET; method < METHOD_COUNT; method++) {
        assert_int_equal(method_from(method_name(method)), method);
    }
    assert_int_equal(method_from(STR("get")), METHOD_UNKNOWN);
    assert_int_equal(method_from(STR("UNKNOWN")), METHOD_UNKNOWN);
    assert_int_equal(method_from(STR("")), METHOD_UNKNOWN);
}

static void a_bearer_token_is_32_letters_and_digits(void **state)
{
    char token[TOKEN_LEN + 1];

    (void)state;
    assert_int_equal(token_of("Bearer abcdefghijABCDEFGHIJ0123456789xy", token), OK);
    assert_string_equal(token, "abcdefghijABCDEFGHIJ0123456789xy");
    assert_int_equal(token_of("bEARER   abcdefghijABCDEFGHIJ0123456789xy \t", token), OK);
    assert_int_equal(token_of(NULL, token), ERROR_TOKEN_MISSING);
    assert_int_equal(token_of("Basic YTpi", token), ERROR_TOKEN_MISSING);
    assert_int_equal(token_of("Bearerabcdefghij", token), ERROR_TOKEN_MISSING);
    assert_int_equal(token_of("", token), ERROR_TOKEN_MISSING);
    assert_int_equal(token_of("Bearer", token), ERROR_TOKEN_INVALID);
    assert_int_equal(token_of("Bearer ", token), ERROR_TOKEN_INVALID);
    assert_int_equal(token_of("Bearer abcdefghijABCDEFGHIJ0123456789x", token),
                     ERROR_TOKEN_INVALID);
    assert_int_equal(token_of("Bearer abcdefghijABCDEFGHIJ0123456789xyz", token),
                     ERROR_TOKEN_INVALID);
    assert_int_equal(token_of("Bearer abcdefghijABCDEFGHIJ0123456789x-", token),
                     ERROR_TOKEN_INVALID);
    assert_int_equal(token_of("Bearer abcdefghijABCDEFGHIJ0123456789xy, Bearer x", token),
                     ERROR_TOKEN_INVALID);
}

static void a_cleared_request_gives_back_large_buffers(void **state)
{
    struct request request;
    char head[9000] = "GET / HTTP/1.1\r\nX-A: ";
    size_t at = strlen(head);

    (void)state;
    memset(head + at, 'a', 8000);
    memcpy(head + at + 8000, "\r\n\r\n", 5);
    request_init(&request);
    request_make(&request, head);
    request_clear(&request);
    assert_int_equal(request.head.capacity, 0);
    request_make(&request, "GET /b HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_str(request_target(&request), "/b");
    request_clear(&request);
    assert_true(request.head.capacity > 0);
    request_release(&request);
}

static void room_for_fields_is_made_in_two_steps(void **state)
{
    struct request request;

    (void)state;
    request_init(&request);
    assert_int_equal(request.fields_capacity, 0);
    assert_true(request_fields_grow(&request));
    assert_int_equal(request.fields_capacity, REQUEST_FIELDS_FIRST);
    request.fields[REQUEST_FIELDS_FIRST - 1].name_at = 7;
    assert_true(request_fields_grow(&request));
    assert_int_equal(request.fields_capacity, REQUEST_FIELDS_MAX);
    assert_int_equal(request.fields[REQUEST_FIELDS_FIRST - 1].name_at, 7);
    request.fields[REQUEST_FIELDS_MAX - 1].name_at = 8;
    assert_false(request_fields_grow(&request));
    assert_int_equal(request.fields_capacity, REQUEST_FIELDS_MAX);
    request_release(&request);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_field_is_found_in_any_case_and_the_first_of_several),
        cmocka_unit_test(methods_are_known_by_their_exact_name),
        cmocka_unit_test(a_bearer_token_is_32_letters_and_digits),
        cmocka_unit_test(a_cleared_request_gives_back_large_buffers),
        cmocka_unit_test(room_for_fields_is_made_in_two_steps),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
