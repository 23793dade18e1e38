/* json_text_test.c - escaping for JSON: what is escaped and how, and that nothing else is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/json_text.h"

static void expect(struct str raw, const char *escaped)
{
    struct buf out;

    buf_init(&out, 4096);
    json_escape(raw, &out);
    assert_int_equal(out.len, strlen(escaped));
    if (out.len > 0) {
        assert_memory_equal(out.ptr, escaped, out.len);
    }
    buf_release(&out);
}

static void plain_text_stays_as_it_is(void **state)
{
    (void)state;
    expect(STR(""), "");
    expect((struct str){NULL, 0}, "");
    expect(STR("hello / world"), "hello / world");
    expect(STR("Zo\xc3\xab \xf0\x9f\x98\x80 \xe2\x80\xa8 \x7f"),
           "Zo\xc3\xab \xf0\x9f\x98\x80 \xe2\x80\xa8 \x7f");
}

static void quote_backslash_and_known_controls_have_short_forms(void **state)
{
    (void)state;
    expect(STR("\""), "\\\"");
    expect(STR("\\"), "\\\\");
    expect(STR("\b\f\n\r\t"), "\\b\\f\\n\\r\\t");
    expect(STR("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
}

static void the_other_bytes_below_a_space_become_their_number(void **state)
{
    (void)state;
    for (int byte = 0; byte < 0x20; byte++) {
        char raw = (char)byte;
        char escaped[8];

        if (strchr("\b\f\n\r\t", byte) != NULL && byte != 0) {
            continue;
        }
        (void)snprintf(escaped, sizeof(escaped), "\\u%04X", (unsigned)byte);
        expect((struct str){&raw, 1}, escaped);
    }
}

/* It is looked at eight bytes at a time: each byte at each place, among others that are plain. */
static void where_a_plain_stretch_ends_is_the_first_byte_that_is_not(void **state)
{
    static const char fillers[] = {'a', ' ', '!', '#', '[', ']', 0x7f};
    char text[24];

    (void)state;
    for (unsigned byte = 0; byte < 256; byte++) {
        bool is_plain = byte >= 0x20 && byte != '"' && byte != '\\';

        for (size_t place = 0; place < sizeof text; place++) {
            memset(text, fillers[(byte + place) % sizeof fillers], sizeof text);
            text[place] = (char)byte;
            struct str raw = {text, sizeof text};

            assert_int_equal(json_plain_len(raw), is_plain ? sizeof text : place);
            assert_int_equal(json_ascii_len(raw), is_plain && byte < 0x80 ? sizeof text : place);
            raw.len = place;
            assert_int_equal(json_plain_len(raw), place);
            assert_int_equal(json_ascii_len(raw), place);
        }
    }
}

static void a_text_that_does_not_fit_overflows(void **state)
{
    struct buf out;

    (void)state;
    buf_init(&out, 5);
    json_escape(STR("abc\x01"), &out);
    assert_true(out.overflowed);
    buf_release(&out);
}

/* ---- and back --------------------------------------------------------------------------------*/

static bool unescape(const char *escaped, struct buf *out)
{
    buf_init(out, 4096);
    return json_unescape(str_from(escaped), out);
}

static void every_byte_comes_back(void **state)
{
    char raw[512];
    struct buf escaped;
    struct buf out;

    (void)state;
    for (size_t i = 0; i < sizeof raw; i++) {
        raw[i] = (char)(i % 256);
    }
    buf_init(&escaped, 4096);
    json_escape((struct str){raw, sizeof raw}, &escaped);
    buf_init(&out, sizeof raw);
    assert_true(json_unescape(buf_str(&escaped), &out));
    assert_int_equal(out.len, sizeof raw);
    assert_memory_equal(out.ptr, raw, sizeof raw);
    buf_release(&escaped);
    buf_release(&out);
}

static void nothing_is_nothing(void **state)
{
    struct buf out;

    (void)state;
    assert_true(unescape("", &out));
    assert_int_equal(out.len, 0);
    assert_true(json_unescape((struct str){NULL, 0}, &out));
    assert_int_equal(out.len, 0);
    buf_release(&out);
}

static void escapes_of_others_are_refused(void **state)
{
    static const char *const texts[] = {
        "\\",     "a\\x",    "\\/",       "\\u",     "\\u0",           "\\u00",
        "\\u001", "\\u00g0", "\\u0041\\", "\\u1234", "\\uD83D\\uDE00", "\\u001f",
    };
    struct buf out;

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (unescape(texts[i], &out)) {
            fail_msg("%s", texts[i]);
        }
        buf_release(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_text_stays_as_it_is),
        cmocka_unit_test(quote_backslash_and_known_controls_have_short_forms),
        cmocka_unit_test(the_other_bytes_below_a_space_become_their_number),
        cmocka_unit_test(where_a_plain_stretch_ends_is_the_first_byte_that_is_not),
        cmocka_unit_test(a_text_that_does_not_fit_overflows),
        cmocka_unit_test(every_byte_comes_back),
        cmocka_unit_test(nothing_is_nothing),
        cmocka_unit_test(escapes_of_others_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
