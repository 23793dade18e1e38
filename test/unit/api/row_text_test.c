/* Numbers of every length, and texts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>

#include "api/row_text.h"

static void check_decimal(int64_t number)
{
    char expected[ROW_DECIMAL_MAX_BYTES + 1];
    char text[ROW_DECIMAL_MAX_BYTES];
    int len = snprintf(expected, sizeof expected, "%" PRId64, number);

    assert_int_equal(row_decimal(text, number) - text, len);
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

static void pieces_follow_one_another(void **state)
{
    char text[16];
    char *at = text;

    (void)state;
    at = row_text(at, STR("a:"));
    at = row_text(at, (struct str){NULL, 0});
    at = row_decimal(at, 70);
    at = row_text(at, STR("."));
    assert_int_equal(at - text, 5);
    assert_memory_equal(text, "a:70.", 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_of_every_length_are_written),
        cmocka_unit_test(pieces_follow_one_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
