/* blocks.c - whom an account blocks, and the messages that were withheld for it.
 *
 * Every send asks whether its recipient blocks the sender, so the writer remembers the answer
 * beside the conversation it has to find anyway (known.h).
 */
#include "store/sqlite/connection.h"

static const char BLOCK_FIND[] = "SELECT 1 FROM block WHERE account_id = ?1 AND other_id = ?2";
/* One that is there keeps its time. */
static const char BLOCK_ADD[] =
    "INSERT OR IGNORE INTO block(account_id, other_id, since_ms, withheld) VALUES(?1, ?2, ?3, 0)";
static const char BLOCK_DELETE[] = "DELETE FROM block WHERE account_id = ?1 AND other_id = ?2";
static const char BLOCK_COUNT[] = "SELECT count(*) FROM block WHERE account_id = ?1";
static const char BLOCK_LIST[] =
    "SELECT other_id, since_ms, withheld FROM block WHERE account_id = ?1"
    " ORDER BY since_ms DESC, other_id DESC";
static const char UNTOLD_NOTE[] = "UPDATE block SET untold_keys = max(untold_keys, ?3),"
                                  " untold_renamed = coalesce(untold_renamed, ?4)"
                                  " WHERE account_id = ?1 AND other_id = ?2";
static const char UNTOLD_FIND[] = "SELECT untold_renamed, untold_keys FROM block"
                                  " WHERE account_id = ?1 AND other_id = ?2";
static const char WITHHELD_COUNT[] =
    "UPDATE block SET withheld = withheld + 1 WHERE account_id = ?1 AND other_id = ?2";
static const char WITHHELD_ADD[] =
    "INSERT INTO withheld_message(account_id, message_id) VALUES(?1, ?2)";

enum error store_block_find(struct store *store, int64_t account_id, int64_t other_id,
                            bool *out_found)
{
    struct query query;
    bool is_found;
    enum error error;

    if (known_block_find(store->known, account_id, other_id, out_found)) {
        return OK;
    }
    query = query_read(store, BLOCK_FIND);
    query_bind_int(&query, account_id);
    query_bind_int(&query, other_id);
    is_found = query_step(&query);
    error = query_end(&query);
    if (error == OK) {
        known_block_set(store->known, account_id, other_id, is_found);
        *out_found = is_found;
    }
    return error;
}

enum error store_block_add(struct store *store, int64_t account_id, int64_t other_id,
                           int64_t since_ms)
{
    struct query query = query_write(store, BLOCK_ADD);
    enum error error;

    query_bind_int(&query, account_id);
    query_bind_int(&query, other_id);
    query_bind_int(&query, since_ms);
    error = query_run(&query);
    if (error == OK) {
        known_block_set(store->known, account_id, other_id, true);
    }
    return error;
}

enum error store_block_delete(struct store *store, int64_t account_id, int64_t other_id)
{
    struct query query = query_write(store, BLOCK_DELETE);
    enum error error;

    query_bind_int(&query, account_id);
    query_bind_int(&query, other_id);
    error = query_run(&query);
    if (error == OK) {
        known_block_set(store->known, account_id, other_id, false);
    }
    return error;
}

enum error store_block_count(struct store *store, int64_t account_id, int64_t *out_count)
{
    struct query query = query_read(store, BLOCK_COUNT);

    query_bind_int(&query, account_id);
    return query_run_int(&query, out_count);
}

enum error store_block_list(struct store *store, int64_t account_id, struct arena *arena,
                            struct block **out_blocks, size_t *out_count)
{
    struct query query = query_read(store, BLOCK_LIST);
    struct block *blocks = NULL;
    size_t count = 0;
    size_t capacity = 0;
    enum error error;

    query_bind_int(&query, account_id);
    while (query_step(&query)) {
        blocks = rows_reserve(arena, blocks, count, &capacity, sizeof *blocks);
        blocks[count++] = (struct block){
            .other_id = query_int(&query, 0),
            .since_ms = query_int(&query, 1),
            .withheld = query_int(&query, 2),
        };
    }
    error = query_end(&query);
    if (error != OK) {
        return error;
    }
    *out_blocks = blocks;
    *out_count = count;
    return OK;
}

enum error store_block_note_untold(struct store *store, int64_t account_id, int64_t other_id,
                                   bool keys_changed, struct str renamed)
{
    struct query query = query_write(store, UNTOLD_NOTE);

    query_bind_int(&query, account_id);
    query_bind_int(&query, other_id);
    query_bind_int(&query, keys_changed ? 1 : 0);
    query_bind_text(&query, keys_changed ? (struct str){NULL, 0} : renamed);
    return query_run(&query);
}

enum error store_block_untold_find(struct store *store, int64_t account_id, int64_t other_id,
                                   struct arena *arena, struct block_untold *out_untold)
{
    struct query query = query_read(store, UNTOLD_FIND);
    struct block_untold untold = {.renamed = {NULL, 0}};
    enum error error;

    query_bind_int(&query, account_id);
    query_bind_int(&query, other_id);
    if (query_step(&query)) {
        untold.renamed = query_text_copy(&query, 0, arena);
        untold.has_new_keys = query_int(&query, 1) != 0;
    }
    error = query_end(&query);
    if (error == OK) {
        *out_untold = untold;
    }
    return error;
}

/* Two small rows, as the recipient's side of any message is: how long a send takes must not tell
 * its sender that it was withheld. */
enum error store_withheld_add(struct store *store, int64_t account_id, int64_t recipient_id,
                              int64_t message_id)
{
    struct query query = query_write(store, WITHHELD_ADD);
    enum error error;

    query_bind_int(&query, account_id);
    query_bind_int(&query, message_id);
    error = query_run(&query);
    if (error != OK) {
        return error;
    }
    query = query_write(store, WITHHELD_COUNT);
    query_bind_int(&query, recipient_id);
    query_bind_int(&query, account_id);
    return query_run(&query);
}
