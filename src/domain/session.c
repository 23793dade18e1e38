/* session.c - a session is found by the digest of its token; the token itself is nowhere kept.
 *
 * A session that ends leaves an entry in its account's log, which is what closes its streams.
 */
#include "domain/session.h"

#include "base/random.h"
#include "base/utf8.h"

static int64_t hour_start(int64_t time_ms);
static enum error append_ended(struct store *store, int64_t account_id, int64_t session_id,
                               int64_t now_ms);

enum error session_issue(struct store *store, int64_t account_id, struct str username,
                         struct str label, int64_t now_ms, struct arena *arena,
                         struct session_issued *out_issued)
{
    struct sha256 digest;
    int64_t session_id;

    if (label.ptr != NULL && utf8_length(label) > SESSION_LABEL_MAX_CHARACTERS) {
        return ERROR_LABEL_TOO_LONG;
    }
    char *token_text = arena_alloc(arena, SESSION_TOKEN_LEN + 1);
    arena->is_secret = true;
    random_alphanumeric(token_text, SESSION_TOKEN_LEN);
    struct str token = {token_text, SESSION_TOKEN_LEN};

    sha256_of(token, &digest);
    enum error error = store_session_add(store, account_id, &digest, label, now_ms, &session_id);
    if (error == OK) {
        error = session_set_used(store, account_id, session_id, now_ms);
    }
    if (error == OK) {
        *out_issued = (struct session_issued){
            .session_id = session_id,
            .account_id = account_id,
            .username = arena_copy(arena, username),
            .token = token,
        };
    }
    return error;
}

enum error session_find(struct store *store, struct str token, struct session *out_session)
{
    struct sha256 digest;
    struct session session;
    bool is_found;

    sha256_of(token, &digest);
    enum error error = store_session_find(store, &digest, &is_found, &session);
    if (error != OK) {
        return error;
    }
    if (!is_found) {
        return ERROR_TOKEN_INVALID;
    }
    if (session.is_barred) {
        return ERROR_ACCOUNT_DISABLED;
    }
    *out_session = session;
    return OK;
}

bool session_is_stale(const struct session *session, int64_t now_ms)
{
    return hour_start(now_ms) > session->last_used_at_ms;
}

enum error session_set_used(struct store *store, int64_t account_id, int64_t session_id,
                            int64_t now_ms)
{
    return store_session_set_used(store, account_id, session_id, hour_start(now_ms));
}

static int64_t hour_start(int64_t time_ms)
{
    return time_ms - time_ms % SESSION_USED_GRAIN_MS;
}

enum error session_end(struct store *store, int64_t account_id, int64_t session_id, int64_t now_ms)
{
    bool is_found;
    enum error error = store_session_delete(store, account_id, session_id, &is_found);

    if (error != OK) {
        return error;
    }
    if (!is_found) {
        return ERROR_SESSION_NOT_FOUND;
    }
    return append_ended(store, account_id, session_id, now_ms);
}

enum error session_end_others(struct store *store, int64_t account_id, int64_t kept_session_id,
                              int64_t now_ms, struct arena *arena)
{
    struct session *sessions;
    size_t count;
    enum error error = store_session_list(store, account_id, arena, &sessions, &count);

    for (size_t i = 0; error == OK && i < count; i++) {
        if (sessions[i].id != kept_session_id) {
            error = session_end(store, account_id, sessions[i].id, now_ms);
        }
    }
    return error;
}

static enum error append_ended(struct store *store, int64_t account_id, int64_t session_id,
                               int64_t now_ms)
{
    struct entry entry = {
        .kind = ENTRY_SESSION_ENDED,
        .ref = session_id,
        .created_at_ms = now_ms,
    };
    int64_t seq;

    return store_entry_append(store, account_id, &entry, 0, &seq);
}
