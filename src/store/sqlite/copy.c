/* copy.c - copies by SQLite's backup interface, which knows about journals and WALs: copying the
 * file alone would not. */
#include "store/sqlite/copy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "store/sqlite/connection.h"

#define COPIES_MAX 9

static enum error copy_file_make(const char *path, const char *suffix, char out_path[PATH_MAX]);
static enum error pages_copy(sqlite3 *to, sqlite3 *from);
static enum error file_sync(const char *path, int flags);
static enum error file_failed(const char *doing, const char *path);

enum error copy_make(sqlite3 *source, const char *path, const char *suffix, char out_path[PATH_MAX])
{
    char copy_path[PATH_MAX];
    char folder[PATH_MAX];
    sqlite3 *copy = NULL;
    enum error error = copy_file_make(path, suffix, copy_path);

    if (error != OK) {
        return error;
    }
    error = connection_open(copy_path, SQLITE_OPEN_READWRITE, &copy);
    if (error == OK) {
        error = pages_copy(copy, source);
        (void)sqlite3_close(copy);
    }
    if (error == OK) {
        error = file_sync(copy_path, O_RDONLY);
    }
    if (error == OK) {
        memcpy(folder, copy_path, sizeof folder);
        *(strrchr(folder, '/') + 1) = '\0';
        error = file_sync(folder, O_RDONLY | O_DIRECTORY);
    }
    if (error != OK) {
        (void)unlink(copy_path);
        return error;
    }
    memcpy(out_path, copy_path, sizeof copy_path);
    return OK;
}

static enum error copy_file_make(const char *path, const char *suffix, char out_path[PATH_MAX])
{
    for (int number = 1; number <= COPIES_MAX; number++) {
        char tail[16] = "";
        int len;
        int fd;

        if (number > 1) {
            (void)snprintf(tail, sizeof tail, "-%d", number);
        }
        len = snprintf(out_path, PATH_MAX, "%s%s%s", path, suffix, tail);
        if (len < 0 || len >= PATH_MAX) {
            errno = ENAMETOOLONG;
            return file_failed("name the copy of", path);
        }
        fd = open(out_path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd >= 0) {
            (void)close(fd);
            return OK;
        }
        if (errno != EEXIST) {
            return file_failed("make the copy", out_path);
        }
    }
    log_event(LOG_ERROR, "copies_too_many", LOG_TEXT("file", path), LOG_TEXT("suffix", suffix),
              LOG_TEXT("reason", "remove the copies that are not needed"), LOG_END);
    return ERROR_INTERNAL;
}

static enum error pages_copy(sqlite3 *to, sqlite3 *from)
{
    sqlite3_backup *backup = sqlite3_backup_init(to, "main", from, "main");
    int code;

    if (backup == NULL) {
        return failure_translate(to, sqlite3_extended_errcode(to), FAILURE_ANYWHERE, "copy");
    }
    code = sqlite3_backup_step(backup, -1);
    (void)sqlite3_backup_finish(backup);
    if (code != SQLITE_DONE) {
        return failure_translate(NULL, code, FAILURE_ANYWHERE, "copy");
    }
    return OK;
}

static enum error file_sync(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC);
    enum error error = OK;

    if (fd < 0) {
        return file_failed("open", path);
    }
    if (fsync(fd) != 0) {
        error = file_failed("sync", path);
    }
    (void)close(fd);
    return error;
}

static enum error file_failed(const char *doing, const char *path)
{
    int code = errno;

    log_event(LOG_ERROR, "copy_failed", LOG_TEXT("doing", doing), LOG_TEXT("file", path),
              LOG_TEXT("reason", strerror(code)), LOG_END);
    return code == ENOSPC || code == EDQUOT ? ERROR_DISK_FULL : ERROR_STORE_FAILED;
}

enum error copy_put_back(const char *copy_path, sqlite3 *database)
{
    sqlite3 *copy = NULL;
    enum error error = connection_open(copy_path, SQLITE_OPEN_READONLY, &copy);

    if (error != OK) {
        return error;
    }
    error = pages_copy(database, copy);
    (void)sqlite3_close(copy);
    return error;
}
