/* renamed_test.c - the text of a renaming: made, taken apart, and joined with a later one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "domain/renamed.h"

#define assert_same(actual, expected) assert_true(str_equal((actual), STR(expected)))

static void names_are_escaped_and_found_again(void **state)
{
    struct arena arena;
    struct str from;
    struct str to;

    (void)state;
    arena_init(&arena);
    struct str text = renamed_text(STR("a\",\"b\\"), STR("]\""), &arena);

    assert_same(text, "[\"a\\\",\\\"b\\\\\",\"]\\\"\"]");
    renamed_text_split(text, &from, &to);
    assert_same(from, "\"a\\\",\\\"b\\\\\"");
    assert_same(to, "\"]\\\"\"");
    arena_release(&arena);
}

static void a_later_name_is_told_from_the_first(void **state)
{
    struct arena arena;

    (void)state;
    arena_init(&arena);
    struct str first = renamed_text(STR("\"a\""), STR("b"), &arena);

    assert_same(renamed_text_since(first, STR("c\\"), &arena), "[\"\\\"a\\\"\",\"c\\\\\"]");
    assert_same(renamed_text_since(first, STR("b"), &arena), "[\"\\\"a\\\"\",\"b\"]");
    assert_null(renamed_text_since(first, STR("\"a\""), &arena).ptr);
    arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_escaped_and_found_again),
        cmocka_unit_test(a_later_name_is_told_from_the_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
