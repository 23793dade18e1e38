/* account_disable_test.c - an account that is closed to its owner, and opened again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "domain/account.h"
#include "domain/session.h"
#include "support/domain_fixture.h"

static void its_tokens_are_barred_until_it_is_enabled(void **state)
{
    struct domain_fixture f;
    struct session_issued issued;
    struct session session;
    struct str no_label = {NULL, 0};

    (void)state;
    domain_fixture_init(&f);
    int64_t id = fixture_account(&f, "ann");

    assert_int_equal(session_issue(f.store, id, STR("ann"), no_label, f.now_ms, &f.arena, &issued),
                     OK);
    assert_int_equal(account_disable(f.store, id, f.now_ms, &f.arena), OK);
    assert_int_equal(session_find(f.store, issued.token, &session), ERROR_ACCOUNT_DISABLED);
    assert_int_equal(fixture_head(&f, id), 0);
    assert_int_equal(account_enable(f.store, id, &f.arena), OK);
    assert_int_equal(session_find(f.store, issued.token, &session), OK);
    assert_int_equal(session.id, issued.session_id);
    domain_fixture_release(&f);
}

static void disabling_twice_and_enabling_twice_changes_nothing_more(void **state)
{
    struct domain_fixture f;
    struct account account;

    (void)state;
    domain_fixture_init(&f);
    int64_t id = fixture_account(&f, "ann");
    struct str hash = STR("hash of ann");
    struct str enabled = fixture_dump(&f);

    assert_int_equal(account_enable(f.store, id, &f.arena), OK);
    assert_true(str_equal(fixture_dump(&f), enabled));
    assert_int_equal(account_disable(f.store, id, f.now_ms, &f.arena), OK);
    assert_int_equal(account_check_hash(f.store, id, hash, &f.arena, &account), OK);
    assert_int_equal(account.disabled_at_ms, f.now_ms);
    struct str disabled = fixture_dump(&f);

    assert_int_equal(account_disable(f.store, id, f.now_ms + 5, &f.arena), OK);
    assert_true(str_equal(fixture_dump(&f), disabled));
    assert_int_equal(account_enable(f.store, id, &f.arena), OK);
    assert_int_equal(account_check_hash(f.store, id, hash, &f.arena, &account), OK);
    assert_int_equal(account.disabled_at_ms, 0);
    domain_fixture_release(&f);
}

static void a_disabled_account_is_sent_to_as_before(void **state)
{
    struct domain_fixture f;

    (void)state;
    domain_fixture_init(&f);
    int64_t ann = fixture_account(&f, "ann");
    int64_t bob = fixture_account(&f, "bob");

    assert_int_equal(account_disable(f.store, ann, f.now_ms, &f.arena), OK);
    (void)fixture_send(&f, bob, "ann", "hello");
    assert_int_equal(fixture_conversation(&f, ann, bob).received, 1);
    domain_fixture_release(&f);
}

static void who_is_not_there_cannot_be_disabled(void **state)
{
    struct domain_fixture f;

    (void)state;
    domain_fixture_init(&f);
    int64_t id = fixture_account(&f, "ann");

    fixture_delete(&f, id);
    assert_int_equal(account_disable(f.store, id, f.now_ms, &f.arena), ERROR_ACCOUNT_CHANGED);
    assert_int_equal(account_enable(f.store, id, &f.arena), ERROR_ACCOUNT_CHANGED);
    assert_int_equal(account_disable(f.store, 99, f.now_ms, &f.arena), ERROR_ACCOUNT_CHANGED);
    domain_fixture_release(&f);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(its_tokens_are_barred_until_it_is_enabled),
        cmocka_unit_test(disabling_twice_and_enabling_twice_changes_nothing_more),
        cmocka_unit_test(a_disabled_account_is_sent_to_as_before),
        cmocka_unit_test(who_is_not_there_cannot_be_disabled),
    };

    return cmocka_run_group_tests(cases, NULL, NULL);
}
