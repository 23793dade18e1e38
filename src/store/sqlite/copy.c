/* copy.c - copies by SQLite's backup interface, which knows about journals and WALs: copying the
 * file alone would not.
 *
 * 1. A copy gets its name when it is whole and on the disk. Who finds one can rely on it, whenever
 *    the process that made it died.
 * 2. A copy that has its name is never written or removed here. An attempt that died leaves at
 *    most the one partial file, which the next attempt replaces, and one copy, which it uses.
 */
#include "store/sqlite/copy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/require.h"
#include "store/sqlite/connection.h"
#include "store/sqlite/files.h"
#include "store/sqlite/same.h"

/* Copied before it is asked again whether to stop. */
#define SLICE_PAGES 256

static enum error copy_name_find(const char *path, const char *suffix, char out_path[PATH_MAX]);
static bool is_copy_of(sqlite3 *source, const char *copy_path);
static enum error partial_name(const char *path, const char *suffix, char out_path[PATH_MAX]);
static enum error partial_fill(const char *partial_path, sqlite3 *source, atomic_bool *stops);

/* ---- one that is there -----------------------------------------------------------------------*/

bool copy_find(sqlite3 *source, const char *path, const char *suffix, char out_path[PATH_MAX])
{
    char copy_path[PATH_MAX];

    for (int number = 1; number <= COPIES_MAX; number++) {
        if (copy_name_numbered(path, suffix, number, copy_path) && access(copy_path, F_OK) == 0 &&
            is_copy_of(source, copy_path)) {
            memcpy(out_path, copy_path, sizeof copy_path);
            /* Whoever made it may not have come to that. */
            return file_sync(copy_path, O_RDONLY) == OK && folder_sync(copy_path) == OK;
        }
    }
    return false;
}

bool copy_name_numbered(const char *path, const char *suffix, int number, char out_path[PATH_MAX])
{
    char tail[16] = "";
    int len;

    if (number > 1) {
        (void)snprintf(tail, sizeof tail, "-%d", number);
    }
    len = snprintf(out_path, PATH_MAX, "%s%s%s", path, suffix, tail);
    return len >= 0 && len < PATH_MAX;
}

static bool is_copy_of(sqlite3 *source, const char *copy_path)
{
    sqlite3 *copy = NULL;
    bool is_same;

    if (copy_open(copy_path, &copy) != OK) {
        return false;
    }
    is_same = databases_are_same(source, copy);
    (void)sqlite3_close(copy);
    return is_same;
}

enum error copy_open(const char *copy_path, sqlite3 **out_copy)
{
    char *uri;
    enum error error;
    struct buf escaped;

    buf_init(&escaped, (size_t)PATH_MAX * 3);
    for (const char *at = copy_path; *at != '\0'; at++) {
        if (*at == '/' || *at == '.' || *at == '-' || (*at >= '0' && *at <= '9') ||
            (ascii_lower(*at) >= 'a' && ascii_lower(*at) <= 'z')) {
            buf_append_char(&escaped, *at);
        } else {
            buf_append_format(&escaped, "%%%02X", (unsigned)(unsigned char)*at);
        }
    }
    uri = sqlite3_mprintf("file:%.*s?immutable=1", (int)escaped.len, escaped.ptr);
    REQUIRE(uri != NULL);
    error = connection_open(uri, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, out_copy);
    sqlite3_free(uri);
    buf_release(&escaped);
    return error;
}

/* ---- a new one -------------------------------------------------------------------------------*/

enum error copy_make(sqlite3 *source, const char *path, const char *suffix, atomic_bool *stops,
                     char out_path[PATH_MAX])
{
    char copy_path[PATH_MAX];
    char partial_path[PATH_MAX];
    enum error error = copy_name_find(path, suffix, copy_path);

    if (error == OK) {
        error = partial_name(path, suffix, partial_path);
    }
    if (error != OK) {
        return error;
    }
    error = partial_fill(partial_path, source, stops);
    /* The name was free, and the lock keeps other servers away. */
    if (error == OK && rename(partial_path, copy_path) != 0) {
        error = file_failed("name the copy", copy_path);
    }
    if (error != OK) {
        partial_remove(partial_path);
        return error;
    }
    memcpy(out_path, copy_path, sizeof copy_path);
    return folder_sync(copy_path);
}

static enum error copy_name_find(const char *path, const char *suffix, char out_path[PATH_MAX])
{
    struct stat found;

    for (int number = 1; number <= COPIES_MAX; number++) {
        if (!copy_name_numbered(path, suffix, number, out_path)) {
            errno = ENAMETOOLONG;
            return file_failed("name the copy of", path);
        }
        if (lstat(out_path, &found) != 0) {
            return errno == ENOENT ? OK : file_failed("name the copy", out_path);
        }
    }
    return copies_too_many(path, suffix);
}

enum error copies_too_many(const char *path, const char *suffix)
{
    log_event(LOG_ERROR, "copies_too_many", LOG_TEXT("file", path), LOG_TEXT("suffix", suffix),
              LOG_TEXT("reason", "remove the copies that are not needed"), LOG_END);
    return ERROR_INTERNAL;
}

static enum error partial_name(const char *path, const char *suffix, char out_path[PATH_MAX])
{
    int len = snprintf(out_path, PATH_MAX, "%s%s-partial", path, suffix);

    if (len < 0 || len >= PATH_MAX) {
        errno = ENAMETOOLONG;
        return file_failed("name the copy of", path);
    }
    return OK;
}

static enum error partial_fill(const char *partial_path, sqlite3 *source, atomic_bool *stops)
{
    sqlite3 *copy = NULL;
    enum error error = partial_open(partial_path, &copy);

    if (error != OK) {
        return error;
    }
    error = pages_copy(copy, source, stops);
    (void)sqlite3_close(copy);
    if (error == OK) {
        error = file_sync(partial_path, O_RDONLY);
    }
    return error;
}

enum error partial_open(const char *partial_path, sqlite3 **out_copy)
{
    sqlite3 *copy = NULL;
    enum error error;

    partial_remove(partial_path);
    error = file_make(partial_path);
    if (error == OK) {
        error = connection_open(partial_path, SQLITE_OPEN_READWRITE, &copy);
    }
    if (error != OK) {
        return error;
    }
    error = connection_exec(copy, "PRAGMA journal_mode=MEMORY; PRAGMA synchronous=OFF");
    if (error != OK) {
        (void)sqlite3_close(copy);
        return error;
    }
    *out_copy = copy;
    return OK;
}

/* With what SQLite may have left beside it, which must not meet another file of that name. What
 * cannot be removed is in the way of the next one, which tells. */
void partial_remove(const char *partial_path)
{
    static const char *const companions[] = {"-journal", "-wal", "-shm", ""};
    char path[PATH_MAX];

    for (size_t i = 0; i < sizeof companions / sizeof companions[0]; i++) {
        if (snprintf(path, sizeof path, "%s%s", partial_path, companions[i]) < (int)sizeof path) {
            (void)unlink(path);
        }
    }
}

enum error pages_copy(sqlite3 *to, sqlite3 *from, atomic_bool *stops)
{
    sqlite3_backup *backup = sqlite3_backup_init(to, "main", from, "main");
    int code = SQLITE_OK;

    if (backup == NULL) {
        return failure_translate(to, sqlite3_extended_errcode(to), FAILURE_ANYWHERE, "copy");
    }
    while (code == SQLITE_OK) {
        code = stops != NULL && atomic_load(stops) ? SQLITE_INTERRUPT
                                                   : sqlite3_backup_step(backup, SLICE_PAGES);
    }
    (void)sqlite3_backup_finish(backup);
    if (code != SQLITE_DONE) {
        return failure_translate(NULL, code, FAILURE_ANYWHERE, "copy");
    }
    return OK;
}

/* ---- back ------------------------------------------------------------------------------------*/

enum error copy_put_back(const char *copy_path, sqlite3 *database)
{
    sqlite3 *copy = NULL;
    enum error error = copy_open(copy_path, &copy);

    if (error != OK) {
        return error;
    }
    error = pages_copy(database, copy, NULL);
    (void)sqlite3_close(copy);
    return error;
}
