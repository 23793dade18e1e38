/* What json_check takes and refuses: the cases that parsers are known to differ in (RFC 8259 and
 * the places of it that it leaves open), each a text and its verdict. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/json_check.h"
#include "base/buf.h"

#define TEXT(literal) {literal, sizeof(literal) - 1}

static const struct str taken[] = {
    /* values and the space around them */
    TEXT("null"),
    TEXT("true"),
    TEXT("false"),
    TEXT("0"),
    TEXT("\"\""),
    TEXT("[]"),
    TEXT("{}"),
    TEXT(" \t\r\n{} \t\r\n"),
    TEXT("[ ]"),
    TEXT("{ }"),
    TEXT("[null, 1, \"1\", {}]"),
    TEXT("[1\n]"),
    TEXT("[1 ,2]"),
    TEXT("{\"a\" : 1 , \"b\" : 2}"),
    TEXT("[[]   ]"),
    TEXT("[\"\"]"),
    TEXT("[[],[[]]]"),
    TEXT("{\"\":0}"),
    TEXT("{\"a\":{\"a\":{\"a\":1}}}"),
    TEXT("{\"min\": -1.0e+28, \"max\": 1.0e+28}"),
    /* numbers */
    TEXT("-0"),
    TEXT("[-0]"),
    TEXT("[-1]"),
    TEXT("[-123]"),
    TEXT("[123]"),
    TEXT("[20e1]"),
    TEXT("[0e+1]"),
    TEXT("[0e1]"),
    TEXT("[1E22]"),
    TEXT("[1E-2]"),
    TEXT("[1E+2]"),
    TEXT("[123e45]"),
    TEXT("[123.456e78]"),
    TEXT("[1e-2]"),
    TEXT("[1e+2]"),
    TEXT("[123.456789]"),
    TEXT("[1e999]"),
    TEXT("[-1e+9999]"),
    TEXT("[123123e-10000000]"),
    TEXT("[0.000000000001]"),
    TEXT("[100000000000000000000]"),
    TEXT("[9007199254740993]"),
    /* strings */
    TEXT("\"\\u0060\\u012a\\u12AB\""),
    TEXT("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""),
    TEXT("\"\\\\a\""),
    TEXT("\"\\\\u0000\""),
    TEXT("\"\\\"\""),
    TEXT("\"a/*b*/c/*d//e\""),
    TEXT("\"\\u0012\""),
    TEXT("\"\\uFFFF\""),
    TEXT("\"\xef\xbf\xbf\""),
    TEXT("\"\xf4\x8f\xbf\xbf\""),
    TEXT("\"\\uD801\\udc37\""),
    TEXT("\"\\ud83d\\ude39\\ud83d\\udc8d\""),
    TEXT("\"\\uDBFF\\uDFFF\""),
    TEXT("\"\x7f\""),
    TEXT("\"\xe2\x80\xa8\xe2\x80\xa9\""),
    TEXT("\"\xcf\x80\""),
    TEXT("\"\xf0\x9f\x98\x80\""),
    TEXT("\"new\xc2\xa0line\""),
    TEXT("\"\\uA66D\""),
    TEXT("\"\\u0001\""),
    TEXT("\"\\u200B\""),
    TEXT("\"\\uFDD0\""),
    TEXT("\" \""),
    /* names */
    TEXT("{\"a\":1,\"A\":2}"),
    TEXT("{\"a\":1,\"\\u0062\":2}"),
    TEXT("{\"\":1,\" \":2}"),
    TEXT("[{\"a\":1},{\"a\":1}]"),
    TEXT("{\"a\":{\"b\":1},\"b\":{\"a\":1}}"),
    TEXT("{\"a\":1,\"aa\":2}"),
    TEXT("{\"a\\n\":1,\"a\\\\n\":2}"),
};

static const struct str refused[] = {
    /* nothing, not everything, too much */
    TEXT(""),
    TEXT(" "),
    TEXT("  \r\n "),
    TEXT("{}{}"),
    TEXT("{} {}"),
    TEXT("{}x"),
    TEXT("{}#"),
    TEXT("{}\0"),
    TEXT("\0"),
    TEXT("[1]]"),
    TEXT("1 2"),
    TEXT("\"a\"b"),
    TEXT("[][]"),
    TEXT("{\"a\":\"b\"}/**/"),
    TEXT("{\"a\":\"b\"}//"),
    TEXT("/* */{}"),
    TEXT("\xef\xbb\xbf{}"),
    TEXT("\xef\xbb"),
    TEXT("\xe5"),
    TEXT("{\0\"\0a\0\"\0:\0"
         "1\0}\0"),
    TEXT("\x0c{}"),
    TEXT("[\x0c]"),
    TEXT("[\xc2\xa0]"),
    TEXT("[\xe2\x81\xa0]"),
    TEXT("[\v1]"),
    /* words */
    TEXT("nul"),
    TEXT("nulll"),
    TEXT("tru"),
    TEXT("truee"),
    TEXT("fals"),
    TEXT("True"),
    TEXT("TRUE"),
    TEXT("NaN"),
    TEXT("Infinity"),
    TEXT("-Infinity"),
    TEXT("undefined"),
    TEXT("a"),
    TEXT("[nulll]"),
    TEXT("*"),
    TEXT("<null>"),
    /* arrays */
    TEXT("["),
    TEXT("]"),
    TEXT("[,]"),
    TEXT("[1,]"),
    TEXT("[,1]"),
    TEXT("[1,,2]"),
    TEXT("[1"),
    TEXT("[1 true]"),
    TEXT("[1:2]"),
    TEXT("[\"\":1]"),
    TEXT("[3[4]]"),
    TEXT("[1,\n1\n,1"),
    TEXT("[\"a\"\n,4\n,1,"),
    TEXT("[x"),
    TEXT("[(1)]"),
    TEXT("[}"),
    TEXT("{]"),
    /* objects */
    TEXT("{"),
    TEXT("}"),
    TEXT("{,}"),
    TEXT("{\"a\"}"),
    TEXT("{\"a\":}"),
    TEXT("{\"a\":1,}"),
    TEXT("{\"a\":1,,\"b\":2}"),
    TEXT("{\"a\" \"b\"}"),
    TEXT("{\"a\"::1}"),
    TEXT("{\"a\",1}"),
    TEXT("{a:1}"),
    TEXT("{'a':1}"),
    TEXT("{1:1}"),
    TEXT("{null:1}"),
    TEXT("{[]:1}"),
    TEXT("{\"a\":\"a"),
    TEXT("{\"a\":1 \"b\":2}"),
    TEXT("{\"a\":\"b\",/*x*/\"c\":1}"),
    TEXT("{\"a\":/*x*/1}"),
    TEXT("{\"a\":1"),
    TEXT("{\"a\""),
    TEXT("{\"a"),
    TEXT("{\"\xf0\x9f\x87\xa8\xf0\x9f\x87\":1}"),
    /* numbers */
    TEXT("[01]"),
    TEXT("[00]"),
    TEXT("[-01]"),
    TEXT("[-012]"),
    TEXT("[1.]"),
    TEXT("[-1.]"),
    TEXT("[.1]"),
    TEXT("[-.1]"),
    TEXT("[+1]"),
    TEXT("[++1]"),
    TEXT("[-]"),
    TEXT("[--1]"),
    TEXT("[1e]"),
    TEXT("[1e+]"),
    TEXT("[1e-]"),
    TEXT("[1.e1]"),
    TEXT("[1e1.0]"),
    TEXT("[0e]"),
    TEXT("[0.e1]"),
    TEXT("[0.3e+]"),
    TEXT("[1eE2]"),
    TEXT("[0x1]"),
    TEXT("[0x42]"),
    TEXT("[1_000]"),
    TEXT("[1 000.0]"),
    TEXT("[1a]"),
    TEXT("[1.2a-3]"),
    TEXT("[- 1]"),
    TEXT("[0e+-1]"),
    TEXT("[-foo]"),
    TEXT("[\xef\xbc\x91]"),
    TEXT("[1+2]"),
    TEXT("-"),
    TEXT("[1e1\xe5]"),
    TEXT("1f"),
    /* strings */
    TEXT("\""),
    TEXT("\"a"),
    TEXT("'a'"),
    TEXT("\"a\nb\""),
    TEXT("\"a\tb\""),
    TEXT("\"a\0b\""),
    TEXT("\"\x1f\""),
    TEXT("\"\\a\""),
    TEXT("\"\\x00\""),
    TEXT("\"\\0\""),
    TEXT("\"\\\""),
    TEXT("\"\\"),
    TEXT("\"\\u"),
    TEXT("\"\\u\""),
    TEXT("\"\\u0\""),
    TEXT("\"\\u00\""),
    TEXT("\"\\u00A\""),
    TEXT("\"\\u00G0\""),
    TEXT("\"\\U0041\""),
    TEXT("\"\\u 041\""),
    TEXT("\"\\u+041\""),
    TEXT("\"\\\t\""),
    TEXT("\"\\\xe5\""),
    TEXT("\"\\\xf0\x9f\x8c\x80\""),
    TEXT("\"\\u0000\""),
    TEXT("\"a\\u0000b\""),
    TEXT("{\"\\u0000\":1}"),
    /* surrogates */
    TEXT("\"\\ud800\""),
    TEXT("\"\\udc00\""),
    TEXT("\"\\uD800\\n\""),
    TEXT("\"\\uD800\\u\""),
    TEXT("\"\\uD800\\u1\""),
    TEXT("\"\\uD800\\u1x\""),
    TEXT("\"\\uD800\\uD800\""),
    TEXT("\"\\ud800a\""),
    TEXT("\"\\uDd1e\\uD834\""),
    TEXT("\"\\ud834\\u0041\""),
    TEXT("\"\\ud83d\\\""),
    TEXT("{\"\\ud800\":1}"),
    /* UTF-8 */
    TEXT("\"\xff\""),
    TEXT("\"\xc0\x80\""),
    TEXT("\"\xc0\xaf\""),
    TEXT("\"\xed\xa0\x80\""),
    TEXT("\"\xed\xb0\x80\""),
    TEXT("\"\xf4\x90\x80\x80\""),
    TEXT("\"\xf8\x88\x80\x80\x80\""),
    TEXT("\"\xe0\x80\xaf\""),
    TEXT("\"\xf0\x80\x80\xaf\""),
    TEXT("\"\x80\""),
    TEXT("\"\xe2\x82\""),
    TEXT("\"\xe2\""),
    TEXT("\"\xc3"),
    TEXT("{\"\xff\":1}"),
    TEXT("[\xff]"),
    /* the same name twice */
    TEXT("{\"a\":1,\"a\":1}"),
    TEXT("{\"a\":1,\"b\":2,\"a\":3}"),
    TEXT("{\"a\":1,\"\\u0061\":2}"),
    TEXT("{\"\":1,\"\":2}"),
    TEXT("{\"\\/\":1,\"/\":2}"),
    TEXT("{\"\\n\":1,\"\\u000A\":2}"),
    TEXT("{\"\xf0\x9f\x98\x80\":1,\"\\ud83d\\uDE00\":2}"),
    TEXT("[{\"a\":[{\"b\":1,\"b\":1}]}]"),
    TEXT("{\"\\u00e9\":1,\"\xc3\xa9\":2}"),
    TEXT("{\"a\":{\"x\":1,\"y\":2},\"b\":1,\"a\":1}"),
    TEXT("{\"\\\"\":1,\"\\u0022\":1}"),
    TEXT("{\"\\\\\":1,\"\\u005c\":1}"),
};

/* A copy without a byte behind it, so that a sanitizer sees every read past the end. */
static enum error check_exactly(struct str text)
{
    char *copy = malloc(text.len > 0 ? text.len : 1);

    assert_non_null(copy);
    if (text.len > 0) {
        memcpy(copy, text.ptr, text.len);
    }
    enum error error = json_check((struct str){copy, text.len});
    free(copy);
    return error;
}

static void json_is_taken(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++) {
        if (check_exactly(taken[i]) != OK) {
            fail_msg("refused: %.*s", STR_ARGS(taken[i]));
        }
    }
}

static void everything_else_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        if (check_exactly(refused[i]) != ERROR_JSON_MALFORMED) {
            fail_msg("taken: %.*s", STR_ARGS(refused[i]));
        }
    }
}

static void a_text_that_is_cut_anywhere_is_refused(void **state)
{
    const struct str whole = STR("{\"a\":[1.5e+3,\"\\ud83d\\ude00 \xf0\x9f\x98\x80\",null,true,"
                                 "false,{\"b\\n\":[]}],\"c\":\"\\u0041\"}");

    (void)state;
    assert_int_equal(check_exactly(whole), OK);
    for (size_t len = 0; len < whole.len; len++) {
        assert_int_equal(check_exactly((struct str){whole.ptr, len}), ERROR_JSON_MALFORMED);
    }
}

static enum error check_nested(unsigned depth, const char *open, const char *inner,
                               const char *close)
{
    struct buf text;

    buf_init(&text, 1u << 20);
    for (unsigned i = 0; i < depth; i++) {
        buf_append_str(&text, str_from(open));
    }
    buf_append_str(&text, str_from(inner));
    for (unsigned i = 0; i < depth; i++) {
        buf_append_str(&text, str_from(close));
    }
    enum error error = check_exactly(buf_str(&text));
    buf_release(&text);
    return error;
}

static void depth_is_limited(void **state)
{
    (void)state;
    assert_int_equal(check_nested(JSON_DEPTH_MAX, "[", "", "]"), OK);
    assert_int_equal(check_nested(JSON_DEPTH_MAX + 1, "[", "", "]"), ERROR_JSON_MALFORMED);
    assert_int_equal(check_nested(JSON_DEPTH_MAX, "{\"a\":", "1", "}"), OK);
    assert_int_equal(check_nested(JSON_DEPTH_MAX + 1, "{\"a\":", "1", "}"), ERROR_JSON_MALFORMED);
    assert_int_equal(check_nested(100000, "[", "", ""), ERROR_JSON_MALFORMED);
    assert_int_equal(check_nested(50000, "[{\"\":", "", ""), ERROR_JSON_MALFORMED);
}

static void depth_counts_what_is_open_only(void **state)
{
    struct buf text;

    (void)state;
    buf_init(&text, 1u << 20);
    buf_append_str(&text, STR("[0"));
    for (unsigned i = 0; i < 4 * JSON_DEPTH_MAX; i++) {
        buf_append_str(&text, STR(",[[]],{\"a\":{}}"));
    }
    buf_append_char(&text, ']');
    assert_int_equal(check_exactly(buf_str(&text)), OK);
    buf_release(&text);
}

static enum error check_members(unsigned count, unsigned doubled)
{
    struct buf text;

    buf_init(&text, 1u << 20);
    for (unsigned i = 0; i < count; i++) {
        buf_append_format(&text, "%c\"name %u\":{\"a\":1}", i == 0 ? '{' : ',',
                          i + 1 == count ? doubled : i);
    }
    buf_append_char(&text, '}');
    enum error error = check_exactly(buf_str(&text));
    buf_release(&text);
    return error;
}

static void members_of_an_object_are_limited_and_compared(void **state)
{
    (void)state;
    assert_int_equal(check_members(JSON_MEMBERS_MAX, JSON_MEMBERS_MAX), OK);
    assert_int_equal(check_members(JSON_MEMBERS_MAX + 1, JSON_MEMBERS_MAX + 1),
                     ERROR_JSON_MALFORMED);
    for (unsigned doubled = 0; doubled < JSON_MEMBERS_MAX - 1; doubled++) {
        assert_int_equal(check_members(JSON_MEMBERS_MAX, doubled), ERROR_JSON_MALFORMED);
    }
}

static void values_and_digits_are_limited(void **state)
{
    char digits[JSON_NUMBER_MAX_BYTES + 2];
    struct buf text;

    (void)state;
    memset(digits, '1', sizeof digits);
    assert_int_equal(check_exactly((struct str){digits, JSON_NUMBER_MAX_BYTES}), OK);
    assert_int_equal(check_exactly((struct str){digits, JSON_NUMBER_MAX_BYTES + 1}),
                     ERROR_JSON_MALFORMED);

    buf_init(&text, 1u << 20);
    buf_append_char(&text, '[');
    for (unsigned i = 1; i < JSON_VALUES_MAX; i++) {
        buf_append_str(&text, i == 1 ? STR("1") : STR(",1"));
    }
    buf_append_char(&text, ']');
    assert_int_equal(check_exactly(buf_str(&text)), OK);
    buf_truncate(&text, text.len - 1);
    buf_append_str(&text, STR(",1]"));
    assert_int_equal(check_exactly(buf_str(&text)), ERROR_JSON_MALFORMED);
    buf_release(&text);
}

/* Whatever is changed in one byte, the check says yes or no and reads nothing behind the end. */
static void any_changed_byte_is_judged(void **state)
{
    const struct str whole = STR("{\"a\":[-1.5e+3,\"\\ud83d\\ude00\xc3\xa9\"],\"\\u0062\":{}}");
    char changed[128];

    (void)state;
    assert_true(whole.len <= sizeof changed);
    for (size_t at = 0; at < whole.len; at++) {
        for (unsigned byte = 0; byte < 256; byte++) {
            memcpy(changed, whole.ptr, whole.len);
            changed[at] = (char)byte;
            enum error error = check_exactly((struct str){changed, whole.len});
            assert_true(error == OK || error == ERROR_JSON_MALFORMED);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_is_taken),
        cmocka_unit_test(everything_else_is_refused),
        cmocka_unit_test(a_text_that_is_cut_anywhere_is_refused),
        cmocka_unit_test(depth_is_limited),
        cmocka_unit_test(depth_counts_what_is_open_only),
        cmocka_unit_test(members_of_an_object_are_limited_and_compared),
        cmocka_unit_test(values_and_digits_are_limited),
        cmocka_unit_test(any_changed_byte_is_judged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
