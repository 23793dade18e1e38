/* backup.c - the open database becomes a new file, a few pages at a time between the batches.
 *
 *   name free → FILE.partial, 0600 → pages, behind the gate → closed, a file in itself, dated →
 *   synced → verified → named → folder synced
 *
 * 1. SQLite copies from the writer's own connection: what it commits meanwhile goes into the pages
 *    that were copied already, so the copy is what was committed when the last page was, and WAL
 *    and checkpoints are as without it. A snapshot of its own would hold checkpoints back.
 * 2. A step holds the gate for STEP_PAGES. Before it the pages are read once on a connection of our
 *    own, so that the writer does not wait for a disk; after it what was written is sent on its
 *    way to the disk, so that the last sync is short.
 * 3. SQLite begins again when the writer rolls back (rare: handlers check before they write). Each
 *    time the steps double, so that it ends.
 * 4. The file gets its name when it is whole, verified and on the disk.
 */
#include "store/sqlite/backup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/require.h"
#include "store/copies.h"
#include "store/sqlite/check.h"
#include "store/sqlite/connection.h"
#include "store/sqlite/copy.h"
#include "store/sqlite/files.h"
#include "store/sqlite/meta.h"

/* 256 KiB: a fraction of a millisecond. */
#define STEP_PAGES 64
#define STEP_PAGES_MOST 4096
/* Not yet on the disk at most, while it is copied. */
#define UNSYNCED_BYTES (8 * 1024 * 1024)
#define VERIFY_NICE 10
#define PARTIAL_SUFFIX ".partial"

struct backup {
    struct store_home *home;
    sqlite3 *copy;           /* being written */
    sqlite3_backup *running; /* behind the gate */
    int step_pages;
    bool has_begun;
    atomic_bool has_lost_writer; /* set by a writer that closes, too */
    int code;                    /* of the last step */
    int pages_left;
    int pages_total;
};

/* The writer's file, to be read ahead of it. */
struct ahead {
    sqlite3 *database; /* NULL: not possible */
    sqlite3_file *file;
    char *bytes;
    int64_t page_bytes;
};

static enum error target_check(const char *path, char out_partial[PATH_MAX], char *reason);
static enum error partial_fill(struct store_home *home, const char *partial_path,
                               atomic_bool *stops, struct backup_progress *progress);
static enum error pages_take(struct backup *backup, const char *partial_path, atomic_bool *stops,
                             struct backup_progress *progress);
static void begin(void *argument);
static void step(void *argument);
static void finish(void *argument);
static struct ahead ahead_open(const struct store_home *home);
static void ahead_read(struct ahead *ahead, int64_t first_page, int64_t pages);
static void ahead_close(struct ahead *ahead);
static void written_send(int fd, int64_t done_bytes);
static enum error copy_complete(const char *partial_path);
static enum error copy_verify(const char *partial_path, atomic_bool *stops,
                              struct store_summary *out_summary, char *reason);
static enum error copy_name(const char *partial_path, const char *path, char *reason);

enum error store_backup(struct store_home *home, const char *path, atomic_bool *stops,
                        struct backup_progress *progress, struct store_summary *out_summary,
                        char reason[REASON_MAX_BYTES])
{
    char partial_path[PATH_MAX];
    int64_t started_ms = clock_monotonic_ms();
    struct store_summary summary = {0};
    bool is_other_running = atomic_exchange(&home->is_backed_up, true);
    enum error error;

    reason[0] = '\0';
    if (is_other_running) {
        (void)snprintf(reason, REASON_MAX_BYTES, "another backup is being made");
        return ERROR_OVERLOADED;
    }
    error = target_check(path, partial_path, reason);
    if (error == OK) {
        error = partial_fill(home, partial_path, stops, progress);
        if (error == OK) {
            error = copy_complete(partial_path);
        }
        if (error == OK) {
            atomic_store(&progress->is_verifying, true);
            error = copy_verify(partial_path, stops, &summary, reason);
        }
        if (error == OK) {
            error = copy_name(partial_path, path, reason);
        }
        if (error != OK) {
            partial_remove(partial_path);
        }
    }
    atomic_store(&home->is_backed_up, false);
    if (error != OK) {
        if (reason[0] == '\0') {
            (void)snprintf(reason, REASON_MAX_BYTES, "%s (see the log)", error_text(error));
        }
        log_event(error == ERROR_DRAINING ? LOG_INFO : LOG_ERROR, "backup_failed",
                  LOG_TEXT("file", path), LOG_TEXT("reason", reason), LOG_END);
        return error;
    }
    log_event(LOG_INFO, "backed_up", LOG_TEXT("file", path), LOG_INT("accounts", summary.accounts),
              LOG_INT("messages", summary.messages),
              LOG_INT("took_ms", clock_monotonic_ms() - started_ms), LOG_END);
    *out_summary = summary;
    return OK;
}

/* ---- the file --------------------------------------------------------------------------------*/

static enum error target_check(const char *path, char out_partial[PATH_MAX], char *reason)
{
    struct stat found;
    int len = snprintf(out_partial, PATH_MAX, "%s" PARTIAL_SUFFIX, path);

    if (path[0] != '/' || len < 0 || len >= PATH_MAX) {
        (void)snprintf(reason, REASON_MAX_BYTES,
                       "the file needs an absolute path that is not long");
        return ERROR_INTERNAL;
    }
    if (lstat(path, &found) == 0) {
        (void)snprintf(reason, REASON_MAX_BYTES, "the file exists, and nothing is overwritten");
        return ERROR_INTERNAL;
    }
    if (errno != ENOENT) {
        (void)snprintf(reason, REASON_MAX_BYTES, "%s", strerror(errno));
        return ERROR_INTERNAL;
    }
    return OK;
}

/* ---- the pages -------------------------------------------------------------------------------*/

static enum error partial_fill(struct store_home *home, const char *partial_path,
                               atomic_bool *stops, struct backup_progress *progress)
{
    struct backup backup = {.home = home, .step_pages = STEP_PAGES};
    enum error error = partial_open(partial_path, &backup.copy);

    if (error != OK) {
        return error;
    }
    gate_visit(&home->gate, begin, &backup);
    error = backup.has_begun ? pages_take(&backup, partial_path, stops, progress)
            : atomic_load(&backup.has_lost_writer)
                ? ERROR_DRAINING
                : failure_translate(backup.copy, sqlite3_extended_errcode(backup.copy),
                                    FAILURE_ANYWHERE, "backup");
    gate_visit(&home->gate, finish, &backup);
    (void)sqlite3_close(backup.copy);
    return error;
}

static enum error pages_take(struct backup *backup, const char *partial_path, atomic_bool *stops,
                             struct backup_progress *progress)
{
    struct ahead ahead = ahead_open(backup->home);
    int fd = open(partial_path, O_WRONLY | O_CLOEXEC);
    int64_t done = 0;

    backup->code = SQLITE_OK;
    while (backup->code == SQLITE_OK && !atomic_load(&backup->has_lost_writer)) {
        if (stops != NULL && atomic_load(stops)) {
            backup->code = SQLITE_INTERRUPT;
            break;
        }
        ahead_read(&ahead, done, backup->step_pages);
        gate_visit(&backup->home->gate, step, backup);
        int64_t done_now = backup->pages_total - backup->pages_left;
        if (done_now < done && backup->step_pages < STEP_PAGES_MOST) {
            backup->step_pages *= 2;
        }
        done = done_now;
        atomic_store(&progress->pages_total, backup->pages_total);
        atomic_store(&progress->pages_done, done);
        written_send(fd, done * ahead.page_bytes);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    ahead_close(&ahead);
    if (atomic_load(&backup->has_lost_writer)) {
        return ERROR_DRAINING;
    }
    return backup->code == SQLITE_DONE
               ? OK
               : failure_translate(NULL, backup->code, FAILURE_ANYWHERE, "backup");
}

/* ---- behind the gate -------------------------------------------------------------------------*/

static void begin(void *argument)
{
    struct backup *backup = argument;
    struct store *writer = backup->home->writer;

    if (writer == NULL || writer->is_broken) {
        atomic_store(&backup->has_lost_writer, true);
        return;
    }
    backup->running = sqlite3_backup_init(backup->copy, "main", writer->database, "main");
    backup->has_begun = backup->running != NULL;
    backup->home->backup = backup;
}

static void step(void *argument)
{
    struct backup *backup = argument;

    if (backup->running == NULL || backup->home->writer->is_broken) {
        atomic_store(&backup->has_lost_writer, true);
        return;
    }
    backup->code = sqlite3_backup_step(backup->running, backup->step_pages);
    backup->pages_left = sqlite3_backup_remaining(backup->running);
    backup->pages_total = sqlite3_backup_pagecount(backup->running);
}

static void finish(void *argument)
{
    struct backup *backup = argument;

    if (backup->running != NULL) {
        (void)sqlite3_backup_finish(backup->running);
        backup->running = NULL;
    }
    backup->home->backup = NULL;
}

void backup_writer_closes(struct store_home *home)
{
    if (home->backup != NULL) {
        atomic_store(&home->backup->has_lost_writer, true);
        finish(home->backup);
    }
}

/* ---- beside the gate -------------------------------------------------------------------------*/

/* Through SQLite's own file: closing a descriptor of ours would drop the writer's locks. */
static struct ahead ahead_open(const struct store_home *home)
{
    struct ahead ahead = {.page_bytes = 0};

    if (home->is_in_memory ||
        connection_open(home->path, SQLITE_OPEN_READONLY, &ahead.database) != OK) {
        return ahead;
    }
    (void)sqlite3_db_config(ahead.database, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    if (connection_int(ahead.database, "PRAGMA page_size", &ahead.page_bytes) != OK ||
        sqlite3_file_control(ahead.database, "main", SQLITE_FCNTL_FILE_POINTER, &ahead.file) !=
            SQLITE_OK ||
        ahead.file->pMethods == NULL) {
        ahead.file = NULL;
        return ahead;
    }
    ahead.bytes = malloc((size_t)(STEP_PAGES_MOST * ahead.page_bytes));
    REQUIRE(ahead.bytes != NULL);
    return ahead;
}

/* What it reads may be half written, and is looked at by nobody. */
static void ahead_read(struct ahead *ahead, int64_t first_page, int64_t pages)
{
    if (ahead->file != NULL) {
        (void)ahead->file->pMethods->xRead(ahead->file, ahead->bytes,
                                           (int)(pages * ahead->page_bytes),
                                           first_page * ahead->page_bytes);
    }
}

static void ahead_close(struct ahead *ahead)
{
    free(ahead->bytes);
    (void)sqlite3_close(ahead->database);
}

/* A file system that cannot do this is synced at the end alone. */
static void written_send(int fd, int64_t done_bytes)
{
    (void)sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
    if (done_bytes > UNSYNCED_BYTES) {
        (void)sync_file_range(fd, 0, done_bytes - UNSYNCED_BYTES, SYNC_FILE_RANGE_WAIT_BEFORE);
    }
}

/* ---- the whole -------------------------------------------------------------------------------*/

/* The copied header says WAL, which would be a second file beside it. */
static enum error copy_complete(const char *partial_path)
{
    sqlite3 *copy = NULL;
    enum error error = connection_open(partial_path, SQLITE_OPEN_READWRITE, &copy);

    if (error == OK) {
        error = connection_exec(copy, "PRAGMA journal_mode=DELETE");
    }
    if (error == OK) {
        error = meta_made_at_set(copy, clock_wall_ms());
    }
    (void)sqlite3_close(copy);
    return error == OK ? file_sync(partial_path, O_RDONLY) : error;
}

static enum error copy_verify(const char *partial_path, atomic_bool *stops,
                              struct store_summary *out_summary, char *reason)
{
    /* Nobody waits for it, and it takes a processor for as long as it reads. */
    (void)setpriority(PRIO_PROCESS, 0, VERIFY_NICE);
    return check_file(partial_path, stops, out_summary, reason);
}

static enum error copy_name(const char *partial_path, const char *path, char *reason)
{
    if (!file_rename(partial_path, path)) {
        (void)snprintf(reason, REASON_MAX_BYTES, "the file could not be named: %s",
                       strerror(errno));
        return file_failed("name the backup", path);
    }
    return folder_sync(path);
}
