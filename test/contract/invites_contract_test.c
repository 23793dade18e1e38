/* invites_contract_test.c - what every store promises about invitations and disabled accounts. */
#include "contract.h"

static int64_t add_invite(struct fixture *f, const char *code, int64_t uses)
{
    struct sha256 digest = digest_of(code);
    struct invite invite = {.label = str_from(code), .uses_left = uses, .created_at_ms = 10};
    int64_t id = 0;

    assert_ok(store_invite_add(f->store, &digest, &invite, &id));
    return id;
}

static struct invite find_invite(struct fixture *f, const char *code)
{
    struct sha256 digest = digest_of(code);
    struct invite invite = {0};
    bool found = false;

    assert_ok(store_invite_find(f->store, &digest, &found, &invite));
    assert_int_equal(found, invite.id != 0);
    return invite;
}

static void an_invite_is_found_by_its_code_only(void **state)
{
    struct fixture *f = *state;
    struct sha256 digest = digest_of("code");
    struct invite added = {.id = 77,
                           .label = {NULL, 0},
                           .uses_left = 3,
                           .created_at_ms = 100,
                           .expires_at_ms = 900,
                           .revoked_at_ms = 55};
    struct invite found;
    int64_t id = 0;

    assert_ok(store_batch_begin(f->store));
    assert_int_equal(find_invite(f, "code").id, 0);
    assert_ok(store_invite_add(f->store, &digest, &added, &id));
    fixture_commit_and_reopen(f);
    found = find_invite(f, "code");
    assert_int_equal(found.id, 1);
    assert_int_equal(found.id, id);
    assert_int_equal(found.uses_left, 3);
    assert_int_equal(found.created_at_ms, 100);
    assert_int_equal(found.expires_at_ms, 900);
    assert_int_equal(found.revoked_at_ms, 0);
    assert_int_equal(find_invite(f, "Code").id, 0);
    store_batch_rollback(f->store);
}

static void an_invite_is_used_up_and_not_below(void **state)
{
    struct fixture *f = *state;

    assert_ok(store_batch_begin(f->store));
    int64_t id = add_invite(f, "two", 2);
    (void)add_invite(f, "other", 1);
    for (int64_t left = 1; left >= -1; left--) {
        assert_ok(store_invite_use(f->store, id));
        assert_int_equal(find_invite(f, "two").uses_left, left > 0 ? left : 0);
    }
    assert_ok(store_invite_use(f->store, 99));
    assert_int_equal(find_invite(f, "other").uses_left, 1);
    assert_ok(store_batch_commit(f->store));
}

static void a_use_comes_back_with_its_unit(void **state)
{
    struct fixture *f = *state;

    assert_ok(store_batch_begin(f->store));
    int64_t id = add_invite(f, "one", 1);
    store_unit_begin(f->store, UNIT_SAVED);
    assert_ok(store_invite_use(f->store, id));
    assert_ok(store_unit_undo(f->store));
    assert_int_equal(find_invite(f, "one").uses_left, 1);
    store_unit_begin(f->store, UNIT_SAVED);
    assert_ok(store_invite_use(f->store, id));
    assert_ok(store_unit_keep(f->store));
    fixture_commit_and_reopen(f);
    assert_int_equal(find_invite(f, "one").uses_left, 0);
    store_batch_rollback(f->store);
}

static void the_first_revocation_counts(void **state)
{
    struct fixture *f = *state;
    bool found = true;

    assert_ok(store_batch_begin(f->store));
    int64_t id = add_invite(f, "one", 1);
    assert_ok(store_invite_revoke(f->store, id + 1, 500, &found));
    assert_false(found);
    assert_ok(store_invite_revoke(f->store, id, 500, &found));
    assert_true(found);
    assert_ok(store_invite_revoke(f->store, id, 600, &found));
    assert_true(found);
    assert_int_equal(find_invite(f, "one").revoked_at_ms, 500);
    assert_ok(store_batch_commit(f->store));
}

static void invites_are_listed_in_pages_newest_first(void **state)
{
    struct fixture *f = *state;
    struct invite *list = NULL;
    size_t count = 9;

    assert_ok(store_batch_begin(f->store));
    assert_ok(store_invite_list(f->store, INT64_MAX, 10, &f->arena, &list, &count));
    assert_int_equal(count, 0);
    for (int64_t id = 1; id <= 3; id++) {
        const char code[] = {(char)('a' + id - 1), '\0'};

        assert_int_equal(add_invite(f, code, id), id);
    }
    fixture_commit_and_reopen(f);
    assert_ok(store_invite_list(f->store, INT64_MAX, 2, &f->arena, &list, &count));
    assert_int_equal(count, 2);
    assert_int_equal(list[0].id, 3);
    assert_str(list[0].label, "c");
    assert_int_equal(list[0].uses_left, 3);
    assert_int_equal(list[1].id, 2);
    assert_ok(store_invite_list(f->store, 2, 2, &f->arena, &list, &count));
    assert_int_equal(count, 1);
    assert_int_equal(list[0].id, 1);
    assert_ok(store_invite_list(f->store, 1, 2, &f->arena, &list, &count));
    assert_int_equal(count, 0);
    store_batch_rollback(f->store);
}

static void a_session_tells_that_its_account_is_disabled(void **state)
{
    struct fixture *f = *state;
    struct sha256 digest = digest_of("token");
    struct sha256 other_digest = digest_of("other");
    struct session session = {0};
    struct account account = {0};
    int64_t id = 0;
    int64_t other_id = 0;
    int64_t session_id = 0;
    bool found = false;

    assert_ok(store_batch_begin(f->store));
    assert_ok(store_account_add(f->store, STR("ann"), STR("hash"), 1000, &id));
    assert_ok(store_account_add(f->store, STR("bob"), STR("hash"), 1000, &other_id));
    assert_ok(store_session_add(f->store, id, &digest, STR(""), 100, &session_id));
    assert_ok(store_session_add(f->store, other_id, &other_digest, STR(""), 100, &session_id));
    for (int round = 0; round < 2; round++) {
        /* Asked before the change, so that whatever remembers sessions has it. */
        assert_ok(store_session_find(f->store, &digest, &found, &session));
        assert_true(found);
        assert_false(session.is_disabled);
        assert_ok(store_account_set_disabled(f->store, id, 2000));
        for (int look = 0; look < 2; look++) {
            assert_ok(store_session_find(f->store, &digest, &found, &session));
            assert_true(found);
            assert_true(session.is_disabled);
        }
        assert_ok(store_session_find(f->store, &other_digest, &found, &session));
        assert_false(session.is_disabled);
        fixture_commit_and_reopen(f);
        assert_ok(store_session_find(f->store, &digest, &found, &session));
        assert_true(session.is_disabled);
        assert_ok(store_account_find(f->store, id, &f->arena, &found, &account));
        assert_true(account.is_disabled);
        assert_false(account.is_deleted);
        assert_ok(store_account_set_disabled(f->store, id, 0));
        assert_ok(store_account_find(f->store, id, &f->arena, &found, &account));
        assert_false(account.is_disabled);
    }
    assert_ok(store_account_set_disabled(f->store, 99, 2000));
    assert_ok(store_batch_commit(f->store));
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        CONTRACT_CASE(an_invite_is_found_by_its_code_only),
        CONTRACT_CASE(an_invite_is_used_up_and_not_below),
        CONTRACT_CASE(a_use_comes_back_with_its_unit),
        CONTRACT_CASE(the_first_revocation_counts),
        CONTRACT_CASE(invites_are_listed_in_pages_newest_first),
        CONTRACT_CASE(a_session_tells_that_its_account_is_disabled),
    };
    int failed = 0;

    CONTRACT_RUN("invites", cases, failed);
    return failed;
}
