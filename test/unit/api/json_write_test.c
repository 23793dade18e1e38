/* The writer's commas, and what it escapes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "api/json_check.h"
#include "api/json_write.h"

static void assert_written(const struct buf *out, const char *expected)
{
    if (!str_equal(buf_str(out), str_from(expected))) {
        fail_msg("%.*s instead of %s", STR_ARGS(buf_str(out)), expected);
    }
}

static void commas_stand_between_values_only(void **state)
{
    struct json_writer writer;
    struct buf out;

    (void)state;
    buf_init(&out, 1024);
    json_writer_init(&writer, &out);
    json_open(&writer, '{');
    json_name(&writer, "a");
    json_open(&writer, '[');
    json_close(&writer, ']');
    json_name(&writer, "b");
    json_open(&writer, '[');
    json_int(&writer, -1);
    json_text(&writer, STR("x"));
    json_bool(&writer, false);
    json_null(&writer);
    json_open(&writer, '{');
    json_close(&writer, '}');
    json_close(&writer, ']');
    json_name(&writer, "t");
    json_time(&writer, 1762171200123);
    json_close(&writer, '}');
    assert_written(&out, "{\"a\":[],\"b\":[-1,\"x\",false,null,{}],"
                         "\"t\":\"2025-11-03T12:00:00.123Z\"}");
    buf_release(&out);
}

static void every_byte_below_space_is_escaped(void **state)
{
    static const char expected[] = "\\u0000\\u0001\\u0002\\u0003\\u0004\\u0005\\u0006\\u0007\\b"
                                   "\\t\\n\\u000B\\f\\r\\u000E\\u000F\\u0010\\u0011\\u0012\\u0013"
                                   "\\u0014\\u0015\\u0016\\u0017\\u0018\\u0019\\u001A\\u001B"
                                   "\\u001C\\u001D\\u001E\\u001F ";
    char raw[33];
    struct arena arena;

    (void)state;
    arena_init(&arena);
    for (unsigned i = 0; i < sizeof raw; i++) {
        raw[i] = (char)i;
    }
    struct str escaped = json_escaped((struct str){raw, sizeof raw}, &arena);
    assert_true(str_equal(escaped, str_from(expected)));
    arena_release(&arena);
}

static void quotes_and_backslashes_are_escaped_and_nothing_else_is(void **state)
{
    struct str plain = STR("/'<>&\x7f\xc3\xa9\xe2\x80\xa8\xf0\x9f\x98\x80");
    struct arena arena;

    (void)state;
    arena_init(&arena);
    assert_ptr_equal(json_escaped(plain, &arena).ptr, plain.ptr);
    assert_true(str_equal(json_escaped(STR("a\"b\\c"), &arena), STR("a\\\"b\\\\c")));
    arena_release(&arena);
}

static void what_is_written_can_be_read(void **state)
{
    char raw[128];
    struct json_writer writer;
    struct buf out;

    (void)state;
    for (unsigned i = 0; i < sizeof raw; i++) {
        raw[i] = (char)(i == 0 ? 1 : i);
    }
    buf_init(&out, 4096);
    json_writer_init(&writer, &out);
    json_text(&writer, (struct str){raw, sizeof raw});
    assert_int_equal(json_check(buf_str(&out)), OK);
    buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commas_stand_between_values_only),
        cmocka_unit_test(every_byte_below_space_is_escaped),
        cmocka_unit_test(quotes_and_backslashes_are_escaped_and_nothing_else_is),
        cmocka_unit_test(what_is_written_can_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
