/* log.c - one account's log: appending and finding entries. Walking it is walk.c.
 *
 * Invariants: seq is dense from 1 (until a deleted account's log is removed from its beginning).
 * A message's chain is the message before it with the same account; any other entry's chain is
 * the last message before it, of whatever account, so a walk can jump over a run of them.
 */
#include "store/sqlite/batch.h"
#include "store/sqlite/connection.h"
#include "store/sqlite/content.h"
#include "store/sqlite/entry.h"

static const char HEAD_FIND[] = "SELECT seq, kind, chain FROM log WHERE account_id = ?1"
                                " ORDER BY seq DESC LIMIT 1";
static const char ENTRY_ADD[] =
    "INSERT INTO log(account_id, seq, kind, other_id, chain, ref, received, created_at_ms, text)"
    " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
static const char ENTRY_FIND[] =
    "SELECT " ENTRY_COLUMNS " FROM log WHERE account_id = ?1 AND seq = ?2";

static enum error head_find(struct store *store, int64_t account_id, struct log_head *out_head);

enum error store_entry_append(struct store *store, int64_t account_id, const struct entry *entry,
                              int64_t previous_seq, int64_t *out_seq)
{
    struct log_head head = {0, 0};
    struct entry numbered = *entry;
    enum error error =
        known_head_find(store->known, account_id, &head) ? OK : head_find(store, account_id, &head);

    if (error != OK) {
        return error;
    }
    numbered.seq = head.seq + 1;
    numbered.chain = entry_kind_is_message(entry->kind) ? previous_seq : head.last_message_seq;
    error = entry_add(store, account_id, &numbered);
    if (error != OK) {
        return error;
    }
    changed_note(store, account_id);
    head.seq = numbered.seq;
    if (entry_kind_is_message(entry->kind)) {
        head.last_message_seq = numbered.seq;
    }
    known_head_set(store->known, account_id, &head);
    *out_seq = numbered.seq;
    return OK;
}

enum error entry_add(struct store *store, int64_t account_id, const struct entry *entry)
{
    struct query query = query_write(store, ENTRY_ADD);

    query_bind_int(&query, account_id);
    query_bind_int(&query, entry->seq);
    query_bind_int(&query, entry->kind);
    query_bind_int(&query, entry->other_id);
    query_bind_int(&query, entry->chain);
    query_bind_int(&query, entry->ref);
    query_bind_int(&query, entry->received);
    query_bind_int(&query, entry->created_at_ms);
    query_bind_text(&query, entry->text);
    return query_run(&query);
}

static enum error head_find(struct store *store, int64_t account_id, struct log_head *out_head)
{
    struct query query = query_read(store, HEAD_FIND);
    struct log_head head = {0, 0};
    enum error error;

    query_bind_int(&query, account_id);
    if (query_step(&query)) {
        head.seq = query_int(&query, 0);
        head.last_message_seq =
            entry_kind_is_message(query_int(&query, 1)) ? head.seq : query_int(&query, 2);
    }
    error = query_end(&query);
    if (error != OK) {
        return error;
    }
    *out_head = head;
    return OK;
}

enum error store_entry_find(struct store *store, int64_t account_id, int64_t seq,
                            struct arena *arena, bool *out_found, struct entry *out_entry)
{
    struct query query = query_read(store, ENTRY_FIND);
    struct entry entry = {0};
    bool found;
    enum error error;

    query_bind_int(&query, account_id);
    query_bind_int(&query, seq);
    found = query_step(&query);
    if (found) {
        entry_read(&query, &entry);
        if (arena == NULL) {
            entry.text = (struct str){NULL, 0};
        } else if (entry.text.ptr != NULL) {
            entry.text = arena_copy(arena, entry.text);
        }
    }
    error = query_end(&query);
    if (error == OK && found && arena != NULL && entry_is_without_its_text(&entry)) {
        error = content_find(store, entry.ref, arena, &entry.text);
    }
    if (error != OK) {
        return error;
    }
    *out_found = found;
    if (found) {
        *out_entry = entry;
    }
    return OK;
}
