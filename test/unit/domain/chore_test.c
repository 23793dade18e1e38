/* chore_test.c - long work goes in slices, each whole or not at all, in the order it was left. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "domain/chore.h"
#include "domain/key.h"
#include "support/domain_fixture.h"
#include "support/store_fake.h"

static const struct key_bundle bundle = {
    .identity_key = {"identity", 8},
    .signed_prekey = {"signed", 6},
    .signed_prekey_signature = {"signature", 9},
};

/* `count` accounts more, each with a conversation with account 1, as cheap as can be. */
static void add_contacts(struct domain_fixture *f, size_t count)
{
    const struct conversation with_first = {.other_id = 1, .last_seq = 1};

    for (size_t i = 0; i < count; i++) {
        struct conversation conversation = {.last_seq = 1};
        char name[32];

        (void)snprintf(name, sizeof(name), "contact %zu", i);
        assert_int_equal(store_account_add(f->store, str_from(name), STR("hash"), f->now_ms,
                                           &conversation.other_id),
                         OK);
        assert_int_equal(store_conversation_set(f->store, 1, &conversation), OK);
        assert_int_equal(store_conversation_set(f->store, conversation.other_id, &with_first), OK);
    }
}

static bool run_slice(struct domain_fixture *f)
{
    bool more = true;

    assert_int_equal(store_batch_commit(f->store), OK);
    assert_int_equal(chore_run_slice(f->store, &more), OK);
    assert_int_equal(store_batch_begin(f->store), OK);
    return more;
}

static bool chore_is_left(struct domain_fixture *f, struct chore *out_chore)
{
    bool is_found;

    assert_int_equal(store_chore_find(f->store, &f->arena, &is_found, out_chore), OK);
    return is_found;
}

static void without_chores_there_is_nothing_to_do(void **state)
{
    struct domain_fixture f;

    (void)state;
    domain_fixture_init(&f);
    (void)fixture_account(&f, "alice");
    struct str before = fixture_dump(&f);
    assert_false(run_slice(&f));
    assert_true(str_equal(fixture_dump(&f), before));
    domain_fixture_release(&f);
}

static void a_rename_is_told_to_every_contact_but_oneself_and_the_deleted(void **state)
{
    struct domain_fixture f;

    (void)state;
    domain_fixture_init(&f);
    int64_t alice = fixture_account(&f, "alice");
    int64_t bob = fixture_account(&f, "bob");
    int64_t carl = fixture_account(&f, "carl");
    int64_t dora = fixture_account(&f, "dora");
    (void)fixture_send(&f, alice, "alice", "note");
    (void)fixture_send(&f, alice, "bob", "hi");
    (void)fixture_send(&f, carl, "alice", "hi");
    fixture_delete(&f, carl);
    (void)fixture_run_chores(&f);
    int64_t alice_head = fixture_head(&f, alice);
    int64_t renamed_at_ms = f.now_ms;

    fixture_rename(&f, alice, "alicia");
    assert_false(run_slice(&f));
    assert_int_equal(fixture_head(&f, alice), alice_head + 1); /* its own, at once */
    assert_int_equal(fixture_head(&f, bob), 2);
    struct entry told = fixture_entry(&f, bob, 2);
    assert_int_equal(told.kind, ENTRY_ACCOUNT_RENAMED);
    assert_int_equal(told.other_id, alice);
    assert_int_equal(told.created_at_ms, renamed_at_ms);
    assert_int_equal(told.chain, 1);
    assert_str_equal(told.text, "[\"alice\",\"alicia\"]");
    assert_int_equal(fixture_head(&f, carl), 0);
    assert_int_equal(fixture_head(&f, dora), 0);
    domain_fixture_release(&f);
}

static void new_keys_are_told_likewise(void **state)
{
    struct domain_fixture f;

    (void)state;
    domain_fixture_init(&f);
    int64_t alice = fixture_account(&f, "alice");
    int64_t bob = fixture_account(&f, "bob");
    (void)fixture_send(&f, alice, "bob", "hi");
    assert_int_equal(key_publish(f.store, alice, &bundle, NULL, 0, f.now_ms), OK);
    assert_false(run_slice(&f));
    struct entry told = fixture_entry(&f, bob, 2);
    assert_int_equal(told.kind, ENTRY_KEYS_CHANGED);
    assert_int_equal(told.other_id, alice);
    assert_int_equal(told.text.len, 0);
    domain_fixture_release(&f);
}

static void many_contacts_are_told_in_slices_each_once(void **state)
{
    struct domain_fixture f;
    struct chore chore;

    (void)state;
    domain_fixture_init(&f);
    int64_t alice = fixture_account(&f, "alice");
    add_contacts(&f, CHORE_SLICE_ROWS + 3);
    fixture_rename(&f, alice, "alicia");
    assert_true(run_slice(&f));
    assert_true(chore_is_left(&f, &chore));
    assert_int_equal(chore.cursor, alice + CHORE_SLICE_ROWS);
    assert_int_equal(fixture_head(&f, chore.cursor), 1);
    assert_int_equal(fixture_head(&f, chore.cursor + 1), 0);
    assert_false(run_slice(&f));
    assert_false(chore_is_left(&f, &chore));
    for (int64_t id = alice; id <= alice + (int64_t)CHORE_SLICE_ROWS + 3; id++) {
        assert_int_equal(fixture_head(&f, id), 1);
    }
    domain_fixture_release(&f);
}

static void a_slice_that_is_exactly_full_is_followed_by_an_empty_one(void **state)
{
    struct domain_fixture f;
    struct chore chore;

    (void)state;
    domain_fixture_init(&f);
    int64_t alice = fixture_account(&f, "alice");
    add_contacts(&f, CHORE_SLICE_ROWS);
    fixture_rename(&f, alice, "alicia");
    assert_true(run_slice(&f));
    assert_false(run_slice(&f));
    assert_false(chore_is_left(&f, &chore));
    domain_fixture_release(&f);
}

static void a_deleted_accounts_log_goes_in_slices(void **state)
{
    struct domain_fixture f;
    struct chore chore;

    (void)state;
    domain_fixture_init(&f);
    int64_t alice = fixture_account(&f, "alice");
    int64_t bob = fixture_account(&f, "bob");
    (void)fixture_send(&f, bob, "alice", "hi");
    assert_int_equal(key_publish(f.store, alice, &bundle, NULL, 0, f.now_ms), OK);
    for (size_t i = 0; i < CHORE_SLICE_ROWS; i++) {
        (void)fixture_send(&f, alice, "alice", "note");
    }
    fixture_delete(&f, alice);
    assert_true(run_slice(&f)); /* keys told */
    assert_true(run_slice(&f)); /* deletion told */
    assert_int_equal(fixture_head(&f, bob), 3);
    assert_true(run_slice(&f)); /* a thousand rows */
    assert_true(chore_is_left(&f, &chore));
    assert_int_equal(chore.kind, CHORE_DELETE_LOG);
    assert_false(run_slice(&f)); /* the rest */
    assert_false(chore_is_left(&f, &chore));

    struct key_bundle found;
    bool is_found;
    assert_int_equal(fixture_head(&f, alice), 0);
    assert_int_equal(store_key_bundle_find(f.store, alice, &f.arena, &is_found, &found), OK);
    assert_false(is_found);
    assert_int_equal(fixture_conversation(&f, bob, alice).last_seq, 1);
    assert_int_equal(fixture_resolve(&f, "deleted-1", true), alice);
    domain_fixture_release(&f);
}

static void chores_run_in_the_order_they_were_left(void **state)
{
    struct domain_fixture f;

    (void)state;
    domain_fixture_init(&f);
    int64_t alice = fixture_account(&f, "alice");
    int64_t bob = fixture_account(&f, "bob");
    (void)fixture_send(&f, alice, "bob", "hi");
    fixture_rename(&f, alice, "alicia");
    fixture_rename(&f, alice, "al");
    fixture_delete(&f, alice);
    assert_int_equal(fixture_run_chores(&f), 4);
    assert_str_equal(fixture_entry(&f, bob, 2).text, "[\"alice\",\"alicia\"]");
    assert_str_equal(fixture_entry(&f, bob, 3).text, "[\"alicia\",\"al\"]");
    assert_str_equal(fixture_entry(&f, bob, 4).text, "[\"al\",\"deleted-1\"]");
    assert_int_equal(fixture_head(&f, bob), 4);
    domain_fixture_release(&f);
}

static void an_unknown_chore_does_not_stop_the_others(void **state)
{
    struct domain_fixture f;
    struct chore unknown = {.kind = (enum chore_kind)99, .account_id = 1};
    struct chore chore;

    (void)state;
    domain_fixture_init(&f);
    int64_t alice = fixture_account(&f, "alice");
    assert_int_equal(store_chore_add(f.store, &unknown), OK);
    fixture_rename(&f, alice, "alicia");
    assert_true(run_slice(&f));
    assert_false(run_slice(&f));
    assert_false(chore_is_left(&f, &chore));
    domain_fixture_release(&f);
}

/* chore_run_slice has a batch of its own, so its failures are tried here and not in a unit. */
static void a_slice_that_fails_at_any_call_leaves_nothing(void **state)
{
    struct domain_fixture f;

    (void)state;
    domain_fixture_init(&f);
    int64_t alice = fixture_account(&f, "alice");
    int64_t bob = fixture_account(&f, "bob");
    (void)fixture_send(&f, alice, "bob", "hi");
    add_contacts(&f, CHORE_SLICE_ROWS - 1); /* with bob a full slice: the cursor moves */
    fixture_rename(&f, alice, "alicia");
    fixture_delete(&f, alice);
    assert_int_equal(store_batch_commit(f.store), OK);

    bool more = true;
    size_t slices = 0;
    while (more) {
        struct str before = fixture_dump(&f);
        /* The first calls, some in the middle, and from the last contact to the commit. */
        size_t n = 1;
        bool has_failed = true;

        while (has_failed) {
            bool untouched = true;

            store_fake_fail_at(f.store, n, ERROR_STORE_FAILED, n % 2 == 0);
            enum error error = chore_run_slice(f.store, &untouched);
            has_failed = store_fake_has_failed(f.store);
            store_fake_fail_at(f.store, 0, OK, false);
            if (has_failed) {
                struct arena_mark mark = arena_mark(&f.arena);

                assert_int_equal(error, ERROR_STORE_FAILED);
                assert_true(untouched);
                assert_true(str_equal(fixture_dump(&f), before));
                arena_rewind(&f.arena, mark);
                n += n > 10 && n < 1990 ? 97 : 1;
            } else {
                assert_int_equal(error, OK);
                more = untouched;
            }
        }
        assert_true(n >= 5);
        slices++;
    }
    assert_int_equal(slices, 6); /* two of each tale, two for the log and its conversations */
    assert_int_equal(store_batch_begin(f.store), OK);
    assert_int_equal(fixture_head(&f, bob), 3);
    domain_fixture_release(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_chores_there_is_nothing_to_do),
        cmocka_unit_test(a_rename_is_told_to_every_contact_but_oneself_and_the_deleted),
        cmocka_unit_test(new_keys_are_told_likewise),
        cmocka_unit_test(many_contacts_are_told_in_slices_each_once),
        cmocka_unit_test(a_slice_that_is_exactly_full_is_followed_by_an_empty_one),
        cmocka_unit_test(a_deleted_accounts_log_goes_in_slices),
        cmocka_unit_test(chores_run_in_the_order_they_were_left),
        cmocka_unit_test(an_unknown_chore_does_not_stop_the_others),
        cmocka_unit_test(a_slice_that_fails_at_any_call_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
