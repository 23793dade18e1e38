/* account_delete_test.c - what is left of a deleted account, and who may have its name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "domain/account.h"
#include "domain/name.h"
#include "support/domain_fixture.h"

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

static void a_deletion_ends_sessions_and_holds_the_name_for_nobody(void **state)
{
    struct domain_fixture f;
    struct session_issued issued;

    (void)state;
    domain_fixture_init(&f);
    int64_t alice = fixture_account(&f, "alice");
    fixture_rename(&f, alice, "alicia");
    fixture_delete(&f, alice);

    struct account account = account_of(&f, alice);
    assert_true(account.is_deleted);
    assert_str_equal(account.name, "deleted-1");
    assert_int_equal(account.password_hash.len, 0);
    assert_int_equal(fixture_session_count(&f, alice), 0);
    assert_int_equal(names_counted(&f), 2);

    /* Neither name is anybody's before its hold ends: a well-known name must not change hands. */
    assert_int_equal(fixture_name_count(&f, alice), 3);
    assert_int_equal(fixture_name_row(&f, alice, "alicia").state, NAME_HELD);
    assert_int_equal(fixture_name_row(&f, alice, "alicia").held_until_ms, f.now_ms + NAME_HOLD_MS);
    assert_int_equal(fixture_name_row(&f, alice, "deleted-1").state, NAME_DELETED);
    assert_int_equal(fixture_resolve(&f, "alicia", true), 0);
    assert_int_equal(fixture_resolve(&f, "deleted-1", true), alice);
    assert_int_equal(fixture_resolve(&f, "deleted-1", false), 0);
    assert_int_equal(create(&f, "alicia", &issued), ERROR_USERNAME_TAKEN);
    assert_int_equal(create(&f, "alice", &issued), ERROR_USERNAME_TAKEN);
    f.now_ms += NAME_HOLD_MS;
    assert_int_equal(create(&f, "alice", &issued), OK);
    assert_int_equal(create(&f, "alicia", &issued), OK);
    domain_fixture_release(&f);
}

static void a_deletion_tells_the_contacts_before_its_log_goes(void **state)
{
    struct domain_fixture f;

    (void)state;
    domain_fixture_init(&f);
    int64_t alice = fixture_account(&f, "alice");
    int64_t bob = fixture_account(&f, "bob");
    (void)fixture_send(&f, alice, "bob", "hello");
    fixture_delete(&f, alice);
    (void)fixture_run_chores(&f);

    assert_int_equal(fixture_head(&f, bob), 2);
    struct entry told = fixture_entry(&f, bob, 2);
    assert_int_equal(told.kind, ENTRY_ACCOUNT_RENAMED);
    assert_int_equal(told.other_id, alice);
    assert_str_equal(told.text, "[\"alice\",\"deleted-1\"]");
    assert_int_equal(fixture_head(&f, alice), 0);
    assert_int_equal(fixture_conversation(&f, bob, alice).received, 1);
    domain_fixture_release(&f);
}

static void an_adopted_account_keeps_a_name_of_the_deleted_form(void **state)
{
    struct domain_fixture f;

    (void)state;
    domain_fixture_init(&f);
    int64_t alice = fixture_account(&f, "alice");
    int64_t odd;
    assert_int_equal(store_account_add(f.store, STR("deleted-1"), STR("hash"), f.now_ms, &odd), OK);
    fixture_name(&f, "deleted-1", odd, NAME_CURRENT, 0);
    fixture_delete(&f, alice);
    assert_str_equal(account_of(&f, alice).name, "deleted-1");
    assert_int_equal(fixture_resolve(&f, "deleted-1", true), odd);
    assert_int_equal(fixture_name_count(&f, alice), 1);
    domain_fixture_release(&f);
}

static void an_account_always_called_deleted_is_found_after_its_end(void **state)
{
    struct domain_fixture f;
    int64_t odd;

    (void)state;
    domain_fixture_init(&f);
    assert_int_equal(store_account_add(f.store, STR("deleted-1"), STR("hash"), f.now_ms, &odd), OK);
    assert_int_equal(odd, 1);
    fixture_name(&f, "deleted-1", odd, NAME_CURRENT, 0);
    fixture_delete(&f, odd);
    assert_int_equal(fixture_name_count(&f, odd), 1);
    assert_int_equal(fixture_resolve(&f, "deleted-1", true), odd);
    assert_int_equal(fixture_resolve(&f, "deleted-1", false), 0);
    domain_fixture_release(&f);
}

static void an_ended_hold_of_the_deleted_form_gives_way(void **state)
{
    struct domain_fixture f;

    (void)state;
    domain_fixture_init(&f);
    int64_t alice = fixture_account(&f, "alice");
    fixture_name(&f, "deleted-1", 9, NAME_HELD, f.now_ms);
    fixture_delete(&f, alice);
    assert_int_equal(fixture_resolve(&f, "deleted-1", true), alice);
    domain_fixture_release(&f);
}

static enum error step_delete(struct domain_fixture *f)
{
    return account_delete(f->store, 1, STR("hash of alice"), f->now_ms, &f->arena);
}

static void every_store_failure_is_told_and_leaves_nothing(void **state)
{
    struct domain_fixture f;

    (void)state;
    domain_fixture_init(&f);
    int64_t alice = fixture_account(&f, "alice");
    fixture_rename(&f, alice, "alicia");
    fixture_rename(&f, alice, "al");
    assert_true(fixture_fail_each_call(&f, step_delete) >= 12);
    domain_fixture_release(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_deletion_ends_sessions_and_holds_the_name_for_nobody),
        cmocka_unit_test(a_deletion_tells_the_contacts_before_its_log_goes),
        cmocka_unit_test(an_adopted_account_keeps_a_name_of_the_deleted_form),
        cmocka_unit_test(an_account_always_called_deleted_is_found_after_its_end),
        cmocka_unit_test(an_ended_hold_of_the_deleted_form_gives_way),
        cmocka_unit_test(every_store_failure_is_told_and_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
