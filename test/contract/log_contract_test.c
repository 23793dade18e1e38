/* log_contract_test.c - what every store promises about the log per account, about walking it, and
 * about batches and their units. Walks are compared with a model over random logs (seed printed).
 */
#include "contract.h"

#define MODEL_ENTRIES 400
#define MODEL_OTHERS 4

static int64_t append(struct fixture *f, int64_t account_id, enum entry_kind kind, int64_t other_id,
                      int64_t previous_seq)
{
    struct entry entry = {.kind = kind,
                          .other_id = other_id,
                          .ref = 100,
                          .received = 3,
                          .created_at_ms = 555,
                          .text = STR("hello \\\"you\\\"")};
    int64_t seq = 0;

    assert_ok(store_entry_append(f->store, account_id, &entry, previous_seq, &seq));
    return seq;
}

static int64_t head_of(struct fixture *f, int64_t account_id)
{
    struct store_moment moment = {0};

    assert_ok(store_moment_find(f->store, account_id, &moment));
    return moment.head_seq;
}

/* ---- the log ---------------------------------------------------------------------------------*/

static void entries_get_dense_numbers_and_chains(void **state)
{
    struct fixture *f = *state;
    struct entry entry = {0};
    bool found = false;

    assert_ok(store_batch_begin(f->store));
    assert_int_equal(append(f, 1, ENTRY_KEYS_CHANGED, 1, 77), 1);
    assert_int_equal(append(f, 1, ENTRY_MESSAGE_SENT, 2, 0), 2);
    assert_int_equal(append(f, 1, ENTRY_MESSAGE_RECEIVED, 3, 0), 3);
    assert_int_equal(append(f, 1, ENTRY_READ_BY_ME, 3, 0), 4);
    assert_int_equal(append(f, 1, ENTRY_READ_BY_OTHER, 3, 0), 5);
    assert_int_equal(append(f, 1, ENTRY_MESSAGE_SENT, 2, 2), 6);
    assert_int_equal(append(f, 2, ENTRY_MESSAGE_RECEIVED, 1, 0), 1);
    fixture_commit_and_reopen(f);
    assert_int_equal(head_of(f, 1), 6);
    assert_int_equal(head_of(f, 2), 1);
    assert_int_equal(head_of(f, 3), 0);
    static const int64_t chains[] = {0, 0, 0, 3, 3, 2};
    for (int64_t seq = 1; seq <= 6; seq++) {
        assert_ok(store_entry_find(f->store, 1, seq, &f->arena, &found, &entry));
        assert_true(found);
        assert_int_equal(entry.seq, seq);
        assert_int_equal(entry.chain, chains[seq - 1]);
    }
    assert_int_equal(entry.kind, ENTRY_MESSAGE_SENT);
    assert_int_equal(entry.other_id, 2);
    assert_int_equal(entry.ref, 100);
    assert_int_equal(entry.received, 3);
    assert_int_equal(entry.created_at_ms, 555);
    assert_str(entry.text, "hello \\\"you\\\"");
    assert_ok(store_entry_find(f->store, 1, 7, &f->arena, &found, &entry));
    assert_false(found);
    store_batch_rollback(f->store);
}

static void an_entry_may_have_no_text(void **state)
{
    struct fixture *f = *state;
    struct entry added = {.kind = ENTRY_SESSION_ENDED, .ref = 4};
    struct entry entry = {.text = STR("before")};
    bool found = false;
    int64_t seq = 0;

    assert_ok(store_batch_begin(f->store));
    assert_ok(store_entry_append(f->store, 1, &added, 0, &seq));
    assert_ok(store_entry_find(f->store, 1, seq, &f->arena, &found, &entry));
    assert_true(found);
    assert_null(entry.text.ptr);
    assert_int_equal(entry.text.len, 0);
    assert_ok(store_batch_commit(f->store));
}

static void message_ids_rise_and_are_never_given_again(void **state)
{
    struct fixture *f = *state;
    int64_t last = 0;
    int64_t id = 0;

    assert_ok(store_batch_begin(f->store));
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 5; i++) {
            assert_ok(store_message_id_take(f->store, &id));
            assert_true(id > last);
            last = id;
        }
        store_unit_begin(f->store, UNIT_SAVED);
        assert_ok(store_message_id_take(f->store, &id));
        assert_ok(store_unit_undo(f->store));
        fixture_commit_and_reopen(f);
    }
    store_batch_rollback(f->store);
}

/* ---- walks -----------------------------------------------------------------------------------*/

/* Half of the entries are no messages, in runs. */
static void fill_log(struct fixture *f, unsigned *seed, struct entry *model)
{
    int64_t last_with[MODEL_OTHERS + 1] = {0};
    bool is_in_run = false;

    for (int64_t i = 0; i < MODEL_ENTRIES; i++) {
        int64_t other_id = 1 + (int64_t)(next_random(seed) % MODEL_OTHERS);
        bool is_message;

        if (next_random(seed) % 8 == 0) {
            is_in_run = !is_in_run;
        }
        is_message = !is_in_run && next_random(seed) % 4 != 0;
        model[i] = (struct entry){.seq = i + 1,
                                  .kind = !is_message                  ? ENTRY_READ_BY_OTHER
                                          : next_random(seed) % 2 == 0 ? ENTRY_MESSAGE_SENT
                                                                       : ENTRY_MESSAGE_RECEIVED,
                                  .other_id = other_id};
        assert_int_equal(append(f, 1, model[i].kind, other_id, last_with[other_id]), i + 1);
        if (is_message) {
            struct conversation conversation = {other_id, i + 1, 0, 0};

            last_with[other_id] = i + 1;
            assert_ok(store_conversation_set(f->store, 1, &conversation));
        }
    }
}

static bool model_matches(const struct entry *entry, const struct message_walk *walk)
{
    return (entry->kind == ENTRY_MESSAGE_SENT || entry->kind == ENTRY_MESSAGE_RECEIVED) &&
           (walk->other_id == 0 || entry->other_id == walk->other_id) &&
           entry->seq < walk->before_seq && entry->seq > walk->after_seq;
}

static void compare_walk(struct fixture *f, const struct entry *model,
                         const struct message_walk *walk)
{
    struct entry entry = {0};
    bool found = false;

    assert_ok(store_walk_begin(f->store, walk));
    for (int64_t i = MODEL_ENTRIES - 1; i >= 0; i--) {
        if (model_matches(&model[i], walk)) {
            assert_ok(store_walk_next(f->store, &found, &entry));
            assert_true(found);
            assert_int_equal(entry.seq, model[i].seq);
            assert_int_equal(entry.kind, model[i].kind);
            assert_int_equal(entry.other_id, model[i].other_id);
            assert_str(entry.text, "hello \\\"you\\\"");
            /* Left out by every store, so that nobody comes to need them. */
            assert_int_equal(entry.received, 0);
            assert_int_equal(entry.chain, 0);
        }
    }
    for (int i = 0; i < 2; i++) {
        found = true;
        assert_ok(store_walk_next(f->store, &found, &entry));
        assert_false(found);
    }
    store_walk_end(f->store);
    store_walk_end(f->store);
}

/* Stores a log of random entries and opens a snapshot of it; returns the seed to go on with. */
static unsigned model_begin(struct fixture *f, struct entry model[MODEL_ENTRIES])
{
    unsigned seed = random_seed();

    assert_ok(store_batch_begin(f->store));
    fill_log(f, &seed, model);
    assert_ok(store_batch_commit(f->store));
    assert_ok(store_snapshot_begin(f->store));
    return seed;
}

static void walks_find_what_the_model_finds(void **state)
{
    struct fixture *f = *state;
    struct entry model[MODEL_ENTRIES];
    unsigned seed = model_begin(f, model);

    for (int64_t other_id = 0; other_id <= MODEL_OTHERS + 1; other_id++) {
        compare_walk(f, model, &(struct message_walk){1, other_id, INT64_MAX, 0});
    }
    for (int i = 0; i < 300; i++) {
        struct message_walk walk = {
            .account_id = 1,
            .before_seq = 1 + (int64_t)(next_random(&seed) % (MODEL_ENTRIES + 5)),
            .after_seq = (int64_t)(next_random(&seed) % MODEL_ENTRIES),
        };
        int64_t at = (int64_t)(next_random(&seed) % MODEL_ENTRIES);

        compare_walk(f, model, &walk);
        walk.before_seq = INT64_MAX;
        walk.other_id = 1 + (int64_t)(next_random(&seed) % MODEL_OTHERS);
        compare_walk(f, model, &walk);
        /* Down the chain from one of its messages. */
        walk.before_seq = model[at].seq;
        walk.other_id = model[at].other_id;
        if (model[at].kind != ENTRY_READ_BY_OTHER) {
            compare_walk(f, model, &walk);
        }
    }
    store_snapshot_end(f->store);
}

/* From where it stands to random places below, near and far, also upwards, which does nothing. */
static void a_walk_skips_to_where_it_is_told(void **state)
{
    struct fixture *f = *state;
    struct entry model[MODEL_ENTRIES];
    unsigned seed = model_begin(f, model);

    for (int round = 0; round < 300; round++) {
        struct message_walk walk = {1, 0, INT64_MAX, round % 3 == 0 ? round : 0};
        struct message_walk left = walk;
        int64_t step_max = 1 + (int64_t)(next_random(&seed) % 20);
        bool found = true;

        assert_ok(store_walk_begin(f->store, &walk));
        while (found) {
            struct entry entry = {0};
            int64_t at = MODEL_ENTRIES - 1;
            int64_t above = left.before_seq == INT64_MAX ? MODEL_ENTRIES + 1 : left.before_seq;
            int64_t before_seq = above + 2 - (int64_t)(next_random(&seed) % (uint64_t)step_max);

            if (next_random(&seed) % 4 != 0) {
                store_walk_skip(f->store, before_seq);
                left.before_seq = before_seq < left.before_seq ? before_seq : left.before_seq;
            }
            while (at >= 0 && !model_matches(&model[at], &left)) {
                at--;
            }
            assert_ok(store_walk_next(f->store, &found, &entry));
            assert_int_equal(found, at >= 0);
            if (found) {
                assert_int_equal(entry.seq, model[at].seq);
                assert_int_equal(entry.other_id, model[at].other_id);
                assert_str(entry.text, "hello \\\"you\\\"");
                left.before_seq = entry.seq;
            }
        }
        store_walk_end(f->store);
    }
    store_snapshot_end(f->store);
}

static void a_walk_through_an_empty_log_finds_nothing(void **state)
{
    struct fixture *f = *state;
    struct entry entry = {0};
    bool found = true;

    for (int64_t other_id = 0; other_id <= 1; other_id++) {
        struct message_walk walk = {2, other_id, INT64_MAX, 0};

        assert_ok(store_walk_begin(f->store, &walk));
        assert_ok(store_walk_next(f->store, &found, &entry));
        assert_false(found);
        store_walk_end(f->store);
    }
}

static void a_walk_down_a_chain_starts_at_one_of_its_messages(void **state)
{
    struct fixture *f = *state;
    struct entry entry = {0};
    bool found = true;

    assert_ok(store_batch_begin(f->store));
    (void)append(f, 1, ENTRY_MESSAGE_SENT, 2, 0);
    (void)append(f, 1, ENTRY_MESSAGE_SENT, 3, 0);
    (void)append(f, 1, ENTRY_READ_BY_OTHER, 2, 0);
    for (int64_t before_seq = 2; before_seq <= 4; before_seq++) {
        struct message_walk walk = {1, 2, before_seq, 0};

        assert_ok(store_walk_begin(f->store, &walk));
        assert_ok(store_walk_next(f->store, &found, &entry));
        assert_false(found);
        store_walk_end(f->store);
    }
    assert_ok(store_batch_commit(f->store));
}

static void other_calls_come_between_the_steps_of_a_walk(void **state)
{
    struct fixture *f = *state;
    struct message_walk walk = {1, 0, INT64_MAX, 0};
    struct entry entry = {0};
    struct entry other = {0};
    struct str name = {NULL, 0};
    bool found = false;
    int64_t id = 0;

    assert_ok(store_batch_begin(f->store));
    assert_ok(store_account_add(f->store, STR("ann"), STR("h"), 1, &id));
    for (int64_t i = 0; i < 3; i++) {
        (void)append(f, 1, ENTRY_MESSAGE_SENT, 2, i);
    }
    assert_ok(store_walk_begin(f->store, &walk));
    for (int64_t seq = 3; seq >= 1; seq--) {
        assert_ok(store_walk_next(f->store, &found, &entry));
        assert_int_equal(entry.seq, seq);
        assert_ok(store_entry_find(f->store, 1, 1, &f->arena, &found, &other));
        assert_ok(store_account_name_find(f->store, id, &f->arena, &found, &name));
        assert_str(name, "ann");
        assert_str(entry.text, "hello \\\"you\\\"");
    }
    store_walk_end(f->store);
    assert_ok(store_batch_commit(f->store));
}

/* ---- batches and units -----------------------------------------------------------------------*/

static void a_unit_undone_takes_back_its_own_writes_only(void **state)
{
    struct fixture *f = *state;
    struct store_moment moment = {0};
    struct account account = {0};
    struct str name = {NULL, 0};
    bool found = false;
    int64_t id = 0;

    assert_ok(store_batch_begin(f->store));
    store_unit_begin(f->store, UNIT_SAVED);
    assert_ok(store_account_add(f->store, STR("kept"), STR("h"), 1, &id));
    (void)append(f, 1, ENTRY_MESSAGE_SENT, 2, 0);
    assert_ok(store_unit_keep(f->store));

    store_unit_begin(f->store, UNIT_SAVED);
    (void)append(f, 1, ENTRY_MESSAGE_SENT, 2, 1);
    assert_ok(store_account_set_name(f->store, id, STR("changed")));
    assert_ok(store_names_count(f->store));
    assert_ok(store_account_name_find(f->store, id, &f->arena, &found, &name));
    assert_str(name, "changed");
    assert_ok(store_unit_undo(f->store));
    assert_false(store_batch_is_lost(f->store));

    assert_ok(store_moment_find(f->store, 1, &moment));
    assert_int_equal(moment.head_seq, 1);
    assert_int_equal(moment.names, 0);
    assert_ok(store_account_name_find(f->store, id, &f->arena, &found, &name));
    assert_str(name, "kept");

    store_unit_begin(f->store, UNIT_SAVED);
    assert_ok(store_account_set_name(f->store, id, STR("changed, not counted")));
    assert_ok(store_account_name_find(f->store, id, &f->arena, &found, &name));
    assert_str(name, "changed, not counted");
    assert_ok(store_unit_undo(f->store));
    assert_ok(store_account_name_find(f->store, id, &f->arena, &found, &name));
    assert_str(name, "kept");

    store_unit_begin(f->store, UNIT_SAVED);
    assert_int_equal(append(f, 1, ENTRY_MESSAGE_SENT, 2, 1), 2);
    assert_ok(store_unit_keep(f->store));
    fixture_commit_and_reopen(f);
    assert_int_equal(head_of(f, 1), 2);
    assert_ok(store_account_find(f->store, id, &f->arena, &found, &account));
    assert_str(account.name, "kept");
    store_batch_rollback(f->store);
}

static void units_that_only_read_leave_no_trace(void **state)
{
    struct fixture *f = *state;

    assert_ok(store_batch_begin(f->store));
    store_unit_begin(f->store, UNIT_SAVED);
    assert_int_equal(head_of(f, 1), 0);
    assert_ok(store_unit_undo(f->store));
    store_unit_begin(f->store, UNIT_SAVED);
    assert_int_equal(head_of(f, 1), 0);
    assert_ok(store_unit_keep(f->store));
    assert_ok(store_batch_commit(f->store));
}

/* Else anybody could have a whole batch run twice, by ending a session there is not. */
static void ending_no_session_writes_nothing(void **state)
{
    struct fixture *f = *state;
    bool found = true;

    assert_ok(store_batch_begin(f->store));
    store_unit_begin(f->store, UNIT_BARE);
    assert_ok(store_session_delete(f->store, 1, 99, &found));
    assert_false(found);
    assert_false(store_unit_has_written(f->store));
    assert_ok(store_unit_undo(f->store));
    assert_ok(store_batch_commit(f->store));
}

static void a_batch_rolled_back_never_was(void **state)
{
    struct fixture *f = *state;
    struct account account = {0};
    struct str name = {NULL, 0};
    bool found = true;
    int64_t id = 0;
    int64_t again = 0;

    assert_ok(store_batch_begin(f->store));
    store_unit_begin(f->store, UNIT_SAVED);
    assert_ok(store_account_add(f->store, STR("ann"), STR("h"), 1, &id));
    assert_ok(store_account_name_find(f->store, id, &f->arena, &found, &name));
    assert_ok(store_names_count(f->store));
    (void)append(f, 1, ENTRY_MESSAGE_SENT, 2, 0);
    assert_ok(store_unit_keep(f->store));
    store_batch_rollback(f->store);

    assert_ok(store_snapshot_begin(f->store));
    assert_int_equal(head_of(f, 1), 0);
    assert_ok(store_account_find(f->store, id, &f->arena, &found, &account));
    assert_false(found);
    assert_ok(store_account_name_find(f->store, id, &f->arena, &found, &name));
    assert_false(found);
    store_snapshot_end(f->store);

    assert_ok(store_batch_begin(f->store));
    assert_ok(store_account_add(f->store, STR("bob"), STR("h"), 1, &again));
    assert_ok(store_batch_commit(f->store));
    assert_ok(store_account_find(f->store, again, &f->arena, &found, &account));
    assert_true(found);
    assert_str(account.name, "bob");
}

static void a_failed_call_leaves_the_batch_usable(void **state)
{
    struct fixture *f = *state;
    struct sent_key sent = {fingerprint_of("x"), .message_id = 1, .created_at_ms = 1};

    assert_ok(store_batch_begin(f->store));
    assert_ok(store_sent_key_add(f->store, 1, STR("k"), &sent));
    store_unit_begin(f->store, UNIT_SAVED);
    (void)append(f, 1, ENTRY_MESSAGE_SENT, 2, 0);
    assert_int_equal(store_sent_key_add(f->store, 1, STR("k"), &sent), ERROR_STORE_FAILED);
    assert_false(store_batch_is_lost(f->store));
    assert_ok(store_unit_undo(f->store));
    assert_int_equal(head_of(f, 1), 0);
    assert_ok(store_batch_commit(f->store));
}

static void rest_and_disk_answer(void **state)
{
    struct fixture *f = *state;
    bool more = true;

    assert_ok(store_rest(f->store, true, &more));
    assert_false(more);
    assert_false(store_disk_is_low(f->store));
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        CONTRACT_CASE(entries_get_dense_numbers_and_chains),
        CONTRACT_CASE(an_entry_may_have_no_text),
        CONTRACT_CASE(message_ids_rise_and_are_never_given_again),
        CONTRACT_CASE(walks_find_what_the_model_finds),
        CONTRACT_CASE(a_walk_skips_to_where_it_is_told),
        CONTRACT_CASE(a_walk_through_an_empty_log_finds_nothing),
        CONTRACT_CASE(a_walk_down_a_chain_starts_at_one_of_its_messages),
        CONTRACT_CASE(other_calls_come_between_the_steps_of_a_walk),
        CONTRACT_CASE(a_unit_undone_takes_back_its_own_writes_only),
        CONTRACT_CASE(units_that_only_read_leave_no_trace),
        CONTRACT_CASE(ending_no_session_writes_nothing),
        CONTRACT_CASE(a_batch_rolled_back_never_was),
        CONTRACT_CASE(a_failed_call_leaves_the_batch_usable),
        CONTRACT_CASE(rest_and_disk_answer),
    };
    int failed = 0;

    CONTRACT_RUN("log", cases, failed);
    return failed;
}
