/* upwards_contract_test.c - what every store promises about walking a log from a place upwards:
 * every entry, in order, once; that is what events are made of.
 */
#include "contract.h"

#define ENTRIES 300

static void append(struct fixture *f, int64_t account_id, int64_t number)
{
    bool is_message = number % 3 == 0;
    struct entry entry = {.kind = is_message ? ENTRY_MESSAGE_RECEIVED : ENTRY_READ_BY_OTHER,
                          .other_id = 2 + number % 5,
                          .ref = 1000 + number,
                          .created_at_ms = 555 + number,
                          .text = is_message ? STR("hello \\\"you\\\"") : (struct str){NULL, 0}};
    int64_t seq = 0;

    assert_ok(store_entry_append(f->store, account_id, &entry, 0, &seq));
    assert_int_equal(seq, number);
}

static void log_fill(struct fixture *f)
{
    assert_ok(store_batch_begin(f->store));
    for (int64_t number = 1; number <= ENTRIES; number++) {
        append(f, 1, number);
        if (number <= ENTRIES / 2) {
            append(f, 3, number);
        }
    }
    assert_ok(store_batch_commit(f->store));
}

static void expect_entry(struct fixture *f, int64_t seq)
{
    struct entry entry = {0};
    bool found = false;

    assert_ok(store_walk_next(f->store, &found, &entry));
    assert_true(found);
    assert_int_equal(entry.seq, seq);
    assert_int_equal(entry.kind, seq % 3 == 0 ? ENTRY_MESSAGE_RECEIVED : ENTRY_READ_BY_OTHER);
    assert_int_equal(entry.other_id, 2 + seq % 5);
    assert_int_equal(entry.ref, 1000 + seq);
    assert_int_equal(entry.created_at_ms, 555 + seq);
    if (seq % 3 == 0) {
        assert_str(entry.text, "hello \\\"you\\\"");
    } else {
        assert_int_equal(entry.text.len, 0);
    }
}

static void expect_end(struct fixture *f)
{
    for (int i = 0; i < 2; i++) {
        struct entry entry = {0};
        bool found = true;

        assert_ok(store_walk_next(f->store, &found, &entry));
        assert_false(found);
    }
}

static void upwards_comes_every_entry_in_order(void **state)
{
    struct fixture *f = *state;

    log_fill(f);
    assert_ok(store_snapshot_begin(f->store));
    for (int64_t after = 0; after <= ENTRIES + 2; after += 1 + after / 7) {
        assert_ok(store_walk_begin_upwards(f->store, 1, after));
        for (int64_t seq = after + 1; seq <= ENTRIES; seq++) {
            expect_entry(f, seq);
        }
        expect_end(f);
        store_walk_end(f->store);
    }
    store_snapshot_end(f->store);
}

static void it_stops_where_the_account_s_own_log_ends(void **state)
{
    struct fixture *f = *state;

    log_fill(f);
    assert_ok(store_snapshot_begin(f->store));
    for (int64_t account_id = 2; account_id <= 4; account_id++) {
        int64_t last = account_id == 3 ? ENTRIES / 2 : 0;

        assert_ok(store_walk_begin_upwards(f->store, account_id, 0));
        for (int64_t seq = 1; seq <= last; seq++) {
            expect_entry(f, seq);
        }
        expect_end(f);
        store_walk_end(f->store);
    }
    store_snapshot_end(f->store);
}

/* Names are looked up while the walk stands on an entry; the other direction comes after it. */
static void other_calls_and_walks_do_not_disturb_it(void **state)
{
    struct fixture *f = *state;
    const struct message_walk down = {1, 0, INT64_MAX, 0};
    struct entry entry = {0};
    bool found = false;

    log_fill(f);
    assert_ok(store_snapshot_begin(f->store));
    assert_ok(store_walk_begin_upwards(f->store, 1, 10));
    for (int64_t seq = 11; seq <= 40; seq++) {
        expect_entry(f, seq);
        assert_ok(store_entry_find(f->store, 1, 200, &f->arena, &found, &entry));
        assert_true(found);
    }
    store_walk_end(f->store);
    assert_ok(store_walk_begin(f->store, &down));
    assert_ok(store_walk_next(f->store, &found, &entry));
    assert_int_equal(entry.seq, ENTRIES);
    assert_ok(store_walk_next(f->store, &found, &entry));
    assert_int_equal(entry.seq, ENTRIES - 3);
    store_walk_end(f->store);
    store_snapshot_end(f->store);
}

static void it_sees_what_its_batch_has_written(void **state)
{
    struct fixture *f = *state;

    log_fill(f);
    assert_ok(store_batch_begin(f->store));
    append(f, 1, ENTRIES + 1);
    assert_ok(store_walk_begin_upwards(f->store, 1, ENTRIES));
    expect_entry(f, ENTRIES + 1);
    expect_end(f);
    store_walk_end(f->store);
    store_batch_rollback(f->store);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        CONTRACT_CASE(upwards_comes_every_entry_in_order),
        CONTRACT_CASE(it_stops_where_the_account_s_own_log_ends),
        CONTRACT_CASE(other_calls_and_walks_do_not_disturb_it),
        CONTRACT_CASE(it_sees_what_its_batch_has_written),
    };
    int failed = 0;

    CONTRACT_RUN("upwards", cases, failed);
    return failed;
}
