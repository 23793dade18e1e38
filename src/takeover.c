/* takeover.c - handing the database's folder and files over, as root, in a place that others may
 * have prepared.
 *
 * 1. The way to the folder is walked name by name and no symbolic link is followed: who owned the
 *    folder since the last start could lead root anywhere. Nor is one followed for a file.
 * 2. A file is handed over when it is regular, root's, has one name only (a hard link may be to a
 *    file of somewhere else) and is called as the database or its companions are. What was looked
 *    at is what changes hands: the same descriptor.
 * 3. The folder is handed over when it is root's and nothing else lives there: nothing but the
 *    database's files, or it is a volume of its own without files of third parties. So a mistyped
 *    path never gives away /var/lib, or a home. No other folder is touched, above it or in it.
 * 4. Files first, then the folder: while it is root's nobody can exchange what is in it.
 */
#include "takeover.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"

#define FOLDER_MODE 0700
/* What the kernel calls STATX_ATTR_MOUNT_ROOT; older headers do not have it. */
#define MOUNT_ROOT 0x2000u

struct folder {
    const struct takeover *takeover;
    struct str path;  /* for people */
    const char *name; /* of the database's file in it */
    int fd;
    struct stat found;
    bool has_link;   /* a symbolic link is on the way: nothing is opened */
    bool has_others; /* something that is not the database's lives there */
    bool has_thirds; /* … and belongs to neither side */
    unsigned handed_over;
};

/* What root can be told to do instead. */
#define ADVICE                                                                                     \
    "give the database a folder of its own, chown this one yourself, or keep root with --user "    \
    "root"

static enum error folder_open(struct folder *folder);
static int step_open(int above, const char *name, bool is_last);
static bool is_symbolic_link(int above, const char *name);
static bool is_root_folder(const struct folder *folder);
static bool is_volume(const struct folder *folder);
static enum error entries_walk(struct folder *folder);
static enum error entry_visit(struct folder *folder, const char *name);
static bool is_companion(const char *name, const char *database);
static bool is_named_after(const char *name, const char *database);
static enum error folder_hand_over(struct folder *folder);
static enum error failed(const struct folder *folder, const char *what, const char *reason);

enum error takeover_run(const struct takeover *takeover)
{
    const char *slash = strrchr(takeover->database, '/');
    struct folder folder = {
        .takeover = takeover,
        .path = path_folder(str_from(takeover->database)),
        .name = slash == NULL ? takeover->database : slash + 1,
        .fd = -1,
    };
    enum error error = folder_open(&folder);

    if (error != OK || folder.has_link) {
        return error;
    }
    /* In a folder of third parties, what has our names is none of ours. */
    if (folder.found.st_uid == takeover->from || folder.found.st_uid == takeover->uid) {
        error = entries_walk(&folder);
        if (error == OK) {
            error = folder_hand_over(&folder);
        }
    }
    if (error == OK && folder.handed_over > 0) {
        log_event(LOG_INFO, "taken_over", LOG_STR("folder", folder.path),
                  LOG_INT("entries", folder.handed_over), LOG_INT("uid", takeover->uid), LOG_END);
    }
    (void)close(folder.fd);
    return error;
}

/* ---- the way to the folder -------------------------------------------------------------------*/

static enum error folder_open(struct folder *folder)
{
    struct str rest = folder->path;
    char name[NAME_MAX + 1];
    int at = open(rest.ptr[0] == '/' ? "/" : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);

    while (at >= 0 && rest.ptr != NULL) {
        struct str step = str_cut(&rest, '/');
        bool is_last = rest.ptr == NULL;

        if (step.len > NAME_MAX) {
            (void)close(at);
            errno = ENAMETOOLONG;
            at = -1;
            break;
        }
        (void)snprintf(name, sizeof name, "%.*s", STR_ARGS(step));
        int next = step_open(at, step.len == 0 ? "." : name, is_last);
        if (next < 0 && is_symbolic_link(at, name)) {
            log_event(LOG_INFO, "takeover_left_out", LOG_STR("folder", folder->path),
                      LOG_TEXT("reason", "a symbolic link is on the way to it"), LOG_END);
            (void)close(at);
            folder->has_link = true;
            return OK;
        }
        int code = errno;
        (void)close(at);
        errno = code;
        at = next;
    }
    if (at < 0) {
        return failed(folder, "folder_open", strerror(errno));
    }
    if (fstat(at, &folder->found) != 0) {
        (void)close(at);
        return failed(folder, "folder_stat", strerror(errno));
    }
    folder->fd = at;
    return OK;
}

/* The last one is made where it is missing, and opened to be read. */
static int step_open(int above, const char *name, bool is_last)
{
    int flags = O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | (is_last ? O_RDONLY : O_PATH);
    int fd = openat(above, name, flags);

    if (fd < 0 && errno == ENOENT && is_last && mkdirat(above, name, FOLDER_MODE) == 0) {
        fd = openat(above, name, flags);
    }
    return fd;
}

static bool is_symbolic_link(int above, const char *name)
{
    int code = errno;
    struct stat found;
    bool is_link = fstatat(above, name, &found, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(found.st_mode);

    errno = code;
    return is_link;
}

/* ---- what is in it ---------------------------------------------------------------------------*/

static enum error entries_walk(struct folder *folder)
{
    int fd = dup(folder->fd);
    DIR *entries = fd < 0 ? NULL : fdopendir(fd);
    enum error error = OK;

    if (entries == NULL) {
        return failed(folder, "folder_read", strerror(errno));
    }
    while (error == OK) {
        errno = 0;
        /* NOLINTNEXTLINE(concurrency-mt-unsafe): this stream is nobody else's */
        const struct dirent *entry = readdir(entries);
        if (entry == NULL) {
            if (errno != 0) {
                error = failed(folder, "folder_read", strerror(errno));
            }
            break;
        }
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            error = entry_visit(folder, entry->d_name);
        }
    }
    (void)closedir(entries);
    return error;
}

static enum error entry_visit(struct folder *folder, const char *name)
{
    const struct takeover *takeover = folder->takeover;
    int fd = openat(folder->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    struct stat found;
    enum error error = OK;

    if (fd < 0) {
        return errno == ENOENT ? OK : failed(folder, "file_open", strerror(errno));
    }
    if (fstat(fd, &found) != 0) {
        error = failed(folder, "file_stat", strerror(errno));
    } else if (!is_companion(name, folder->name)) {
        /* The file system's own folder at the root of a volume. */
        bool is_of_the_volume = strcmp(name, "lost+found") == 0 && S_ISDIR(found.st_mode);
        /* A copy somebody made by hand is the database's, and stays whose it is. */
        bool is_named_alike = is_named_after(name, folder->name);

        folder->has_others = folder->has_others || (!is_of_the_volume && !is_named_alike);
        folder->has_thirds =
            folder->has_thirds || (found.st_uid != takeover->from && found.st_uid != takeover->uid);
    } else if (found.st_uid == takeover->from && S_ISREG(found.st_mode) && found.st_nlink == 1) {
        if (fchownat(fd, "", takeover->uid, takeover->gid, AT_EMPTY_PATH) != 0) {
            error = failed(folder, "file_chown", strerror(errno));
        } else {
            folder->handed_over++;
        }
    }
    (void)close(fd);
    return error;
}

/* The database, what SQLite keeps beside it, the lock, and the copies adoption and migration make
 * (store/sqlite). */
static bool is_companion(const char *name, const char *database)
{
    static const char *const whole[] = {"", "-wal", "-shm", "-journal", ".lock"};
    static const char *const beginnings[] = {".rust-copy", ".before-"};
    size_t len = strlen(database);

    if (strncmp(name, database, len) != 0) {
        return false;
    }
    for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++) {
        if (strcmp(name + len, whole[i]) == 0) {
            return true;
        }
    }
    for (size_t i = 0; i < sizeof beginnings / sizeof beginnings[0]; i++) {
        if (strncmp(name + len, beginnings[i], strlen(beginnings[i])) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_named_after(const char *name, const char *database)
{
    size_t len = strlen(database);

    return strncmp(name, database, len) == 0 && (name[len] == '.' || name[len] == '-');
}

/* ---- the folder itself -----------------------------------------------------------------------*/

static enum error folder_hand_over(struct folder *folder)
{
    const struct takeover *takeover = folder->takeover;

    /* Where everybody may write, as in a folder for temporary files, nothing has to change. */
    if (folder->found.st_uid != takeover->from || (folder->found.st_mode & S_IWOTH) != 0) {
        return OK;
    }
    if (is_root_folder(folder) ||
        (folder->has_others && (folder->has_thirds || !is_volume(folder)))) {
        return failed(folder, "folder_shared", "it is root's and other things live there");
    }
    if (fchown(folder->fd, takeover->uid, takeover->gid) != 0) {
        return failed(folder, "folder_chown", strerror(errno));
    }
    folder->handed_over++;
    return OK;
}

static bool is_root_folder(const struct folder *folder)
{
    struct stat root;

    return stat("/", &root) != 0 ||
           (root.st_ino == folder->found.st_ino && root.st_dev == folder->found.st_dev);
}

/* Whether something is mounted just there. */
static bool is_volume(const struct folder *folder)
{
    struct statx found;
    struct stat above;

    if (statx(folder->fd, "", AT_EMPTY_PATH, STATX_TYPE, &found) == 0 &&
        (found.stx_attributes_mask & MOUNT_ROOT) != 0) {
        return (found.stx_attributes & MOUNT_ROOT) != 0;
    }
    return fstatat(folder->fd, "..", &above, 0) == 0 && above.st_dev != folder->found.st_dev;
}

static enum error failed(const struct folder *folder, const char *what, const char *reason)
{
    log_event(LOG_ERROR, "takeover_failed", LOG_STR("folder", folder->path), LOG_TEXT("at", what),
              LOG_TEXT("reason", reason), LOG_TEXT("advice", ADVICE), LOG_END);
    return ERROR_INTERNAL;
}
