/* Numbers of every length, and texts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/put.h"

static void check_decimal(int64_t number)
{
    char expected[PUT_INT_MAX_BYTES + 1];
    char text[PUT_INT_MAX_BYTES];
    int len = snprintf(expected, sizeof expected, "%" PRId64, number);

    assert_int_equal(put_int(text, number) - text, len);
    assert_memory_equal(text, expected, (size_t)len);
}

static void numbers_of_every_length_are_written(void **state)
{
    (void)state;
    check_decimal(INT64_MAX);
    check_decimal(INT64_MIN);
    for (int64_t power = 1; power <= INT64_MAX / 10; power *= 10) {
        for (int64_t more = -1; more <= 1; more++) {
            check_decimal(power + more);
            check_decimal(-power - more);
            check_decimal(power * 10 - 1);
        }
    }
}

static void the_largest_number_without_a_sign_is_written(void **state)
{
    char text[PUT_INT_MAX_BYTES];

    (void)state;
    assert_int_equal(put_uint(text, UINT64_MAX) - text, 20);
    assert_memory_equal(text, "18446744073709551615", 20);
}

static void pieces_follow_one_another(void **state)
{
    char text[16];
    char *at = text;

    (void)state;
    at = put_str(at, STR("a:"));
    at = put_str(at, (struct str){NULL, 0});
    at = put_int(at, 70);
    at = put_str(at, STR("."));
    assert_int_equal(at - text, 5);
    assert_memory_equal(text, "a:70.", 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_of_every_length_are_written),
        cmocka_unit_test(the_largest_number_without_a_sign_is_written),
        cmocka_unit_test(pieces_follow_one_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
