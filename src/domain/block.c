/* block.c - the rows of whom an account blocks; message.c and api/typing.c go by them. */
#include "domain/block.h"

#include "domain/name.h"

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
                        struct arena *arena)
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
    return error == OK && is_blocked ? store_block_delete(store, account_id, other_id) : error;
}
