/* invites_contract_test.c - invites, and accounts that are disabled, of every store. */
#include "contract.h"

static int64_t add(struct fixture *f, const char *code, int64_t uses)
{
    struct sha256 digest = digest_of(code);
    struct invite invite = {.id = 99, .uses_left = uses, .created_at_ms = 5, .expires_at_ms = 70};
    int64_t id = 0;

    assert_ok(store_invite_add(f->store, &digest, &invite, &id));
    return id;
}

static void an_invite_is_found_by_its_code_only_and_counts_down(void **state)
{
    struct fixture *f = *state;
    struct sha256 digest = digest_of("code");
    struct sha256 wrong = digest_of("Code");
    struct invite invite = {0};
    bool found = false;
    int64_t id;

    assert_ok(store_batch_begin(f->store));
    id = add(f, "code", 2);
    (void)add(f, "another", 7);
    fixture_commit_and_reopen(f);
    assert_ok(store_invite_find(f->store, &digest, &found, &invite));
    assert_true(found);
    assert_int_equal(invite.id, id);
    assert_int_equal(invite.uses_left, 2);
    assert_int_equal(invite.created_at_ms, 5);
    assert_int_equal(invite.expires_at_ms, 70);
    assert_ok(store_invite_use(f->store, id));
    assert_ok(store_invite_find(f->store, &digest, &found, &invite));
    assert_int_equal(invite.uses_left, 1);
    assert_ok(store_invite_find(f->store, &wrong, &found, &invite));
    assert_false(found);
    store_batch_rollback(f->store);
}

static void invites_are_listed_by_id_a_slice_at_a_time(void **state)
{
    struct fixture *f = *state;
    struct invite *list = NULL;
    size_t count = 0;
    int64_t ids[3];

    assert_ok(store_batch_begin(f->store));
    ids[0] = add(f, "a", 1);
    ids[1] = add(f, "b", 2);
    ids[2] = add(f, "c", 3);
    assert_true(ids[0] < ids[1] && ids[1] < ids[2]);
    assert_ok(store_invite_list(f->store, 0, 2, &f->arena, &list, &count));
    assert_int_equal(count, 2);
    assert_int_equal(list[0].id, ids[0]);
    assert_int_equal(list[1].id, ids[1]);
    assert_ok(store_invite_list(f->store, ids[1], 2, &f->arena, &list, &count));
    assert_int_equal(count, 1);
    assert_int_equal(list[0].uses_left, 3);
    assert_ok(store_invite_list(f->store, ids[2], 2, &f->arena, &list, &count));
    assert_int_equal(count, 0);
    store_batch_rollback(f->store);
}

static void a_revoked_invite_is_gone_and_its_id_is_not_given_again(void **state)
{
    struct fixture *f = *state;
    struct sha256 digest = digest_of("a");
    struct invite invite = {0};
    bool found = false;
    int64_t id;

    assert_ok(store_batch_begin(f->store));
    id = add(f, "a", 1);
    fixture_commit_and_reopen(f);
    assert_ok(store_invite_delete(f->store, id, &found));
    assert_true(found);
    store_unit_begin(f->store, UNIT_SAVED);
    assert_ok(store_invite_delete(f->store, id, &found));
    assert_false(found);
    assert_false(store_unit_has_written(f->store));
    assert_ok(store_unit_keep(f->store));
    fixture_commit_and_reopen(f);
    assert_ok(store_invite_find(f->store, &digest, &found, &invite));
    assert_false(found);
    assert_true(add(f, "b", 1) > id);
    store_batch_rollback(f->store);
}

static void a_disabled_accounts_sessions_are_barred_until_it_is_enabled(void **state)
{
    struct fixture *f = *state;
    struct sha256 own = digest_of("own");
    struct sha256 of_another = digest_of("of another");
    struct session session = {0};
    struct account account = {0};
    bool found = false;
    int64_t id = 0;
    int64_t session_id = 0;

    assert_ok(store_batch_begin(f->store));
    assert_ok(store_account_add(f->store, STR("ada"), STR("hash"), 1, &id));
    assert_ok(store_session_add(f->store, id, &own, STR(""), 1, &session_id));
    assert_ok(store_session_add(f->store, id + 1, &of_another, STR(""), 1, &session_id));
    /* Asked for before, so that a store which remembers does. */
    assert_ok(store_session_find(f->store, &own, &found, &session));
    assert_false(session.is_barred);
    assert_ok(store_account_find(f->store, id, &f->arena, &found, &account));
    assert_int_equal(account.disabled_at_ms, 0);
    assert_ok(store_account_set_disabled(f->store, id, 1234));
    assert_ok(store_session_find(f->store, &own, &found, &session));
    assert_true(found && session.is_barred);
    fixture_commit_and_reopen(f);
    assert_ok(store_session_find(f->store, &own, &found, &session));
    assert_true(found && session.is_barred);
    assert_ok(store_session_find(f->store, &of_another, &found, &session));
    assert_true(found && !session.is_barred);
    assert_ok(store_account_find(f->store, id, &f->arena, &found, &account));
    assert_int_equal(account.disabled_at_ms, 1234);
    assert_ok(store_account_set_disabled(f->store, id, 0));
    assert_ok(store_session_find(f->store, &own, &found, &session));
    assert_true(found && !session.is_barred);
    assert_ok(store_account_find(f->store, id, &f->arena, &found, &account));
    assert_int_equal(account.disabled_at_ms, 0);
    store_batch_rollback(f->store);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        CONTRACT_CASE(an_invite_is_found_by_its_code_only_and_counts_down),
        CONTRACT_CASE(invites_are_listed_by_id_a_slice_at_a_time),
        CONTRACT_CASE(a_revoked_invite_is_gone_and_its_id_is_not_given_again),
        CONTRACT_CASE(a_disabled_accounts_sessions_are_barred_until_it_is_enabled),
    };
    int failed = 0;

    CONTRACT_RUN("invites", cases, failed);
    return failed;
}
