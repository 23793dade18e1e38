/* error_test.c - the error list holds what clients and logs rely on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/error.h"

static void every_row_has_a_code_a_status_and_a_text(void **state)
{
    (void)state;
    for (int i = OK + 1; i < ERROR_COUNT; i++) {
        enum error error = (enum error)i;
        const char *code = error_code(error);
        assert_true(strlen(code) > 0);
        assert_int_equal(strspn(code, "abcdefghijklmnopqrstuvwxyz_"), strlen(code));
        assert_in_range(error_status(error), 400, 599);
        assert_true(strlen(error_text(error)) > 0);
        assert_true(error_text(error)[strlen(error_text(error)) - 1] != '.');
    }
}

static void no_two_errors_share_a_code(void **state)
{
    (void)state;
    for (int i = 0; i < ERROR_COUNT; i++) {
        for (int j = i + 1; j < ERROR_COUNT; j++) {
            assert_string_not_equal(error_code((enum error)i), error_code((enum error)j));
        }
    }
}

static void ok_is_200(void **state)
{
    (void)state;
    assert_string_equal(error_code(OK), "ok");
    assert_int_equal(error_status(OK), 200);
    assert_int_equal(error_status(ERROR_RECIPIENT_NOT_FOUND), 404);
    assert_string_equal(error_code(ERROR_RECIPIENT_NOT_FOUND), "recipient_not_found");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_has_a_code_a_status_and_a_text),
        cmocka_unit_test(no_two_errors_share_a_code),
        cmocka_unit_test(ok_is_200),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
