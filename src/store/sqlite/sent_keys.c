/* sent_keys.c - which message an exactly-once key made.
 *
 *   added --> sent_key_recent, at its end, and the index of it in memory (recent_keys.h)
 *   RECENT_KEYS_DUE gathered --> a few with each commit: copied to sent_key, in the order of
 *   accounts --> all were --> removed from sent_key_recent, oldest first
 *
 * 1. A key is in one of the tables from its commit on, and for a while in both: copying one again
 *    does nothing.
 * 2. The index is read from the table when the first key is asked for after an opening or a
 *    rollback. How far a move had come is not known then, so if there are enough for one, the next
 *    commit moves all of them: else a server that is started again and again would never end one.
 *
 * The column `digest` has a SHA-256 in the rows of older versions, and a fingerprint since.
 */
#include "store/sqlite/sent_keys.h"

#include <limits.h>
#include <string.h>

#include "base/require.h"
#include "store/sqlite/recent_keys.h"

/* Keys are copied twice as fast as others come, and then removed eight times as fast: five new ones
 * for eight moved, so there are never more than 2 × RECENT_KEYS_DUE and those of a batch. */
#define MOVED_PER_ADDED 2u
#define REMOVED_PER_ADDED 8u

static const char SENT_KEY_FIND[] = "SELECT digest, message_id, created_at_ms FROM sent_key"
                                    " WHERE account_id = ?1 AND key = ?2";
static const char RECENT_FIND[] = "SELECT digest, message_id, created_at_ms FROM sent_key_recent"
                                  " WHERE message_id = ?1 AND account_id = ?2 AND key = ?3";
static const char RECENT_ADD[] = "INSERT INTO sent_key_recent(account_id, key, digest, message_id,"
                                 " created_at_ms) VALUES(?1, ?2, ?3, ?4, ?5)";
static const char RECENT_LIST[] =
    "SELECT message_id, account_id, key FROM sent_key_recent ORDER BY message_id";
static const char RECENT_LAST[] = "SELECT max(message_id) FROM sent_key_recent";
static const char RECENT_COPY[] =
    "INSERT OR IGNORE INTO sent_key(account_id, key, digest, message_id, created_at_ms)"
    " SELECT account_id, key, digest, message_id, created_at_ms FROM sent_key_recent"
    " WHERE message_id = ?1";
static const char RECENT_REMOVE[] =
    "DELETE FROM sent_key_recent WHERE message_id IN (SELECT message_id FROM sent_key_recent"
    " WHERE message_id <= ?1 ORDER BY message_id LIMIT ?2)";

static enum error recent_find(struct store *store, int64_t account_id, struct str key,
                              bool *out_found, struct sent_key *out_sent);
static enum error recent_load(struct store *store);
static enum error query_run_sent_key(struct query *query, bool *out_found,
                                     struct sent_key *out_sent);
static enum error recent_copy(struct store *store, size_t max_keys, size_t max_removed);
static enum error recent_remove(struct store *store, size_t max_keys);

/* ---- finding ---------------------------------------------------------------------------------*/

enum error store_sent_key_find(struct store *store, int64_t account_id, struct str key,
                               bool *out_found, struct sent_key *out_sent)
{
    struct query query;
    bool is_found = false;
    enum error error = recent_find(store, account_id, key, &is_found, out_sent);

    if (error == OK && !is_found) {
        query = query_read(store, SENT_KEY_FIND);
        query_bind_int(&query, account_id);
        query_bind_text(&query, key);
        error = query_run_sent_key(&query, &is_found, out_sent);
    }
    if (error == OK) {
        *out_found = is_found;
    }
    return error;
}

static enum error recent_find(struct store *store, int64_t account_id, struct str key,
                              bool *out_found, struct sent_key *out_sent)
{
    struct recent_look look;
    int64_t message_id = 0;
    enum error error = recent_load(store);

    if (error != OK) {
        return error;
    }
    look = recent_keys_look(store->recent_keys, account_id, key);
    while (error == OK && !*out_found && recent_keys_next(store->recent_keys, &look, &message_id)) {
        struct query query = query_read(store, RECENT_FIND);

        query_bind_int(&query, message_id);
        query_bind_int(&query, account_id);
        query_bind_text(&query, key);
        error = query_run_sent_key(&query, out_found, out_sent);
    }
    return error;
}

static enum error recent_load(struct store *store)
{
    struct recent_keys *keys = store->recent_keys;
    struct query query;
    enum error error;

    REQUIRE(keys != NULL);
    if (recent_keys_is_loaded(keys)) {
        return OK;
    }
    query = query_read(store, RECENT_LIST);
    while (query_step(&query)) {
        recent_keys_add(keys, query_int(&query, 1), query_text(&query, 2), query_int(&query, 0));
    }
    error = query_end(&query);
    if (error == OK) {
        recent_keys_set_loaded(keys);
    } else {
        recent_keys_forget(keys);
    }
    return error;
}

static enum error query_run_sent_key(struct query *query, bool *out_found,
                                     struct sent_key *out_sent)
{
    struct sent_key sent = {0};
    bool is_found = query_step(query);
    enum error error;

    if (is_found) {
        struct str digest = query_text(query, 0);

        if (digest.len == FINGERPRINT_LEN) {
            memcpy(sent.fingerprint.bytes, digest.ptr, FINGERPRINT_LEN);
        } else if (digest.len == SHA256_LEN) {
            sent.has_digest = true;
            memcpy(sent.digest.bytes, digest.ptr, SHA256_LEN);
        }
        sent.message_id = query_int(query, 1);
        sent.created_at_ms = query_int(query, 2);
    }
    error = query_end(query);
    if (error != OK) {
        return error;
    }
    *out_found = is_found;
    if (is_found) {
        *out_sent = sent;
    }
    return OK;
}

/* ---- adding ----------------------------------------------------------------------------------*/

enum error store_sent_key_add(struct store *store, int64_t account_id, struct str key,
                              const struct sent_key *sent)
{
    struct query query;
    enum error error = recent_load(store);

    if (error != OK) {
        return error;
    }
    query = query_write(store, RECENT_ADD);
    query_bind_int(&query, account_id);
    query_bind_text(&query, key);
    query_bind_bytes(&query, sent->fingerprint.bytes, sizeof sent->fingerprint.bytes);
    query_bind_int(&query, sent->message_id);
    query_bind_int(&query, sent->created_at_ms);
    error = query_run(&query);
    if (error == OK) {
        recent_keys_add(store->recent_keys, account_id, key, sent->message_id);
    }
    return error;
}

/* ---- moving ----------------------------------------------------------------------------------*/

enum error sent_keys_move(struct store *store)
{
    struct recent_keys *keys = store->recent_keys;
    size_t added = recent_keys_take_added(keys);
    bool moves_all;

    if (added == 0) {
        return OK;
    }
    moves_all = recent_keys_take_loaded(keys);
    if (recent_keys_are_due(keys)) {
        struct query query = query_read(store, RECENT_LAST);
        int64_t last_message_id = 0;
        enum error error = query_run_int(&query, &last_message_id);

        if (error != OK) {
            return error;
        }
        recent_keys_move(keys, last_message_id);
    }
    if (!recent_keys_are_moving(keys)) {
        return OK;
    }
    return moves_all ? recent_copy(store, SIZE_MAX, INT_MAX)
                     : recent_copy(store, MOVED_PER_ADDED * added, REMOVED_PER_ADDED * added);
}

static enum error recent_copy(struct store *store, size_t max_keys, size_t max_removed)
{
    int64_t message_id = 0;

    for (size_t i = 0; i < max_keys; i++) {
        struct query query;
        enum error error;

        if (!recent_keys_take_moving(store->recent_keys, &message_id)) {
            return recent_remove(store, max_removed);
        }
        query = query_write(store, RECENT_COPY);
        query_bind_int(&query, message_id);
        error = query_run(&query);
        if (error != OK) {
            return error;
        }
    }
    return OK;
}

static enum error recent_remove(struct store *store, size_t max_keys)
{
    struct query query = query_write(store, RECENT_REMOVE);
    enum error error;

    query_bind_int(&query, recent_keys_moving_to(store->recent_keys));
    query_bind_int(&query, (int64_t)max_keys);
    error = query_run(&query);
    if (error == OK && (size_t)sqlite3_changes(store->database) < max_keys) {
        recent_keys_drop_moved(store->recent_keys);
    }
    return error;
}
