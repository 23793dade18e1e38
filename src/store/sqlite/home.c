/* home.c - opening the database of a process.
 *
 * 1. The path is resolved, so that two names of one file meet at one lock.
 * 2. What is no regular file of ours alone is refused, before anything is made beside it.
 * 3. FILE.lock is locked by flock. Never the database file itself: SQLite's own locks there are
 *    POSIX locks, and closing any descriptor of the file would drop them.
 * 4. A file that is missing is made, 0600; SQLite gives its WAL the same mode.
 * 5. What the file holds decides: nothing or ours → migrate; the Rust server's → adopt, migrate;
 *    anything else is refused untouched. All of that can be told to stop.
 *    Ours is refused when it was cut within a page.
 * 6. WAL mode, and the connection is closed: stores have their own.
 */
#include "store/sqlite/home.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/require.h"
#include "store/sqlite/adopt.h"
#include "store/sqlite/connection.h"
#include "store/sqlite/meta.h"
#include "store/sqlite/migrate.h"

/* Room for ".before-0001-partial-journal" behind the path. */
#define SUFFIX_MAX_BYTES 32

static enum error home_open_file(struct store_home *home);
static enum error lock_open(const char *lock_path, int *out_fd);
static enum error file_check(const char *path);
static enum error file_make_if_missing(const char *path);
static enum error database_prepare(const char *path, const struct store_settings *settings);
static enum error cut_refuse(sqlite3 *database, const char *path);
static enum error wal_switch_on(sqlite3 *database);
static enum error refused(const char *path, const char *reason);
static void warn_if_open_to_others(const char *path);

enum error store_home_open(const struct store_settings *settings, struct store_home **out_home,
                           bool *out_in_memory)
{
    struct store_home *home = calloc(1, sizeof *home);
    enum error error = OK;

    REQUIRE(home != NULL);
    connection_configure_library();
    home->settings = *settings;
    home->measures = settings->measures != NULL ? settings->measures : &home->unmeasured;
    tally_set(&home->measures->disk_floor_bytes, settings->disk_floor_bytes);
    home->lock_fd = -1;
    gate_init(&home->gate);
    home->is_in_memory = strcmp(settings->path, ":memory:") == 0;
    if (home->is_in_memory) {
        (void)snprintf(home->path, sizeof home->path, "%s", settings->path);
    } else {
        error = home_open_file(home);
    }
    if (error != OK) {
        store_home_close(home);
        return error;
    }
    home->settings.path = home->path;
    home->settings.stops = NULL;
    *out_home = home;
    *out_in_memory = home->is_in_memory;
    return OK;
}

void store_home_close(struct store_home *home)
{
    if (home == NULL) {
        return;
    }
    if (home->lock_fd >= 0) {
        /* The file stays: removing it would let two processes lock two files of one name. */
        (void)close(home->lock_fd);
    }
    gate_release(&home->gate);
    free(home);
}

static enum error home_open_file(struct store_home *home)
{
    enum error error = home_path_resolve(home->settings.path, home->path);

    if (error == OK) {
        error = file_check(home->path);
    }
    if (error == OK) {
        error = home_lock_take(home->path, &home->lock_fd);
    }
    if (error == OK) {
        error = file_make_if_missing(home->path);
    }
    if (error == OK) {
        error = database_prepare(home->path, &home->settings);
    }
    if (error == OK) {
        warn_if_open_to_others(home->path);
        adopt_warn_of_copies(home->path);
    }
    return error;
}

/* ---- the path --------------------------------------------------------------------------------*/

enum error home_path_resolve(const char *path, char out_path[PATH_MAX])
{
    char copy_for_folder[PATH_MAX];
    char copy_for_name[PATH_MAX];
    char folder[PATH_MAX];
    const char *name;
    int len;

    if (strlen(path) + SUFFIX_MAX_BYTES >= PATH_MAX) {
        return refused(path, "the path is too long");
    }
    if (realpath(path, out_path) == NULL) {
        if (errno != ENOENT) {
            return refused(path, strerror(errno));
        }
        (void)snprintf(copy_for_folder, sizeof copy_for_folder, "%s", path);
        (void)snprintf(copy_for_name, sizeof copy_for_name, "%s", path);
        name = basename(copy_for_name);
        if (realpath(dirname(copy_for_folder), folder) == NULL) {
            return refused(path, "its directory is missing or closed to us");
        }
        len = snprintf(out_path, PATH_MAX, "%s/%s", strcmp(folder, "/") == 0 ? "" : folder, name);
        if (len < 0 || len >= PATH_MAX) {
            return refused(path, "the path is too long");
        }
    }
    if (strlen(out_path) + SUFFIX_MAX_BYTES >= PATH_MAX) {
        return refused(path, "the path is too long");
    }
    return OK;
}

static enum error refused(const char *path, const char *reason)
{
    log_event(LOG_ERROR, "database_refused", LOG_TEXT("file", path), LOG_TEXT("reason", reason),
              LOG_END);
    return ERROR_INTERNAL;
}

/* ---- the lock --------------------------------------------------------------------------------*/

enum error home_lock_take(const char *path, int *out_fd)
{
    char lock_path[PATH_MAX];
    struct stat opened;
    struct stat named;
    int fd = -1;
    enum error error;

    (void)snprintf(lock_path, sizeof lock_path, "%.*s.lock", PATH_MAX - SUFFIX_MAX_BYTES, path);
    /* Again when somebody removed or replaced the file between opening and locking it. */
    for (;;) {
        error = lock_open(lock_path, &fd);
        if (error != OK) {
            return error;
        }
        if (fstat(fd, &opened) == 0 && stat(lock_path, &named) == 0 &&
            opened.st_ino == named.st_ino && opened.st_dev == named.st_dev) {
            *out_fd = fd;
            return OK;
        }
        (void)close(fd);
    }
}

static enum error lock_open(const char *lock_path, int *out_fd)
{
    int fd = open(lock_path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    int code;

    if (fd < 0) {
        return refused(lock_path, strerror(errno));
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        code = errno;
        (void)close(fd);
        return refused(lock_path, code == EWOULDBLOCK ? "another process has this database open"
                                                      : strerror(code));
    }
    *out_fd = fd;
    return OK;
}

/* ---- the file --------------------------------------------------------------------------------*/

static enum error file_check(const char *path)
{
    struct stat found;

    if (stat(path, &found) != 0) {
        return errno == ENOENT ? OK : refused(path, strerror(errno));
    }
    if (!S_ISREG(found.st_mode)) {
        return refused(path, "it is not a regular file");
    }
    if (found.st_nlink > 1) {
        return refused(path, "it has a second name (hard link), whose WAL would be another one; a "
                             "restore that was interrupted is to be run again");
    }
    if (access(path, R_OK | W_OK) != 0) {
        return refused(path, strerror(errno));
    }
    return OK;
}

/* A database of ours may be open to others because somebody wants it so. */
static void warn_if_open_to_others(const char *path)
{
    struct stat found;
    char mode[8];

    if (stat(path, &found) == 0 && (found.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        (void)snprintf(mode, sizeof mode, "%04o", (unsigned)(found.st_mode & 07777));
        log_event(LOG_WARN, "database_open_to_others", LOG_TEXT("file", path),
                  LOG_TEXT("mode", mode), LOG_TEXT("advice", "chmod 600"), LOG_END);
    }
}

static enum error file_make_if_missing(const char *path)
{
    static const char *const companions[] = {"-wal", "-journal"};
    int fd;

    if (access(path, F_OK) == 0) {
        return OK;
    }
    for (size_t i = 0; i < sizeof companions / sizeof companions[0]; i++) {
        char companion[PATH_MAX];

        (void)snprintf(companion, sizeof companion, "%.*s%s", PATH_MAX - SUFFIX_MAX_BYTES, path,
                       companions[i]);
        if (access(companion, F_OK) == 0) {
            /* SQLite would delete it, and with it the last transactions of the missing file. */
            return refused(companion, "the database it belongs to is missing");
        }
    }
    fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        return refused(path, strerror(errno));
    }
    (void)close(fd);
    return OK;
}

/* ---- the database ----------------------------------------------------------------------------*/

static enum error database_prepare(const char *path, const struct store_settings *settings)
{
    atomic_bool *stops = settings->stops;
    enum home_content content = CONTENT_NOTHING;
    sqlite3 *database = NULL;
    enum error error = connection_open(path, SQLITE_OPEN_READWRITE, &database);

    if (error == OK && settings->leaves_checkpoints) {
        connection_leave_checkpoints(database);
    }
    if (error == OK) {
        connection_stop_when(database, stops);
        error = home_content_find(database, &content);
    }
    if (error == OK && content == CONTENT_FOREIGN) {
        error = refused(path, "it is neither a MigChat database nor empty");
    }
    if (error == OK && content == CONTENT_OURS) {
        error = cut_refuse(database, path);
    }
    if (error == OK && content == CONTENT_RUST) {
        error = adopt_run(database, path, stops);
    }
    if (error == OK) {
        error = migrate_run(database, path, stops);
    }
    if (error == OK) {
        error = meta_fill(database);
    }
    if (error == OK) {
        error = wal_switch_on(database);
    }
    if (database != NULL) {
        REQUIRE(sqlite3_close(database) == SQLITE_OK);
    }
    if (error != OK && error != ERROR_DRAINING) {
        log_event(LOG_ERROR, "database_not_opened", LOG_TEXT("file", path), LOG_END);
    }
    return error;
}

enum error home_content_find(sqlite3 *database, enum home_content *out_content)
{
    int64_t objects = 0;
    int64_t version = 0;
    int64_t our_tables = 0;
    bool is_rust = false;
    enum error error = connection_int(database, "SELECT count(*) FROM sqlite_master", &objects);

    if (error == OK) {
        error = connection_int(database, "PRAGMA user_version", &version);
    }
    if (error == OK) {
        error = connection_int(database,
                               "SELECT count(*) FROM sqlite_master WHERE type = 'table'"
                               " AND name IN ('meta', 'account', 'log')",
                               &our_tables);
    }
    if (error == OK) {
        error = adopt_recognise(database, &is_rust);
    }
    if (error != OK) {
        return error;
    }
    if (objects == 0 && version == 0) {
        *out_content = CONTENT_NOTHING;
    } else if (our_tables == 3 && version > 0) {
        *out_content = CONTENT_OURS;
    } else if (is_rust && version == 0 && our_tables == 0) {
        *out_content = CONTENT_RUST;
    } else {
        *out_content = CONTENT_FOREIGN;
    }
    return OK;
}

/* A file that ends within a page was cut short: SQLite takes what is missing for zeros. With a WAL
 * the rest may be in there: power failed while it was copied. */
static enum error cut_refuse(sqlite3 *database, const char *path)
{
    sqlite3_vfs *files = sqlite3_vfs_find(NULL);
    sqlite3_file *file = NULL;
    sqlite3_int64 size = 0;
    int64_t page_bytes = 0;
    int has_wal = 0;
    char wal[PATH_MAX];
    enum error error = connection_int(database, "PRAGMA page_size", &page_bytes);

    (void)snprintf(wal, sizeof wal, "%.*s-wal", PATH_MAX - SUFFIX_MAX_BYTES, path);
    if (error != OK || files == NULL ||
        files->xAccess(files, wal, SQLITE_ACCESS_EXISTS, &has_wal) != SQLITE_OK || has_wal ||
        sqlite3_file_control(database, "main", SQLITE_FCNTL_FILE_POINTER, &file) != SQLITE_OK ||
        file->pMethods->xFileSize(file, &size) != SQLITE_OK) {
        return error;
    }
    return size % page_bytes == 0
               ? OK
               : refused(path, "it was cut short: it ends within a page; restore "
                               "a backup");
}

static enum error wal_switch_on(sqlite3 *database)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(database, "PRAGMA journal_mode=WAL", -1, &statement, NULL);
    enum error error = OK;

    if (code == SQLITE_OK) {
        code = sqlite3_step(statement);
    }
    if (code != SQLITE_ROW) {
        error = failure_translate(database, code, FAILURE_ANYWHERE, "journal_mode=WAL");
    } else if (strcmp((const char *)sqlite3_column_text(statement, 0), "wal") != 0) {
        log_event(LOG_ERROR, "wal_not_possible",
                  LOG_TEXT("reason", "this file system cannot hold a database in WAL mode"),
                  LOG_END);
        error = ERROR_INTERNAL;
    }
    (void)sqlite3_finalize(statement);
    return error;
}
