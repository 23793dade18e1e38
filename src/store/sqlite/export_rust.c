/* export_rust.c - a database of ours becomes a new one of the Rust MigChat server, and a list of
 * the tokens it is used with.
 *
 *   one snapshot of ours → FILE.tokens.partial locked → FILE.partial: that server's tables, rows in
 *   one transaction, counted, checked → both on the disk → FILE.tokens named, FILE named
 *
 * 1. Ours is only read, also while a server has it open; that one's checkpoints wait for the end.
 * 2. FILE is whole when it has its name, and FILE.tokens is there then. One that dies leaves at
 *    most the two partial files, which the next replaces, or FILE.tokens without FILE.
 * 3. Nothing is overwritten.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/require.h"
#include "store/copies.h"
#include "store/sqlite/adopt.h"
#include "store/sqlite/connection.h"
#include "store/sqlite/export_rows.h"
#include "store/sqlite/files.h"
#include "store/sqlite/source.h"

#define TOKENS_SUFFIX ".tokens"
#define PARTIAL_SUFFIX ".partial"
/* Its pages go to the disk once, at the end; nobody needs the file of one that fails. */
#define FILL_PRAGMAS                                                                               \
    "PRAGMA journal_mode=MEMORY; PRAGMA synchronous=OFF; PRAGMA secure_delete=OFF;"                \
    "PRAGMA cache_size=-24576" /* 24 MiB */

struct paths {
    char file[PATH_MAX]; /* with at least one slash */
    char file_partial[PATH_MAX];
    char tokens[PATH_MAX];
    char tokens_partial[PATH_MAX];
};

/* What stays behind, and what that means. */
struct loss {
    const char *what;
    const char *sql; /* how many, in the snapshot; NULL: it was counted on the way */
};

enum {
    LOSS_DELETED = 3,
    LOSS_KEYS = 4,
    LOSS_EVENTS = 6,
    LOSS_READ_AT = 7,
    LOSS_DISABLED = 8,
    LOSS_INVITES = 9,
    LOSS_BLOCKS = 10,
    LOSS_WITHHELD = 11
};

static const struct loss losses[] = {
    {"passwords: their hashes are in the file, but there is no log-in; a lost token is a lost"
     " account",
     "SELECT count(*) FROM account WHERE deleted_at_ms IS NULL"},
    {"sessions: of their tokens only hashes are known; each account has one new token instead",
     "SELECT count(*) FROM session"},
    {"names held for those who had them: anybody can take them",
     "SELECT count(*) FROM name WHERE state = 2"},
    [LOSS_DELETED] = {"deleted accounts that no message is from or to", NULL},
    [LOSS_KEYS] = {"idempotency keys: what is sent again with one is a second message", NULL},
    {"one-time keys handed out: a client that publishes them again has them handed out again",
     "SELECT count(*) FROM claimed_prekey"},
    [LOSS_EVENTS] = {"events that are no messages: renames, key changes, reading by others,"
                     " ended sessions",
                     NULL},
    [LOSS_READ_AT] = {"messages read at a time that is not known: their own time stands for it",
                      NULL},
    [LOSS_DISABLED] = {"accounts disabled: they have no token, which is what keeps them out", NULL},
    [LOSS_INVITES] = {"invites: anybody can make an account", "SELECT count(*) FROM invite"},
    [LOSS_BLOCKS] = {"blocks: whoever is blocked can write again", "SELECT count(*) FROM block"},
    [LOSS_WITHHELD] = {"messages that a block withheld: that server would show them to both",
                       "SELECT count(*) FROM withheld_message"},
};

static enum error paths_make(const char *path, struct paths *out_paths, char *reason);
static enum error source_open_ours(const char *database_path, struct source *out_source,
                                   char *reason);
static enum error files_write(const struct source *source, const struct paths *paths,
                              struct buf *told, char *reason);
static enum error tokens_begin(const struct paths *paths, FILE **out_tokens, char *reason);
static bool tokens_stale_remove(const struct paths *paths);
static enum error targets_check(const struct paths *paths, char *reason);
static enum error database_write(const struct source *source, const struct paths *paths,
                                 struct rust_export *export, char *reason);
static enum error schema_look(struct rust_export *export);
static enum error rows_write(struct rust_export *export);
static enum error rows_verify(struct rust_export *export, char *reason);
static enum error count_verify(sqlite3 *database, const char *sql, int64_t expected,
                               const char *what, char *reason);
static enum error files_name(const struct paths *paths, FILE *tokens, char *reason);
static void written_tell(const struct rust_export *export, const struct paths *paths,
                         struct buf *told);
static enum error losses_tell(const struct rust_export *export, sqlite3 *ours, struct buf *told);
static enum error loss_count(const struct rust_export *export, sqlite3 *ours, size_t loss,
                             int64_t *out_count);
static enum error told_errno(char *reason, const char *doing, const char *path);

enum error store_export_rust(const char *database_path, const char *path, struct buf *told,
                             char reason[REASON_MAX_BYTES])
{
    struct paths paths;
    struct source source;
    enum error error;

    reason[0] = '\0';
    error = paths_make(path, &paths, reason);
    if (error != OK) {
        return error;
    }
    error = source_open_ours(database_path, &source, reason);
    if (error == OK) {
        error = files_write(&source, &paths, told, reason);
        source_close(&source);
    }
    if (error != OK && reason[0] == '\0') {
        (void)snprintf(reason, REASON_MAX_BYTES, "%s (see the log)", error_text(error));
    }
    return error;
}

static enum error source_open_ours(const char *database_path, struct source *out_source,
                                   char *reason)
{
    char why[REASON_MAX_BYTES] = "";
    enum error error = source_open_beside_server(database_path, out_source, why);

    if (error == OK) {
        error = source_must_be_ours(out_source->database, why);
        if (error != OK) {
            source_close(out_source);
        }
    }
    if (error != OK) {
        (void)snprintf(reason, REASON_MAX_BYTES, "%.150s: %.200s", database_path, why);
    }
    return error;
}

/* ---- the files -------------------------------------------------------------------------------*/

static enum error paths_make(const char *path, struct paths *out_paths, char *reason)
{
    const char *folder = strchr(path, '/') == NULL ? "./" : "";
    size_t longest = strlen(folder) + strlen(path) + strlen(TOKENS_SUFFIX PARTIAL_SUFFIX);

    if (path[0] == '\0' || longest >= PATH_MAX) {
        (void)snprintf(reason, REASON_MAX_BYTES, "the file's name is empty or too long");
        return ERROR_INTERNAL;
    }
    (void)snprintf(out_paths->file, PATH_MAX, "%s%s", folder, path);
    (void)snprintf(out_paths->file_partial, PATH_MAX, "%s%s" PARTIAL_SUFFIX, folder, path);
    (void)snprintf(out_paths->tokens, PATH_MAX, "%s%s" TOKENS_SUFFIX, folder, path);
    (void)snprintf(out_paths->tokens_partial, PATH_MAX, "%s%s" TOKENS_SUFFIX PARTIAL_SUFFIX, folder,
                   path);
    return OK;
}

static enum error files_write(const struct source *source, const struct paths *paths,
                              struct buf *told, char *reason)
{
    struct rust_export export = {.now_ms = clock_wall_ms()};
    size_t told_before = told->len;
    enum error error = tokens_begin(paths, &export.tokens, reason);

    if (error != OK) {
        return error;
    }
    error = targets_check(paths, reason);
    if (error == OK) {
        error = database_write(source, paths, &export, reason);
        if (error == OK) {
            written_tell(&export, paths, told);
            error = losses_tell(&export, source->database, told);
        }
        if (error == OK) {
            error = files_name(paths, export.tokens, reason);
        }
        if (error != OK) {
            buf_truncate(told, told_before);
            (void)unlink(paths->file_partial);
        }
    }
    if (error != OK) {
        (void)unlink(paths->tokens_partial);
    }
    /* With it goes the lock. */
    (void)fclose(export.tokens);
    return error;
}

/* The file is locked until it is closed: of two exports with one wish the second loses. */
static enum error tokens_begin(const struct paths *paths, FILE **out_tokens, char *reason)
{
    const char *path = paths->tokens_partial;
    const int flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    int fd = open(path, flags, 0600);

    if (fd < 0 && errno == EEXIST && tokens_stale_remove(paths)) {
        fd = open(path, flags, 0600);
    }
    if (fd < 0) {
        return told_errno(reason, "make", path);
    }
    if (!file_lock(fd, path)) {
        enum error error = told_errno(reason, "lock", path);

        (void)close(fd);
        return error;
    }
    *out_tokens = fdopen(fd, "w");
    REQUIRE(*out_tokens != NULL);
    return OK;
}

/* One that nobody holds is left of an export that died. Never written: it may be anybody's. */
static bool tokens_stale_remove(const struct paths *paths)
{
    int fd = open(paths->tokens_partial, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    int code = 0;

    if (fd < 0) {
        return errno == ENOENT;
    }
    if (!file_lock(fd, paths->tokens_partial) || unlink(paths->tokens_partial) != 0) {
        code = errno;
    }
    (void)close(fd);
    errno = code;
    return code == 0;
}

static enum error targets_check(const struct paths *paths, char *reason)
{
    const char *const targets[] = {paths->file, paths->tokens};
    struct stat found;

    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        if (lstat(targets[i], &found) == 0) {
            (void)snprintf(reason, REASON_MAX_BYTES, "%.300s exists, and nothing is overwritten",
                           targets[i]);
            return ERROR_INTERNAL;
        }
        if (errno != ENOENT) {
            return told_errno(reason, "look at", targets[i]);
        }
    }
    return OK;
}

/* ---- the database ----------------------------------------------------------------------------*/

static enum error database_write(const struct source *source, const struct paths *paths,
                                 struct rust_export *export, char *reason)
{
    sqlite3 *database = NULL;
    enum error error;

    if (unlink(paths->file_partial) != 0 && errno != ENOENT) {
        return told_errno(reason, "remove what is left of", paths->file_partial);
    }
    error = file_make(paths->file_partial);
    if (error == OK) {
        error = connection_open(paths->file_partial, SQLITE_OPEN_READWRITE, &database);
    }
    if (error != OK) {
        return error;
    }
    export->from = store_around_new(source->database);
    export->to = store_around_new(database);
    error = schema_look(export);
    if (error == OK) {
        error = rows_write(export);
    }
    if (error == OK) {
        error = rows_verify(export, reason);
    }
    store_around_free(export->to);
    store_around_free(export->from);
    export->to = NULL;
    export->from = NULL;
    (void)sqlite3_close(database);
    return error == OK ? file_sync(paths->file_partial, O_RDONLY) : error;
}

/* A backup of an older server has no table of these. */
static enum error schema_look(struct rust_export *export)
{
    int64_t schema = 0;
    enum error error = connection_int(export->from->database, "PRAGMA user_version", &schema);

    export->has_disabled = schema >= 2;
    export->has_invites = schema >= 2;
    export->has_blocks = schema >= 3;
    export->has_contents = schema >= 4;
    export->has_recent_keys = schema >= 5;
    return error;
}

static enum error rows_write(struct rust_export *export)
{
    enum error error = connection_exec(export->to->database, FILL_PRAGMAS ";BEGIN IMMEDIATE");

    if (error == OK) {
        error = connection_exec(export->to->database, export_schema);
    }
    if (error == OK) {
        error = export_accounts(export);
    }
    if (error == OK) {
        error = export_keys(export);
    }
    if (error == OK) {
        error = export_messages(export);
    }
    if (error == OK) {
        error = export_deleted_accounts(export);
    }
    if (error == OK) {
        error = export_sequences(export);
    }
    return error == OK ? connection_exec(export->to->database, "COMMIT") : error;
}

static enum error rows_verify(struct rust_export *export, char *reason)
{
    sqlite3 *file = export->to->database;
    sqlite3 *ours = export->from->database;
    const struct export_counts *counts = &export->counts;
    bool is_rust = false;
    enum error error = count_verify(ours,
                                    "SELECT coalesce(sum(received), 0) FROM conversation JOIN"
                                    " account ON id = account_id WHERE deleted_at_ms IS NULL",
                                    counts->received, "received messages", reason);

    if (error == OK) {
        error = count_verify(ours,
                             "SELECT coalesce(sum(received - read), 0) FROM conversation JOIN"
                             " account ON id = account_id WHERE deleted_at_ms IS NULL",
                             counts->unread, "unread messages", reason);
    }
    if (error == OK) {
        error = count_verify(file, "SELECT count(*) FROM messages", counts->messages, "messages",
                             reason);
    }
    if (error == OK) {
        error = count_verify(file, "SELECT count(*) FROM pragma_foreign_key_check", 0,
                             "rows that point nowhere", reason);
    }
    if (error == OK) {
        error = count_verify(file,
                             "SELECT count(*) FROM pragma_integrity_check"
                             " WHERE integrity_check <> 'ok'",
                             0, "damages", reason);
    }
    if (error == OK) {
        error = adopt_recognise(file, &is_rust);
    }
    REQUIRE(error != OK || is_rust);
    return error;
}

static enum error count_verify(sqlite3 *database, const char *sql, int64_t expected,
                               const char *what, char *reason)
{
    int64_t found = 0;
    enum error error = connection_int(database, sql, &found);

    if (error == OK && found != expected) {
        (void)snprintf(reason, REASON_MAX_BYTES,
                       "%s: %lld and %lld do not agree; \"migchat-server verify\" says more of a "
                       "backup",
                       what, (long long)found, (long long)expected);
        error = ERROR_INTERNAL;
    }
    return error;
}

/* ---- the names -------------------------------------------------------------------------------*/

static enum error files_name(const struct paths *paths, FILE *tokens, char *reason)
{
    if (fflush(tokens) != 0 || ferror(tokens) != 0 || fsync(fileno(tokens)) != 0) {
        return told_errno(reason, "write", paths->tokens_partial);
    }
    if (!file_rename(paths->tokens_partial, paths->tokens)) {
        return told_errno(reason, "name", paths->tokens);
    }
    if (!file_rename(paths->file_partial, paths->file)) {
        enum error error = told_errno(reason, "name", paths->file);

        (void)unlink(paths->tokens);
        return error;
    }
    return folder_sync(paths->file);
}

static enum error told_errno(char *reason, const char *doing, const char *path)
{
    int code = errno;

    (void)snprintf(reason, REASON_MAX_BYTES, "cannot %s %.300s: %s", doing, path,
                   code == EWOULDBLOCK ? "another export to this file is running" : strerror(code));
    return code == ENOSPC || code == EDQUOT ? ERROR_DISK_FULL : ERROR_STORE_FAILED;
}

/* ---- what is told ----------------------------------------------------------------------------*/

static void written_tell(const struct rust_export *export, const struct paths *paths,
                         struct buf *told)
{
    const struct export_counts *counts = &export->counts;

    buf_append_format(told,
                      "%s: %lld accounts (and %lld deleted), %lld messages, %lld key bundles, "
                      "%lld one-time keys\n",
                      paths->file, (long long)counts->accounts, (long long)counts->deleted_accounts,
                      (long long)counts->messages, (long long)counts->key_bundles,
                      (long long)counts->prekeys);
    buf_append_format(told, "%s: %lld tokens, a line each: name, tab, token\n", paths->tokens,
                      (long long)counts->tokens);
}

static enum error losses_tell(const struct rust_export *export, sqlite3 *ours, struct buf *told)
{
    enum error error = OK;

    buf_append_str(told, STR("What that server has no place for:\n"));
    for (size_t i = 0; i < sizeof losses / sizeof losses[0] && error == OK; i++) {
        int64_t count = 0;

        error = loss_count(export, ours, i, &count);
        if (count > 0) {
            buf_append_format(told, "  %lld %s\n", (long long)count, losses[i].what);
        }
    }
    return error;
}

static enum error loss_count(const struct rust_export *export, sqlite3 *ours, size_t loss,
                             int64_t *out_count)
{
    enum error error = OK;

    switch (loss) {
    case LOSS_DELETED:
        error = connection_int(ours, "SELECT count(*) FROM account WHERE deleted_at_ms IS NOT NULL",
                               out_count);
        *out_count -= export->counts.deleted_accounts;
        break;
    case LOSS_EVENTS:
        *out_count = export->counts.entries_left;
        break;
    case LOSS_READ_AT:
        *out_count = export->counts.read_at_unknown;
        break;
    case LOSS_DISABLED:
        *out_count = export->counts.disabled_accounts;
        break;
    case LOSS_KEYS:
        /* For a while a key is in both. */
        error = connection_int(ours,
                               export->has_recent_keys
                                   ? "SELECT count(*) FROM (SELECT account_id, key FROM sent_key"
                                     " UNION SELECT account_id, key FROM sent_key_recent)"
                                   : "SELECT count(*) FROM sent_key",
                               out_count);
        break;
    case LOSS_INVITES:
    case LOSS_BLOCKS:
    case LOSS_WITHHELD:
        if (loss == LOSS_INVITES ? export->has_invites : export->has_blocks) {
            error = connection_int(ours, losses[loss].sql, out_count);
        }
        break;
    default:
        error = connection_int(ours, losses[loss].sql, out_count);
    }
    return error;
}
