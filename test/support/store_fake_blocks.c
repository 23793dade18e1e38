/* store_fake_blocks.c - blocks and withheld messages of the fake store. */
#include <stdlib.h>

#include "support/store_fake_rows.h"

static bool block_row(const struct store *store, int64_t account_id, int64_t other_id,
                      size_t *out_index);
static int compare_newest_first(const void *a, const void *b);

enum error store_block_find(struct store *store, int64_t account_id, int64_t other_id,
                            bool *out_found)
{
    size_t index;
    enum error error = fake_enter(store);

    if (error == OK) {
        *out_found = block_row(store, account_id, other_id, &index);
    }
    return error;
}

enum error store_block_add(struct store *store, int64_t account_id, int64_t other_id,
                           int64_t since_ms)
{
    const struct fake_block row = {.account_id = account_id, .block = {other_id, since_ms, 0}};
    size_t index;
    enum error error = fake_enter_write(store);

    if (error == OK && !block_row(store, account_id, other_id, &index)) {
        fake_table_add(&store->home->rows.blocks, &row);
    }
    return error;
}

enum error store_block_delete(struct store *store, int64_t account_id, int64_t other_id)
{
    size_t index;
    enum error error = fake_enter_write(store);

    if (error == OK && block_row(store, account_id, other_id, &index)) {
        fake_table_remove(&store->home->rows.blocks, index);
    }
    return error;
}

enum error store_block_note_untold(struct store *store, int64_t account_id, int64_t other_id,
                                   bool keys_changed, struct str renamed)
{
    size_t index;
    enum error error = fake_enter_write(store);

    if (error == OK && block_row(store, account_id, other_id, &index)) {
        struct block_untold *untold =
            &FAKE_ROW(store->home->rows.blocks, struct fake_block, index)->untold;

        if (keys_changed) {
            untold->has_new_keys = true;
        } else if (untold->renamed.ptr == NULL) {
            untold->renamed = fake_text_keep(store, renamed);
        }
    }
    return error;
}

enum error store_block_untold_find(struct store *store, int64_t account_id, int64_t other_id,
                                   struct arena *arena, struct block_untold *out_untold)
{
    size_t index;
    enum error error = fake_enter(store);

    if (error == OK && block_row(store, account_id, other_id, &index)) {
        *out_untold = FAKE_ROW(store->home->rows.blocks, struct fake_block, index)->untold;
        if (out_untold->renamed.ptr != NULL) {
            out_untold->renamed = arena_copy(arena, out_untold->renamed);
        }
    }
    return error;
}

static bool block_row(const struct store *store, int64_t account_id, int64_t other_id,
                      size_t *out_index)
{
    const struct fake_table *blocks = &store->home->rows.blocks;

    for (size_t i = 0; i < blocks->count; i++) {
        const struct fake_block *row = FAKE_ROW(*blocks, struct fake_block, i);

        if (row->account_id == account_id && row->block.other_id == other_id) {
            *out_index = i;
            return true;
        }
    }
    return false;
}

enum error store_block_count(struct store *store, int64_t account_id, int64_t *out_count)
{
    const struct fake_table *blocks = &store->home->rows.blocks;
    int64_t count = 0;
    enum error error = fake_enter(store);

    if (error != OK) {
        return error;
    }
    for (size_t i = 0; i < blocks->count; i++) {
        count += FAKE_ROW(*blocks, struct fake_block, i)->account_id == account_id ? 1 : 0;
    }
    *out_count = count;
    return OK;
}

enum error store_block_list(struct store *store, int64_t account_id, struct arena *arena,
                            struct block **out_blocks, size_t *out_count)
{
    const struct fake_table *blocks = &store->home->rows.blocks;
    enum error error = fake_enter(store);

    if (error != OK) {
        return error;
    }
    struct block *found = arena_alloc(arena, blocks->count * sizeof(*found));
    size_t count = 0;

    for (size_t i = 0; i < blocks->count; i++) {
        const struct fake_block *row = FAKE_ROW(*blocks, struct fake_block, i);

        if (row->account_id == account_id) {
            found[count++] = row->block;
        }
    }
    if (count > 0) {
        qsort(found, count, sizeof(*found), compare_newest_first);
    }
    *out_blocks = found;
    *out_count = count;
    return OK;
}

static int compare_newest_first(const void *a, const void *b)
{
    const struct block *left = a;
    const struct block *right = b;

    if (left->since_ms != right->since_ms) {
        return left->since_ms < right->since_ms ? 1 : -1;
    }
    return (left->other_id < right->other_id) - (left->other_id > right->other_id);
}

enum error store_withheld_add(struct store *store, int64_t account_id, int64_t recipient_id,
                              int64_t message_id)
{
    const struct fake_withheld row = {account_id, message_id};
    size_t index;
    enum error error = fake_enter_write(store);

    if (error == OK) {
        fake_table_add(&store->home->rows.withheld, &row);
        if (block_row(store, recipient_id, account_id, &index)) {
            FAKE_ROW(store->home->rows.blocks, struct fake_block, index)->block.withheld++;
        }
    }
    return error;
}
