/* Members of a body: forms, absence, numbers, and many threads at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "api/json.h"
#include "base/buf.h"

#define THREADS 4
#define ROUNDS 500

static struct arena arena;

static int set_up(void **state)
{
    (void)state;
    arena_init(&arena);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_release(&arena);
    return 0;
}

static enum error read_one(const char *body, struct json_member *member)
{
    return json_read(str_from(body), member, 1, &arena);
}

static void texts_are_read_unescaped(void **state)
{
    struct json_member members[] = {{.name = "a", .form = JSON_TEXT},
                                    {.name = "b", .form = JSON_TEXT}};

    (void)state;
    assert_int_equal(
        json_read(STR("{\"b\":\"\\u00e9\\ud83d\\ude00\\n\",\"\\u0061\":\"\"}"), members, 2, &arena),
        OK);
    assert_true(str_equal(members[0].text, STR("")));
    assert_true(str_equal(members[1].text, STR("\xc3\xa9\xf0\x9f\x98\x80\n")));
}

static void names_differ_by_case(void **state)
{
    struct json_member member = {.name = "name", .form = JSON_TEXT};

    (void)state;
    assert_int_equal(read_one("{\"Name\":\"x\"}", &member), ERROR_BODY_SHAPE);
    assert_int_equal(read_one("{\"Name\":\"x\",\"name\":\"y\"}", &member), OK);
    assert_true(str_equal(member.text, STR("y")));
}

static void other_members_are_ignored(void **state)
{
    struct json_member member = {.name = "a", .form = JSON_TEXT};

    (void)state;
    assert_int_equal(read_one("{\"x\":[1,{}],\"a\":\"1\",\"y\":null,\"z\":1e999}", &member), OK);
}

static void what_is_no_object_has_the_wrong_shape(void **state)
{
    static const char *const bodies[] = {"[]", "null", "1", "\"a\"", "true", "[{\"a\":\"1\"}]"};
    struct json_member member = {.name = "a", .form = JSON_TEXT, .is_optional = true};

    (void)state;
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        assert_int_equal(read_one(bodies[i], &member), ERROR_BODY_SHAPE);
    }
    assert_int_equal(read_one("{", &member), ERROR_JSON_MALFORMED);
}

static void wrong_forms_have_the_wrong_shape(void **state)
{
    static const char *const texts[] = {"1", "true", "null", "[]", "{}", "[\"a\"]"};
    static const char *const numbers[] = {"\"1\"", "true", "null", "[]", "{}", "1.5", "-0.1"};
    static const char *const lists[] = {"1",   "true",         "null",      "{}",    "\"",
                                        "[1]", "[\"a\",null]", "[[\"a\"]]", "\"a\"", "[\"a\",{}]"};
    char body[64];

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct json_member member = {.name = "a", .form = JSON_TEXT};
        snprintf(body, sizeof body, "{\"a\":%s}", texts[i]);
        assert_int_equal(read_one(body, &member), ERROR_BODY_SHAPE);
    }
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        struct json_member member = {.name = "a", .form = JSON_INTEGER};
        snprintf(body, sizeof body, "{\"a\":%s}", numbers[i]);
        assert_int_equal(read_one(body, &member), ERROR_BODY_SHAPE);
    }
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        struct json_member member = {.name = "a", .form = JSON_TEXT_LIST};
        snprintf(body, sizeof body, "{\"a\":%s}", lists[i]);
        assert_int_not_equal(read_one(body, &member), OK);
    }
}

static void an_optional_member_may_be_absent_or_null_but_not_of_another_form(void **state)
{
    struct json_member member = {.name = "a", .form = JSON_TEXT, .is_optional = true};

    (void)state;
    member.is_present = true;
    assert_int_equal(read_one("{}", &member), OK);
    assert_false(member.is_present);
    member.is_present = true;
    assert_int_equal(read_one("{\"a\":null}", &member), OK);
    assert_false(member.is_present);
    assert_int_equal(read_one("{\"a\":\"\"}", &member), OK);
    assert_true(member.is_present);
    assert_int_equal(read_one("{\"a\":1}", &member), ERROR_BODY_SHAPE);
}

static void integers_are_exact_or_zero(void **state)
{
    static const struct {
        const char *body;
        int64_t integer;
    } cases[] = {
        {"{\"a\":1}", 1},
        {"{\"a\":1.0}", 1},
        {"{\"a\":1e3}", 1000},
        {"{\"a\":9007199254740991}", 9007199254740991},
        {"{\"a\":0}", 0},
        {"{\"a\":-1}", 0},
        {"{\"a\":9007199254740992}", 0},
        {"{\"a\":9007199254740993}", 0},
        {"{\"a\":-9007199254740993}", 0},
        {"{\"a\":18446744073709551617}", 0},
        {"{\"a\":1e999}", 0},
        {"{\"a\":-1e999}", 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct json_member member = {.name = "a", .form = JSON_INTEGER};

        assert_int_equal(read_one(cases[i].body, &member), OK);
        assert_true(member.integer == cases[i].integer);
    }
}

static void an_object_within_is_read_with_its_lists(void **state)
{
    struct json_member inner[] = {{.name = "key", .form = JSON_TEXT},
                                  {.name = "more", .form = JSON_TEXT_LIST}};
    struct json_member outer = {
        .name = "bundle", .form = JSON_OBJECT, .members = inner, .member_count = 2};

    (void)state;
    assert_int_equal(read_one("{\"bundle\":{\"key\":\"k\",\"more\":[\"a\",\"\",\"c\"]}}", &outer),
                     OK);
    assert_true(str_equal(inner[0].text, STR("k")));
    assert_int_equal(inner[1].text_count, 3);
    assert_true(str_equal(inner[1].texts[2], STR("c")));
    assert_int_equal(read_one("{\"bundle\":{\"key\":\"k\",\"more\":[]}}", &outer), OK);
    assert_int_equal(inner[1].text_count, 0);
    assert_int_equal(read_one("{\"bundle\":{\"key\":\"k\"}}", &outer), ERROR_BODY_SHAPE);
    assert_int_equal(read_one("{\"bundle\":[]}", &outer), ERROR_BODY_SHAPE);
    assert_int_equal(read_one("{\"key\":\"k\",\"more\":[]}", &outer), ERROR_BODY_SHAPE);
}

static void *read_many(void *failures)
{
    struct arena own;

    arena_init(&own);
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct json_member member = {.name = "a", .form = JSON_TEXT};
        bool is_good = i % 2 == 0;
        struct str body = is_good ? STR("{\"a\":\"text\"}") : STR("{\"a\":\"text\"");
        enum error error = json_read(body, &member, 1, &own);

        if (error != (is_good ? OK : ERROR_JSON_MALFORMED) || strlen(json_library_version()) == 0) {
            (*(unsigned *)failures)++;
        }
        arena_clear(&own);
    }
    arena_release(&own);
    return NULL;
}

static void threads_read_at_once(void **state)
{
    pthread_t threads[THREADS];
    unsigned failures[THREADS] = {0};

    (void)state;
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, read_many, &failures[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(failures[i], 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_read_unescaped),
        cmocka_unit_test(names_differ_by_case),
        cmocka_unit_test(other_members_are_ignored),
        cmocka_unit_test(what_is_no_object_has_the_wrong_shape),
        cmocka_unit_test(wrong_forms_have_the_wrong_shape),
        cmocka_unit_test(an_optional_member_may_be_absent_or_null_but_not_of_another_form),
        cmocka_unit_test(integers_are_exact_or_zero),
        cmocka_unit_test(an_object_within_is_read_with_its_lists),
        cmocka_unit_test(threads_read_at_once),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
