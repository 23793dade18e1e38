/* name_test.c - which names are allowed, whom a name means, and whether one is free. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "domain/name.h"
#include "support/domain_fixture.h"

#define FOUR_CHARACTERS "\xc3\xab\xf0\x9f\x98\x80zZ"
#define SIXTEEN_CHARACTERS FOUR_CHARACTERS FOUR_CHARACTERS FOUR_CHARACTERS FOUR_CHARACTERS
#define SIXTY_FOUR_CHARACTERS                                                                      \
    SIXTEEN_CHARACTERS SIXTEEN_CHARACTERS SIXTEEN_CHARACTERS SIXTEEN_CHARACTERS

static void ordinary_names_are_allowed(void **state)
{
    static const char *const names[] = {
        "a",           "Alice",        "two words",
        "Zo\xc3\xab",  "\xe2\x98\x83", SIXTY_FOUR_CHARACTERS,
        "a.b-c_d@e:f", "100",          "deleted-",
        "deleted-12x", "undeleted-5",  "deleted",
        "deleted--5",  "deleted 5",    "it's \"me\" <3",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (name_check(str_from(names[i])) != OK) {
            fail_msg("refused: %s", names[i]);
        }
    }
}

static void names_beyond_the_rules_are_refused(void **state)
{
    static const struct str names[] = {
        {"a/b", 3},
        {"a\\b", 3},
        {"a?b", 3},
        {"#ab", 3},
        {"ab%", 3},
        {"a&b", 3},
        {"a+b", 3},
        {" ab", 3},
        {"ab ", 3},
        {" ", 1},
        {"ab\xc2\xa0", 4}, /* no-break space */
        {"\xe3\x80\x80"
         "ab",
         5}, /* ideographic space */
        {"a\tb", 3},
        {"a\0b", 3},
        {"\x7f", 1},
        {"a\xc2\x85", 3},     /* next line, a control */
        {"a\xe2\x80\x8b", 4}, /* zero width space, a format character */
        {"a\xe2\x80\xae"
         "b",
         5}, /* right-to-left override */
        {"a\xff", 2},
        {"a\xc3", 2},
        {"\xc0\xaf", 2},
        {"a\xed\xa0\x80", 4}, /* a surrogate */
        {"deleted-1", 9},
        {"DELETED-0", 9},
        {"Deleted-123456789012345678901", 29},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (name_check(names[i]) != ERROR_USERNAME_NOT_ALLOWED) {
            fail_msg("allowed: case %zu, %.*s", i, STR_ARGS(names[i]));
        }
    }
    assert_int_equal(name_check(str_from(SIXTY_FOUR_CHARACTERS "x")), ERROR_USERNAME_NOT_ALLOWED);
    assert_int_equal(name_check(STR("")), ERROR_USERNAME_EMPTY);
    assert_int_equal(name_check((struct str){NULL, 0}), ERROR_USERNAME_EMPTY);
}

static void folding_lowers_ascii_letters_only(void **state)
{
    struct arena arena;

    (void)state;
    arena_init(&arena);
    assert_str_equal(name_fold(STR("Al\xc3\x89"
                                   "Z[09"),
                               &arena),
                     "al\xc3\x89"
                     "z[09");
    assert_int_equal(name_fold(STR(""), &arena).len, 0);
    arena_release(&arena);
}

static void a_name_means_its_account_in_any_case(void **state)
{
    struct domain_fixture f;

    (void)state;
    domain_fixture_init(&f);
    int64_t alice = fixture_account(&f, "Alice");
    assert_int_equal(fixture_resolve(&f, "Alice", false), alice);
    assert_int_equal(fixture_resolve(&f, "aLICE", false), alice);
    assert_int_equal(fixture_resolve(&f, "Alic", false), 0);
    assert_int_equal(fixture_resolve(&f, "", false), 0);
    domain_fixture_release(&f);
}

static void adopted_names_that_differ_in_case_are_told_apart(void **state)
{
    struct domain_fixture f;

    (void)state;
    domain_fixture_init(&f);
    fixture_name(&f, "bob", 7, NAME_CURRENT, 0);
    fixture_name(&f, "Bob", 8, NAME_CURRENT, 0);
    assert_int_equal(fixture_resolve(&f, "bob", false), 7);
    assert_int_equal(fixture_resolve(&f, "Bob", false), 8);
    assert_int_equal(fixture_resolve(&f, "BOB", false), 0);
    domain_fixture_release(&f);
}

static void a_held_name_is_free_for_its_owner_whatever_twins_it_has(void **state)
{
    struct domain_fixture f;

    (void)state;
    domain_fixture_init(&f);
    fixture_name(&f, "bob", 7, NAME_HELD, f.now_ms + 1);
    fixture_name(&f, "Bob", 8, NAME_CURRENT, 0);
    assert_int_equal(name_check_free(f.store, STR("bob"), 7, f.now_ms, &f.arena), OK);
    assert_int_equal(name_check_free(f.store, STR("bOb"), 7, f.now_ms, &f.arena),
                     ERROR_USERNAME_TAKEN);
    assert_int_equal(name_check_free(f.store, STR("bob"), 8, f.now_ms, &f.arena),
                     ERROR_USERNAME_TAKEN);
    assert_int_equal(name_check_free(f.store, STR("bob"), 0, f.now_ms, &f.arena),
                     ERROR_USERNAME_TAKEN);
    domain_fixture_release(&f);
}

static void a_held_name_means_nobody(void **state)
{
    struct domain_fixture f;

    (void)state;
    domain_fixture_init(&f);
    fixture_name(&f, "bob", 7, NAME_HELD, f.now_ms + 1);
    assert_int_equal(fixture_resolve(&f, "bob", false), 0);
    assert_int_equal(fixture_resolve(&f, "bob", true), 0);
    assert_int_equal(fixture_resolve(&f, "BOB", true), 0);

    /* An adopted neighbour does not inherit it, but is still found by its own spelling. */
    fixture_name(&f, "Bob", 8, NAME_CURRENT, 0);
    assert_int_equal(fixture_resolve(&f, "bob", false), 0);
    assert_int_equal(fixture_resolve(&f, "Bob", false), 8);
    assert_int_equal(fixture_resolve(&f, "BOB", false), 8);
    domain_fixture_release(&f);
}

static void a_deleted_name_is_found_only_when_asked_for(void **state)
{
    struct domain_fixture f;

    (void)state;
    domain_fixture_init(&f);
    fixture_name(&f, "deleted-7", 7, NAME_DELETED, 0);
    assert_int_equal(fixture_resolve(&f, "deleted-7", false), 0);
    assert_int_equal(fixture_resolve(&f, "deleted-7", true), 7);
    assert_int_equal(fixture_resolve(&f, "Deleted-7", true), 7);
    assert_int_equal(fixture_resolve(&f, "Deleted-7", false), 0);

    fixture_name(&f, "Deleted-7", 8, NAME_CURRENT, 0);
    assert_int_equal(fixture_resolve(&f, "deleted-7", false), 0);
    assert_int_equal(fixture_resolve(&f, "deleted-7", true), 7);
    assert_int_equal(fixture_resolve(&f, "Deleted-7", false), 8);
    assert_int_equal(fixture_resolve(&f, "DELETED-7", true), 8);
    domain_fixture_release(&f);
}

static enum error check_free(struct domain_fixture *f, const char *name, int64_t account_id)
{
    return name_check_free(f->store, str_from(name), account_id, f->now_ms, &f->arena);
}

static void a_name_is_free_unless_another_has_holds_or_had_it(void **state)
{
    struct domain_fixture f;

    (void)state;
    domain_fixture_init(&f);
    fixture_name(&f, "current", 7, NAME_CURRENT, 0);
    fixture_name(&f, "held", 7, NAME_HELD, f.now_ms + 1);
    fixture_name(&f, "ended", 7, NAME_HELD, f.now_ms);
    fixture_name(&f, "gone", 7, NAME_DELETED, 0);

    assert_int_equal(check_free(&f, "other", 0), OK);
    assert_int_equal(check_free(&f, "Current", 0), ERROR_USERNAME_TAKEN);
    assert_int_equal(check_free(&f, "HELD", 0), ERROR_USERNAME_TAKEN);
    assert_int_equal(check_free(&f, "Ended", 0), OK);
    assert_int_equal(check_free(&f, "Gone", 8), ERROR_USERNAME_TAKEN);
    assert_int_equal(check_free(&f, "held", 8), ERROR_USERNAME_TAKEN);
    assert_int_equal(check_free(&f, "CURRENT", 7), OK);
    assert_int_equal(check_free(&f, "Held", 7), OK);
    domain_fixture_release(&f);
}

static void only_holds_that_ended_are_released(void **state)
{
    struct domain_fixture f;

    (void)state;
    domain_fixture_init(&f);
    fixture_name(&f, "bob", 7, NAME_HELD, f.now_ms);
    fixture_name(&f, "Bob", 7, NAME_HELD, f.now_ms + 1);
    fixture_name(&f, "BOB", 7, NAME_CURRENT, 0);
    fixture_name(&f, "carl", 7, NAME_HELD, f.now_ms);
    assert_int_equal(name_release_expired(f.store, STR("boB"), f.now_ms, &f.arena), OK);
    assert_int_equal(fixture_name_count(&f, 7), 3);
    assert_int_equal(fixture_name_row(&f, 7, "bob").state, 0);
    assert_int_equal(fixture_name_row(&f, 7, "Bob").state, NAME_HELD);
    assert_int_equal(fixture_name_row(&f, 7, "BOB").state, NAME_CURRENT);
    assert_int_equal(fixture_name_row(&f, 7, "carl").state, NAME_HELD);
    domain_fixture_release(&f);
}

static enum error step_resolve(struct domain_fixture *f)
{
    int64_t account_id = -1;
    enum error error = name_resolve(f->store, STR("alice"), true, &f->arena, &account_id);

    assert_int_equal(account_id, error == OK ? 1 : -1);
    return error;
}

static enum error step_check_free(struct domain_fixture *f)
{
    return check_free(f, "nobody", 0);
}

static enum error step_release(struct domain_fixture *f)
{
    return name_release_expired(f->store, STR("bob"), f->now_ms, &f->arena);
}

static void every_store_failure_is_told_and_leaves_nothing(void **state)
{
    struct domain_fixture f;

    (void)state;
    domain_fixture_init(&f);
    (void)fixture_account(&f, "alice");
    fixture_name(&f, "bob", 7, NAME_HELD, f.now_ms);
    assert_int_equal(fixture_fail_each_call(&f, step_resolve), 1);
    assert_int_equal(fixture_fail_each_call(&f, step_check_free), 1);
    assert_int_equal(fixture_fail_each_call(&f, step_release), 2);
    domain_fixture_release(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ordinary_names_are_allowed),
        cmocka_unit_test(names_beyond_the_rules_are_refused),
        cmocka_unit_test(folding_lowers_ascii_letters_only),
        cmocka_unit_test(a_name_means_its_account_in_any_case),
        cmocka_unit_test(adopted_names_that_differ_in_case_are_told_apart),
        cmocka_unit_test(a_held_name_is_free_for_its_owner_whatever_twins_it_has),
        cmocka_unit_test(a_held_name_means_nobody),
        cmocka_unit_test(a_deleted_name_is_found_only_when_asked_for),
        cmocka_unit_test(a_name_is_free_unless_another_has_holds_or_had_it),
        cmocka_unit_test(only_holds_that_ended_are_released),
        cmocka_unit_test(every_store_failure_is_told_and_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
