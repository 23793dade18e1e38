/* adopt.c - a database of the Rust MigChat server becomes one of ours, in place.
 *
 *   look (rows that point nowhere, room on the disk) → lock → copy → one transaction: our tables,
 *   rows turned into ours, counted, old tables dropped → closed to others → commit
 *
 * 1. Nothing is changed before the copy is on the disk.
 * 2. Nothing changes between copy and conversion: the write lock is held through both.
 * 3. The counts are compared before the old tables go, in the same transaction.
 * 4. After any failure the file is the Rust database it was: by rollback, else from the copy.
 *    The copy stays; who runs the server removes it. It holds tokens in clear.
 * 5. However often an adoption is interrupted, there is one copy: the next attempt finds that it
 *    holds what the file holds. A copy of anything else is left alone.
 *
 * Free pages stay in the file and are used again; VACUUM would need the room once more.
 */
#include "store/sqlite/adopt.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/clock.h"
#include "base/log.h"
#include "store/sqlite/adopt_rows.h"
#include "store/sqlite/connection.h"
#include "store/sqlite/copy.h"
#include "store/sqlite/meta.h"
#include "store/sqlite/migrate.h"

/* Our tables beside the old ones, and the journal of the old ones as they go. */
#define DISK_FILES_NEEDED 3
#define DISK_SPARE_BYTES (1024 * 1024)
#define CACHE_PRAGMA "PRAGMA cache_size=-24576" /* 24 MiB */

/* How many of what there must be, counted in the old tables and in ours. */
struct count_pair {
    const char *what;
    const char *before;
    const char *after;
};

struct adopt_counts {
    int64_t accounts;
    int64_t messages;
};

static const struct count_pair count_pairs[] = {
    {"accounts", "SELECT count(*) FROM users", "SELECT count(*) FROM account"},
    {"names", "SELECT count(*) FROM users", "SELECT count(*) FROM name WHERE state = 1"},
    {"sessions", "SELECT count(*) FROM sessions", "SELECT count(*) FROM session"},
    {"sent messages", "SELECT count(*) FROM messages", "SELECT count(*) FROM log WHERE kind = 1"},
    {"received messages", "SELECT count(*) FROM messages WHERE from_user_id <> to_user_id",
     "SELECT count(*) FROM log WHERE kind = 2"},
    {"last entries", "SELECT 0",
     "SELECT count(*) FROM (SELECT 1 FROM log GROUP BY account_id"
     " HAVING count(*) <> max(seq) OR min(seq) <> 1)"},
    {"conversations",
     "SELECT count(*) FROM (SELECT from_user_id, to_user_id FROM messages UNION"
     " SELECT to_user_id, from_user_id FROM messages)",
     "SELECT count(*) FROM conversation"},
};
static const struct count_pair unread_pair = {
    "unread messages",
    "SELECT count(*) FROM messages WHERE from_user_id <> to_user_id AND read_at IS NULL",
    "SELECT coalesce(sum(received - read), 0) FROM conversation"};
static const struct count_pair unread_pair_without_read_at = {
    "unread messages", "SELECT count(*) FROM messages WHERE from_user_id <> to_user_id",
    "SELECT coalesce(sum(received - read), 0) FROM conversation"};
static const struct count_pair bundle_pair = {"key bundles", "SELECT count(*) FROM user_keys",
                                              "SELECT count(*) FROM key_bundle"};
static const struct count_pair prekey_pairs[] = {
    {"used prekeys",
     "SELECT count(*) FROM (SELECT DISTINCT user_id, public_key FROM one_time_prekeys"
     " WHERE used IS NOT 0)",
     "SELECT count(*) FROM claimed_prekey"},
    {"unused prekeys",
     "SELECT count(*) FROM (SELECT user_id, public_key FROM one_time_prekeys WHERE used IS 0"
     " EXCEPT SELECT user_id, public_key FROM one_time_prekeys WHERE used IS NOT 0)",
     "SELECT count(*) FROM one_time_prekey"},
};

static enum error tables_find(sqlite3 *database, struct adopt_tables *out_tables);
static enum error references_check(sqlite3 *database, const struct adopt_tables *tables);
static enum error reference_check(sqlite3 *database, const char *sql);
static enum error copy_see_to(sqlite3 *database, const char *path, atomic_bool *stops,
                              char out_copy[PATH_MAX]);
static enum error disk_check(sqlite3 *database, const char *path, int files_needed);
static enum error copy_write(const char *path, atomic_bool *stops, char out_copy[PATH_MAX]);
static void others_shut_out(const char *path);
static enum error convert(sqlite3 *database, const struct adopt_tables *tables);
static enum error rows_convert(struct store *store, const struct adopt_tables *tables);
static enum error counts_verify(sqlite3 *database, const struct adopt_tables *tables);
static enum error pair_verify(sqlite3 *database, const struct count_pair *pair);
static enum error old_tables_drop(sqlite3 *database, const struct adopt_tables *tables);
static enum error counts_find(sqlite3 *database, struct adopt_counts *out_counts);
static void undo(sqlite3 *database, const char *copy, const struct adopt_counts *counts,
                 bool is_stopped);
static bool is_as_before(sqlite3 *database, const struct adopt_counts *counts);

/* ---- what it is ------------------------------------------------------------------------------*/

enum error adopt_recognise(sqlite3 *database, bool *out_is_rust)
{
    int64_t columns = 0;
    enum error error = connection_int(
        database,
        "SELECT (SELECT count(*) FROM pragma_table_info('users')"
        " WHERE name IN ('id', 'username', 'password_hash', 'created_at'))"
        " + (SELECT count(*) FROM pragma_table_info('sessions')"
        " WHERE name IN ('id', 'user_id', 'token', 'created_at'))"
        " + (SELECT count(*) FROM pragma_table_info('messages')"
        " WHERE name IN ('id', 'from_user_id', 'to_user_id', 'content', 'created_at'))",
        &columns);

    if (error == OK) {
        *out_is_rust = columns == 4 + 4 + 5;
    }
    return error;
}

static enum error tables_find(sqlite3 *database, struct adopt_tables *out_tables)
{
    static const char *const questions[] = {
        "SELECT count(*) FROM pragma_table_info('messages') WHERE name = 'read_at'",
        "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'user_keys'",
        "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'one_time_prekeys'",
        "SELECT count(*) FROM sqlite_master WHERE name = 'sqlite_sequence'",
    };
    int64_t answers[4] = {0};

    for (size_t i = 0; i < 4; i++) {
        enum error error = connection_int(database, questions[i], &answers[i]);

        if (error != OK) {
            return error;
        }
    }
    *out_tables = (struct adopt_tables){
        .has_read_at = answers[0] > 0,
        .has_user_keys = answers[1] > 0,
        .has_prekeys = answers[2] > 0,
        .has_sequences = answers[3] > 0,
    };
    return OK;
}

/* ---- adopting it -----------------------------------------------------------------------------*/

enum error adopt_run(sqlite3 *database, const char *path, atomic_bool *stops)
{
    int64_t started_ms = clock_monotonic_ms();
    struct adopt_tables tables = {0};
    struct adopt_counts counts = {0, 0};
    char copy[PATH_MAX];
    enum error error = connection_exec(database, CACHE_PRAGMA ";BEGIN IMMEDIATE");

    if (error != OK) {
        return error;
    }
    error = tables_find(database, &tables);
    if (error == OK) {
        error = references_check(database, &tables);
    }
    if (error == OK) {
        error = counts_find(database, &counts);
    }
    if (error == OK) {
        error = copy_see_to(database, path, stops, copy);
    }
    if (error != OK) {
        /* Nothing was written; logged if it fails. */
        (void)!connection_exec(database, "ROLLBACK");
        return error;
    }
    log_event(LOG_INFO, "adopting", LOG_TEXT("file", path), LOG_TEXT("copy", copy),
              LOG_INT("accounts", counts.accounts), LOG_INT("messages", counts.messages), LOG_END);
    error = convert(database, &tables);
    if (error == OK) {
        others_shut_out(path);
        error = connection_exec(database, "COMMIT");
    }
    if (error != OK) {
        undo(database, copy, &counts, error == ERROR_DRAINING);
        return error;
    }
    log_event(LOG_INFO, "adopted", LOG_TEXT("file", path), LOG_TEXT("copy", copy),
              LOG_INT("accounts", counts.accounts), LOG_INT("messages", counts.messages),
              LOG_INT("took_ms", clock_monotonic_ms() - started_ms), LOG_END);
    return OK;
}

static enum error references_check(sqlite3 *database, const struct adopt_tables *tables)
{
    enum error error = reference_check(
        database, "SELECT 'messages', id FROM messages WHERE from_user_id NOT IN (SELECT id FROM"
                  " users) OR to_user_id NOT IN (SELECT id FROM users) LIMIT 1");

    if (error == OK) {
        error = reference_check(database, "SELECT 'sessions', id FROM sessions WHERE user_id"
                                          " NOT IN (SELECT id FROM users) LIMIT 1");
    }
    if (error == OK && tables->has_user_keys) {
        error = reference_check(database, "SELECT 'user_keys', user_id FROM user_keys WHERE"
                                          " user_id NOT IN (SELECT id FROM users) LIMIT 1");
    }
    if (error == OK && tables->has_prekeys) {
        error = reference_check(database, "SELECT 'one_time_prekeys', id FROM one_time_prekeys"
                                          " WHERE user_id NOT IN (SELECT id FROM users) LIMIT 1");
    }
    return error;
}

/* That server enforces its foreign keys, so such a row is damage, and only who runs the server can
 * say what is to become of it. */
static enum error reference_check(sqlite3 *database, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(database, sql, -1, &statement, NULL);
    enum error error = OK;

    if (code == SQLITE_OK) {
        code = sqlite3_step(statement);
    }
    if (code == SQLITE_ROW) {
        log_event(LOG_ERROR, "adoption_refused",
                  LOG_TEXT("reason", "a row belongs to a user who is not there"),
                  LOG_TEXT("table", (const char *)sqlite3_column_text(statement, 0)),
                  LOG_INT("row", sqlite3_column_int64(statement, 1)), LOG_END);
        error = ERROR_INTERNAL;
    } else if (code != SQLITE_DONE) {
        error = failure_translate(database, code, FAILURE_ANYWHERE, sql);
    }
    (void)sqlite3_finalize(statement);
    return error;
}

/* The copy of an interrupted attempt, or a new one. */
static enum error copy_see_to(sqlite3 *database, const char *path, atomic_bool *stops,
                              char out_copy[PATH_MAX])
{
    enum error error;

    if (copy_find(database, path, ADOPT_COPY_SUFFIX, out_copy)) {
        return disk_check(database, path, DISK_FILES_NEEDED);
    }
    error = disk_check(database, path, 1 + DISK_FILES_NEEDED);
    return error == OK ? copy_write(path, stops, out_copy) : error;
}

static enum error disk_check(sqlite3 *database, const char *path, int files_needed)
{
    int64_t pages = 0;
    int64_t page_bytes = 0;
    struct statvfs disk;
    uint64_t needed;
    uint64_t free_bytes;
    enum error error = connection_int(database, "PRAGMA page_count", &pages);

    if (error == OK) {
        error = connection_int(database, "PRAGMA page_size", &page_bytes);
    }
    if (error != OK || statvfs(path, &disk) != 0) {
        /* Without an answer the attempt itself will tell. */
        return error;
    }
    needed = (uint64_t)(pages * page_bytes) * (unsigned)files_needed + DISK_SPARE_BYTES;
    free_bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
    if (free_bytes < needed) {
        log_event(LOG_ERROR, "adoption_refused", LOG_TEXT("reason", "too little room on the disk"),
                  LOG_INT("needed_bytes", (int64_t)needed),
                  LOG_INT("free_bytes", (int64_t)free_bytes), LOG_END);
        return ERROR_DISK_FULL;
    }
    return OK;
}

/* Through a connection of its own: one that has begun to write cannot be copied from. */
static enum error copy_write(const char *path, atomic_bool *stops, char out_copy[PATH_MAX])
{
    sqlite3 *source = NULL;
    enum error error = connection_open(path, SQLITE_OPEN_READONLY, &source);

    if (error == OK) {
        error = copy_make(source, path, ADOPT_COPY_SUFFIX, stops, out_copy);
        (void)sqlite3_close(source);
    }
    return error;
}

/* ---- converting ------------------------------------------------------------------------------*/

static enum error convert(sqlite3 *database, const struct adopt_tables *tables)
{
    enum error error = OK;

    for (size_t i = 0; i < migration_count && error == OK; i++) {
        error = migrate_apply(database, &migration_list[i]);
    }
    if (error == OK) {
        error = meta_fill(database);
    }
    if (error == OK) {
        struct store *store = store_around_new(database);

        error = rows_convert(store, tables);
        store_around_free(store);
    }
    if (error == OK) {
        error = meta_password_cost_fill(database);
    }
    if (error == OK) {
        error = counts_verify(database, tables);
    }
    if (error == OK) {
        error = old_tables_drop(database, tables);
    }
    return error;
}

static enum error rows_convert(struct store *store, const struct adopt_tables *tables)
{
    enum error error = adopt_accounts(store);

    if (error == OK) {
        error = adopt_sessions(store);
    }
    if (error == OK && tables->has_user_keys) {
        error = adopt_key_bundles(store);
    }
    if (error == OK && tables->has_prekeys) {
        error = adopt_prekeys(store);
    }
    if (error == OK) {
        error = adopt_messages(store, tables);
    }
    if (error == OK) {
        error = adopt_counters(store, tables);
    }
    return error;
}

static enum error counts_verify(sqlite3 *database, const struct adopt_tables *tables)
{
    enum error error =
        pair_verify(database, tables->has_read_at ? &unread_pair : &unread_pair_without_read_at);

    for (size_t i = 0; i < sizeof count_pairs / sizeof count_pairs[0] && error == OK; i++) {
        error = pair_verify(database, &count_pairs[i]);
    }
    if (error == OK && tables->has_user_keys) {
        error = pair_verify(database, &bundle_pair);
    }
    for (size_t i = 0; i < sizeof prekey_pairs / sizeof prekey_pairs[0]; i++) {
        if (error == OK && tables->has_prekeys) {
            error = pair_verify(database, &prekey_pairs[i]);
        }
    }
    return error;
}

static enum error pair_verify(sqlite3 *database, const struct count_pair *pair)
{
    int64_t before = 0;
    int64_t after = 0;
    enum error error = connection_int(database, pair->before, &before);

    if (error == OK) {
        error = connection_int(database, pair->after, &after);
    }
    if (error == OK && before != after) {
        log_event(LOG_ERROR, "adoption_miscounted", LOG_TEXT("what", pair->what),
                  LOG_INT("before", before), LOG_INT("after", after), LOG_END);
        error = ERROR_INTERNAL;
    }
    return error;
}

static enum error old_tables_drop(sqlite3 *database, const struct adopt_tables *tables)
{
    enum error error = OK;

    if (tables->has_prekeys) {
        error = connection_exec(database, "DROP TABLE one_time_prekeys");
    }
    if (error == OK && tables->has_user_keys) {
        error = connection_exec(database, "DROP TABLE user_keys");
    }
    if (error == OK) {
        error = connection_exec(database,
                                "DROP TABLE messages; DROP TABLE sessions; DROP TABLE users;");
    }
    return error;
}

/* By path: closing a descriptor of the file would drop SQLite's locks. What SQLite makes beside the
 * file later gets the file's mode. */
static void others_shut_out(const char *path)
{
    static const char *const suffixes[] = {"", "-journal", "-wal", "-shm"};

    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        char file[PATH_MAX];
        struct stat found;

        (void)snprintf(file, sizeof file, "%.*s%s", PATH_MAX - 16, path, suffixes[i]);
        if (stat(file, &found) != 0 || (found.st_mode & (S_IRWXG | S_IRWXO)) == 0) {
            continue;
        }
        if (chmod(file, found.st_mode & S_IRWXU) == 0) {
            log_event(LOG_INFO, "database_closed_to_others", LOG_TEXT("file", file), LOG_END);
        } else {
            log_event(LOG_WARN, "database_not_closed_to_others", LOG_TEXT("file", file),
                      LOG_TEXT("reason", strerror(errno)), LOG_END);
        }
    }
}

/* ---- putting it back -------------------------------------------------------------------------*/

static enum error counts_find(sqlite3 *database, struct adopt_counts *out_counts)
{
    struct adopt_counts counts = {0, 0};
    enum error error = connection_int(database, "SELECT count(*) FROM users", &counts.accounts);

    if (error == OK) {
        error = connection_int(database, "SELECT count(*) FROM messages", &counts.messages);
    }
    if (error == OK) {
        *out_counts = counts;
    }
    return error;
}

static void undo(sqlite3 *database, const char *copy, const struct adopt_counts *counts,
                 bool is_stopped)
{
    connection_stop_when(database, NULL);
    if (sqlite3_get_autocommit(database) == 0) {
        (void)!connection_exec(database, "ROLLBACK");
    }
    if (is_as_before(database, counts)) {
        log_event(is_stopped ? LOG_INFO : LOG_ERROR, "adoption_undone", LOG_TEXT("copy", copy),
                  LOG_TEXT("reason", "the file is the Rust server's database as it was"), LOG_END);
    } else if (copy_put_back(copy, database) == OK && is_as_before(database, counts)) {
        log_event(LOG_ERROR, "adoption_undone", LOG_TEXT("copy", copy),
                  LOG_TEXT("reason", "the copy was put back"), LOG_END);
    } else {
        log_event(LOG_ERROR, "adoption_not_undone", LOG_TEXT("copy", copy),
                  LOG_TEXT("reason", "put the copy back by hand before anything else"), LOG_END);
    }
}

static bool is_as_before(sqlite3 *database, const struct adopt_counts *counts)
{
    struct adopt_counts found = {0, 0};
    int64_t version = -1;
    bool is_rust = false;

    return adopt_recognise(database, &is_rust) == OK && is_rust &&
           connection_int(database, "PRAGMA user_version", &version) == OK && version == 0 &&
           counts_find(database, &found) == OK && found.accounts == counts->accounts &&
           found.messages == counts->messages;
}

/* ---- afterwards ------------------------------------------------------------------------------*/

void adopt_warn_of_copies(const char *path)
{
    char folder[PATH_MAX];
    char prefix[PATH_MAX];
    const char *slash = strrchr(path, '/');
    const struct dirent *found;
    DIR *listing;

    (void)snprintf(folder, sizeof folder, "%.*s", (int)(slash - path + 1), path);
    (void)snprintf(prefix, sizeof prefix, "%.*s" ADOPT_COPY_SUFFIX, PATH_MAX - 32, slash + 1);
    listing = opendir(folder);
    if (listing == NULL) {
        return;
    }
    while ((found = readdir(listing)) != NULL) {
        if (strncmp(found->d_name, prefix, strlen(prefix)) == 0) {
            log_event(LOG_WARN, "rust_copy_kept", LOG_TEXT("folder", folder),
                      LOG_TEXT("copy", found->d_name),
                      LOG_TEXT("advice", "it holds tokens in clear: remove it when all is well"),
                      LOG_END);
        }
    }
    (void)closedir(listing);
}
