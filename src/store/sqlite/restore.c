/* restore.c - a backup takes the place of the database.
 *
 *   locks → backup opened, ours → DATABASE.restore-partial: pages copied, verified → changed:
 * epoch, one-time keys, counters → synced → owned → the old one settled → in place (replace.c)
 *
 * 1. Until that last step nothing at the database's path is other than it was, and nothing is
 *    removed: a restore that fails or is killed leaves the old database.
 * 2. Before it the old database becomes one file in itself, where it is not too damaged for that.
 *    One that has its other name already, from a restore that was killed, is only read.
 * 3. Nobody's cursor and no tag is trusted afterwards (another epoch), no number is given again
 *    (counters go on above both), and no one-time key is handed out twice: those of the backup may
 *    have been handed out since, so they count as claimed, together with all that were.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/digest.h"
#include "store/copies.h"
#include "store/sqlite/check.h"
#include "store/sqlite/connection.h"
#include "store/sqlite/copy.h"
#include "store/sqlite/files.h"
#include "store/sqlite/home.h"
#include "store/sqlite/meta.h"
#include "store/sqlite/replace.h"
#include "store/sqlite/source.h"

struct restore {
    struct replacement names;
    struct restore_report *report;
    char *reason;
};

static enum error paths_find(struct restore *restore, const char *database_path);
static enum error old_check(struct restore *restore);
static enum error lock_explain(const struct restore *restore);
static enum error replace(struct restore *restore, const char *backup_path);
static enum error copy_fill(struct restore *restore, const char *backup_path);
static enum error copy_change(struct restore *restore);
static enum error old_take_over(struct restore *restore, sqlite3 *copy);
static enum error knowledge_take(struct restore *restore, sqlite3 *copy, sqlite3 *old);
static enum error counters_raise(sqlite3 *copy, sqlite3 *old, bool *out_are_known);
static enum error claimed_add_all(sqlite3 *copy, sqlite3 *from, const char *sql, bool are_keys,
                                  int64_t *out_added, bool *out_are_known);
static enum error owner_set(const char *path);
static enum error told(const struct restore *restore, const char *text);

enum error store_restore(const char *backup_path, const char *database_path,
                         struct restore_report *out_report, char reason[REASON_MAX_BYTES])
{
    struct restore restore = {.report = out_report, .reason = reason};
    int lock_fd = -1;
    enum error error;

    reason[0] = '\0';
    *out_report = (struct restore_report){.replaced_path = ""};
    connection_configure_library();
    error = paths_find(&restore, database_path);
    if (error == OK) {
        error = old_check(&restore);
    }
    if (error == OK && home_lock_take(restore.names.path, &lock_fd) != OK) {
        error = lock_explain(&restore);
    }
    if (error == OK && replacement_prepare(&restore.names) != OK) {
        error = told(&restore, "nine databases that were replaced lie beside it; remove what is "
                               "not needed");
    }
    if (error == OK) {
        error = replace(&restore, backup_path);
        out_report->is_in_place = restore.names.is_in_place;
        if (out_report->is_in_place && restore.names.has_old) {
            memcpy(out_report->replaced_path, restore.names.kept_path, PATH_MAX);
        }
    }
    if (lock_fd >= 0) {
        (void)close(lock_fd);
    }
    if (error != OK && reason[0] == '\0') {
        (void)snprintf(reason, REASON_MAX_BYTES, "%s (see the log: --log-level error)",
                       out_report->is_in_place ? "the folder cannot be written to the disk"
                                               : error_text(error));
    }
    return error;
}

/* With the lock. */
static enum error replace(struct restore *restore, const char *backup_path)
{
    struct replacement *names = &restore->names;
    char lock_path[PATH_MAX];
    enum error error = copy_fill(restore, backup_path);

    if (error == OK) {
        error = copy_change(restore);
    }
    if (error == OK) {
        error = owner_set(names->partial_path);
    }
    if (error == OK && snprintf(lock_path, sizeof lock_path, "%s.lock", names->path) > 0) {
        error = owner_set(lock_path);
    }
    if (error == OK) {
        error = replacement_make(names);
    }
    if (error != OK) {
        partial_remove(names->partial_path);
    }
    return error;
}

/* ---- before anything is touched --------------------------------------------------------------*/

static enum error paths_find(struct restore *restore, const char *database_path)
{
    if (home_path_resolve(database_path, restore->names.path) != OK) {
        return told(restore, "the database's folder is missing or closed to us");
    }
    return replacement_name(&restore->names) ? OK
                                             : told(restore, "the database's path is too long");
}

/* A mistyped path must not put a database where something else is. What cannot be read may be a
 * damaged database: that is what backups are for. */
static enum error old_check(struct restore *restore)
{
    enum home_content content = CONTENT_NOTHING;
    sqlite3 *old = NULL;
    struct stat found;

    if (lstat(restore->names.path, &found) != 0) {
        return errno == ENOENT ? OK : told(restore, strerror(errno));
    }
    if (!S_ISREG(found.st_mode)) {
        return told(restore, "what is at the database's path is not a regular file");
    }
    restore->names.has_old = true;
    if (copy_open(restore->names.path, &old) == OK) {
        if (home_content_find(old, &content) != OK) {
            content = CONTENT_NOTHING;
        }
        (void)sqlite3_close(old);
    }
    return content == CONTENT_FOREIGN
               ? told(restore, "what is at the database's path is not a MigChat database")
               : OK;
}

/* Who may not have the lock file is no server's fault. */
static enum error lock_explain(const struct restore *restore)
{
    char lock_path[PATH_MAX];
    int fd;

    (void)snprintf(lock_path, sizeof lock_path, "%.*s.lock", PATH_MAX - 8, restore->names.path);
    fd = open(lock_path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return told(restore, strerror(errno));
    }
    (void)close(fd);
    return told(restore, "a server has the database open; stop it first");
}

/* ---- the copy --------------------------------------------------------------------------------*/

static enum error copy_fill(struct restore *restore, const char *backup_path)
{
    char resolved[PATH_MAX];
    struct source source;
    sqlite3 *copy = NULL;
    enum error error;

    /* Before it is opened, which the lock we hold would refuse in other words. */
    if (realpath(backup_path, resolved) != NULL && strcmp(resolved, restore->names.path) == 0) {
        return told(restore, "it is the database itself");
    }
    error = source_open(backup_path, &source, restore->reason);
    if (error != OK) {
        return error;
    }
    error = source_must_be_ours(source.database, restore->reason);
    if (error == OK) {
        error = partial_open(restore->names.partial_path, &copy);
    }
    if (error == OK) {
        error = pages_copy(copy, source.database, NULL);
        (void)sqlite3_close(copy);
    }
    source_close(&source);
    /* Of the copy, which is what counts, and which nobody else writes. */
    return error == OK ? check_file(restore->names.partial_path, NULL, &restore->report->summary,
                                    restore->reason)
                       : error;
}

static enum error copy_change(struct restore *restore)
{
    sqlite3 *copy = NULL;
    enum error error = connection_open(restore->names.partial_path, SQLITE_OPEN_READWRITE, &copy);

    if (error != OK) {
        return error;
    }
    /* The header may say WAL, which would be a second file beside it. */
    error = connection_exec(copy, "PRAGMA journal_mode=DELETE; PRAGMA journal_mode=MEMORY;"
                                  "PRAGMA synchronous=OFF; BEGIN IMMEDIATE");
    if (error == OK) {
        error = meta_epoch_renew(copy);
    }
    if (error == OK && restore->names.has_old) {
        error = old_take_over(restore, copy);
    }
    if (error == OK) {
        int64_t unused = 0;

        error = claimed_add_all(copy, copy, "SELECT account_id, public_key FROM one_time_prekey",
                                true, &unused, NULL);
    }
    if (error == OK) {
        error = connection_exec(copy, "DELETE FROM one_time_prekey;"
                                      "DELETE FROM meta WHERE key = 'backup_made_at_ms'; COMMIT");
    }
    (void)sqlite3_close(copy);
    restore->report->voided_prekeys = restore->report->summary.unclaimed_prekeys;
    return error == OK ? file_sync(restore->names.partial_path, O_RDONLY) : error;
}

/* ---- what the old database knows -------------------------------------------------------------*/

/* As one file in itself, which a program that reads it meanwhile prevents. */
static enum error old_take_over(struct restore *restore, sqlite3 *copy)
{
    enum home_content content = CONTENT_NOTHING;
    sqlite3 *old = NULL;
    enum error error = OK;

    const char *path = restore->names.is_kept ? restore->names.kept_path : restore->names.path;

    if (connection_open(path, SQLITE_OPEN_READWRITE, &old) != OK) {
        return OK;
    }
    if (restore->names.is_kept) {
        /* All its names are of one file, so nothing is moved into it. */
        (void)sqlite3_db_config(old, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        if (home_content_find(old, &content) == OK && content == CONTENT_OURS) {
            error = knowledge_take(restore, copy, old);
        }
        (void)sqlite3_close(old);
        replacement_tidy(&restore->names);
        return error;
    }
    if (connection_exec(old, "PRAGMA journal_mode=DELETE") != OK) {
        bool is_busy = (sqlite3_errcode(old) & 0xff) == SQLITE_BUSY;

        /* What it cannot take in stays as it is, in a file of its own. */
        (void)sqlite3_db_config(old, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        error = is_busy ? told(restore, "another program has the database open") : OK;
    } else if (home_content_find(old, &content) == OK && content == CONTENT_OURS) {
        error = knowledge_take(restore, copy, old);
    }
    (void)sqlite3_close(old);
    return error;
}

static enum error knowledge_take(struct restore *restore, sqlite3 *copy, sqlite3 *old)
{
    bool counters_are_known = true;
    bool claimed_are_known = true;
    enum error error = counters_raise(copy, old, &counters_are_known);

    if (error == OK) {
        error = claimed_add_all(copy, old, "SELECT account_id, digest FROM claimed_prekey", false,
                                &restore->report->remembered_prekeys, &claimed_are_known);
    }
    restore->report->replaced_is_known = counters_are_known && claimed_are_known;
    return error;
}

/* An error is the copy's. Of a damaged database as much as can be read is taken. */
static enum error counters_raise(sqlite3 *copy, sqlite3 *old, bool *out_are_known)
{
    static const char FIND[] = "SELECT key, CAST(value AS INTEGER) FROM meta"
                               " WHERE key GLOB 'next_*' OR key = 'password_cost'";
    static const char RAISE[] =
        "INSERT INTO meta(key, value) VALUES(?1, CAST(?2 AS TEXT)) ON CONFLICT(key) DO UPDATE"
        " SET value = excluded.value WHERE CAST(value AS INTEGER) < CAST(excluded.value AS "
        "INTEGER)";
    sqlite3_stmt *find = NULL;
    sqlite3_stmt *raise = NULL;
    int code = sqlite3_prepare_v2(old, FIND, -1, &find, NULL);
    int raised = sqlite3_prepare_v2(copy, RAISE, -1, &raise, NULL);

    while (raised == SQLITE_OK && (code == SQLITE_OK || code == SQLITE_ROW) &&
           (code = sqlite3_step(find)) == SQLITE_ROW) {
        (void)sqlite3_bind_text(raise, 1, (const char *)sqlite3_column_text(find, 0), -1,
                                SQLITE_TRANSIENT);
        (void)sqlite3_bind_int64(raise, 2, sqlite3_column_int64(find, 1));
        (void)sqlite3_step(raise);
        raised = sqlite3_reset(raise);
    }
    (void)sqlite3_finalize(find);
    (void)sqlite3_finalize(raise);
    *out_are_known = code == SQLITE_DONE;
    return raised == SQLITE_OK ? OK : failure_translate(copy, raised, FAILURE_ANYWHERE, RAISE);
}

/* Rows of account and key, or of account and digest. `*out_added`: those the copy did not have. */
static enum error claimed_add_all(sqlite3 *copy, sqlite3 *from, const char *sql, bool are_keys,
                                  int64_t *out_added, bool *out_are_known)
{
    static const char ADD[] =
        "INSERT OR IGNORE INTO claimed_prekey(account_id, digest) VALUES(?1, ?2)";
    sqlite3_stmt *find = NULL;
    sqlite3_stmt *add = NULL;
    int64_t added = 0;
    int code = sqlite3_prepare_v2(from, sql, -1, &find, NULL);
    int put = sqlite3_prepare_v2(copy, ADD, -1, &add, NULL);

    while (put == SQLITE_OK && (code == SQLITE_OK || code == SQLITE_ROW) &&
           (code = sqlite3_step(find)) == SQLITE_ROW) {
        struct str bytes = {sqlite3_column_blob(find, 1), (size_t)sqlite3_column_bytes(find, 1)};
        struct sha256 digest;

        if (are_keys) {
            sha256_of(bytes, &digest);
            bytes = (struct str){(const char *)digest.bytes, sizeof digest.bytes};
        }
        (void)sqlite3_bind_int64(add, 1, sqlite3_column_int64(find, 0));
        (void)sqlite3_bind_blob(add, 2, bytes.ptr, (int)bytes.len, SQLITE_TRANSIENT);
        (void)sqlite3_step(add);
        put = sqlite3_reset(add);
        added += sqlite3_changes(copy);
    }
    (void)sqlite3_finalize(find);
    (void)sqlite3_finalize(add);
    if (put == SQLITE_OK && code != SQLITE_DONE && out_are_known == NULL) {
        return failure_translate(from, code, FAILURE_ANYWHERE, sql);
    }
    if (out_are_known != NULL) {
        *out_are_known = code == SQLITE_DONE;
    }
    *out_added = added;
    return put == SQLITE_OK ? OK : failure_translate(copy, put, FAILURE_ANYWHERE, ADD);
}

/* ---- the names -------------------------------------------------------------------------------*/

/* What root makes is for whom the folder belongs to. `name` is looked at as takeover.c does: the
 * folder's owner may have put something else there. */
static enum error owner_set(const char *path)
{
    char folder[PATH_MAX];
    struct stat owner;
    struct stat found;
    enum error error = OK;
    int fd;

    if (geteuid() != 0) {
        return OK;
    }
    (void)snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(path, '/') + 1 - path), path);
    fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || stat(folder, &owner) != 0) {
        error = file_failed("look at", path);
    } else if (fstat(fd, &found) != 0 || !S_ISREG(found.st_mode) || found.st_nlink != 1) {
        errno = EPERM;
        error = file_failed("hand over", path);
    } else if (fchownat(fd, "", owner.st_uid, owner.st_gid, AT_EMPTY_PATH) != 0) {
        error = file_failed("hand over", path);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return error;
}

static enum error told(const struct restore *restore, const char *text)
{
    (void)snprintf(restore->reason, REASON_MAX_BYTES, "%s", text);
    return ERROR_INTERNAL;
}
