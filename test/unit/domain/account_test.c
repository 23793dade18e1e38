/* account_test.c - creating, renaming with the old name held, passwords. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "domain/account.h"
#include "domain/name.h"
#include "domain/session.h"
#include "support/domain_fixture.h"

static enum error rename_to(struct domain_fixture *f, int64_t account_id, const char *name)
{
    return account_rename(f->store, account_id, str_from(name), f->now_ms, &f->arena);
}

static enum error create(struct domain_fixture *f, const char *name,
                         struct session_issued *out_issued)
{
    return account_create(f->store, str_from(name), STR("hash"), f->now_ms, &f->arena, out_issued);
}

static struct account account_of(struct domain_fixture *f, int64_t account_id)
{
    struct account account = {0};
    bool is_found;

    assert_int_equal(store_account_find(f->store, account_id, &f->arena, &is_found, &account), OK);
    assert_true(is_found);
    return account;
}

static int64_t names_counted(struct domain_fixture *f)
{
    struct store_moment moment;

    assert_int_equal(store_moment_find(f->store, 1, &moment), OK);
    return moment.names;
}

/* ---- creating -------------------------------------------------------------------------------- */

static void a_new_account_has_a_name_and_a_session(void **state)
{
    struct domain_fixture f;
    struct session_issued issued;
    struct session session;

    (void)state;
    domain_fixture_init(&f);
    assert_int_equal(create(&f, "Alice", &issued), OK);
    struct account account = account_of(&f, issued.account_id);
    assert_str_equal(account.name, "Alice");
    assert_str_equal(account.password_hash, "hash");
    assert_int_equal(account.created_at_ms, f.now_ms);
    assert_str_equal(issued.username, "Alice");
    assert_int_equal(issued.token.len, SESSION_TOKEN_LEN);
    assert_int_equal(fixture_resolve(&f, "alice", false), issued.account_id);
    assert_int_equal(session_find(f.store, issued.token, &session), OK);
    assert_int_equal(session.account_id, issued.account_id);
    assert_int_equal(session.id, issued.session_id);
    domain_fixture_release(&f);
}

static void a_taken_or_refused_name_creates_nothing(void **state)
{
    struct domain_fixture f;
    struct session_issued issued;

    (void)state;
    domain_fixture_init(&f);
    int64_t alice = fixture_account(&f, "alice");
    fixture_rename(&f, alice, "alicia");
    struct str before = fixture_dump(&f);
    assert_int_equal(create(&f, "ALICIA", &issued), ERROR_USERNAME_TAKEN);
    assert_int_equal(create(&f, "Alice", &issued), ERROR_USERNAME_TAKEN);
    assert_int_equal(create(&f, "", &issued), ERROR_USERNAME_EMPTY);
    assert_int_equal(create(&f, "deleted-5", &issued), ERROR_USERNAME_NOT_ALLOWED);
    assert_true(str_equal(fixture_dump(&f), before));
    domain_fixture_release(&f);
}

static void a_name_whose_hold_has_ended_can_be_taken(void **state)
{
    struct domain_fixture f;
    struct session_issued issued;

    (void)state;
    domain_fixture_init(&f);
    int64_t alice = fixture_account(&f, "alice");
    fixture_rename(&f, alice, "alicia");
    f.now_ms += NAME_HOLD_MS - 1;
    assert_int_equal(create(&f, "ALICE", &issued), ERROR_USERNAME_TAKEN);
    f.now_ms += 1;
    assert_int_equal(create(&f, "ALICE", &issued), OK);
    assert_int_equal(fixture_resolve(&f, "alice", false), issued.account_id);
    assert_int_equal(fixture_name_count(&f, alice), 1);
    domain_fixture_release(&f);
}

/* ---- renaming -------------------------------------------------------------------------------- */

static void a_rename_holds_the_old_name_and_leaves_an_entry_and_a_chore(void **state)
{
    struct domain_fixture f;
    struct chore chore;
    bool is_found;

    (void)state;
    domain_fixture_init(&f);
    int64_t alice = fixture_account(&f, "Alice \"A\"");
    assert_int_equal(rename_to(&f, alice, "Queen"), OK);

    assert_str_equal(account_of(&f, alice).name, "Queen");
    assert_int_equal(fixture_resolve(&f, "queen", false), alice);
    assert_int_equal(fixture_resolve(&f, "Alice \"A\"", false), 0);
    struct name_row held = fixture_name_row(&f, alice, "Alice \"A\"");
    assert_int_equal(held.state, NAME_HELD);
    assert_int_equal(held.held_until_ms, f.now_ms + NAME_HOLD_MS);
    assert_int_equal(names_counted(&f), 1);

    assert_int_equal(fixture_head(&f, alice), 1);
    struct entry entry = fixture_entry(&f, alice, 1);
    assert_int_equal(entry.kind, ENTRY_ACCOUNT_RENAMED);
    assert_int_equal(entry.other_id, alice);
    assert_int_equal(entry.created_at_ms, f.now_ms);
    assert_str_equal(entry.text, "[\"Alice \\\"A\\\"\",\"Queen\"]");

    assert_int_equal(store_chore_find(f.store, &f.arena, &is_found, &chore), OK);
    assert_true(is_found);
    assert_int_equal(chore.kind, CHORE_TELL_RENAMED);
    assert_int_equal(chore.account_id, alice);
    assert_int_equal(chore.cursor, 0);
    assert_int_equal(chore.created_at_ms, f.now_ms);
    assert_str_equal(chore.text, "[\"Alice \\\"A\\\"\",\"Queen\"]");
    domain_fixture_release(&f);
}

static void the_same_name_again_changes_nothing(void **state)
{
    struct domain_fixture f;

    (void)state;
    domain_fixture_init(&f);
    int64_t alice = fixture_account(&f, "alice");
    int64_t adopted;
    assert_int_equal(store_account_add(f.store, STR("a/b "), STR("hash"), f.now_ms, &adopted), OK);
    fixture_name(&f, "a/b ", adopted, NAME_CURRENT, 0);
    struct str before = fixture_dump(&f);
    assert_int_equal(rename_to(&f, alice, "alice"), OK);
    assert_int_equal(rename_to(&f, adopted, "a/b "), OK);
    assert_true(str_equal(fixture_dump(&f), before));

    assert_int_equal(rename_to(&f, adopted, "A/b "), ERROR_USERNAME_NOT_ALLOWED);
    assert_int_equal(rename_to(&f, adopted, "ab"), OK);
    assert_int_equal(fixture_name_row(&f, adopted, "a/b ").state, NAME_HELD);
    domain_fixture_release(&f);
}

static void another_case_of_the_same_name_holds_nothing(void **state)
{
    struct domain_fixture f;

    (void)state;
    domain_fixture_init(&f);
    int64_t alice = fixture_account(&f, "alice");
    assert_int_equal(rename_to(&f, alice, "ALICE"), OK);
    assert_int_equal(fixture_name_count(&f, alice), 1);
    assert_int_equal(fixture_name_row(&f, alice, "ALICE").state, NAME_CURRENT);
    assert_int_equal(fixture_resolve(&f, "alice", false), alice);
    assert_str_equal(fixture_entry(&f, alice, 1).text, "[\"alice\",\"ALICE\"]");
    assert_int_equal(names_counted(&f), 1);
    domain_fixture_release(&f);
}

static void a_held_name_can_be_taken_back_in_any_case(void **state)
{
    struct domain_fixture f;

    (void)state;
    domain_fixture_init(&f);
    int64_t alice = fixture_account(&f, "alice");
    fixture_rename(&f, alice, "alicia");
    fixture_rename(&f, alice, "Alice");
    assert_int_equal(fixture_name_count(&f, alice), 2);
    assert_int_equal(fixture_name_row(&f, alice, "Alice").state, NAME_CURRENT);
    assert_int_equal(fixture_name_row(&f, alice, "Alice").held_until_ms, 0);
    assert_int_equal(fixture_name_row(&f, alice, "alicia").state, NAME_HELD);
    assert_int_equal(fixture_resolve(&f, "alice", false), alice);
    assert_int_equal(fixture_resolve(&f, "alicia", false), 0);
    domain_fixture_release(&f);
}

static void a_fourth_name_cannot_be_held(void **state)
{
    struct domain_fixture f;

    (void)state;
    domain_fixture_init(&f);
    int64_t alice = fixture_account(&f, "a");
    fixture_rename(&f, alice, "b");
    fixture_rename(&f, alice, "c");
    f.now_ms += 1000;
    fixture_rename(&f, alice, "d");
    struct str before = fixture_dump(&f);
    assert_int_equal(rename_to(&f, alice, "e"), ERROR_NAMES_HELD);
    assert_true(str_equal(fixture_dump(&f), before));

    /* What needs no fourth hold goes on: another case, and an exchange for a held one. */
    assert_int_equal(rename_to(&f, alice, "D"), OK);
    assert_int_equal(rename_to(&f, alice, "A"), OK);
    assert_int_equal(rename_to(&f, alice, "e"), ERROR_NAMES_HELD);

    /* "b" was held a second before the others; its row goes with the next rename. */
    f.now_ms += NAME_HOLD_MS - 1000;
    assert_int_equal(rename_to(&f, alice, "e"), OK);
    assert_int_equal(fixture_name_row(&f, alice, "b").state, 0);
    assert_int_equal(fixture_name_row(&f, alice, "c").state, NAME_HELD);
    assert_int_equal(fixture_name_row(&f, alice, "A").state, NAME_HELD);
    assert_int_equal(fixture_name_row(&f, alice, "D").state, NAME_HELD);
    assert_int_equal(fixture_name_count(&f, alice), 4);
    domain_fixture_release(&f);
}

static void names_of_others_are_refused(void **state)
{
    struct domain_fixture f;

    (void)state;
    domain_fixture_init(&f);
    int64_t alice = fixture_account(&f, "alice");
    int64_t bob = fixture_account(&f, "bob");
    int64_t carl = fixture_account(&f, "carl");
    fixture_rename(&f, bob, "robert");
    fixture_delete(&f, carl);
    struct str before = fixture_dump(&f);
    assert_int_equal(rename_to(&f, alice, "Robert"), ERROR_USERNAME_TAKEN);
    assert_int_equal(rename_to(&f, alice, "BOB"), ERROR_USERNAME_TAKEN);
    assert_int_equal(rename_to(&f, alice, "carl"), ERROR_USERNAME_TAKEN);
    assert_int_equal(rename_to(&f, alice, ""), ERROR_USERNAME_EMPTY);
    assert_int_equal(rename_to(&f, alice, "a?"), ERROR_USERNAME_NOT_ALLOWED);
    assert_int_equal(rename_to(&f, carl, "karl"), ERROR_ACCOUNT_CHANGED);
    assert_int_equal(rename_to(&f, 99, "karl"), ERROR_ACCOUNT_CHANGED);
    assert_true(str_equal(fixture_dump(&f), before));

    f.now_ms += NAME_HOLD_MS;
    assert_int_equal(rename_to(&f, alice, "BOB"), OK);
    assert_int_equal(fixture_name_count(&f, bob), 1);
    domain_fixture_release(&f);
}

static void an_adopted_twin_keeps_its_name_when_the_other_is_renamed(void **state)
{
    struct domain_fixture f;

    (void)state;
    domain_fixture_init(&f);
    int64_t bob = fixture_account(&f, "bob");
    int64_t twin;
    assert_int_equal(store_account_add(f.store, STR("Bob"), STR("hash"), f.now_ms, &twin), OK);
    fixture_name(&f, "Bob", twin, NAME_CURRENT, 0);
    assert_int_equal(rename_to(&f, bob, "BOB"), ERROR_USERNAME_TAKEN);
    assert_int_equal(rename_to(&f, bob, "robert"), OK);
    assert_int_equal(fixture_resolve(&f, "Bob", false), twin);
    assert_int_equal(fixture_resolve(&f, "bob", false), 0);
    assert_int_equal(rename_to(&f, twin, "bob"), ERROR_USERNAME_TAKEN);
    assert_int_equal(rename_to(&f, bob, "bob"), OK);
    assert_int_equal(fixture_resolve(&f, "bob", false), bob);
    assert_int_equal(fixture_resolve(&f, "Bob", false), twin);
    domain_fixture_release(&f);
}

/* ---- passwords ------------------------------------------------------------------------------- */

static void a_new_password_ends_the_other_sessions(void **state)
{
    struct domain_fixture f;
    struct session_issued first;
    struct session_issued second;
    struct session_issued third;
    struct session session;

    (void)state;
    domain_fixture_init(&f);
    assert_int_equal(create(&f, "alice", &first), OK);
    int64_t alice = first.account_id;
    struct str none = {NULL, 0};
    assert_int_equal(session_issue(f.store, alice, STR("alice"), none, f.now_ms, &f.arena, &second),
                     OK);
    assert_int_equal(session_issue(f.store, alice, STR("alice"), none, f.now_ms, &f.arena, &third),
                     OK);
    assert_int_equal(account_set_password(f.store, alice, second.session_id, STR("hash"),
                                          STR("new hash"), f.now_ms, &f.arena),
                     OK);
    assert_str_equal(account_of(&f, alice).password_hash, "new hash");
    assert_int_equal(session_find(f.store, first.token, &session), ERROR_TOKEN_INVALID);
    assert_int_equal(session_find(f.store, second.token, &session), OK);
    assert_int_equal(session_find(f.store, third.token, &session), ERROR_TOKEN_INVALID);
    assert_int_equal(fixture_head(&f, alice), 2);
    assert_int_equal(fixture_entry(&f, alice, 1).kind, ENTRY_SESSION_ENDED);
    domain_fixture_release(&f);
}

static void a_change_goes_ahead_only_on_the_hash_that_was_checked(void **state)
{
    struct domain_fixture f;
    struct account account;

    (void)state;
    domain_fixture_init(&f);
    int64_t alice = fixture_account(&f, "alice");
    int64_t gone = fixture_account(&f, "gone");
    fixture_delete(&f, gone);
    struct str before = fixture_dump(&f);
    assert_int_equal(account_check_hash(f.store, alice, STR("hash of alice"), &f.arena, &account),
                     OK);
    assert_int_equal(account_check_hash(f.store, alice, STR("hash"), &f.arena, &account),
                     ERROR_ACCOUNT_CHANGED);
    assert_int_equal(account_check_hash(f.store, gone, STR(""), &f.arena, &account),
                     ERROR_ACCOUNT_CHANGED);
    assert_int_equal(account_check_hash(f.store, 99, STR(""), &f.arena, &account),
                     ERROR_ACCOUNT_CHANGED);
    assert_int_equal(
        account_set_password(f.store, alice, 0, STR("hash"), STR("new"), f.now_ms, &f.arena),
        ERROR_ACCOUNT_CHANGED);
    assert_int_equal(
        account_set_password(f.store, gone, 0, STR(""), STR("new"), f.now_ms, &f.arena),
        ERROR_ACCOUNT_CHANGED);
    assert_int_equal(account_delete(f.store, alice, STR("hash"), f.now_ms, &f.arena),
                     ERROR_ACCOUNT_CHANGED);
    assert_int_equal(account_delete(f.store, gone, STR(""), f.now_ms, &f.arena),
                     ERROR_ACCOUNT_CHANGED);
    assert_int_equal(account_raise_hash(f.store, alice, STR("hash"), STR("new"), &f.arena), OK);
    assert_int_equal(account_raise_hash(f.store, gone, STR(""), STR("new"), &f.arena), OK);
    assert_true(str_equal(fixture_dump(&f), before));

    assert_int_equal(
        account_raise_hash(f.store, alice, STR("hash of alice"), STR("better"), &f.arena), OK);
    assert_str_equal(account_of(&f, alice).password_hash, "better");
    assert_int_equal(fixture_session_count(&f, alice), 1);
    domain_fixture_release(&f);
}

/* ---- failures -------------------------------------------------------------------------------- */

static enum error step_create(struct domain_fixture *f)
{
    struct session_issued issued = {.session_id = -1};
    enum error error = create(f, "EVE", &issued);

    assert_true((issued.session_id == -1) == (error != OK));
    return error;
}

static enum error step_rename(struct domain_fixture *f)
{
    return rename_to(f, 1, "EVE");
}

static enum error step_set_password(struct domain_fixture *f)
{
    return account_set_password(f->store, 1, 0, STR("hash of alice"), STR("new"), f->now_ms,
                                &f->arena);
}

static enum error step_raise_hash(struct domain_fixture *f)
{
    return account_raise_hash(f->store, 1, STR("hash of alice"), STR("new"), &f->arena);
}

static void every_store_failure_is_told_and_leaves_nothing(void **state)
{
    struct domain_fixture f;

    (void)state;
    domain_fixture_init(&f);
    int64_t alice = fixture_account(&f, "alice");
    fixture_rename(&f, alice, "alicia");
    fixture_rename(&f, alice, "al");
    fixture_name(&f, "eve", 9, NAME_HELD, f.now_ms);
    assert_true(fixture_fail_each_call(&f, step_create) >= 7);
    assert_true(fixture_fail_each_call(&f, step_rename) >= 8);
    assert_true(fixture_fail_each_call(&f, step_set_password) >= 5);
    assert_int_equal(fixture_fail_each_call(&f, step_raise_hash), 3);
    domain_fixture_release(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_account_has_a_name_and_a_session),
        cmocka_unit_test(a_taken_or_refused_name_creates_nothing),
        cmocka_unit_test(a_name_whose_hold_has_ended_can_be_taken),
        cmocka_unit_test(a_rename_holds_the_old_name_and_leaves_an_entry_and_a_chore),
        cmocka_unit_test(the_same_name_again_changes_nothing),
        cmocka_unit_test(another_case_of_the_same_name_holds_nothing),
        cmocka_unit_test(a_held_name_can_be_taken_back_in_any_case),
        cmocka_unit_test(a_fourth_name_cannot_be_held),
        cmocka_unit_test(names_of_others_are_refused),
        cmocka_unit_test(an_adopted_twin_keeps_its_name_when_the_other_is_renamed),
        cmocka_unit_test(a_new_password_ends_the_other_sessions),
        cmocka_unit_test(a_change_goes_ahead_only_on_the_hash_that_was_checked),
        cmocka_unit_test(every_store_failure_is_told_and_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
