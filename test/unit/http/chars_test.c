/* chars_test.c - the table against the lists of the grammars. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "http/chars.h"

#define ALPHANUMERIC "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
#define UNRESERVED ALPHANUMERIC "-._~"
#define SUB_DELIMS_WITHOUT_COMMA "!$&'()*+;="
#define LEFT_RAW_BY_BROWSERS "[]^`{|}"

static void check_class(enum char_class wanted, const char *members)
{
    assert_false(char_is('\0', wanted));
    for (int byte = 1; byte <= UINT8_MAX; byte++) {
        bool is_member = strchr(members, byte) != NULL;
        if (char_is((char)byte, wanted) != is_member) {
            fail_msg("class %u, byte 0x%02x", (unsigned)wanted, (unsigned)byte);
        }
    }
}

static void each_class_has_exactly_its_characters(void **state)
{
    char visible[128] = "";

    (void)state;
    for (char c = 0x21; c < 0x7f; c++) {
        visible[c - 0x21] = c;
    }
    check_class(CHAR_VISIBLE, visible);
    check_class(CHAR_TOKEN, ALPHANUMERIC "!#$%&'*+-.^_`|~");
    check_class(CHAR_ALPHANUMERIC, ALPHANUMERIC);
    check_class(CHAR_HOST, UNRESERVED SUB_DELIMS_WITHOUT_COMMA);
    check_class(CHAR_PATH, UNRESERVED SUB_DELIMS_WITHOUT_COMMA ",:@/" LEFT_RAW_BY_BROWSERS);
    check_class(CHAR_QUERY, UNRESERVED SUB_DELIMS_WITHOUT_COMMA ",:@/?" LEFT_RAW_BY_BROWSERS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_class_has_exactly_its_characters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
