/* adopt_rows.c - accounts, sessions and keys of a Rust database. Ids and names stay as they are,
 * beyond today's rules too; tokens are stored as their digest. */
#include "store/sqlite/adopt_rows.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/utf8.h"
#include "store/sqlite/batch.h"

static const char USERS[] = "SELECT id, username, password_hash, created_at FROM users";
static const char ACCOUNT_ADD[] =
    "INSERT INTO account(id, name, password_hash, created_at_ms) VALUES(?1, ?2, ?3, ?4)";
static const char SESSIONS[] = "SELECT id, user_id, token, created_at FROM sessions";
static const char SESSION_ADD[] =
    "INSERT INTO session(token_digest, id, account_id, created_at_ms, last_used_at_ms)"
    " VALUES(?1, ?2, ?3, ?4, ?4)";
static const char USER_KEYS[] = "SELECT user_id, identity_key, signed_prekey,"
                                " signed_prekey_signature, created_at FROM user_keys";
/* Dropped with its table. */
static const char PREKEY_INDEX_MAKE[] =
    "CREATE INDEX adopt_prekeys ON one_time_prekeys(user_id, public_key, id, used)";
/* Used ones first, so that a key that is in both lists stays used. */
static const char PREKEYS_USED[] =
    "SELECT user_id, public_key FROM one_time_prekeys WHERE used IS NOT 0";
static const char CLAIMED_ADD[] =
    "INSERT OR IGNORE INTO claimed_prekey(account_id, digest) VALUES(?1, ?2)";
static const char PREKEYS_UNUSED[] = "SELECT user_id, id, public_key FROM one_time_prekeys AS p"
                                     " WHERE used IS 0 AND NOT EXISTS (SELECT 1 FROM"
                                     " one_time_prekeys AS q WHERE q.user_id = p.user_id AND"
                                     " q.public_key = p.public_key AND (q.used IS NOT 0 OR"
                                     " q.id < p.id)) ORDER BY user_id, id";
static const char PREKEY_ADD[] =
    "INSERT INTO one_time_prekey(account_id, position, public_key) VALUES(?1, ?2, ?3)";

static enum error account_add(struct store *store, const struct query *user, struct buf *scratch,
                              struct time_faults *faults);
static enum error session_add(struct store *store, const struct query *session,
                              struct time_faults *faults);
static enum error bundle_add(struct store *store, const struct query *keys,
                             struct time_faults *faults);

enum error adopt_accounts(struct store *store)
{
    struct query users = query_read(store, USERS);
    struct time_faults faults = {0, 0};
    struct buf scratch;
    enum error error = OK;
    enum error read_error;

    buf_init(&scratch, ADOPT_TEXT_MAX_BYTES);
    while (error == OK && query_step(&users)) {
        error = account_add(store, &users, &scratch, &faults);
    }
    buf_release(&scratch);
    adopt_time_warn("users", &faults);
    read_error = query_end(&users);
    return error != OK ? error : read_error;
}

static enum error account_add(struct store *store, const struct query *user, struct buf *scratch,
                              struct time_faults *faults)
{
    int64_t id = query_int(user, 0);
    struct str name = adopt_text(query_text(user, 1), "users", id, scratch);
    int64_t created_at_ms = 0;
    struct buf folded;
    struct query query = query_write(store, ACCOUNT_ADD);
    enum error error;

    (void)adopt_time(query_text(user, 3), id, faults, &created_at_ms);
    query_bind_int(&query, id);
    query_bind_text(&query, name);
    query_bind_text(&query, query_text(user, 2));
    query_bind_int(&query, created_at_ms);
    error = query_run(&query);
    if (error != OK) {
        return error;
    }
    buf_init(&folded, ADOPT_TEXT_MAX_BYTES);
    for (size_t i = 0; i < name.len; i++) {
        buf_append_char(&folded, ascii_lower(name.ptr[i]));
    }
    error = store_name_set(store, &(struct name_row){.name = name,
                                                     .folded = text_of(&folded),
                                                     .account_id = id,
                                                     .state = NAME_CURRENT});
    buf_release(&folded);
    return error;
}

enum error adopt_sessions(struct store *store)
{
    struct query sessions = query_read(store, SESSIONS);
    struct time_faults faults = {0, 0};
    enum error error = OK;
    enum error read_error;

    while (error == OK && query_step(&sessions)) {
        error = session_add(store, &sessions, &faults);
    }
    adopt_time_warn("sessions", &faults);
    read_error = query_end(&sessions);
    return error != OK ? error : read_error;
}

static enum error session_add(struct store *store, const struct query *session,
                              struct time_faults *faults)
{
    int64_t id = query_int(session, 0);
    int64_t created_at_ms = 0;
    struct sha256 digest;
    struct query query = query_write(store, SESSION_ADD);

    sha256_of(query_text(session, 2), &digest);
    (void)adopt_time(query_text(session, 3), id, faults, &created_at_ms);
    query_bind_bytes(&query, digest.bytes, sizeof digest.bytes);
    query_bind_int(&query, id);
    query_bind_int(&query, query_int(session, 1));
    query_bind_int(&query, created_at_ms);
    return query_run(&query);
}

/* ---- keys ------------------------------------------------------------------------------------*/

enum error adopt_key_bundles(struct store *store)
{
    struct query keys = query_read(store, USER_KEYS);
    struct time_faults faults = {0, 0};
    enum error error = OK;
    enum error read_error;

    while (error == OK && query_step(&keys)) {
        error = bundle_add(store, &keys, &faults);
    }
    adopt_time_warn("user_keys", &faults);
    read_error = query_end(&keys);
    return error != OK ? error : read_error;
}

static enum error bundle_add(struct store *store, const struct query *keys,
                             struct time_faults *faults)
{
    int64_t account_id = query_int(keys, 0);
    struct key_bundle bundle = {query_text(keys, 1), query_text(keys, 2), query_text(keys, 3)};
    int64_t updated_at_ms = 0;

    (void)adopt_time(query_text(keys, 4), account_id, faults, &updated_at_ms);
    return store_key_bundle_set(store, account_id, &bundle, updated_at_ms);
}

enum error adopt_prekeys(struct store *store)
{
    struct query keys;
    struct query added;
    enum error error = connection_exec(store->database, PREKEY_INDEX_MAKE);
    enum error read_error;

    keys = query_read(store, PREKEYS_USED);
    while (error == OK && query_step(&keys)) {
        struct sha256 digest;

        sha256_of(query_text(&keys, 1), &digest);
        added = query_write(store, CLAIMED_ADD);
        query_bind_int(&added, query_int(&keys, 0));
        query_bind_bytes(&added, digest.bytes, sizeof digest.bytes);
        error = query_run(&added);
    }
    read_error = query_end(&keys);
    if (error != OK || read_error != OK) {
        return error != OK ? error : read_error;
    }
    keys = query_read(store, PREKEYS_UNUSED);
    while (error == OK && query_step(&keys)) {
        added = query_write(store, PREKEY_ADD);
        query_bind_int(&added, query_int(&keys, 0));
        query_bind_int(&added, query_int(&keys, 1));
        query_bind_text(&added, query_text(&keys, 2));
        error = query_run(&added);
    }
    read_error = query_end(&keys);
    return error != OK ? error : read_error;
}

/* ---- what all need ---------------------------------------------------------------------------*/

enum error adopt_counters(struct store *store, const struct adopt_tables *tables)
{
    static const struct {
        enum counter_name counter;
        const char *largest;
        const char *sequence;
    } rows[] = {
        {COUNTER_ACCOUNT, "SELECT max(id) FROM users",
         "SELECT seq FROM sqlite_sequence WHERE name = 'users'"},
        {COUNTER_SESSION, "SELECT max(id) FROM sessions",
         "SELECT seq FROM sqlite_sequence WHERE name = 'sessions'"},
        {COUNTER_MESSAGE, "SELECT max(id) FROM messages",
         "SELECT seq FROM sqlite_sequence WHERE name = 'messages'"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t largest = 0;
        int64_t sequence = 0;
        enum error error = connection_int(store->database, rows[i].largest, &largest);

        if (error == OK && tables->has_sequences) {
            error = connection_int(store->database, rows[i].sequence, &sequence);
        }
        if (error != OK) {
            return error;
        }
        store->counters[rows[i].counter] = (struct counter){
            .next = (largest > sequence ? largest : sequence) + 1,
            .is_known = true,
            .is_dirty = true,
        };
    }
    return counters_write(store);
}

struct str adopt_text(struct str raw, const char *table, int64_t row_id, struct buf *scratch)
{
    static const char replacement[] = "\xEF\xBF\xBD"; /* U+FFFD */
    struct str rest = raw;
    uint32_t code_point;

    if (utf8_is_valid(raw)) {
        return raw;
    }
    if (table != NULL) {
        log_event(LOG_WARN, "text_repaired", LOG_TEXT("table", table), LOG_INT("row", row_id),
                  LOG_TEXT("reason", "not valid UTF-8"), LOG_END);
    }
    buf_clear(scratch);
    while (rest.len > 0) {
        struct str before = rest;

        if (utf8_next(&rest, &code_point)) {
            buf_append(scratch, before.ptr, before.len - rest.len);
        } else {
            buf_append(scratch, replacement, sizeof replacement - 1);
            rest = (struct str){before.ptr + 1, before.len - 1};
        }
    }
    return buf_str(scratch);
}

bool adopt_time(struct str text, int64_t row_id, struct time_faults *faults, int64_t *out_wall_ms)
{
    if (text.ptr != NULL && time_from_rfc3339(text, out_wall_ms)) {
        return true;
    }
    if (faults->count == 0) {
        faults->first_row = row_id;
    }
    faults->count++;
    return false;
}

void adopt_time_warn(const char *table, const struct time_faults *faults)
{
    if (faults->count > 0) {
        log_event(LOG_WARN, "times_unreadable", LOG_TEXT("table", table),
                  LOG_INT("rows", faults->count), LOG_INT("first_row", faults->first_row), LOG_END);
    }
}
