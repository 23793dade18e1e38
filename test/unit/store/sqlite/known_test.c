/* known_test.c - what the writer remembers is what is stored, whatever happened in between. */
#include "scratch.h"

#include "base/digest.h"

static void conversation_put(struct store *store, int64_t other_id, int64_t last_seq)
{
    const struct conversation conversation = {.other_id = other_id, .last_seq = last_seq};

    assert_ok(store_conversation_set(store, 1, &conversation));
}

/* 0 without one. */
static int64_t conversation_last_seq(struct store *store, int64_t other_id)
{
    struct conversation conversation = {0};
    bool is_found = false;

    assert_ok(store_conversation_find(store, 1, other_id, &is_found, &conversation));
    return is_found ? conversation.last_seq : 0;
}

static void name_put(struct store *store, const char *name, int64_t account_id,
                     enum name_state state)
{
    const struct name_row row = {
        .name = str_from(name), .folded = str_from(name), .account_id = account_id, .state = state};

    assert_ok(store_name_set(store, &row));
}

/* 0 when nobody has it. */
static int64_t name_owner(struct scratch *s, const char *name, enum name_state *out_state)
{
    struct name_row *rows = NULL;
    size_t count = 0;

    assert_ok(store_name_list(s->writer, str_from(name), &s->arena, &rows, &count));
    assert_in_range(count, 0, 1);
    if (count == 1) {
        assert_str(rows[0].name, name);
        *out_state = rows[0].state;
    }
    return count == 1 ? rows[0].account_id : 0;
}

static bool session_is_there(struct store *store, const struct sha256 *digest,
                             int64_t *out_last_used_at_ms)
{
    struct session session = {0};
    bool is_found = false;

    assert_ok(store_session_find(store, digest, &is_found, &session));
    *out_last_used_at_ms = session.last_used_at_ms;
    return is_found;
}

/* Everything is stored, and known, then changed by `change` and undone by `undo`. */
static void all_as_before_after(struct scratch *s, bool undoes_unit)
{
    struct store *store = s->writer;
    struct sha256 digest;
    int64_t session_id = 0;
    int64_t used_at_ms = 0;
    enum name_state state = NAME_CURRENT;
    bool is_found = false;

    sha256_of(STR("token"), &digest);
    assert_ok(store_batch_begin(store));
    assert_ok(store_session_add(store, 1, &digest, STR(""), 5, &session_id));
    assert_true(session_is_there(store, &digest, &used_at_ms));
    name_put(store, "ann", 1, NAME_CURRENT);
    assert_int_equal(name_owner(s, "ann", &state), 1);
    conversation_put(store, 2, 1);
    assert_ok(scratch_append(store, 1, 10));
    assert_ok(store_batch_commit(store));

    assert_ok(store_batch_begin(store));
    store_unit_begin(store, UNIT_SAVED);
    assert_ok(scratch_append(store, 1, 10));
    conversation_put(store, 2, 2);
    conversation_put(store, 3, 9);
    assert_int_equal(conversation_last_seq(store, 2), 2);
    assert_ok(store_session_set_used(store, 1, session_id, 77));
    assert_true(session_is_there(store, &digest, &used_at_ms));
    assert_int_equal(used_at_ms, 77);
    name_put(store, "ann", 1, NAME_HELD);
    name_put(store, "new", 1, NAME_CURRENT);
    assert_int_equal(name_owner(s, "ann", &state), 1);
    assert_int_equal(state, NAME_HELD);
    assert_int_equal(name_owner(s, "new", &state), 1);
    if (undoes_unit) {
        assert_ok(store_unit_undo(store));
    } else {
        store_batch_rollback(store);
        assert_ok(store_batch_begin(store));
    }
    assert_int_equal(conversation_last_seq(store, 2), 1);
    assert_int_equal(conversation_last_seq(store, 3), 0);
    assert_true(session_is_there(store, &digest, &used_at_ms));
    assert_int_equal(used_at_ms, 5);
    assert_int_equal(name_owner(s, "ann", &state), 1);
    assert_int_equal(state, NAME_CURRENT);
    assert_int_equal(name_owner(s, "new", &state), 0);
    assert_ok(scratch_append(store, 1, 10));
    assert_ok(store_batch_commit(store));
    assert_int_equal(scratch_head(store, 1), 2);

    assert_ok(store_batch_begin(store));
    assert_ok(store_session_delete(store, 1, session_id, &is_found));
    assert_true(is_found);
    assert_false(session_is_there(store, &digest, &used_at_ms));
    assert_ok(store_name_delete(store, STR("ann")));
    assert_int_equal(name_owner(s, "ann", &state), 0);
    assert_ok(store_batch_commit(store));
}

static void what_a_unit_undone_had_changed_is_asked_for_again(void **state)
{
    scratch_open(*state);
    all_as_before_after(*state, true);
}

static void what_a_batch_rolled_back_had_changed_is_asked_for_again(void **state)
{
    scratch_open(*state);
    all_as_before_after(*state, false);
}

/* Accounts and conversations that share a slot push each other out and are asked for again. */
static void those_that_share_a_place_do_not_meet(void **state)
{
    struct scratch *s = *state;

    scratch_open(s);
    assert_ok(store_batch_begin(s->writer));
    for (int64_t round = 1; round <= 3; round++) {
        for (int64_t account_id = 1; account_id <= 3; account_id++) {
            assert_ok(scratch_append(s->writer, 1 + account_id * KNOWN_HEADS, 10));
            assert_int_equal(scratch_head(s->writer, 1 + account_id * KNOWN_HEADS), round);
        }
    }
    for (int64_t other_id = 2; other_id < 2 * KNOWN_CONVERSATIONS; other_id++) {
        conversation_put(s->writer, other_id, other_id * 3);
    }
    for (int64_t other_id = 2; other_id < 2 * KNOWN_CONVERSATIONS; other_id++) {
        assert_int_equal(conversation_last_seq(s->writer, other_id), other_id * 3);
    }
    assert_ok(store_batch_commit(s->writer));
}

static void a_block_is_of_its_own_conversation_only(void **state)
{
    struct scratch *s = *state;
    bool is_blocked = false;

    scratch_open(s);
    assert_ok(store_batch_begin(s->writer));
    for (int64_t other_id = 2; other_id < 2 * KNOWN_CONVERSATIONS; other_id++) {
        conversation_put(s->writer, other_id, other_id);
        if (other_id % 2 == 0) {
            assert_ok(store_block_add(s->writer, 1, other_id, 5));
        }
    }
    for (int64_t other_id = 2; other_id < 2 * KNOWN_CONVERSATIONS; other_id++) {
        conversation_put(s->writer, other_id, other_id);
        assert_ok(store_block_find(s->writer, 1, other_id, &is_blocked));
        assert_int_equal(is_blocked, other_id % 2 == 0);
        /* Remembered now. */
        assert_ok(store_block_find(s->writer, 1, other_id, &is_blocked));
        assert_int_equal(is_blocked, other_id % 2 == 0);
    }
    assert_ok(store_batch_commit(s->writer));
}

/* The whole log goes, so the next entry would be the first again. */
static void a_log_that_is_removed_is_not_remembered(void **state)
{
    struct scratch *s = *state;
    const struct slice_limits limits = {.max_rows = 100, .max_text_bytes = 1000000};
    size_t removed = 0;
    bool more = false;

    scratch_open(s);
    assert_ok(store_batch_begin(s->writer));
    assert_ok(scratch_append(s->writer, 1, 10));
    conversation_put(s->writer, 2, 1);
    assert_ok(store_remains_delete(s->writer, 1, &limits, &removed, &more));
    assert_int_equal(conversation_last_seq(s->writer, 2), 0);
    assert_ok(scratch_append(s->writer, 1, 10));
    assert_int_equal(scratch_head(s->writer, 1), 1);
    assert_ok(store_batch_commit(s->writer));
}

/* What versions before fingerprints stored. */
static void a_sent_key_with_a_digest_is_read_as_one(void **state)
{
    struct scratch *s = *state;
    struct sent_key sent = {0};
    struct sha256 digest;
    bool is_found = false;

    scratch_open(s);
    scratch_sql(s, "INSERT INTO sent_key(account_id, key, digest, message_id, created_at_ms) VALUES"
                   "(1, 'k', x'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',"
                   " 5, 6)");
    assert_ok(store_batch_begin(s->writer));
    assert_ok(store_sent_key_find(s->writer, 1, STR("k"), &is_found, &sent));
    assert_ok(store_batch_commit(s->writer));
    sha256_of(STR("abc"), &digest);
    assert_true(is_found && sent.has_digest);
    assert_memory_equal(sent.digest.bytes, digest.bytes, SHA256_LEN);
    assert_int_equal(sent.message_id, 5);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        SCRATCH_CASE(what_a_unit_undone_had_changed_is_asked_for_again),
        SCRATCH_CASE(what_a_batch_rolled_back_had_changed_is_asked_for_again),
        SCRATCH_CASE(those_that_share_a_place_do_not_meet),
        SCRATCH_CASE(a_block_is_of_its_own_conversation_only),
        SCRATCH_CASE(a_log_that_is_removed_is_not_remembered),
        SCRATCH_CASE(a_sent_key_with_a_digest_is_read_as_one),
    };

    return cmocka_run_group_tests(cases, NULL, NULL);
}
