/* keys_contract_test.c - what every store promises about key bundles, one-time prekeys, chores and
 * the removal of what a deleted account left. */
#include "contract.h"

/* ---- keys ------------------------------------------------------------------------------------*/

static void a_key_bundle_is_replaced_whole(void **state)
{
    struct fixture *f = *state;
    struct key_bundle first = {STR("i1"), STR("s1"), STR("g1")};
    struct key_bundle second = {STR("i2"), STR("s2"), STR("g2")};
    struct key_bundle read = {{NULL, 0}, {NULL, 0}, {NULL, 0}};
    bool found = true;

    assert_ok(store_batch_begin(f->store));
    assert_ok(store_key_bundle_find(f->store, 1, &f->arena, &found, &read));
    assert_false(found);
    assert_ok(store_key_bundle_set(f->store, 1, &first, 10));
    assert_ok(store_key_bundle_set(f->store, 1, &second, 20));
    assert_ok(store_key_bundle_find(f->store, 1, &f->arena, &found, &read));
    assert_true(found);
    assert_str(read.identity_key, "i2");
    assert_str(read.signed_prekey, "s2");
    assert_str(read.signed_prekey_signature, "g2");
    assert_ok(store_batch_commit(f->store));
}

static void a_claimed_prekey_never_comes_back(void **state)
{
    struct fixture *f = *state;
    const struct str keys[] = {STR("a"), STR("b"), STR("a"), STR("c")};
    const struct str again[] = {STR("c"), STR("a"), STR("d")};
    struct str key = {NULL, 0};
    bool found = false;
    int64_t count = 0;

    assert_ok(store_batch_begin(f->store));
    assert_ok(store_prekeys_replace(f->store, 1, keys, 4));
    assert_ok(store_prekey_count(f->store, 1, &count));
    assert_int_equal(count, 3);
    assert_ok(store_prekey_take(f->store, 1, &f->arena, &found, &key));
    assert_true(found);
    assert_str(key, "a");
    fixture_commit_and_reopen(f);
    assert_ok(store_prekey_take(f->store, 1, &f->arena, &found, &key));
    assert_str(key, "b");
    assert_ok(store_prekeys_replace(f->store, 1, again, 3));
    assert_ok(store_prekey_take(f->store, 1, &f->arena, &found, &key));
    assert_str(key, "c");
    assert_ok(store_prekey_take(f->store, 1, &f->arena, &found, &key));
    assert_str(key, "d");
    assert_ok(store_prekey_take(f->store, 1, &f->arena, &found, &key));
    assert_false(found);
    assert_ok(store_prekey_count(f->store, 1, &count));
    assert_int_equal(count, 0);
    /* Another account may well have the same key. */
    assert_ok(store_prekeys_replace(f->store, 2, keys, 1));
    assert_ok(store_prekey_count(f->store, 2, &count));
    assert_int_equal(count, 1);
    assert_ok(store_prekeys_replace(f->store, 2, NULL, 0));
    assert_ok(store_prekey_count(f->store, 2, &count));
    assert_int_equal(count, 0);
    store_batch_rollback(f->store);
}

/* ---- chores ----------------------------------------------------------------------------------*/

static void chores_are_found_oldest_first_and_keep_their_cursor(void **state)
{
    struct fixture *f = *state;
    struct chore first = {.kind = CHORE_TELL_RENAMED,
                          .account_id = 5,
                          .text = STR("[\"a\",\"b\"]"),
                          .created_at_ms = 10};
    struct chore second = {.kind = CHORE_DELETE_LOG, .account_id = 6, .created_at_ms = 5};
    struct chore chore = {0};
    bool found = true;
    int64_t first_id;

    assert_ok(store_batch_begin(f->store));
    assert_ok(store_chore_find(f->store, &f->arena, &found, &chore));
    assert_false(found);
    assert_ok(store_chore_add(f->store, &first));
    assert_ok(store_chore_add(f->store, &second));
    assert_ok(store_chore_find(f->store, &f->arena, &found, &chore));
    assert_true(found);
    assert_int_equal(chore.kind, CHORE_TELL_RENAMED);
    assert_int_equal(chore.account_id, 5);
    assert_int_equal(chore.cursor, 0);
    assert_str(chore.text, "[\"a\",\"b\"]");
    first_id = chore.id;
    assert_ok(store_chore_set_cursor(f->store, first_id, 42));
    fixture_commit_and_reopen(f);
    assert_ok(store_chore_find(f->store, &f->arena, &found, &chore));
    assert_int_equal(chore.id, first_id);
    assert_int_equal(chore.cursor, 42);
    assert_ok(store_chore_delete(f->store, first_id));
    assert_ok(store_chore_find(f->store, &f->arena, &found, &chore));
    assert_int_equal(chore.kind, CHORE_DELETE_LOG);
    assert_null(chore.text.ptr);
    assert_true(chore.id > first_id);
    assert_ok(store_chore_delete(f->store, chore.id));
    assert_ok(store_chore_find(f->store, &f->arena, &found, &chore));
    assert_false(found);
    store_batch_rollback(f->store);
}

static void add_remains(struct fixture *f, int64_t account_id)
{
    const struct str keys[] = {STR("p1"), STR("p2"), STR("p3")};
    struct key_bundle bundle = {STR("i"), STR("s"), STR("g")};
    struct conversation conversation = {9, 4, 0, 0};
    struct sent_key sent = {fingerprint_of("x"), .message_id = account_id, .created_at_ms = 1};
    char token[32];
    struct sha256 digest;
    struct str key = {NULL, 0};
    bool found = false;
    int64_t id = 0;

    for (int64_t i = 0; i < 5; i++) {
        struct entry entry = {.kind = ENTRY_MESSAGE_SENT, .other_id = 9, .text = STR("t")};

        assert_ok(store_entry_append(f->store, account_id, &entry, i, &id));
    }
    assert_ok(store_conversation_set(f->store, account_id, &conversation));
    assert_ok(store_sent_key_add(f->store, account_id, STR("key"), &sent));
    assert_ok(store_prekeys_replace(f->store, account_id, keys, 3));
    assert_ok(store_prekey_take(f->store, account_id, &f->arena, &found, &key));
    assert_ok(store_key_bundle_set(f->store, account_id, &bundle, 1));
    (void)snprintf(token, sizeof token, "token %d", (int)account_id);
    digest = digest_of(token);
    assert_ok(store_session_add(f->store, account_id, &digest, STR("l"), 1, &id));
}

static void what_a_deleted_account_left_goes_in_slices(void **state)
{
    struct fixture *f = *state;
    struct store_moment moment = {0};
    struct session *sessions = NULL;
    struct key_bundle bundle = {{NULL, 0}, {NULL, 0}, {NULL, 0}};
    size_t slices = 0;
    size_t total = 0;
    const struct slice_limits limits = {3, 1024};
    size_t removed = 0;
    size_t count = 0;
    bool found = true;
    bool more = true;
    int64_t prekeys = 0;

    assert_ok(store_batch_begin(f->store));
    add_remains(f, 1);
    add_remains(f, 2);
    while (more) {
        assert_ok(store_remains_delete(f->store, 1, &limits, &removed, &more));
        assert_true(removed <= 3);
        total += removed;
        slices++;
    }
    /* Five entries, conversation, sent key, two prekeys, one claimed, bundle, session. */
    assert_int_equal(total, 12);
    assert_int_equal(slices, 5);
    assert_ok(store_moment_find(f->store, 1, &moment));
    assert_int_equal(moment.head_seq, 0);
    assert_ok(store_session_list(f->store, 1, &f->arena, &sessions, &count));
    assert_int_equal(count, 0);
    assert_ok(store_key_bundle_find(f->store, 1, &f->arena, &found, &bundle));
    assert_false(found);
    assert_ok(store_prekey_count(f->store, 1, &prekeys));
    assert_int_equal(prekeys, 0);
    assert_ok(store_moment_find(f->store, 2, &moment));
    assert_int_equal(moment.head_seq, 5);
    assert_ok(store_prekey_count(f->store, 2, &prekeys));
    assert_int_equal(prekeys, 2);
    assert_ok(store_batch_commit(f->store));
}

static void a_slice_of_long_entries_is_shorter(void **state)
{
    struct fixture *f = *state;
    const struct slice_limits limits = {100, 8};
    struct entry entry = {.kind = ENTRY_MESSAGE_SENT, .other_id = 9, .text = STR("12345")};
    size_t removed = 0;
    bool more = false;
    int64_t seq = 0;

    assert_ok(store_batch_begin(f->store));
    for (int64_t i = 0; i < 5; i++) {
        assert_ok(store_entry_append(f->store, 1, &entry, i, &seq));
    }
    assert_ok(store_remains_delete(f->store, 1, &limits, &removed, &more));
    assert_int_equal(removed, 2);
    assert_true(more);
    assert_ok(store_remains_delete(f->store, 1, &limits, &removed, &more));
    assert_ok(store_remains_delete(f->store, 1, &limits, &removed, &more));
    assert_int_equal(removed, 1);
    assert_false(more);
    assert_ok(store_batch_commit(f->store));
}

static void chores_are_known_to_be_none_only_when_there_are_none(void **state)
{
    struct fixture *f = *state;
    struct chore chore = {.kind = CHORE_DELETE_LOG, .account_id = 1};
    bool found = true;

    assert_ok(store_batch_begin(f->store));
    assert_ok(store_chore_find(f->store, &f->arena, &found, &chore));
    assert_false(found);
    assert_false(store_may_have_chores(f->store));
    assert_ok(store_chore_add(f->store, &chore));
    assert_true(store_may_have_chores(f->store));
    assert_ok(store_batch_commit(f->store));
    /* Taken away and put back by a rollback. */
    assert_ok(store_batch_begin(f->store));
    assert_ok(store_chore_find(f->store, &f->arena, &found, &chore));
    assert_true(found);
    assert_ok(store_chore_delete(f->store, chore.id));
    assert_ok(store_chore_find(f->store, &f->arena, &found, &chore));
    assert_false(found);
    store_batch_rollback(f->store);
    assert_true(store_may_have_chores(f->store));
}

static void the_highest_password_cost_stays(void **state)
{
    struct fixture *f = *state;
    unsigned cost = 1;

    assert_ok(store_password_cost_find(f->store, &cost));
    assert_int_equal(cost, 0);
    assert_ok(store_batch_begin(f->store));
    assert_ok(store_password_cost_raise(f->store, 12));
    assert_ok(store_password_cost_raise(f->store, 4));
    assert_ok(store_password_cost_find(f->store, &cost));
    assert_int_equal(cost, 12);
    assert_ok(store_batch_commit(f->store));
    assert_ok(store_password_cost_find(f->store, &cost));
    assert_int_equal(cost, 12);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        CONTRACT_CASE(a_key_bundle_is_replaced_whole),
        CONTRACT_CASE(a_claimed_prekey_never_comes_back),
        CONTRACT_CASE(chores_are_found_oldest_first_and_keep_their_cursor),
        CONTRACT_CASE(what_a_deleted_account_left_goes_in_slices),
        CONTRACT_CASE(a_slice_of_long_entries_is_shorter),
        CONTRACT_CASE(chores_are_known_to_be_none_only_when_there_are_none),
        CONTRACT_CASE(the_highest_password_cost_stays),
    };
    int failed = 0;

    CONTRACT_RUN("keys and chores", cases, failed);
    return failed;
}
