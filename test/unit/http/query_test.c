/* query_test.c - parameters and segments, decoded. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "http/request.h"

static struct arena arena;

/* The parameter `with_user` of this query; "(none)" when absent, the code of the error. */
static const char *with_user(const char *query)
{
    struct request request;
    struct str value;
    bool found = false;

    request_init(&request);
    if (query != NULL) {
        request.query = str_from(query);
    }
    enum error error = request_judge_query(&request, &arena);
    if (error == OK) {
        error = request_parameter(&request, STR("with_user"), &arena, &found, &value);
    }
    request_release(&request);
    if (error != OK) {
        return error_code(error);
    }
    /* Decoded text ends in a NUL that does not count. */
    return found ? arena_copy(&arena, value).ptr : "(none)";
}

static void a_parameter_is_form_decoded(void **state)
{
    (void)state;
    assert_string_equal(with_user("with_user=bob"), "bob");
    assert_string_equal(with_user("limit=5&with_user=bob&x"), "bob");
    assert_string_equal(with_user("with_user=a+b%20c%2Bd"), "a b c+d");
    assert_string_equal(with_user("with%5Fuser=%C3%A9%c3%a9"), "\xc3\xa9\xc3\xa9");
    assert_string_equal(with_user("with_user=a=b=c"), "a=b=c");
    assert_string_equal(with_user("with_user=[a]{b}|^`"), "[a]{b}|^`");
    assert_string_equal(with_user("with_user="), "");
    assert_string_equal(with_user("with_user"), "");
    assert_string_equal(with_user("&&with_user=x&&"), "x");
}

static void an_absent_parameter_is_not_found(void **state)
{
    (void)state;
    assert_string_equal(with_user(NULL), "(none)");
    assert_string_equal(with_user(""), "(none)");
    assert_string_equal(with_user("with_use=x&with_users=y&WITH_USER=z"), "(none)");
}

static void a_query_broken_anywhere_is_refused(void **state)
{
    (void)state;
    assert_string_equal(with_user("with_user=%"), "query_malformed");
    assert_string_equal(with_user("with_user=%4"), "query_malformed");
    assert_string_equal(with_user("with_user=%zz"), "query_malformed");
    assert_string_equal(with_user("with_user=%4&a=1"), "query_malformed");
    assert_string_equal(with_user("with_user=a%00b"), "query_malformed");
    assert_string_equal(with_user("with_user=%FF"), "query_malformed");
    assert_string_equal(with_user("with_user=%C0%AF"), "query_malformed");
    assert_string_equal(with_user("with_user=%ED%A0%80"), "query_malformed");
    assert_string_equal(with_user("with_user=x&other=%zz"), "query_malformed");
    assert_string_equal(with_user("%zz=1&with_user=x"), "query_malformed");
}

static void a_name_may_stand_once(void **state)
{
    (void)state;
    assert_string_equal(with_user("with_user=a&with_user=a"), "parameter_doubled");
    assert_string_equal(with_user("with_user=a&with%5Fuser=b"), "parameter_doubled");
    assert_string_equal(with_user("x=1&with_user=a&x=1"), "parameter_doubled");
}

static void parameters_are_counted(void **state)
{
    struct buf query;

    (void)state;
    buf_init(&query, 4096);
    for (unsigned i = 0; i < QUERY_PARAMETERS_MAX; i++) {
        buf_append_format(&query, "p%u=1&", i);
    }
    buf_append_char(&query, '\0');
    assert_string_equal(with_user(query.ptr), "(none)");
    buf_truncate(&query, query.len - 1);
    buf_append(&query, "with_user=a", sizeof "with_user=a");
    assert_string_equal(with_user(query.ptr), "query_malformed");
    buf_release(&query);
}

static void a_segment_is_percent_decoded_and_plus_stays(void **state)
{
    struct str text;

    (void)state;
    assert_int_equal(percent_decode_segment(STR("a+b%20c%2F"), &arena, &text), OK);
    assert_int_equal(text.len, 6);
    assert_memory_equal(text.ptr, "a+b c/", 7);
    assert_int_equal(percent_decode_segment(STR("a%0"), &arena, &text), ERROR_TARGET_MALFORMED);
    assert_int_equal(percent_decode_segment(STR("%00"), &arena, &text), ERROR_TARGET_MALFORMED);
    assert_int_equal(percent_decode_segment(STR("%E9"), &arena, &text), ERROR_TARGET_MALFORMED);
}

static int arena_teardown(void **state)
{
    (void)state;
    arena_release(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_parameter_is_form_decoded),
        cmocka_unit_test(an_absent_parameter_is_not_found),
        cmocka_unit_test(a_query_broken_anywhere_is_refused),
        cmocka_unit_test(a_name_may_stand_once),
        cmocka_unit_test(parameters_are_counted),
        cmocka_unit_test(a_segment_is_percent_decoded_and_plus_stays),
    };

    arena_init(&arena);
    return cmocka_run_group_tests(tests, NULL, arena_teardown);
}
