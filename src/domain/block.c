/* block.c - the rows of whom an account blocks; message.c and api/typing.c go by them. */
#include "domain/block.h"

#include "domain/name.h"
#include "domain/renamed.h"

static enum error tell_untold(struct store *store, int64_t account_id, int64_t other_id,
                              int64_t now_ms, struct arena *arena);

enum error block_add(struct store *store, int64_t account_id, struct str username, int64_t now_ms,
                     struct arena *arena)
{
    int64_t other_id = 0;
    int64_t count = 0;
    bool is_blocked = false;
    enum error error = name_resolve(store, username, false, arena, &other_id);

    if (error == OK && other_id == 0) {
        return ERROR_ACCOUNT_NOT_FOUND;
    }
    if (error == OK && other_id == account_id) {
        return ERROR_BLOCK_OF_ONESELF;
    }
    if (error == OK) {
        error = store_block_find(store, account_id, other_id, &is_blocked);
    }
    if (error != OK || is_blocked) {
        return error;
    }
    error = store_block_count(store, account_id, &count);
    if (error == OK && count >= BLOCKS_MAX) {
        return ERROR_BLOCKS_FULL;
    }
    return error == OK ? store_block_add(store, account_id, other_id, now_ms) : error;
}

enum error block_remove(struct store *store, int64_t account_id, struct str username,
                        int64_t now_ms, struct arena *arena)
{
    int64_t other_id = 0;
    bool is_blocked = false;
    enum error error = name_resolve(store, username, true, arena, &other_id);

    if (error == OK && other_id == 0) {
        return ERROR_ACCOUNT_NOT_FOUND;
    }
    if (error == OK) {
        error = store_block_find(store, account_id, other_id, &is_blocked);
    }
    if (error == OK && is_blocked) {
        error = tell_untold(store, account_id, other_id, now_ms, arena);
        if (error == OK) {
            error = store_block_delete(store, account_id, other_id);
        }
    }
    return error;
}

/* Names and keys as they are now, once, however often they changed. */
static enum error tell_untold(struct store *store, int64_t account_id, int64_t other_id,
                              int64_t now_ms, struct arena *arena)
{
    struct entry entry = {.other_id = other_id, .created_at_ms = now_ms};
    struct block_untold untold = {0};
    struct account other = {0};
    bool is_found = false;
    int64_t seq;
    enum error error = store_block_untold_find(store, account_id, other_id, arena, &untold);

    if (error == OK && untold.renamed.ptr != NULL) {
        error = store_account_find(store, other_id, arena, &is_found, &other);
    }
    if (error == OK && is_found) {
        entry.kind = ENTRY_ACCOUNT_RENAMED;
        entry.text = renamed_text_since(untold.renamed, other.name, arena);
        if (entry.text.ptr != NULL) {
            error = store_entry_append(store, account_id, &entry, 0, &seq);
        }
    }
    if (error == OK && untold.has_new_keys) {
        entry.kind = ENTRY_KEYS_CHANGED;
        entry.text = (struct str){NULL, 0};
        error = store_entry_append(store, account_id, &entry, 0, &seq);
    }
    return error;
}
