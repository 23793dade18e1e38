/* key_test.c - bundles are stored as they come, one-time prekeys leave once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "domain/key.h"
#include "support/domain_fixture.h"

static const struct key_bundle bundle = {
    .identity_key = {"identity", 8},
    .signed_prekey = {"signed", 6},
    .signed_prekey_signature = {"signature", 9},
};

static const struct str seven_prekeys[] = {{"k1", 2}, {"k2", 2}, {"k3", 2}, {"k4", 2},
                                           {"k5", 2}, {"k6", 2}, {"k7", 2}};

static enum error publish(struct domain_fixture *f, const struct str *prekeys, size_t count)
{
    return key_publish(f->store, 1, &bundle, prekeys, count, f->now_ms);
}

static enum error claim(struct domain_fixture *f, const char *username,
                        struct key_bundle *out_bundle, struct str *out_prekey)
{
    return key_claim(f->store, str_from(username), f->now_ms, &f->arena, out_bundle, out_prekey);
}

static int64_t prekeys_left(struct domain_fixture *f)
{
    int64_t left = -1;

    assert_int_equal(store_prekey_count(f->store, 1, &left), OK);
    return left;
}

static void publishing_leaves_an_entry_and_a_chore(void **state)
{
    struct domain_fixture f;
    struct key_bundle found;
    struct chore chore;
    bool is_found;

    (void)state;
    domain_fixture_init(&f);
    int64_t alice = fixture_account(&f, "Alice");
    assert_int_equal(publish(&f, seven_prekeys, 7), OK);
    assert_int_equal(key_find(f.store, STR("alice"), &f.arena, &found), OK);
    assert_str_equal(found.identity_key, "identity");
    assert_str_equal(found.signed_prekey, "signed");
    assert_str_equal(found.signed_prekey_signature, "signature");
    assert_int_equal(prekeys_left(&f), 7);
    assert_int_equal(fixture_head(&f, alice), 1);
    struct entry entry = fixture_entry(&f, alice, 1);
    assert_int_equal(entry.kind, ENTRY_KEYS_CHANGED);
    assert_int_equal(entry.other_id, alice);
    assert_int_equal(entry.created_at_ms, f.now_ms);
    assert_int_equal(store_chore_find(f.store, &f.arena, &is_found, &chore), OK);
    assert_true(is_found);
    assert_int_equal(chore.kind, CHORE_TELL_KEYS);
    assert_int_equal(chore.account_id, alice);
    assert_int_equal(chore.created_at_ms, f.now_ms);
    domain_fixture_release(&f);
}

static void a_key_has_1_to_1024_characters(void **state)
{
    struct domain_fixture f;
    static char text[2 * 1025];
    struct str longest = {text, 2 * 1024};
    struct str too_long = {text, 2 * 1025};
    struct str prekeys[201];

    (void)state;
    domain_fixture_init(&f);
    (void)fixture_account(&f, "alice");
    for (size_t i = 0; i < 1025; i++) {
        memcpy(text + 2 * i, "\xc3\xab", 2);
    }
    for (size_t i = 0; i < 201; i++) {
        prekeys[i] = STR("k");
    }
    struct str before = fixture_dump(&f);
    for (size_t member = 0; member < 3; member++) {
        const struct str wrong[] = {STR(""), too_long};

        for (size_t i = 0; i < 2; i++) {
            struct key_bundle changed = bundle;
            struct str *members[] = {&changed.identity_key, &changed.signed_prekey,
                                     &changed.signed_prekey_signature};

            *members[member] = wrong[i];
            assert_int_equal(key_publish(f.store, 1, &changed, NULL, 0, f.now_ms),
                             ERROR_KEY_BUNDLE_NOT_ALLOWED);
        }
    }
    prekeys[1] = too_long;
    assert_int_equal(publish(&f, prekeys, 2), ERROR_KEY_BUNDLE_NOT_ALLOWED);
    prekeys[1] = STR("");
    assert_int_equal(publish(&f, prekeys, 2), ERROR_KEY_BUNDLE_NOT_ALLOWED);
    prekeys[1] = longest;
    assert_int_equal(publish(&f, prekeys, 201), ERROR_KEY_BUNDLE_NOT_ALLOWED);
    assert_true(str_equal(fixture_dump(&f), before));
    assert_int_equal(publish(&f, prekeys, 200), OK);
    assert_int_equal(prekeys_left(&f), 2);
    assert_int_equal(publish(&f, NULL, 0), OK);
    assert_int_equal(prekeys_left(&f), 0);
    domain_fixture_release(&f);
}

static void keys_of_nobody_are_not_found(void **state)
{
    struct domain_fixture f;
    struct key_bundle found;
    struct str prekey;

    (void)state;
    domain_fixture_init(&f);
    int64_t alice = fixture_account(&f, "alice");
    (void)fixture_account(&f, "bob");
    assert_int_equal(publish(&f, seven_prekeys, 7), OK);
    assert_int_equal(key_find(f.store, STR("nobody"), &f.arena, &found), ERROR_ACCOUNT_NOT_FOUND);
    assert_int_equal(key_find(f.store, STR("bob"), &f.arena, &found), ERROR_KEYS_NOT_FOUND);
    assert_int_equal(claim(&f, "nobody", &found, &prekey), ERROR_ACCOUNT_NOT_FOUND);
    assert_int_equal(claim(&f, "bob", &found, &prekey), ERROR_KEYS_NOT_FOUND);
    fixture_delete(&f, alice);
    assert_int_equal(key_find(f.store, STR("deleted-1"), &f.arena, &found),
                     ERROR_ACCOUNT_NOT_FOUND);
    assert_int_equal(claim(&f, "alice", &found, &prekey), ERROR_ACCOUNT_NOT_FOUND);
    domain_fixture_release(&f);
}

static void taking_a_prekey_twice_gives_two_keys(void **state)
{
    struct domain_fixture f;
    struct key_bundle found;
    struct str prekey;

    (void)state;
    domain_fixture_init(&f);
    (void)fixture_account(&f, "alice");
    assert_int_equal(publish(&f, seven_prekeys, 7), OK);
    assert_int_equal(claim(&f, "ALICE", &found, &prekey), OK);
    assert_str_equal(prekey, "k1");
    assert_str_equal(found.signed_prekey_signature, "signature");
    assert_int_equal(claim(&f, "alice", &found, &prekey), OK);
    assert_str_equal(prekey, "k2");
    domain_fixture_release(&f);
}

static void a_claimed_prekey_never_comes_back(void **state)
{
    struct domain_fixture f;
    struct key_bundle found;
    struct str prekey;
    const struct str again[] = {{"k1", 2}, {"k9", 2}, {"k9", 2}};

    (void)state;
    domain_fixture_init(&f);
    (void)fixture_account(&f, "alice");
    assert_int_equal(publish(&f, seven_prekeys, 7), OK);
    assert_int_equal(claim(&f, "alice", &found, &prekey), OK);
    assert_int_equal(publish(&f, again, 3), OK);
    assert_int_equal(prekeys_left(&f), 1);
    assert_int_equal(claim(&f, "alice", &found, &prekey), OK);
    assert_str_equal(prekey, "k9");
    domain_fixture_release(&f);
}

static void the_owner_is_warned_at_five_and_at_none_once_each(void **state)
{
    struct domain_fixture f;
    struct key_bundle found;
    struct str prekey;

    (void)state;
    domain_fixture_init(&f);
    int64_t alice = fixture_account(&f, "alice");
    assert_int_equal(publish(&f, seven_prekeys, 7), OK);
    assert_int_equal(claim(&f, "alice", &found, &prekey), OK);
    assert_int_equal(fixture_head(&f, alice), 1);
    assert_int_equal(claim(&f, "alice", &found, &prekey), OK);
    assert_int_equal(fixture_head(&f, alice), 2);
    struct entry low = fixture_entry(&f, alice, 2);
    assert_int_equal(low.kind, ENTRY_KEYS_LOW);
    assert_int_equal(low.ref, 5);
    assert_int_equal(low.other_id, 0);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(claim(&f, "alice", &found, &prekey), OK);
        assert_non_null(prekey.ptr);
    }
    assert_int_equal(fixture_head(&f, alice), 3);
    assert_int_equal(fixture_entry(&f, alice, 3).kind, ENTRY_KEYS_LOW);
    assert_int_equal(fixture_entry(&f, alice, 3).ref, 0);

    /* None is left: the bundle alone, and no further warning. */
    assert_int_equal(claim(&f, "alice", &found, &prekey), OK);
    assert_null(prekey.ptr);
    assert_str_equal(found.identity_key, "identity");
    assert_int_equal(fixture_head(&f, alice), 3);
    domain_fixture_release(&f);
}

static enum error step_publish(struct domain_fixture *f)
{
    return publish(f, seven_prekeys, 7);
}

static enum error step_find(struct domain_fixture *f)
{
    struct key_bundle found;

    return key_find(f->store, STR("alice"), &f->arena, &found);
}

static enum error step_claim(struct domain_fixture *f)
{
    struct key_bundle found;
    struct str prekey = STR("untouched");
    enum error error = claim(f, "alice", &found, &prekey);

    assert_str_equal(prekey, error == OK ? "k1" : "untouched");
    return error;
}

static void every_store_failure_is_told_and_leaves_nothing(void **state)
{
    struct domain_fixture f;

    (void)state;
    domain_fixture_init(&f);
    (void)fixture_account(&f, "alice");
    assert_int_equal(fixture_fail_each_call(&f, step_publish), 4);
    assert_int_equal(publish(&f, seven_prekeys, 6), OK);
    assert_int_equal(fixture_fail_each_call(&f, step_find), 2);
    assert_int_equal(fixture_fail_each_call(&f, step_claim), 5);
    domain_fixture_release(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(publishing_leaves_an_entry_and_a_chore),
        cmocka_unit_test(a_key_has_1_to_1024_characters),
        cmocka_unit_test(keys_of_nobody_are_not_found),
        cmocka_unit_test(taking_a_prekey_twice_gives_two_keys),
        cmocka_unit_test(a_claimed_prekey_never_comes_back),
        cmocka_unit_test(the_owner_is_warned_at_five_and_at_none_once_each),
        cmocka_unit_test(every_store_failure_is_told_and_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
