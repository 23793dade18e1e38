/* check.c - SQLite's integrity check, then what must hold among our rows.
 *
 * A deleted account's log goes from its beginning, and its conversations after that, so only what
 * is left of its log is looked at.
 */
#include "store/sqlite/check.h"

#include <stdio.h>
#include <string.h>

#include "base/digest.h"
#include "store/sqlite/connection.h"
#include "store/sqlite/meta.h"
#include "store/sqlite/source.h"

/* One scan of the log serves all: its columns are counts of what is wrong, in the order of
 * `faults`, then those of the summary. */
static const char COUNTS[] =
    "WITH head AS MATERIALIZED (SELECT account_id AS id, count(*) AS entries, min(seq) AS low,"
    " max(seq) AS high, sum(kind = 1) AS sent, sum(kind = 2) AS received,"
    " max(CASE WHEN kind IN (1, 2) THEN ref END) AS newest FROM log GROUP BY account_id),"
    " kept AS (SELECT id, name FROM account WHERE deleted_at_ms IS NULL),"
    " counter AS (SELECT key, CAST(value AS INTEGER) AS next FROM meta)"
    " SELECT"
    " (SELECT count(*) FROM head LEFT JOIN account USING (id) WHERE name IS NULL"
    " OR high - low + 1 <> entries OR (low <> 1 AND deleted_at_ms IS NULL)),"
    " (SELECT count(*) FROM conversation AS c JOIN kept ON kept.id = c.account_id LEFT JOIN log AS "
    "l"
    " ON l.account_id = c.account_id AND l.seq = c.last_seq WHERE l.kind IS NULL"
    " OR l.kind NOT IN (1, 2) OR l.other_id <> c.other_id OR l.received <> c.received"
    " OR c.read NOT BETWEEN 0 AND c.received),"
    " (SELECT count(*) FROM head JOIN kept USING (id) WHERE received <>"
    " (SELECT coalesce(sum(c.received), 0) FROM conversation AS c WHERE c.account_id = head.id)),"
    " (SELECT count(*) FROM kept WHERE (SELECT count(*) FROM name AS n WHERE n.account_id = kept.id"
    " AND n.state = 1 AND n.name = kept.name) <> 1),"
    " (SELECT coalesce(max(newest), 0) FROM head) >="
    " coalesce((SELECT next FROM counter WHERE key = 'next_message_id'), 0),"
    " (SELECT coalesce(max(id), 0) FROM account) >="
    " coalesce((SELECT next FROM counter WHERE key = 'next_account_id'), 0),"
    " (SELECT coalesce(max(id), 0) FROM session) >="
    " coalesce((SELECT next FROM counter WHERE key = 'next_session_id'), 0),"
    " (SELECT count(*) FROM kept),"
    " (SELECT count(*) FROM account WHERE deleted_at_ms IS NOT NULL),"
    " (SELECT coalesce(sum(sent), 0) FROM head),"
    " (SELECT count(*) FROM one_time_prekey),"
    " coalesce((SELECT next FROM counter WHERE key = 'backup_made_at_ms'), 0)";

static const char *const faults[] = {
    "logs with a gap or without an account",
    "conversations that do not fit their last message",
    "accounts whose counts of received messages do not agree",
    "accounts without their name",
    "message ids that would be given again",
    "account ids that would be given again",
    "session ids that would be given again",
};
#define FAULT_COUNT (sizeof faults / sizeof faults[0])

/* Of tables that came later: how often it is wrong, in a database of that schema or a newer one. */
struct later_check {
    int64_t schema;
    const char *what;
    const char *sql;
};

static const struct later_check later_checks[] = {
    {2, "invite ids that would be given again",
     "SELECT (SELECT coalesce(max(id), 0) FROM invite) >= coalesce("
     "(SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'next_invite_id'), 0)"},
    {3, "blocks without one of their accounts",
     "SELECT count(*) FROM block LEFT JOIN account AS a ON a.id = account_id"
     " LEFT JOIN account AS o ON o.id = other_id WHERE a.id IS NULL OR o.id IS NULL"},
    /* Most databases have none, and need no scan of their logs. */
    {3, "withheld messages that reached their recipient",
     "SELECT CASE WHEN EXISTS (SELECT 1 FROM withheld_message) THEN (SELECT count(*) FROM log JOIN"
     " withheld_message AS w ON w.account_id = log.other_id AND w.message_id = log.ref"
     " WHERE log.kind = 2) ELSE 0 END"},
    {4, "messages whose long content is not there or not counted",
     "SELECT coalesce(sum(c.message_id IS NULL), 0)"
     " + (count(*) <> (SELECT coalesce(sum(entries), 0) FROM content)"
     " OR coalesce(sum(log.ref % 1000003), 0) <>"
     " (SELECT coalesce(sum(entries * (message_id % 1000003)), 0) FROM content))"
     " FROM log LEFT JOIN content AS c ON c.message_id = log.ref"
     " WHERE log.kind IN (1, 2) AND log.text IS NULL"},
    {5, "exactly-once keys that two messages have",
     "SELECT (SELECT count(*) FROM sent_key_recent AS r JOIN sent_key AS k"
     " ON k.account_id = r.account_id AND k.key = r.key WHERE k.message_id <> r.message_id)"
     " + (SELECT count(*) - count(DISTINCT account_id || ' ' || key) FROM sent_key_recent)"},
};

static const char PREKEYS[] = "SELECT account_id, public_key FROM one_time_prekey";
static const char CLAIMED[] = "SELECT count(*) FROM claimed_prekey WHERE account_id = ?1"
                              " AND digest = ?2";

static enum error rows_check(sqlite3 *database, struct store_summary *summary, char *reason);
static enum error later_tables_check(sqlite3 *database, int64_t schema, char *reason);
static enum error prekeys_check(sqlite3 *database, char *reason);
static int claimed_count(sqlite3_stmt *claimed, sqlite3_stmt *prekey, int64_t *out_count);
static enum error unreadable(sqlite3 *database, int code, const char *sql, char *reason);

enum error store_verify(const char *path, struct store_summary *out_summary,
                        char reason[REASON_MAX_BYTES])
{
    reason[0] = '\0';
    return check_file(path, NULL, out_summary, reason);
}

enum error check_file(const char *path, atomic_bool *stops, struct store_summary *out_summary,
                      char *reason)
{
    struct source source;
    enum error error = source_open(path, &source, reason);

    if (error != OK) {
        return error;
    }
    connection_stop_when(source.database, stops);
    error = check_database(source.database, out_summary, reason);
    source_close(&source);
    return error;
}

enum error check_database(sqlite3 *database, struct store_summary *out_summary, char *reason)
{
    struct store_summary summary = {0};
    enum error error = source_must_be_ours(database, reason);

    if (error == OK) {
        error = check_pages(database, "PRAGMA integrity_check(1)", reason);
    }
    if (error == OK) {
        error = connection_int(database, "PRAGMA user_version", &summary.schema);
    }
    if (error == OK) {
        error = rows_check(database, &summary, reason);
    }
    if (error == OK) {
        error = later_tables_check(database, summary.schema, reason);
    }
    if (error == OK) {
        error = prekeys_check(database, reason);
    }
    if (error == OK) {
        error = meta_epoch_find(database, summary.epoch);
    }
    if (error != OK) {
        if (reason[0] == '\0') {
            (void)snprintf(reason, REASON_MAX_BYTES, "%s (see the log: --log-level error)",
                           error_text(error));
        }
        return error;
    }
    *out_summary = summary;
    return OK;
}

enum error check_pages(sqlite3 *database, const char *sql, char *reason)
{
    sqlite3_stmt *statement = NULL;
    enum error error = OK;
    int code = sqlite3_prepare_v2(database, sql, -1, &statement, NULL);

    if (code == SQLITE_OK) {
        code = sqlite3_step(statement);
    }
    if (code != SQLITE_ROW) {
        error = unreadable(database, code, sql, reason);
    } else {
        const char *found = (const char *)sqlite3_column_text(statement, 0);

        if (found == NULL || strcmp(found, "ok") != 0) {
            (void)snprintf(reason, REASON_MAX_BYTES, "it is damaged: %s",
                           found == NULL ? "" : found);
            for (char *at = reason; (at = strchr(at, '\n')) != NULL;) {
                *at = ' ';
            }
            error = ERROR_INTERNAL;
        }
    }
    (void)sqlite3_finalize(statement);
    return error;
}

static enum error rows_check(sqlite3 *database, struct store_summary *summary, char *reason)
{
    sqlite3_stmt *statement = NULL;
    enum error error = OK;
    int code = sqlite3_prepare_v2(database, COUNTS, -1, &statement, NULL);

    if (code == SQLITE_OK) {
        code = sqlite3_step(statement);
    }
    if (code != SQLITE_ROW) {
        error = unreadable(database, code, "counts", reason);
        (void)sqlite3_finalize(statement);
        return error;
    }
    for (size_t i = 0; i < FAULT_COUNT && error == OK; i++) {
        if (sqlite3_column_int64(statement, (int)i) != 0) {
            (void)snprintf(reason, REASON_MAX_BYTES, "it has %s: %lld", faults[i],
                           (long long)sqlite3_column_int64(statement, (int)i));
            error = ERROR_INTERNAL;
        }
    }
    summary->accounts = sqlite3_column_int64(statement, FAULT_COUNT);
    summary->deleted_accounts = sqlite3_column_int64(statement, FAULT_COUNT + 1);
    summary->messages = sqlite3_column_int64(statement, FAULT_COUNT + 2);
    summary->unclaimed_prekeys = sqlite3_column_int64(statement, FAULT_COUNT + 3);
    summary->made_at_ms = sqlite3_column_int64(statement, FAULT_COUNT + 4);
    (void)sqlite3_finalize(statement);
    return error;
}

static enum error later_tables_check(sqlite3 *database, int64_t schema, char *reason)
{
    enum error error = OK;

    for (size_t i = 0; i < sizeof later_checks / sizeof later_checks[0] && error == OK; i++) {
        int64_t count = 0;

        if (schema >= later_checks[i].schema) {
            error = connection_int(database, later_checks[i].sql, &count);
        }
        if (error == OK && count != 0) {
            (void)snprintf(reason, REASON_MAX_BYTES, "it has %s: %lld", later_checks[i].what,
                           (long long)count);
            error = ERROR_INTERNAL;
        }
    }
    return error;
}

/* A key that was handed out must not wait to be handed out. */
static enum error prekeys_check(sqlite3 *database, char *reason)
{
    sqlite3_stmt *prekeys = NULL;
    sqlite3_stmt *claimed = NULL;
    enum error error = OK;
    int64_t count = 0;
    int code = sqlite3_prepare_v2(database, PREKEYS, -1, &prekeys, NULL);

    if (code == SQLITE_OK) {
        code = sqlite3_prepare_v2(database, CLAIMED, -1, &claimed, NULL);
    }
    if (code == SQLITE_OK) {
        code = sqlite3_step(prekeys);
    }
    while (code == SQLITE_ROW && count == 0) {
        code = claimed_count(claimed, prekeys, &count);
        if (code == SQLITE_ROW && count == 0) {
            code = sqlite3_step(prekeys);
        }
    }
    if (count > 0) {
        (void)snprintf(reason, REASON_MAX_BYTES, "a one-time key would be given again");
        error = ERROR_INTERNAL;
    } else if (code != SQLITE_DONE) {
        error = unreadable(database, code, PREKEYS, reason);
    }
    (void)sqlite3_finalize(prekeys);
    (void)sqlite3_finalize(claimed);
    return error;
}

static int claimed_count(sqlite3_stmt *claimed, sqlite3_stmt *prekey, int64_t *out_count)
{
    struct str key = {(const char *)sqlite3_column_text(prekey, 1),
                      (size_t)sqlite3_column_bytes(prekey, 1)};
    struct sha256 digest;
    int code;

    sha256_of(key, &digest);
    (void)sqlite3_bind_int64(claimed, 1, sqlite3_column_int64(prekey, 0));
    (void)sqlite3_bind_blob(claimed, 2, digest.bytes, (int)sizeof digest.bytes, SQLITE_STATIC);
    code = sqlite3_step(claimed);
    if (code == SQLITE_ROW) {
        *out_count = sqlite3_column_int64(claimed, 0);
    }
    (void)sqlite3_reset(claimed);
    return code;
}

static enum error unreadable(sqlite3 *database, int code, const char *sql, char *reason)
{
    enum error error = failure_translate(database, code, FAILURE_ANYWHERE, sql);

    if (error != ERROR_DRAINING) {
        (void)snprintf(reason, REASON_MAX_BYTES, "it cannot be read: %s", sqlite3_errmsg(database));
    }
    return error;
}
