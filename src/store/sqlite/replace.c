/* replace.c - names of files, given so that a kill between any two calls leaves a whole database.
 *
 *   a database of one file:  partial → ready, ready ↔ path, ready → kept
 *   one with a log beside it, or a file system that exchanges no names:
 *                            log also named kept-log, path also named kept,
 *                            path's log removed, partial → path
 *
 * 1. A WAL or journal belongs to the file it lies beside: SQLite would write it into another one,
 *    and a database without its own has lost its last commits.
 * 2. So names are added before others are removed: at every moment the database has its log beside
 *    it under one of its names, and what takes its place never meets that log.
 * 3. Amid that the database has two names. A server refuses to open such a file, and the next
 *    attempt finds the name that was given (is_kept) and goes on from there.
 */
#include "store/sqlite/replace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/sqlite/copy.h"
#include "store/sqlite/files.h"

#define PARTIAL_SUFFIX ".restore-partial"
#define READY_SUFFIX ".restore-ready"
#define KEPT_SUFFIX ".before-restore"

/* What SQLite has beside a database. The index of a WAL is made anew from it. */
#define INDEX_SUFFIX "-shm"
static const char *const logs[] = {"-wal", "-journal"};
#define LOG_COUNT (sizeof logs / sizeof logs[0])

static enum error unfinished_name(struct replacement *replacement);
static enum error kept_name_find(struct replacement *replacement);
static bool name_is_free(const struct replacement *replacement, const char *name);
static bool has_logs(const struct replacement *replacement);
static enum error exchanged(struct replacement *replacement);
static enum error added_and_removed(struct replacement *replacement);
static enum error names_add(const struct replacement *replacement);
static enum error logs_remove(const struct replacement *replacement);
static void names_take_back(const struct replacement *replacement);
static const char *beside(const char *path, const char *suffix, char out_path[PATH_MAX]);
static bool is_one_file(const char *path, const char *other);

bool replacement_name(struct replacement *replacement)
{
    const char *path = replacement->path;

    /* The longest name of all fits. */
    return strlen(path) + strlen(KEPT_SUFFIX "-9-journal") < PATH_MAX &&
           snprintf(replacement->partial_path, PATH_MAX, "%s" PARTIAL_SUFFIX, path) < PATH_MAX &&
           snprintf(replacement->ready_path, PATH_MAX, "%s" READY_SUFFIX, path) < PATH_MAX;
}

enum error replacement_prepare(struct replacement *replacement)
{
    enum error error = unfinished_name(replacement);

    return error == OK ? kept_name_find(replacement) : error;
}

/* An earlier attempt was killed after it exchanged the names, or right before. */
static enum error unfinished_name(struct replacement *replacement)
{
    if (access(replacement->ready_path, F_OK) != 0) {
        return OK;
    }
    for (int number = 1; number <= COPIES_MAX; number++) {
        char name[PATH_MAX];

        if (copy_name_numbered(replacement->path, KEPT_SUFFIX, number, name) &&
            name_is_free(replacement, name)) {
            return rename(replacement->ready_path, name) == 0 ? OK : file_failed("name", name);
        }
    }
    return copies_too_many(replacement->path, KEPT_SUFFIX);
}

static enum error kept_name_find(struct replacement *replacement)
{
    char *name = replacement->kept_path;

    for (int number = 1; number <= COPIES_MAX; number++) {
        if (copy_name_numbered(replacement->path, KEPT_SUFFIX, number, name) &&
            replacement->has_old && is_one_file(replacement->path, name)) {
            replacement->is_kept = true;
            return OK;
        }
    }
    for (int number = 1; number <= COPIES_MAX; number++) {
        if (copy_name_numbered(replacement->path, KEPT_SUFFIX, number, name) &&
            name_is_free(replacement, name)) {
            return OK;
        }
    }
    return copies_too_many(replacement->path, KEPT_SUFFIX);
}

/* Also of logs that a database there would take for its own; those of ours were named before. */
static bool name_is_free(const struct replacement *replacement, const char *name)
{
    char ours[PATH_MAX];
    char theirs[PATH_MAX];
    struct stat found;

    if (lstat(name, &found) == 0) {
        return false;
    }
    for (size_t i = 0; i < LOG_COUNT; i++) {
        (void)beside(name, logs[i], theirs);
        if (lstat(theirs, &found) == 0 &&
            !is_one_file(beside(replacement->path, logs[i], ours), theirs)) {
            return false;
        }
    }
    return true;
}

enum error replacement_make(struct replacement *replacement)
{
    return replacement->has_old && !replacement->is_kept && !has_logs(replacement)
               ? exchanged(replacement)
               : added_and_removed(replacement);
}

static bool has_logs(const struct replacement *replacement)
{
    char path[PATH_MAX];
    struct stat found;

    for (size_t i = 0; i < LOG_COUNT; i++) {
        if (lstat(beside(replacement->path, logs[i], path), &found) == 0) {
            return true;
        }
    }
    return false;
}

/* ---- one step of the file system -------------------------------------------------------------*/

static enum error exchanged(struct replacement *replacement)
{
    char index[PATH_MAX];
    enum error error;

    if (unlink(beside(replacement->path, INDEX_SUFFIX, index)) != 0 && errno != ENOENT) {
        return file_failed("remove", index);
    }
    if (rename(replacement->partial_path, replacement->ready_path) != 0) {
        return file_failed("name", replacement->ready_path);
    }
    error = folder_sync(replacement->path);
    if (error != OK || renameat2(AT_FDCWD, replacement->ready_path, AT_FDCWD, replacement->path,
                                 RENAME_EXCHANGE) != 0) {
        if (rename(replacement->ready_path, replacement->partial_path) != 0) {
            return file_failed("name", replacement->partial_path);
        }
        return error != OK ? error : added_and_removed(replacement);
    }
    replacement->is_in_place = true;
    error = folder_sync(replacement->path);
    if (rename(replacement->ready_path, replacement->kept_path) != 0) {
        error = file_failed("name", replacement->kept_path);
        memcpy(replacement->kept_path, replacement->ready_path, PATH_MAX);
        return error;
    }
    return error == OK ? folder_sync(replacement->path) : error;
}

/* ---- names added, then removed ---------------------------------------------------------------*/

static enum error added_and_removed(struct replacement *replacement)
{
    enum error error = names_add(replacement);

    if (error == OK) {
        error = logs_remove(replacement);
    }
    if (error == OK && rename(replacement->partial_path, replacement->path) != 0) {
        error = file_failed("put in place", replacement->path);
    }
    if (error != OK) {
        names_take_back(replacement);
        return error;
    }
    replacement->is_in_place = true;
    return folder_sync(replacement->path);
}

static enum error names_add(const struct replacement *replacement)
{
    char from[PATH_MAX];
    char to[PATH_MAX];

    for (size_t i = 0; i < LOG_COUNT; i++) {
        (void)beside(replacement->path, logs[i], from);
        (void)beside(replacement->kept_path, logs[i], to);
        if (link(from, to) != 0 && errno != ENOENT && !(errno == EEXIST && is_one_file(from, to))) {
            return file_failed("name", to);
        }
    }
    if (replacement->has_old && !replacement->is_kept &&
        link(replacement->path, replacement->kept_path) != 0) {
        return file_failed("name", replacement->kept_path);
    }
    return folder_sync(replacement->path);
}

static enum error logs_remove(const struct replacement *replacement)
{
    char path[PATH_MAX];

    for (size_t i = 0; i < LOG_COUNT; i++) {
        if (unlink(beside(replacement->path, logs[i], path)) != 0 && errno != ENOENT) {
            return file_failed("remove", path);
        }
    }
    if (unlink(beside(replacement->path, INDEX_SUFFIX, path)) != 0 && errno != ENOENT) {
        return file_failed("remove", path);
    }
    return OK;
}

/* The other way, in the same order: first all names as they were, then none beside them. */
static void names_take_back(const struct replacement *replacement)
{
    char path[PATH_MAX];
    char kept[PATH_MAX];

    for (size_t i = 0; i < LOG_COUNT; i++) {
        (void)beside(replacement->kept_path, logs[i], kept);
        (void)beside(replacement->path, logs[i], path);
        if (link(kept, path) != 0 && errno != ENOENT && errno != EEXIST) {
            return; /* under its other name all of it stays */
        }
    }
    if (replacement->is_kept) {
        return;
    }
    if (is_one_file(replacement->path, replacement->kept_path)) {
        (void)unlink(replacement->kept_path);
    }
    for (size_t i = 0; i < LOG_COUNT; i++) {
        (void)beside(replacement->path, logs[i], path);
        (void)beside(replacement->kept_path, logs[i], kept);
        if (is_one_file(path, kept)) {
            (void)unlink(kept);
        }
    }
}

void replacement_tidy(const struct replacement *replacement)
{
    char index[PATH_MAX];

    (void)unlink(beside(replacement->kept_path, INDEX_SUFFIX, index));
}

/* Fits: replacement_name has looked. */
static const char *beside(const char *path, const char *suffix, char out_path[PATH_MAX])
{
    (void)snprintf(out_path, PATH_MAX, "%.*s%s", PATH_MAX - 16, path, suffix);
    return out_path;
}

static bool is_one_file(const char *path, const char *other)
{
    struct stat first;
    struct stat second;

    return lstat(path, &first) == 0 && lstat(other, &second) == 0 &&
           first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}
