/* export_rows.c - accounts, sessions and keys as the Rust server has them. Ids and names stay.
 *
 * That server has no log-in and finds a session by its token in clear. Here only the digests of
 * tokens are, so each account gets one session with a new token.
 */
#include "store/sqlite/export_rows.h"

#include "base/clock.h"
#include "base/random.h"
#include "base/require.h"

/* As that server makes them: 32 letters and digits. */
#define TOKEN_LEN 32u

/* migchat/server 281e17b, src/db.rs. The blanks are in the schema of every such file. */
const char export_schema[] =
    "CREATE TABLE users (\n"
    "            id INTEGER PRIMARY KEY AUTOINCREMENT,\n"
    "            username TEXT NOT NULL UNIQUE,\n"
    "            password_hash TEXT NOT NULL,\n"
    "            created_at TEXT NOT NULL DEFAULT (datetime('now'))\n"
    "        );"
    "CREATE TABLE sessions (\n"
    "            id INTEGER PRIMARY KEY AUTOINCREMENT,\n"
    "            user_id INTEGER NOT NULL,\n"
    "            token TEXT NOT NULL UNIQUE,\n"
    "            created_at TEXT NOT NULL DEFAULT (datetime('now')),\n"
    "            FOREIGN KEY (user_id) REFERENCES users(id)\n"
    "        );"
    "CREATE TABLE messages (\n"
    "            id INTEGER PRIMARY KEY AUTOINCREMENT,\n"
    "            from_user_id INTEGER NOT NULL,\n"
    "            to_user_id INTEGER NOT NULL,\n"
    "            content TEXT NOT NULL,\n"
    "            created_at TEXT NOT NULL DEFAULT (datetime('now')),\n"
    "            read_at TEXT,\n"
    "            FOREIGN KEY (from_user_id) REFERENCES users(id),\n"
    "            FOREIGN KEY (to_user_id) REFERENCES users(id)\n"
    "        );"
    "CREATE INDEX idx_sessions_token ON sessions(token);"
    "CREATE INDEX idx_messages_to_user ON messages(to_user_id);"
    "CREATE INDEX idx_messages_from_user ON messages(from_user_id);"
    "CREATE TABLE user_keys (\n"
    "            user_id INTEGER PRIMARY KEY,\n"
    "            identity_key TEXT NOT NULL,\n"
    "            signed_prekey TEXT NOT NULL,\n"
    "            signed_prekey_signature TEXT NOT NULL,\n"
    "            created_at TEXT NOT NULL DEFAULT (datetime('now')),\n"
    "            FOREIGN KEY (user_id) REFERENCES users(id)\n"
    "        );"
    "CREATE TABLE one_time_prekeys (\n"
    "            id INTEGER PRIMARY KEY AUTOINCREMENT,\n"
    "            user_id INTEGER NOT NULL,\n"
    "            key_id INTEGER NOT NULL,\n"
    "            public_key TEXT NOT NULL,\n"
    "            used BOOLEAN DEFAULT FALSE,\n"
    "            created_at TEXT NOT NULL DEFAULT (datetime('now')),\n"
    "            FOREIGN KEY (user_id) REFERENCES users(id)\n"
    "        );"
    "CREATE INDEX idx_user_keys_user_id ON user_keys(user_id);"
    "CREATE INDEX idx_one_time_prekeys_user_id ON one_time_prekeys(user_id);"
    "CREATE INDEX idx_one_time_prekeys_used ON one_time_prekeys(used);";

#define ACCOUNTS_WITH(is_disabled)                                                                 \
    "SELECT id, name, password_hash, created_at_ms, " is_disabled " FROM account"                  \
    " WHERE deleted_at_ms IS NULL ORDER BY id"

static const char ACCOUNTS[] = ACCOUNTS_WITH("disabled_at_ms IS NOT NULL");
static const char ACCOUNTS_OF_SCHEMA_1[] = ACCOUNTS_WITH("0");
static const char DELETED_ACCOUNTS[] = "SELECT id, name, password_hash, created_at_ms FROM account"
                                       " WHERE deleted_at_ms IS NOT NULL ORDER BY id";
/* Ignored when the name is taken, by another account of exactly that name. */
static const char USER_ADD[] = "INSERT INTO users(id, username, password_hash, created_at)"
                               " VALUES(?1, ?2, ?3, ?4) ON CONFLICT(username) DO NOTHING";
static const char NEXT_SESSION[] =
    "SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'next_session_id'";
static const char SESSION_ADD[] =
    "INSERT INTO sessions(id, user_id, token, created_at) VALUES(?1, ?2, ?3, ?4)";
static const char IS_NAMED[] = "SELECT 1 WHERE EXISTS (SELECT 1 FROM messages WHERE from_user_id ="
                               " ?1) OR EXISTS (SELECT 1 FROM messages WHERE to_user_id = ?1)";
static const char BUNDLES[] =
    "SELECT account_id, identity_key, signed_prekey, signed_prekey_signature, updated_at_ms"
    " FROM key_bundle JOIN account ON id = account_id WHERE deleted_at_ms IS NULL"
    " ORDER BY account_id";
static const char USER_KEYS_ADD[] =
    "INSERT INTO user_keys(user_id, identity_key, signed_prekey, signed_prekey_signature,"
    " created_at) VALUES(?1, ?2, ?3, ?4, ?5)";
static const char PREKEYS[] =
    "SELECT public_key FROM one_time_prekey WHERE account_id = ?1 ORDER BY position";
static const char PREKEY_ADD[] =
    "INSERT INTO one_time_prekeys(user_id, key_id, public_key, used, created_at)"
    " VALUES(?1, ?2, ?3, FALSE, ?4)";
static const char NEXT_OF[] = "SELECT CAST(value AS INTEGER) FROM meta WHERE key = ?1";
static const char SEQUENCE_SET[] = "UPDATE sqlite_sequence SET seq = max(seq, ?2) WHERE name = ?1";
static const char SEQUENCE_ADD[] = "INSERT INTO sqlite_sequence(name, seq) VALUES(?1, ?2)";

static enum error user_add(struct rust_export *export, const struct query *account, struct str name,
                           bool *out_is_added);
static enum error session_add(struct rust_export *export, int64_t session_id, int64_t account_id,
                              struct str name);
static void token_tell(FILE *tokens, struct str name, struct str token);
static enum error deleted_account_add(struct rust_export *export, const struct query *account);
static enum error bundle_add(struct rust_export *export, const struct query *bundle);
static enum error prekeys_add(struct rust_export *export, int64_t account_id, struct str time);
static enum error sequence_set(struct rust_export *export, struct str table, int64_t last_id);

/* ---- accounts --------------------------------------------------------------------------------*/

/* Who is disabled gets no token: that server knows no other way to keep somebody out. */
enum error export_accounts(struct rust_export *export)
{
    int64_t session_id = 0;
    enum error error = connection_int(export->from->database, NEXT_SESSION, &session_id);
    struct query accounts =
        query_read(export->from, export->has_disabled ? ACCOUNTS : ACCOUNTS_OF_SCHEMA_1);
    enum error read_error;

    while (error == OK && query_step(&accounts)) {
        struct str name = query_text(&accounts, 1);
        bool is_added = false;

        error = user_add(export, &accounts, name, &is_added);
        /* Among accounts that are not deleted, no two have one name. */
        REQUIRE(error != OK || is_added);
        if (query_int(&accounts, 4) != 0) {
            export->counts.disabled_accounts++;
        } else if (error == OK) {
            error = session_add(export, session_id, query_int(&accounts, 0), name);
            session_id++;
        }
        export->counts.accounts++;
    }
    read_error = query_end(&accounts);
    return error != OK ? error : read_error;
}

static enum error user_add(struct rust_export *export, const struct query *account, struct str name,
                           bool *out_is_added)
{
    char time[RUST_TIME_LEN + 1];
    struct query user = query_write(export->to, USER_ADD);
    enum error error;

    query_bind_int(&user, query_int(account, 0));
    query_bind_text(&user, name);
    query_bind_text(&user, query_text(account, 2));
    query_bind_text(&user, rust_time(query_int(account, 3), 0, time));
    error = query_run(&user);
    *out_is_added = error == OK && sqlite3_changes(export->to->database) > 0;
    return error;
}

static enum error session_add(struct rust_export *export, int64_t session_id, int64_t account_id,
                              struct str name)
{
    char token[TOKEN_LEN + 1];
    char time[RUST_TIME_LEN + 1];
    struct query session = query_write(export->to, SESSION_ADD);

    random_alphanumeric(token, TOKEN_LEN);
    query_bind_int(&session, session_id);
    query_bind_int(&session, account_id);
    query_bind_text(&session, (struct str){token, TOKEN_LEN});
    query_bind_text(&session, rust_time(export->now_ms, 0, time));
    token_tell(export->tokens, name, (struct str){token, TOKEN_LEN});
    export->counts.tokens++;
    return query_run(&session);
}

/* Names of today hold neither control characters nor a backslash; adopted ones may hold anything,
 * and must not end a line or a column. */
static void token_tell(FILE *tokens, struct str name, struct str token)
{
    for (size_t i = 0; i < name.len; i++) {
        switch (name.ptr[i]) {
        case '\\':
            (void)fputs("\\\\", tokens);
            break;
        case '\t':
            (void)fputs("\\t", tokens);
            break;
        case '\n':
            (void)fputs("\\n", tokens);
            break;
        case '\r':
            (void)fputs("\\r", tokens);
            break;
        case '\0':
            (void)fputs("\\0", tokens);
            break;
        default:
            (void)fputc(name.ptr[i], tokens);
        }
    }
    (void)fprintf(tokens, "\t%.*s\n", STR_ARGS(token));
}

/* An account without a session, so nobody is it; it stays for the names in others' lists. */
enum error export_deleted_accounts(struct rust_export *export)
{
    struct query accounts = query_read(export->from, DELETED_ACCOUNTS);
    enum error error = OK;
    enum error read_error;

    while (error == OK && query_step(&accounts)) {
        struct query named = query_read(export->to, IS_NAMED);
        bool is_named;

        query_bind_int(&named, query_int(&accounts, 0));
        is_named = query_step(&named);
        error = query_end(&named);
        if (error == OK && is_named) {
            error = deleted_account_add(export, &accounts);
        }
    }
    read_error = query_end(&accounts);
    return error != OK ? error : read_error;
}

/* An adopted account may be called like a deleted one. */
static enum error deleted_account_add(struct rust_export *export, const struct query *account)
{
    struct str name = query_text(account, 1);
    struct buf longer;
    bool is_added = false;
    enum error error = user_add(export, account, name, &is_added);

    buf_init(&longer, name.len + 32);
    for (int number = 2; error == OK && !is_added; number++) {
        buf_clear(&longer);
        buf_append_str(&longer, name);
        buf_append_format(&longer, "-%d", number);
        error = user_add(export, account, buf_str(&longer), &is_added);
    }
    buf_release(&longer);
    export->counts.deleted_accounts++;
    return error;
}

/* ---- keys ------------------------------------------------------------------------------------*/

enum error export_keys(struct rust_export *export)
{
    struct query bundles = query_read(export->from, BUNDLES);
    enum error error = OK;
    enum error read_error;

    while (error == OK && query_step(&bundles)) {
        error = bundle_add(export, &bundles);
    }
    read_error = query_end(&bundles);
    return error != OK ? error : read_error;
}

static enum error bundle_add(struct rust_export *export, const struct query *bundle)
{
    char text[RUST_TIME_LEN + 1];
    int64_t account_id = query_int(bundle, 0);
    struct str time = rust_time(query_int(bundle, 4), 0, text);
    struct query keys = query_write(export->to, USER_KEYS_ADD);
    enum error error;

    query_bind_int(&keys, account_id);
    query_bind_text(&keys, query_text(bundle, 1));
    query_bind_text(&keys, query_text(bundle, 2));
    query_bind_text(&keys, query_text(bundle, 3));
    query_bind_text(&keys, time);
    error = query_run(&keys);
    export->counts.key_bundles++;
    return error == OK ? prekeys_add(export, account_id, time) : error;
}

/* That server hands them out in the order of their rows. */
static enum error prekeys_add(struct rust_export *export, int64_t account_id, struct str time)
{
    struct query prekeys = query_read(export->from, PREKEYS);
    int64_t key_id = 0;
    enum error error = OK;
    enum error read_error;

    query_bind_int(&prekeys, account_id);
    while (error == OK && query_step(&prekeys)) {
        struct query added = query_write(export->to, PREKEY_ADD);

        query_bind_int(&added, account_id);
        query_bind_int(&added, key_id);
        query_bind_text(&added, query_text(&prekeys, 0));
        query_bind_text(&added, time);
        error = query_run(&added);
        key_id++;
        export->counts.prekeys++;
    }
    read_error = query_end(&prekeys);
    return error != OK ? error : read_error;
}

/* ---- what all need ---------------------------------------------------------------------------*/

enum error export_sequences(struct rust_export *export)
{
    static const struct {
        const char *table;
        const char *counter;
    } rows[] = {{"users", "next_account_id"}, {"messages", "next_message_id"}};
    enum error error = OK;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0] && error == OK; i++) {
        struct query next = query_read(export->from, NEXT_OF);
        int64_t next_id = 1;

        query_bind_text(&next, str_from(rows[i].counter));
        if (query_step(&next)) {
            next_id = query_int(&next, 0);
        }
        error = query_end(&next);
        if (error == OK) {
            error = sequence_set(export, str_from(rows[i].table), next_id - 1);
        }
    }
    return error;
}

/* SQLite made the row with the table's first row, if there was one. */
static enum error sequence_set(struct rust_export *export, struct str table, int64_t last_id)
{
    struct query query = query_write(export->to, SEQUENCE_SET);
    enum error error;

    query_bind_text(&query, table);
    query_bind_int(&query, last_id);
    error = query_run(&query);
    if (error != OK || sqlite3_changes(export->to->database) > 0 || last_id == 0) {
        return error;
    }
    query = query_write(export->to, SEQUENCE_ADD);
    query_bind_text(&query, table);
    query_bind_int(&query, last_id);
    return query_run(&query);
}

struct str rust_time(int64_t wall_ms, int64_t place, char out[RUST_TIME_LEN + 1])
{
    char text[TIME_RFC3339_LEN + 1];
    int len;

    time_to_rfc3339(wall_ms, text);
    text[TIME_RFC3339_LEN - 1] = '\0'; /* the Z */
    len = snprintf(out, RUST_TIME_LEN + 1, "%s%06u+00:00", text,
                   (unsigned)((uint64_t)place % 1000000));
    REQUIRE(len == (int)RUST_TIME_LEN);
    return (struct str){out, RUST_TIME_LEN};
}
