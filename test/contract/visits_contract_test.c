/* visits_contract_test.c - what every store promises about a walk that hands its messages to a
 * visitor: the same ones as one step at a time, over random logs (seed printed).
 */
#include "contract.h"

#define ENTRIES 400
#define LONG_BYTES 3000

/* What a visitor was given, and when it wants no more. */
struct visitor {
    struct fixture *fixture;
    int64_t seqs[ENTRIES + 1];
    size_t count;
    size_t wanted; /* SIZE_MAX: all */
    unsigned seed; /* of what it passes over */
};

/* By the seq, so that a text is known wherever it comes. Every seventh is long. */
static struct str text_of(int64_t seq)
{
    static char text[LONG_BYTES];

    memset(text, 'a' + (int)(seq % 26), sizeof text);
    return (struct str){text, seq % 7 == 0 ? LONG_BYTES : 10};
}

static void assert_entry(const struct entry *entry)
{
    struct str text = text_of(entry->seq);

    assert_true(entry->kind == ENTRY_MESSAGE_SENT || entry->kind == ENTRY_MESSAGE_RECEIVED);
    assert_int_equal(entry->other_id, 2 + entry->seq % 3);
    assert_int_equal(entry->ref, 1000 + entry->seq);
    assert_int_equal(entry->created_at_ms, 555 + entry->seq);
    assert_int_equal(entry->received, 0);
    assert_int_equal(entry->chain, 0);
    assert_int_equal(entry->text.len, text.len);
    assert_memory_equal(entry->text.ptr, text.ptr, text.len);
}

/* Messages, alone and in runs, and runs of other entries between them: those are jumped over. */
static void log_fill(struct fixture *f, unsigned *seed)
{
    bool is_message = true;
    int64_t last_with[5] = {0};
    int64_t ann = 0;

    assert_ok(store_batch_begin(f->store));
    assert_ok(store_account_add(f->store, STR("ann"), STR("h"), 1, &ann));
    for (int64_t number = 1; number <= ENTRIES; number++) {
        int64_t other_id = 2 + number % 3;
        struct entry entry = {.kind = ENTRY_READ_BY_ME,
                              .other_id = other_id,
                              .ref = 1000 + number,
                              .created_at_ms = 555 + number};
        int64_t seq = 0;

        is_message = next_random(seed) % 4 == 0 ? !is_message : is_message;
        if (is_message) {
            entry.kind = next_random(seed) % 2 == 0 ? ENTRY_MESSAGE_SENT : ENTRY_MESSAGE_RECEIVED;
            assert_ok(store_content_add(f->store, entry.ref, text_of(number), 1, &entry.text));
        }
        assert_ok(store_entry_append(f->store, 1, &entry, last_with[other_id], &seq));
        assert_int_equal(seq, number);
        if (is_message) {
            last_with[other_id] = seq;
            assert_ok(store_conversation_set(
                f->store, 1, &(struct conversation){.other_id = other_id, .last_seq = seq}));
        }
    }
    assert_ok(store_batch_commit(f->store));
}

static unsigned log_begin(struct fixture *f)
{
    unsigned seed = random_seed();

    log_fill(f, &seed);
    assert_ok(store_snapshot_begin(f->store));
    return seed;
}

static bool take(void *argument, const struct entry *entry)
{
    struct visitor *visitor = argument;

    assert_entry(entry);
    assert_true(visitor->count < visitor->wanted);
    visitor->seqs[visitor->count] = entry->seq;
    visitor->count++;
    return visitor->count < visitor->wanted;
}

/* The rest of the walk, step by step, behind the `from` first that a visitor had. */
static void assert_rest_by_steps(struct fixture *f, const struct visitor *all, size_t from)
{
    struct entry entry = {0};
    bool found = false;

    for (size_t at = from; at < all->count; at++) {
        assert_ok(store_walk_next(f->store, &found, &entry));
        assert_true(found);
        assert_entry(&entry);
        assert_int_equal(entry.seq, all->seqs[at]);
    }
    assert_ok(store_walk_next(f->store, &found, &entry));
    assert_false(found);
}

static struct message_walk random_walk(unsigned *seed, int round)
{
    return (struct message_walk){
        .account_id = 1,
        .other_id = next_random(seed) % 4 == 0 ? 2 + round % 3 : 0,
        .before_seq = INT64_MAX,
        .after_seq = round % 2 == 0 ? 0 : (int64_t)(next_random(seed) % ENTRIES),
    };
}

static void visits_are_what_steps_are(void **state)
{
    struct fixture *f = *state;
    unsigned seed = log_begin(f);

    for (int round = 0; round < 100; round++) {
        struct message_walk walk = random_walk(&seed, round);
        struct visitor all = {.wanted = SIZE_MAX};

        if (walk.other_id == 0 && round % 3 == 0) {
            walk.before_seq = (int64_t)(next_random(&seed) % ENTRIES) + 1;
        }
        assert_ok(store_walk_begin(f->store, &walk));
        assert_ok(store_walk_each(f->store, take, &all));
        /* Nothing is left, neither for visits nor for steps. */
        size_t count = all.count;
        assert_ok(store_walk_each(f->store, take, &all));
        assert_int_equal(all.count, count);
        assert_rest_by_steps(f, &all, count);
        store_walk_end(f->store);

        assert_ok(store_walk_begin(f->store, &walk));
        assert_rest_by_steps(f, &all, 0);
        store_walk_end(f->store);
    }
    store_snapshot_end(f->store);
}

static void a_walk_goes_on_where_a_visitor_left_it(void **state)
{
    struct fixture *f = *state;
    unsigned seed = log_begin(f);

    for (int round = 0; round < 100; round++) {
        struct message_walk walk = random_walk(&seed, round);
        struct visitor all = {.wanted = SIZE_MAX};
        struct visitor parts = {.wanted = 0};

        assert_ok(store_walk_begin(f->store, &walk));
        assert_ok(store_walk_each(f->store, take, &all));
        store_walk_end(f->store);

        assert_ok(store_walk_begin(f->store, &walk));
        for (int part = 0; part < 4; part++) {
            struct entry entry = {0};
            bool found = false;

            parts.wanted = parts.count + 1 + next_random(&seed) % 20;
            assert_ok(store_walk_each(f->store, take, &parts));
            if (parts.count < parts.wanted) {
                assert_int_equal(parts.count, all.count);
                break;
            }
            if (part % 2 == 0) { /* and a step between two of them */
                assert_ok(store_walk_next(f->store, &found, &entry));
                if (!found) {
                    break;
                }
                assert_entry(&entry);
                parts.seqs[parts.count] = entry.seq;
                parts.count++;
            }
        }
        assert_memory_equal(parts.seqs, all.seqs, parts.count * sizeof parts.seqs[0]);
        assert_rest_by_steps(f, &all, parts.count);
        store_walk_end(f->store);
    }
    store_snapshot_end(f->store);
}

/* Passes over messages, few or many, from within the visit. */
static bool take_and_skip(void *argument, const struct entry *entry)
{
    struct visitor *visitor = argument;
    int64_t below = entry->seq - (int64_t)(next_random(&visitor->seed) % 12);

    (void)take(visitor, entry);
    /* Never up again. */
    store_walk_skip(visitor->fixture->store, entry->seq + 5);
    store_walk_skip(visitor->fixture->store, below);
    return true;
}

static void a_visitor_passes_over_what_it_does_not_want(void **state)
{
    struct fixture *f = *state;
    unsigned seed = log_begin(f);
    struct message_walk walk = {1, 0, INT64_MAX, 0};
    struct visitor all = {.wanted = SIZE_MAX};

    assert_ok(store_walk_begin(f->store, &walk));
    assert_ok(store_walk_each(f->store, take, &all));
    store_walk_end(f->store);
    for (int round = 0; round < 50; round++) {
        struct visitor some = {.fixture = f, .wanted = SIZE_MAX, .seed = next_random(&seed)};
        struct visitor again = some;
        int64_t below = INT64_MAX;
        size_t taken = 0;

        assert_ok(store_walk_begin(f->store, &walk));
        assert_ok(store_walk_each(f->store, take_and_skip, &some));
        store_walk_end(f->store);
        /* The newest below what was passed over, each time. */
        for (size_t at = 0; at < all.count; at++) {
            if (all.seqs[at] < below) {
                assert_int_equal(some.seqs[taken], all.seqs[at]);
                taken++;
                below = all.seqs[at] - (int64_t)(next_random(&again.seed) % 12);
            }
        }
        assert_int_equal(some.count, taken);
    }
    store_snapshot_end(f->store);
}

static bool take_and_look_around(void *argument, const struct entry *entry)
{
    struct visitor *visitor = argument;
    struct fixture *f = visitor->fixture;
    struct entry other = {0};
    struct conversation conversation = {0};
    struct str name = {NULL, 0};
    bool found = false;

    assert_ok(store_entry_find(f->store, 1, 1, &f->arena, &found, &other));
    assert_true(found);
    assert_ok(store_conversation_find(f->store, 1, 2, &found, &conversation));
    assert_true(found);
    assert_ok(store_account_name_find(f->store, 1, &f->arena, &found, &name));
    assert_true(found);
    assert_str(name, "ann");
    return take(argument, entry);
}

static void other_calls_come_from_within_a_visit(void **state)
{
    struct fixture *f = *state;
    struct message_walk walk = {1, 0, INT64_MAX, 0};
    struct visitor all = {.fixture = f, .wanted = SIZE_MAX};

    (void)log_begin(f);
    assert_ok(store_walk_begin(f->store, &walk));
    assert_ok(store_walk_each(f->store, take_and_look_around, &all));
    store_walk_end(f->store);
    assert_true(all.count > 0);

    assert_ok(store_walk_begin(f->store, &walk));
    assert_rest_by_steps(f, &all, 0);
    store_walk_end(f->store);
    store_snapshot_end(f->store);
}

/* Behind a skip, and within the batch that wrote the last entry. */
static void visits_begin_where_a_skip_led(void **state)
{
    struct fixture *f = *state;
    struct message_walk walk = {1, 0, INT64_MAX, 0};
    unsigned seed = log_begin(f);

    store_snapshot_end(f->store);
    assert_ok(store_batch_begin(f->store));
    struct entry last = {.kind = ENTRY_MESSAGE_SENT,
                         .other_id = 2 + (ENTRIES + 1) % 3,
                         .ref = 1000 + ENTRIES + 1,
                         .created_at_ms = 555 + ENTRIES + 1,
                         .text = text_of(ENTRIES + 1)};
    int64_t seq = 0;

    assert_ok(store_entry_append(f->store, 1, &last, 0, &seq));
    for (int round = 0; round < 100; round++) {
        struct visitor some = {.wanted = 1 + next_random(&seed) % 5};
        struct visitor rest = {.wanted = SIZE_MAX};
        struct message_walk below = {1, 0, 1 + (int64_t)(next_random(&seed) % ENTRIES), 0};

        assert_ok(store_walk_begin(f->store, &walk));
        assert_ok(store_walk_each(f->store, take, &some));
        assert_int_equal(some.seqs[0], ENTRIES + 1);
        below.before_seq = below.before_seq < some.seqs[some.count - 1] ? below.before_seq
                                                                        : some.seqs[some.count - 1];
        store_walk_skip(f->store, below.before_seq);
        assert_ok(store_walk_each(f->store, take, &rest));
        store_walk_end(f->store);

        assert_ok(store_walk_begin(f->store, &below));
        assert_rest_by_steps(f, &rest, 0);
        store_walk_end(f->store);
    }
    store_batch_rollback(f->store);
}

static void an_empty_log_has_no_visits(void **state)
{
    struct fixture *f = *state;
    struct visitor none = {.wanted = 0};

    assert_ok(store_snapshot_begin(f->store));
    for (int64_t other_id = 0; other_id <= 1; other_id++) {
        assert_ok(store_walk_begin(f->store, &(struct message_walk){2, other_id, INT64_MAX, 0}));
        assert_ok(store_walk_each(f->store, take, &none));
        store_walk_end(f->store);
    }
    store_snapshot_end(f->store);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        CONTRACT_CASE(visits_are_what_steps_are),
        CONTRACT_CASE(a_walk_goes_on_where_a_visitor_left_it),
        CONTRACT_CASE(a_visitor_passes_over_what_it_does_not_want),
        CONTRACT_CASE(other_calls_come_from_within_a_visit),
        CONTRACT_CASE(visits_begin_where_a_skip_led),
        CONTRACT_CASE(an_empty_log_has_no_visits),
    };
    int failed = 0;

    CONTRACT_RUN("visits", cases, failed);
    return failed;
}
