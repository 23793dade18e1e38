/* files.c - each opens by path, does one thing and closes: never the file of an open database,
 * since closing any descriptor of it would drop the locks SQLite has there. */
#include "store/sqlite/files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

enum error file_make(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (fd < 0) {
        return file_failed("make", path);
    }
    (void)close(fd);
    return OK;
}

enum error folder_sync(const char *path)
{
    char folder[PATH_MAX];

    (void)snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(path, '/') + 1 - path), path);
    return file_sync(folder, O_RDONLY | O_DIRECTORY);
}

enum error file_sync(const char *path, int flags)
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

bool file_rename(const char *from, const char *to)
{
    /* Not every file system can be told to keep what is there. */
    return renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0 ||
           (errno == EINVAL && access(to, F_OK) != 0 && rename(from, to) == 0);
}

bool file_lock(int fd, const char *path)
{
    struct stat locked;
    struct stat named;

    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        return false;
    }
    if (fstat(fd, &locked) == 0 && lstat(path, &named) == 0 && locked.st_dev == named.st_dev &&
        locked.st_ino == named.st_ino) {
        return true;
    }
    errno = EWOULDBLOCK;
    return false;
}

enum error file_failed(const char *doing, const char *path)
{
    int code = errno;

    log_event(LOG_ERROR, "copy_failed", LOG_TEXT("doing", doing), LOG_TEXT("file", path),
              LOG_TEXT("reason", strerror(code)), LOG_END);
    return code == ENOSPC || code == EDQUOT ? ERROR_DISK_FULL : ERROR_STORE_FAILED;
}
