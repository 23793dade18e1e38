/* source.c - with its WAL where there is one, else as a file that nobody changes: reading it
 * otherwise would put a WAL beside it. */
#include "store/sqlite/source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/copies.h"
#include "store/sqlite/connection.h"
#include "store/sqlite/copy.h"
#include "store/sqlite/migrate.h"

static enum error open_as(const char *path, bool is_beside_server, struct source *out_source,
                          char *reason);
static enum error lock_try(const char *path, int *out_fd, bool *out_is_taken, char *reason);
static bool journal_is_begun(const char *path);
static bool companion_has_bytes(const char *path, const char *suffix);
static enum error wal_reader_open(const char *path, sqlite3 **out_database);
static enum error told(char *reason, const char *text);

enum error source_open(const char *path, struct source *out_source, char *reason)
{
    return open_as(path, false, out_source, reason);
}

enum error source_open_beside_server(const char *path, struct source *out_source, char *reason)
{
    return open_as(path, true, out_source, reason);
}

static enum error open_as(const char *path, bool is_beside_server, struct source *out_source,
                          char *reason)
{
    struct source source = {.lock_fd = -1};
    struct stat found;
    bool is_taken = false;
    enum error error;

    connection_configure_library();
    if (realpath(path, source.path) == NULL || stat(source.path, &found) != 0) {
        return told(reason, strerror(errno));
    }
    if (!S_ISREG(found.st_mode) || access(source.path, R_OK) != 0) {
        return told(reason, S_ISREG(found.st_mode) ? strerror(errno) : "it is not a regular file");
    }
    error = lock_try(source.path, &source.lock_fd, &is_taken, reason);
    if (error != OK) {
        return error;
    }
    if (is_taken && !is_beside_server) {
        return told(reason, "a server has it open; stop that, or make a backup and take that");
    }
    if (is_taken) {
        error = wal_reader_open(source.path, &source.database);
    } else if (journal_is_begun(source.path)) {
        error = told(reason, "a journal lies beside it: its last change is not finished; a start "
                             "of the server on it sees to that");
    } else if (companion_has_bytes(source.path, "-wal")) {
        error = wal_reader_open(source.path, &source.database);
    } else {
        error = copy_open(source.path, &source.database);
    }
    if (error != OK) {
        if (reason[0] == '\0') {
            (void)told(reason, "it cannot be opened (see the log: --log-level error)");
        }
        source_close(&source);
        return error;
    }
    *out_source = source;
    return OK;
}

static enum error lock_try(const char *path, int *out_fd, bool *out_is_taken, char *reason)
{
    char lock_path[PATH_MAX];
    int fd;

    if (snprintf(lock_path, sizeof lock_path, "%s.lock", path) >= (int)sizeof lock_path) {
        return told(reason, "the path is too long");
    }
    fd = open(lock_path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return errno == ENOENT ? OK : told(reason, strerror(errno));
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        (void)close(fd);
        *out_is_taken = true;
        return OK;
    }
    *out_fd = fd;
    return OK;
}

/* Its first byte is zero until the first of it is on the disk, and the file is as it was then
 * (https://sqlite.org/fileformat2.html#the_rollback_journal). */
static bool journal_is_begun(const char *path)
{
    char journal[PATH_MAX];
    char first = '\0';
    int fd;

    if (snprintf(journal, sizeof journal, "%s-journal", path) >= (int)sizeof journal ||
        (fd = open(journal, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)) < 0) {
        return false;
    }
    bool is_begun = read(fd, &first, 1) == 1 && first != '\0';

    (void)close(fd);
    return is_begun;
}

static bool companion_has_bytes(const char *path, const char *suffix)
{
    char companion[PATH_MAX];
    struct stat found;

    return snprintf(companion, sizeof companion, "%s%s", path, suffix) < (int)sizeof companion &&
           stat(companion, &found) == 0 && found.st_size > 0;
}

static enum error wal_reader_open(const char *path, sqlite3 **out_database)
{
    sqlite3 *database = NULL;
    int64_t unused = 0;
    enum error error = connection_open(path, SQLITE_OPEN_READONLY, &database);

    if (error != OK) {
        return error;
    }
    (void)sqlite3_db_config(database, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    error = connection_exec(database, "BEGIN");
    if (error == OK) {
        error = connection_int(database, "SELECT count(*) FROM sqlite_master", &unused);
    }
    if (error != OK) {
        (void)sqlite3_close(database);
        return error;
    }
    *out_database = database;
    return OK;
}

void source_close(struct source *source)
{
    (void)sqlite3_close(source->database);
    source->database = NULL;
    if (source->lock_fd >= 0) {
        (void)close(source->lock_fd);
        source->lock_fd = -1;
    }
}

enum error source_must_be_ours(sqlite3 *database, char *reason)
{
    enum home_content content = CONTENT_NOTHING;
    int64_t version = 0;
    enum error error = home_content_find(database, &content);

    if (error == OK) {
        error = connection_int(database, "PRAGMA user_version", &version);
    }
    if (error != OK) {
        (void)snprintf(reason, REASON_MAX_BYTES, "it cannot be read as a database: %s",
                       sqlite3_errmsg(database));
        return error;
    }
    if (content == CONTENT_RUST) {
        return told(reason, "it is a Rust server's database; a start of this server adopts it");
    }
    if (content != CONTENT_OURS) {
        return told(reason, "it is not a MigChat database");
    }
    if (version > migration_list[migration_count - 1].version) {
        return told(reason, "a newer server has written it");
    }
    return OK;
}

static enum error told(char *reason, const char *text)
{
    (void)snprintf(reason, REASON_MAX_BYTES, "%s", text);
    return ERROR_INTERNAL;
}
