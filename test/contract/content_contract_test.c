/* content_contract_test.c - a message's content is with each of its entries, short or long, however
 * it is stored, and until the last of them is gone.
 */
#include "contract.h"

#define LONG_BYTES 60000u

static char long_text[LONG_BYTES];

/* Mixed, so that a walk in either direction meets a short one first and then a long one. */
static const size_t lengths[] = {1, 257, LONG_BYTES, 255, 4000, 256};
#define LENGTHS (sizeof lengths / sizeof lengths[0])
#define LONGEST 2

/* Different for each message, so that none is taken for another. */
static struct str content_of(size_t number)
{
    memset(long_text, 'a' + (int)number, lengths[number]);
    return (struct str){long_text, lengths[number]};
}

static void assert_content(struct str text, size_t number)
{
    struct str expected = content_of(number);

    assert_int_equal(text.len, expected.len);
    assert_memory_equal(text.ptr, expected.ptr, expected.len);
}

static void append(struct fixture *f, int64_t account_id, enum entry_kind kind, size_t number,
                   struct str text)
{
    struct entry entry = {
        .kind = kind, .other_id = 3 - account_id, .ref = (int64_t)number + 1, .text = text};
    struct conversation conversation = {.other_id = 3 - account_id};
    int64_t seq = 0;

    assert_ok(store_entry_append(f->store, account_id, &entry, (int64_t)number, &seq));
    assert_int_equal(seq, number + 1);
    conversation.last_seq = seq;
    assert_ok(store_conversation_set(f->store, account_id, &conversation));
}

/* A short one with account 2, behind whatever is in the log. */
static void append_last(struct fixture *f, struct str text)
{
    struct entry entry = {
        .kind = ENTRY_MESSAGE_SENT, .other_id = 2, .ref = LENGTHS + 1, .text = text};
    int64_t seq = 0;

    assert_ok(store_entry_append(f->store, 1, &entry, LENGTHS, &seq));
}

/* One message of each length from account 1 to account 2. */
static void send_all(struct fixture *f)
{
    assert_ok(store_batch_begin(f->store));
    for (size_t number = 0; number < LENGTHS; number++) {
        struct str text = {NULL, 0};

        assert_ok(store_content_add(f->store, (int64_t)number + 1, content_of(number), 2, &text));
        append(f, 1, ENTRY_MESSAGE_SENT, number, text);
        append(f, 2, ENTRY_MESSAGE_RECEIVED, number, text);
    }
    fixture_commit_and_reopen(f);
}

static void assert_found_one_by_one(struct fixture *f, int64_t account_id)
{
    for (size_t number = 0; number < LENGTHS; number++) {
        struct entry entry = {0};
        bool found = false;

        assert_ok(
            store_entry_find(f->store, account_id, (int64_t)number + 1, &f->arena, &found, &entry));
        assert_true(found);
        assert_content(entry.text, number);
        assert_ok(
            store_entry_find(f->store, account_id, (int64_t)number + 1, NULL, &found, &entry));
        assert_true(found);
        assert_int_equal(entry.ref, number + 1);
        assert_null(entry.text.ptr);
    }
}

/* Downwards: all conversations, or the one with `other_id`. */
static void assert_walked(struct fixture *f, int64_t account_id, int64_t other_id)
{
    struct message_walk walk = {
        .account_id = account_id, .other_id = other_id, .before_seq = INT64_MAX};
    struct entry entry = {0};
    bool found = true;

    assert_ok(store_walk_begin(f->store, &walk));
    for (size_t number = LENGTHS; number > 0; number--) {
        assert_ok(store_walk_next(f->store, &found, &entry));
        assert_true(found);
        assert_content(entry.text, number - 1);
    }
    assert_ok(store_walk_next(f->store, &found, &entry));
    assert_false(found);
    store_walk_end(f->store);
}

static void assert_walked_upwards(struct fixture *f, int64_t account_id)
{
    struct entry entry = {0};
    bool found = true;

    assert_ok(store_walk_begin_upwards(f->store, account_id, 0));
    for (size_t number = 0; number < LENGTHS; number++) {
        assert_ok(store_walk_next(f->store, &found, &entry));
        assert_true(found);
        assert_content(entry.text, number);
    }
    store_walk_end(f->store);
}

static void a_content_is_with_each_of_its_entries(void **state)
{
    struct fixture *f = *state;

    send_all(f);
    for (int64_t account_id = 1; account_id <= 2; account_id++) {
        assert_found_one_by_one(f, account_id);
        assert_walked(f, account_id, 0);
        assert_walked(f, account_id, 3 - account_id);
        assert_walked_upwards(f, account_id);
    }
    store_batch_rollback(f->store);
}

/* A walk that ends at a long one leaves nothing behind that the next would meet. */
static void a_walk_may_end_at_any_message(void **state)
{
    struct fixture *f = *state;
    struct message_walk walk = {.account_id = 1, .before_seq = INT64_MAX};

    send_all(f);
    for (size_t steps = 1; steps <= LENGTHS; steps++) {
        struct entry entry = {0};
        bool found = false;

        assert_ok(store_walk_begin(f->store, &walk));
        for (size_t step = 0; step < steps; step++) {
            assert_ok(store_walk_next(f->store, &found, &entry));
        }
        assert_content(entry.text, LENGTHS - steps);
        store_walk_end(f->store);
        assert_found_one_by_one(f, 1);
    }
    store_batch_rollback(f->store);
}

/* Marks of reading a long message lie between, with its id and no text of their own. */
static void a_walk_steps_over_what_is_no_message(void **state)
{
    struct fixture *f = *state;
    struct message_walk walk = {.account_id = 1, .before_seq = INT64_MAX};
    struct entry entry = {0};
    struct str text = STR("short");
    int64_t seq = 0;
    bool found = false;

    send_all(f);
    for (int mark = 0; mark < 9; mark++) {
        struct entry read = {.kind = ENTRY_READ_BY_ME, .other_id = 2, .ref = LONGEST + 1};

        assert_ok(store_entry_append(f->store, 1, &read, 0, &seq));
    }
    append_last(f, text);
    assert_ok(store_walk_begin(f->store, &walk));
    assert_ok(store_walk_next(f->store, &found, &entry));
    assert_true(found);
    assert_str(entry.text, "short");
    for (size_t number = LENGTHS; number > 0; number--) {
        assert_ok(store_walk_next(f->store, &found, &entry));
        assert_true(found);
        assert_content(entry.text, number - 1);
        if (number == LENGTHS) { /* over the rest, to the oldest two */
            store_walk_skip(f->store, 3);
            number = 3;
        }
    }
    assert_ok(store_walk_next(f->store, &found, &entry));
    assert_false(found);
    store_walk_end(f->store);

    assert_ok(store_walk_begin_upwards(f->store, 1, 0));
    for (size_t step = 0; step < LENGTHS + 9 + 1; step++) {
        assert_ok(store_walk_next(f->store, &found, &entry));
        assert_true(found);
        if (entry.kind == ENTRY_READ_BY_ME) {
            assert_int_equal(entry.text.len, 0);
        } else if (step < LENGTHS) {
            assert_content(entry.text, step);
        } else {
            assert_str(entry.text, "short");
        }
    }
    store_walk_end(f->store);
    store_batch_rollback(f->store);
}

static void a_content_outlives_one_of_its_accounts(void **state)
{
    struct fixture *f = *state;
    const struct slice_limits limits = {2, 1u << 20};
    size_t removed = 0;
    bool more = true;

    send_all(f);
    while (more) {
        assert_ok(store_remains_delete(f->store, 1, &limits, &removed, &more));
        assert_found_one_by_one(f, 2);
    }
    assert_walked(f, 2, 0);
    fixture_commit_and_reopen(f);
    assert_walked_upwards(f, 2);
    store_batch_rollback(f->store);
}

static void a_slice_of_long_contents_is_shorter(void **state)
{
    struct fixture *f = *state;
    const struct slice_limits limits = {100, 4512};
    size_t removed = 0;
    bool more = false;

    send_all(f);
    assert_ok(store_remains_delete(f->store, 1, &limits, &removed, &more));
    assert_int_equal(removed, 3); /* 1 + 257 + 60000 */
    assert_true(more);
    store_batch_rollback(f->store);
}

static void a_unit_undone_takes_its_content_along(void **state)
{
    struct fixture *f = *state;
    struct str text = {NULL, 0};
    int64_t seq = 0;

    assert_ok(store_batch_begin(f->store));
    for (int attempt = 0; attempt < 2; attempt++) {
        store_unit_begin(f->store, UNIT_SAVED);
        assert_ok(store_content_add(f->store, 1, content_of(LONGEST), 1, &text));
        if (attempt == 0) {
            assert_ok(store_unit_undo(f->store));
        }
    }
    assert_ok(store_entry_append(
        f->store, 1,
        &(struct entry){.kind = ENTRY_MESSAGE_SENT, .other_id = 2, .ref = 1, .text = text}, 0,
        &seq));
    assert_ok(store_unit_keep(f->store));
    store_batch_rollback(f->store);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        CONTRACT_CASE(a_content_is_with_each_of_its_entries),
        CONTRACT_CASE(a_walk_may_end_at_any_message),
        CONTRACT_CASE(a_walk_steps_over_what_is_no_message),
        CONTRACT_CASE(a_content_outlives_one_of_its_accounts),
        CONTRACT_CASE(a_slice_of_long_contents_is_shorter),
        CONTRACT_CASE(a_unit_undone_takes_its_content_along),
    };
    int failed = 0;

    CONTRACT_RUN("content", cases, failed);
    return failed;
}
