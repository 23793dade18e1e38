/* sessions.c - sessions, found by the digest of their token, listed by account. */
#include <string.h>

#include "store/sqlite/batch.h"
#include "store/sqlite/connection.h"

static const char SESSION_ADD[] =
    "INSERT INTO session(token_digest, id, account_id, label, created_at_ms, last_used_at_ms)"
    " VALUES(?1, ?2, ?3, ?4, ?5, ?5)";
static const char SESSION_FIND[] = "SELECT id, account_id, created_at_ms, last_used_at_ms,"
                                   " is_barred FROM session WHERE token_digest = ?1";
static const char SESSION_LIST[] = "SELECT id, label, created_at_ms, last_used_at_ms, is_barred"
                                   " FROM session WHERE account_id = ?1 ORDER BY id DESC";
/* All use the index on (account_id, id) first. */
static const char SESSION_IS_THERE[] = "SELECT 1 FROM session WHERE account_id = ?1 AND id = ?2";
static const char SESSION_DELETE[] = "DELETE FROM session WHERE account_id = ?1 AND id = ?2";
static const char SESSION_SET_USED[] =
    "UPDATE session SET last_used_at_ms = ?3 WHERE account_id = ?1 AND id = ?2";

enum error store_session_add(struct store *store, int64_t account_id,
                             const struct sha256 *token_digest, struct str label,
                             int64_t created_at_ms, int64_t *out_id)
{
    struct query query;
    int64_t id = 0;
    enum error error = counter_take(store, COUNTER_SESSION, &id);

    if (error != OK) {
        return error;
    }
    query = query_write(store, SESSION_ADD);
    query_bind_bytes(&query, token_digest->bytes, sizeof token_digest->bytes);
    query_bind_int(&query, id);
    query_bind_int(&query, account_id);
    query_bind_text(&query, label);
    query_bind_int(&query, created_at_ms);
    error = query_run(&query);
    if (error != OK) {
        return error;
    }
    *out_id = id;
    return OK;
}

enum error store_session_find(struct store *store, const struct sha256 *token_digest,
                              bool *out_found, struct session *out_session)
{
    struct session session = {0};
    struct query query;
    bool found;
    enum error error;

    if (known_session_find(store->known, token_digest, out_session)) {
        *out_found = true;
        return OK;
    }
    query = query_read(store, SESSION_FIND);
    query_bind_bytes(&query, token_digest->bytes, sizeof token_digest->bytes);
    found = query_step(&query);
    if (found) {
        session.id = query_int(&query, 0);
        session.account_id = query_int(&query, 1);
        session.created_at_ms = query_int(&query, 2);
        session.last_used_at_ms = query_int(&query, 3);
        session.is_barred = query_int(&query, 4) != 0;
    }
    error = query_end(&query);
    if (error != OK) {
        return error;
    }
    *out_found = found;
    if (found) {
        /* Who is barred has no business with the writer: what it knows are sessions that work. */
        if (!session.is_barred) {
            known_session_set(store->known, token_digest, &session);
        }
        *out_session = session;
    }
    return OK;
}

enum error store_session_list(struct store *store, int64_t account_id, struct arena *arena,
                              struct session **out_sessions, size_t *out_count)
{
    struct query query = query_read(store, SESSION_LIST);
    struct session *sessions = NULL;
    size_t count = 0;
    size_t capacity = 0;
    enum error error;

    query_bind_int(&query, account_id);
    while (query_step(&query)) {
        sessions = rows_reserve(arena, sessions, count, &capacity, sizeof *sessions);
        sessions[count++] = (struct session){
            .id = query_int(&query, 0),
            .account_id = account_id,
            .label = query_text_copy(&query, 1, arena),
            .created_at_ms = query_int(&query, 2),
            .last_used_at_ms = query_int(&query, 3),
            .is_barred = query_int(&query, 4) != 0,
        };
    }
    error = query_end(&query);
    if (error != OK) {
        return error;
    }
    *out_sessions = sessions;
    *out_count = count;
    return OK;
}

enum error store_session_exists(struct store *store, int64_t account_id, int64_t session_id,
                                bool *out_found)
{
    struct query query = query_read(store, SESSION_IS_THERE);

    query_bind_int(&query, account_id);
    query_bind_int(&query, session_id);
    bool is_there = query_step(&query);
    enum error error = query_end(&query);
    if (error == OK) {
        *out_found = is_there;
    }
    return error;
}

enum error store_session_delete(struct store *store, int64_t account_id, int64_t session_id,
                                bool *out_found)
{
    bool is_there = false;
    enum error error = store_session_exists(store, account_id, session_id, &is_there);

    if (error == OK && is_there) {
        struct query query = query_write(store, SESSION_DELETE);

        query_bind_int(&query, account_id);
        query_bind_int(&query, session_id);
        error = query_run(&query);
        changed_note(store, account_id);
        known_forget_session(store->known, session_id);
    }
    if (error == OK) {
        *out_found = is_there;
    }
    return error;
}

enum error store_session_set_used(struct store *store, int64_t account_id, int64_t session_id,
                                  int64_t last_used_at_ms)
{
    struct query query = query_write(store, SESSION_SET_USED);

    known_forget_session(store->known, session_id);
    query_bind_int(&query, account_id);
    query_bind_int(&query, session_id);
    query_bind_int(&query, last_used_at_ms);
    return query_run(&query);
}
