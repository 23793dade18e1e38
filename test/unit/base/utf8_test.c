/* utf8_test.c - every code point both ways, every kind of malformed sequence, the two classes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/utf8.h"

static void every_code_point_but_surrogates_survives_encoding(void **state)
{
    (void)state;
    for (uint32_t code_point = 0; code_point <= 0x10ffff; code_point++) {
        char bytes[4];
        size_t len = utf8_encode(code_point, bytes);
        struct str rest = {bytes, len};
        uint32_t read = 0;
        bool is_surrogate = code_point >= 0xd800 && code_point <= 0xdfff;
        assert_true(utf8_next(&rest, &read) == !is_surrogate);
        assert_true(is_surrogate || (read == code_point && rest.len == 0));
        /* A cut sequence is never a character. */
        struct str cut = {bytes, len - 1};
        assert_false(utf8_next(&cut, &read));
    }
}

static void malformed_sequences_are_refused(void **state)
{
    static const char *const wrong[] = {
        "\x80", /* a continuation byte alone */
        "\xbf",
        "\xc0\x80", /* overlong */
        "\xc0\xaf",
        "\xc1\xbf",
        "\xe0\x80\x80",
        "\xe0\x9f\xbf",
        "\xf0\x80\x80\x80",
        "\xf0\x8f\xbf\xbf",
        "\xed\xa0\x80", /* surrogates */
        "\xed\xbf\xbf",
        "\xf4\x90\x80\x80", /* above U+10FFFF */
        "\xf5\x80\x80\x80",
        "\xff",
        "\xfe",
        "\xc3", /* cut */
        "\xe2\x82",
        "\xf0\x9f\x98",
        "\xc3(", /* not continued */
        "\xe2(\xac",
        "\xe2\x82(",
        "\xf0\x9f\x98(",
    };

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct str rest = str_from(wrong[i]);
        uint32_t code_point = 77;
        assert_false(utf8_next(&rest, &code_point));
        assert_ptr_equal(rest.ptr, wrong[i]);
        assert_int_equal(code_point, 77);
        assert_false(utf8_is_valid(str_from(wrong[i])));
    }
    assert_false(utf8_is_valid(STR("good, then \xff")));
}

static void lengths_count_code_points(void **state)
{
    (void)state;
    assert_int_equal(utf8_length(STR("")), 0);
    assert_int_equal(utf8_length(STR("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80")), 4);
    assert_true(utf8_is_valid(STR("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\0")));
    assert_int_equal(utf8_length(STR("e\xcc\x81")), 2);
}

/* Python's tables are of the Unicode version it was built with; from 14.0 to 16.0 the only change
 * to Cc and Cf is U+13439-U+1343F, added by 15.0. */
static void the_classes_agree_with_pythons_unicodedata(void **state)
{
    static const char program[] =
        "import unicodedata as u\n"
        "space = {9,10,11,12,13,32,133,160,5760,8232,8233,8239,8287,12288,*range(8192,8203)}\n"
        "assert space == {c for c in range(0x110000) if u.category(chr(c)) in "
        "(\"Zs\",\"Zl\",\"Zp\")"
        " or 9 <= c <= 13 or c == 133}\n"
        "for c in range(0x110000):\n"
        "    f = u.category(chr(c)) in (\"Cc\",\"Cf\") or 0x13439 <= c <= 0x1343f\n"
        "    if f or c in space: print(c, int(f), int(c in space))\n";
    unsigned next = 0, code_point, is_format, is_space;
    unsigned formats = 0, spaces = 0;
    int ends[2], status;

    (void)state;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        execl("/usr/bin/python3", "python3", "-c", program, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    FILE *rows = fdopen(ends[0], "r");
    assert_non_null(rows);
    while (fscanf(rows, "%u %u %u", &code_point, &is_format, &is_space) == 3) {
        for (; next < code_point; next++) {
            assert_false(unicode_is_control_or_format(next));
            assert_false(unicode_is_white_space(next));
        }
        if (unicode_is_control_or_format(next) != (is_format == 1) ||
            unicode_is_white_space(next) != (is_space == 1)) {
            fail_msg("U+%04X is in the wrong class", next);
        }
        formats += is_format;
        spaces += is_space;
        next++;
    }
    fclose(rows);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    for (; next <= 0x10ffff; next++) {
        assert_false(unicode_is_control_or_format(next));
        assert_false(unicode_is_white_space(next));
    }
    assert_int_equal(formats, 235); /* 65 Cc, 170 Cf */
    assert_int_equal(spaces, 25);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_point_but_surrogates_survives_encoding),
        cmocka_unit_test(malformed_sequences_are_refused),
        cmocka_unit_test(lengths_count_code_points),
        cmocka_unit_test(the_classes_agree_with_pythons_unicodedata),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
