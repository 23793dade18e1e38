/* blocks_contract_test.c - blocks of every store, and notes of messages they withheld. */
#include "contract.h"

static bool is_blocked(struct fixture *f, int64_t account_id, int64_t other_id)
{
    bool found = false;

    assert_ok(store_block_find(f->store, account_id, other_id, &found));
    return found;
}

static void a_block_is_one_way_and_keeps_its_first_time(void **state)
{
    struct fixture *f = *state;
    struct block *blocks = NULL;
    size_t count = 0;

    assert_ok(store_batch_begin(f->store));
    assert_false(is_blocked(f, 1, 2));
    assert_ok(store_block_add(f->store, 1, 2, 50));
    assert_ok(store_block_add(f->store, 1, 2, 60));
    fixture_commit_and_reopen(f);
    assert_true(is_blocked(f, 1, 2));
    assert_false(is_blocked(f, 2, 1));
    assert_ok(store_block_list(f->store, 1, &f->arena, &blocks, &count));
    assert_int_equal(count, 1);
    assert_int_equal(blocks[0].other_id, 2);
    assert_int_equal(blocks[0].since_ms, 50);
    assert_ok(store_block_list(f->store, 2, &f->arena, &blocks, &count));
    assert_int_equal(count, 0);
    store_batch_rollback(f->store);
}

static void blocks_are_counted_and_listed_newest_first(void **state)
{
    struct fixture *f = *state;
    struct block *blocks = NULL;
    size_t count = 0;
    int64_t counted = 0;

    assert_ok(store_batch_begin(f->store));
    assert_ok(store_block_add(f->store, 1, 9, 50));
    assert_ok(store_block_add(f->store, 1, 4, 70));
    assert_ok(store_block_add(f->store, 1, 5, 70));
    assert_ok(store_block_add(f->store, 2, 1, 80));
    fixture_commit_and_reopen(f);
    assert_ok(store_block_count(f->store, 1, &counted));
    assert_int_equal(counted, 3);
    assert_ok(store_block_count(f->store, 3, &counted));
    assert_int_equal(counted, 0);
    assert_ok(store_block_list(f->store, 1, &f->arena, &blocks, &count));
    assert_int_equal(count, 3);
    assert_int_equal(blocks[0].other_id, 5);
    assert_int_equal(blocks[1].other_id, 4);
    assert_int_equal(blocks[2].other_id, 9);
    store_batch_rollback(f->store);
}

/* Beside a conversation, too, where a store may remember the answer. */
static void what_is_answered_follows_every_change(void **state)
{
    struct fixture *f = *state;
    struct conversation conversation = {.other_id = 2, .last_seq = 1, .received = 1};

    assert_ok(store_batch_begin(f->store));
    assert_ok(store_conversation_set(f->store, 1, &conversation));
    assert_false(is_blocked(f, 1, 2));
    assert_ok(store_block_add(f->store, 1, 2, 50));
    assert_true(is_blocked(f, 1, 2));
    conversation.read = 1;
    assert_ok(store_conversation_set(f->store, 1, &conversation));
    assert_true(is_blocked(f, 1, 2));
    assert_ok(store_batch_commit(f->store));

    assert_ok(store_batch_begin(f->store));
    store_unit_begin(f->store, UNIT_SAVED);
    assert_ok(store_block_delete(f->store, 1, 2));
    assert_false(is_blocked(f, 1, 2));
    assert_ok(store_unit_undo(f->store));
    assert_true(is_blocked(f, 1, 2));
    assert_ok(store_block_delete(f->store, 1, 2));
    store_batch_rollback(f->store);

    assert_ok(store_batch_begin(f->store));
    assert_true(is_blocked(f, 1, 2));
    assert_ok(store_block_delete(f->store, 1, 2));
    assert_ok(store_block_delete(f->store, 1, 3));
    fixture_commit_and_reopen(f);
    assert_false(is_blocked(f, 1, 2));
    store_batch_rollback(f->store);
}

static void withheld_messages_are_counted_in_their_block(void **state)
{
    struct fixture *f = *state;
    struct block *blocks = NULL;
    size_t count = 0;

    assert_ok(store_batch_begin(f->store));
    assert_ok(store_block_add(f->store, 1, 2, 50));
    assert_ok(store_block_add(f->store, 1, 3, 60));
    assert_ok(store_withheld_add(f->store, 2, 1, 100));
    assert_ok(store_withheld_add(f->store, 2, 1, 101));
    fixture_commit_and_reopen(f);
    assert_ok(store_block_list(f->store, 1, &f->arena, &blocks, &count));
    assert_int_equal(count, 2);
    assert_int_equal(blocks[0].withheld, 0);
    assert_int_equal(blocks[1].withheld, 2);
    assert_int_equal(blocks[1].since_ms, 50);
    store_batch_rollback(f->store);
}

/* The first renaming stays, as the text of its entry; keys are a mark. Other blocks have neither.
 */
static void what_was_not_told_stands_in_the_block(void **state)
{
    struct fixture *f = *state;
    struct block_untold untold = {.has_new_keys = true};

    assert_ok(store_batch_begin(f->store));
    assert_ok(store_block_add(f->store, 1, 2, 50));
    assert_ok(store_block_add(f->store, 2, 1, 50));
    assert_ok(store_block_untold_find(f->store, 1, 2, &f->arena, &untold));
    assert_null(untold.renamed.ptr);
    assert_false(untold.has_new_keys);
    assert_ok(store_block_note_untold(f->store, 1, 2, false, STR("[\"a\",\"b\"]")));
    assert_ok(store_block_note_untold(f->store, 1, 2, false, STR("[\"b\",\"c\"]")));
    assert_ok(store_block_untold_find(f->store, 1, 2, &f->arena, &untold));
    assert_str(untold.renamed, "[\"a\",\"b\"]");
    assert_false(untold.has_new_keys);
    assert_ok(store_block_note_untold(f->store, 1, 2, true, (struct str){NULL, 0}));
    assert_ok(store_block_note_untold(f->store, 1, 3, true, (struct str){NULL, 0}));
    fixture_commit_and_reopen(f);
    assert_ok(store_block_untold_find(f->store, 1, 2, &f->arena, &untold));
    assert_str(untold.renamed, "[\"a\",\"b\"]");
    assert_true(untold.has_new_keys);
    assert_ok(store_block_untold_find(f->store, 2, 1, &f->arena, &untold));
    assert_null(untold.renamed.ptr);
    assert_false(untold.has_new_keys);
    assert_ok(store_block_delete(f->store, 1, 2));
    assert_ok(store_block_add(f->store, 1, 2, 60));
    assert_ok(store_block_untold_find(f->store, 1, 2, &f->arena, &untold));
    assert_null(untold.renamed.ptr);
    assert_false(untold.has_new_keys);
    store_batch_rollback(f->store);
}

/* In slices, with everything else of the account; what others have of it stays. */
static void a_deleted_accounts_blocks_and_notes_go(void **state)
{
    struct fixture *f = *state;
    const struct slice_limits limits = {.max_rows = 2, .max_text_bytes = 1000};
    size_t removed = 0;
    size_t total = 0;
    int64_t counted = 0;
    bool more = true;

    assert_ok(store_batch_begin(f->store));
    for (int64_t other_id = 2; other_id <= 4; other_id++) {
        assert_ok(store_block_add(f->store, 1, other_id, 50));
        assert_ok(store_withheld_add(f->store, 1, 9, 100 + other_id));
    }
    assert_ok(store_block_add(f->store, 2, 1, 50));
    fixture_commit_and_reopen(f);
    while (more) {
        assert_ok(store_remains_delete(f->store, 1, &limits, &removed, &more));
        assert_in_range(removed, 0, 2);
        total += removed;
    }
    assert_int_equal(total, 6);
    assert_ok(store_block_count(f->store, 1, &counted));
    assert_int_equal(counted, 0);
    assert_true(is_blocked(f, 2, 1));
    store_batch_rollback(f->store);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        CONTRACT_CASE(a_block_is_one_way_and_keeps_its_first_time),
        CONTRACT_CASE(blocks_are_counted_and_listed_newest_first),
        CONTRACT_CASE(what_is_answered_follows_every_change),
        CONTRACT_CASE(withheld_messages_are_counted_in_their_block),
        CONTRACT_CASE(what_was_not_told_stands_in_the_block),
        CONTRACT_CASE(a_deleted_accounts_blocks_and_notes_go),
    };
    int failed = 0;

    CONTRACT_RUN("blocks", cases, failed);
    return failed;
}
