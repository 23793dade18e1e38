/* chores.c - long work left for later, and the removal of what a deleted account left. */
#include "store/sqlite/batch.h"
#include "store/sqlite/connection.h"
#include "store/sqlite/content.h"

static const char CHORE_ADD[] = "INSERT INTO chore(id, kind, account_id, cursor, text,"
                                " created_at_ms) VALUES(?1, ?2, ?3, ?4, ?5, ?6)";
static const char CHORE_FIND[] = "SELECT id, kind, account_id, cursor, text, created_at_ms"
                                 " FROM chore ORDER BY id LIMIT 1";
static const char CHORE_SET_CURSOR[] = "UPDATE chore SET cursor = ?2 WHERE id = ?1";
static const char CHORE_DELETE[] = "DELETE FROM chore WHERE id = ?1";

/* The log goes from its beginning, so that its head stays what it was until nothing is left. */
static const char LOG_REMAINS[] =
    "SELECT seq, ref, kind IN (1, 2) AND text IS NULL, length(CAST(coalesce(text,"
    " (SELECT text FROM content WHERE message_id = ref AND kind IN (1, 2))) AS BLOB))"
    " FROM log WHERE account_id = ?1 ORDER BY seq";
static const char LOG_REMAINS_DELETE[] = "DELETE FROM log WHERE account_id = ?1 AND seq <= ?2";
static const char *const remains[] = {
    "DELETE FROM conversation WHERE account_id = ?1 AND other_id IN"
    " (SELECT other_id FROM conversation WHERE account_id = ?1 ORDER BY other_id LIMIT ?2)",
    "DELETE FROM sent_key_recent WHERE message_id IN"
    " (SELECT message_id FROM sent_key_recent WHERE account_id = ?1 LIMIT ?2)",
    "DELETE FROM sent_key WHERE account_id = ?1 AND key IN"
    " (SELECT key FROM sent_key WHERE account_id = ?1 ORDER BY key LIMIT ?2)",
    "DELETE FROM one_time_prekey WHERE account_id = ?1 AND position IN"
    " (SELECT position FROM one_time_prekey WHERE account_id = ?1 ORDER BY position LIMIT ?2)",
    "DELETE FROM claimed_prekey WHERE account_id = ?1 AND digest IN"
    " (SELECT digest FROM claimed_prekey WHERE account_id = ?1 ORDER BY digest LIMIT ?2)",
    "DELETE FROM key_bundle WHERE account_id = ?1 AND ?2 > 0",
    "DELETE FROM session WHERE account_id = ?1 AND id IN"
    " (SELECT id FROM session WHERE account_id = ?1 ORDER BY id LIMIT ?2)",
    "DELETE FROM block WHERE account_id = ?1 AND other_id IN"
    " (SELECT other_id FROM block WHERE account_id = ?1 ORDER BY other_id LIMIT ?2)",
    "DELETE FROM withheld_message WHERE account_id = ?1 AND message_id IN"
    " (SELECT message_id FROM withheld_message WHERE account_id = ?1 ORDER BY message_id LIMIT ?2)",
};

static enum error log_slice_delete(struct store *store, int64_t account_id,
                                   const struct slice_limits *limits, size_t *out_removed,
                                   bool *out_more);

enum error store_chore_add(struct store *store, const struct chore *chore)
{
    struct query query;
    int64_t id = 0;
    enum error error = counter_take(store, COUNTER_CHORE, &id);

    if (error != OK) {
        return error;
    }
    store->knows_no_chore = false;
    query = query_write(store, CHORE_ADD);
    query_bind_int(&query, id);
    query_bind_int(&query, chore->kind);
    query_bind_int(&query, chore->account_id);
    query_bind_int(&query, chore->cursor);
    query_bind_text(&query, chore->text);
    query_bind_int(&query, chore->created_at_ms);
    return query_run(&query);
}

enum error store_chore_find(struct store *store, struct arena *arena, bool *out_found,
                            struct chore *out_chore)
{
    struct query query = query_read(store, CHORE_FIND);
    struct chore chore = {0};
    bool found = query_step(&query);
    enum error error;

    if (found) {
        chore.id = query_int(&query, 0);
        chore.kind = (enum chore_kind)query_int(&query, 1);
        chore.account_id = query_int(&query, 2);
        chore.cursor = query_int(&query, 3);
        chore.text = query_text_copy(&query, 4, arena);
        chore.created_at_ms = query_int(&query, 5);
    }
    error = query_end(&query);
    if (error != OK) {
        return error;
    }
    store->knows_no_chore = !found;
    *out_found = found;
    if (found) {
        *out_chore = chore;
    }
    return OK;
}

/* Only the writer adds chores, so what it found stays true until it adds one. */
bool store_may_have_chores(const struct store *store)
{
    return !store->knows_no_chore;
}

enum error store_chore_set_cursor(struct store *store, int64_t chore_id, int64_t cursor)
{
    struct query query = query_write(store, CHORE_SET_CURSOR);

    query_bind_int(&query, chore_id);
    query_bind_int(&query, cursor);
    return query_run(&query);
}

enum error store_chore_delete(struct store *store, int64_t chore_id)
{
    struct query query = query_write(store, CHORE_DELETE);

    query_bind_int(&query, chore_id);
    return query_run(&query);
}

enum error store_remains_delete(struct store *store, int64_t account_id,
                                const struct slice_limits *limits, size_t *out_removed,
                                bool *out_more)
{
    size_t removed = 0;
    bool more = false;
    enum error error = log_slice_delete(store, account_id, limits, &removed, &more);

    changed_note(store, account_id);
    known_forget(store->known);
    for (size_t i = 0; error == OK && !more && i < sizeof remains / sizeof remains[0]; i++) {
        struct query query = query_write(store, remains[i]);
        size_t left = limits->max_rows - removed;

        query_bind_int(&query, account_id);
        query_bind_int(&query, (int64_t)left);
        error = query_run(&query);
        if (error == OK) {
            removed += (size_t)sqlite3_changes(store->database);
            more = removed == limits->max_rows;
        }
    }
    if (error == OK) {
        *out_removed = removed;
        *out_more = more;
    }
    return error;
}

/* Removing text overwrites its pages (secure_delete), so its length counts as much as the rows. */
static enum error log_slice_delete(struct store *store, int64_t account_id,
                                   const struct slice_limits *limits, size_t *out_removed,
                                   bool *out_more)
{
    struct query query = query_read(store, LOG_REMAINS);
    int64_t last_seq = 0;
    size_t rows = 0;
    size_t text_bytes = 0;
    enum error error = OK;
    enum error read_error;

    query_bind_int(&query, account_id);
    while (error == OK && rows < limits->max_rows && text_bytes < limits->max_text_bytes &&
           query_step(&query)) {
        last_seq = query_int(&query, 0);
        text_bytes += (size_t)query_int(&query, 3);
        rows++;
        if (query_int(&query, 2) != 0) {
            error = content_release(store, query_int(&query, 1));
        }
    }
    bool more = rows == limits->max_rows || text_bytes >= limits->max_text_bytes;
    read_error = query_end(&query);
    error = error == OK ? read_error : error;
    if (error != OK || rows == 0) {
        return error;
    }
    query = query_write(store, LOG_REMAINS_DELETE);
    query_bind_int(&query, account_id);
    query_bind_int(&query, last_seq);
    error = query_run(&query);
    if (error == OK) {
        *out_removed = rows;
        *out_more = more;
    }
    return error;
}
