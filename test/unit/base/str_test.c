/* str_test.c - views: comparing, cutting, trimming, reading numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/str.h"

static void equality_looks_at_every_byte(void **state)
{
    (void)state;
    assert_true(str_equal(STR("abc"), str_from("abc")));
    assert_false(str_equal(STR("abc"), STR("abd")));
    assert_false(str_equal(STR("abc"), STR("ab")));
    assert_true(str_equal(STR(""), (struct str){NULL, 0}));
    assert_true(str_equal(STR("a\0b"), STR("a\0b")));
    assert_false(str_equal(STR("a\0b"), STR("a\0c")));
}

static void ascii_case_is_only_that_of_ascii_letters(void **state)
{
    (void)state;
    assert_true(str_equal_ascii_case(STR("Content-TYPE"), STR("content-type")));
    assert_false(str_equal_ascii_case(STR("["), STR("{")));
    assert_false(str_equal_ascii_case(STR("@"), STR("`")));
    assert_false(str_equal_ascii_case(STR("\xc3\x84"), STR("\xc3\xa4")));
    assert_false(str_equal_ascii_case(STR("a"), STR("ab")));
}

static void a_prefix_is_found_only_at_the_front(void **state)
{
    (void)state;
    assert_true(str_starts_with(STR("deleted-7"), STR("deleted-")));
    assert_true(str_starts_with(STR("x"), STR("")));
    assert_false(str_starts_with(STR("delete"), STR("deleted-")));
    assert_false(str_starts_with(STR("xab"), STR("ab")));
}

static void trimming_takes_spaces_and_tabs_only(void **state)
{
    (void)state;
    assert_true(str_equal(str_trim(STR(" \t a b\t ")), STR("a b")));
    assert_true(str_equal(str_trim(STR("\r\nx\v")), STR("\r\nx\v")));
    assert_int_equal(str_trim(STR(" \t ")).len, 0);
    assert_int_equal(str_trim(STR("")).len, 0);
}

static void cutting_walks_through_all_parts(void **state)
{
    struct str rest = STR("a,,b");

    (void)state;
    assert_true(str_equal(str_cut(&rest, ','), STR("a")));
    assert_true(str_equal(str_cut(&rest, ','), STR("")));
    assert_non_null(rest.ptr);
    assert_true(str_equal(str_cut(&rest, ','), STR("b")));
    assert_null(rest.ptr);
    assert_int_equal(rest.len, 0);
}

static void a_separator_at_the_end_leaves_an_empty_rest(void **state)
{
    struct str rest = STR("a,");

    (void)state;
    assert_true(str_equal(str_cut(&rest, ','), STR("a")));
    assert_non_null(rest.ptr);
    assert_int_equal(rest.len, 0);
    assert_int_equal(str_cut(&rest, ',').len, 0);
    assert_null(rest.ptr);
}

static void numbers_are_digits_within_the_maximum(void **state)
{
    uint64_t value = 77;

    (void)state;
    assert_true(str_to_uint(STR("0"), UINT64_MAX, &value));
    assert_int_equal(value, 0);
    assert_true(str_to_uint(STR("0042"), 42, &value));
    assert_int_equal(value, 42);
    assert_true(str_to_uint(STR("9999999999999999999"), UINT64_MAX, &value));
    assert_true(value == 9999999999999999999u);
}

static void what_is_no_number_leaves_the_result_alone(void **state)
{
    static const char *const wrong[] = {"",   "-1",  "+1",  " 1", "1 ",
                                        "1a", "0x1", "1.0", "43", "00000000000000000001"};
    uint64_t value = 77;

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_false(str_to_uint(str_from(wrong[i]), 42, &value));
    }
    assert_false(str_to_uint(STR("1\0"), 42, &value));
    assert_int_equal(value, 77);
}

static void a_folder_is_what_stands_before_the_last_slash(void **state)
{
    static const char *const cases[][2] = {
        {"a.db", "."},
        {":memory:", "."},
        {"", "."},
        {"/a.db", "/"},
        {"/", "/"},
        {"/data/a.db", "/data"},
        {"./data/a.db", "./data"},
        {"data/", "data"},
        {"a//b", "a/"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_true(str_equal(path_folder(str_from(cases[i][0])), str_from(cases[i][1])));
    }
}

static void lower_case_maps_ascii_letters_only(void **state)
{
    (void)state;
    for (int c = -128; c < 128; c++) {
        char lower = ascii_lower((char)c);
        assert_int_equal(lower, c >= 'A' && c <= 'Z' ? c + 32 : c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equality_looks_at_every_byte),
        cmocka_unit_test(ascii_case_is_only_that_of_ascii_letters),
        cmocka_unit_test(a_prefix_is_found_only_at_the_front),
        cmocka_unit_test(trimming_takes_spaces_and_tabs_only),
        cmocka_unit_test(cutting_walks_through_all_parts),
        cmocka_unit_test(a_separator_at_the_end_leaves_an_empty_rest),
        cmocka_unit_test(numbers_are_digits_within_the_maximum),
        cmocka_unit_test(what_is_no_number_leaves_the_result_alone),
        cmocka_unit_test(a_folder_is_what_stands_before_the_last_slash),
        cmocka_unit_test(lower_case_maps_ascii_letters_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
