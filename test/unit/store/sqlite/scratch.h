/* scratch.h - a folder of its own for each SQLite test, and opening stores in it.
 *
 * Uses: cmocka, store/sqlite. Used by: test/unit/store/sqlite only.
 */
#ifndef MIGCHAT_TEST_SCRATCH_H
#define MIGCHAT_TEST_SCRATCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/log.h"
#include "store/sqlite/connection.h"
#include "store/store.h"

#define assert_ok(call) assert_int_equal((call), OK)
#define assert_str(actual, expected)                                                               \
    do {                                                                                           \
        struct str actual_ = (actual);                                                             \
        struct str expected_ = str_from(expected);                                                 \
        assert_int_equal(actual_.len, expected_.len);                                              \
        assert_memory_equal(actual_.ptr, expected_.ptr, expected_.len);                            \
    } while (0)

struct scratch {
    char folder[256];
    char path[300];
    struct store_home *home;
    struct store *writer;
    struct arena arena;
    atomic_bool stops;       /* of the next opening */
    struct changes *changes; /* of the next opening */
};

static inline int scratch_set_up(void **state)
{
    struct scratch *scratch = calloc(1, sizeof *scratch);
    const char *base = getenv("TMPDIR");
    char folder[256];

    assert_non_null(scratch);
    (void)snprintf(folder, sizeof folder, "%s/migchat-sqlite-XXXXXX",
                   base == NULL ? P_tmpdir : base);
    assert_non_null(mkdtemp(folder));
    memcpy(scratch->folder, folder, sizeof folder);
    (void)snprintf(scratch->path, sizeof scratch->path, "%s/test.db", folder);
    arena_init(&scratch->arena);
    *state = scratch;
    return 0;
}

static inline enum error scratch_open_home(struct scratch *scratch, struct store_home **out_home)
{
    struct store_settings settings = {
        .path = scratch->path,
        .syncs_every_commit = true,
        .writer_cache_kib = 1024,
        .reader_cache_kib = 512,
        .stops = &scratch->stops,
        .changes = scratch->changes,
    };
    bool in_memory = false;

    return store_home_open(&settings, out_home, &in_memory);
}

static inline void scratch_open(struct scratch *scratch)
{
    assert_ok(scratch_open_home(scratch, &scratch->home));
    assert_ok(store_open(scratch->home, STORE_READ_WRITE, &scratch->writer));
}

static inline void scratch_close(struct scratch *scratch)
{
    store_close(scratch->writer);
    store_home_close(scratch->home);
    scratch->writer = NULL;
    scratch->home = NULL;
}

static inline int scratch_remove(const char *path, const struct stat *found, int kind,
                                 struct FTW *place)
{
    (void)found;
    (void)kind;
    (void)place;
    return remove(path);
}

static inline int scratch_tear_down(void **state)
{
    struct scratch *scratch = *state;

    scratch_close(scratch);
    (void)nftw(scratch->folder, scratch_remove, 8, FTW_DEPTH | FTW_PHYS);
    arena_release(&scratch->arena);
    free(scratch);
    return 0;
}

/* "" for the database itself, "-wal", ".lock", … */
static inline const char *scratch_path(const struct scratch *scratch, const char *suffix)
{
    static char path[400];

    (void)snprintf(path, sizeof path, "%s%s", scratch->path, suffix);
    return path;
}

static inline bool scratch_exists(const struct scratch *scratch, const char *suffix)
{
    return access(scratch_path(scratch, suffix), F_OK) == 0;
}

static inline int scratch_mode(const struct scratch *scratch, const char *suffix)
{
    struct stat found;

    assert_int_equal(stat(scratch_path(scratch, suffix), &found), 0);
    return (int)(found.st_mode & 07777);
}

static inline long scratch_bytes(const struct scratch *scratch, const char *suffix)
{
    struct stat found;

    return stat(scratch_path(scratch, suffix), &found) == 0 ? (long)found.st_size : -1;
}

/* Runs SQL on the file with a plain connection. */
static inline void scratch_sql(const struct scratch *scratch, const char *sql)
{
    sqlite3 *database = NULL;

    assert_int_equal(sqlite3_open(scratch->path, &database), SQLITE_OK);
    assert_int_equal(sqlite3_exec(database, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(database), SQLITE_OK);
}

/* The number a query gives, of the file at `path`, opened as `flags` say. */
static inline int64_t file_number(const char *path, int flags, const char *sql)
{
    sqlite3 *database = NULL;
    sqlite3_stmt *statement = NULL;
    int64_t value;

    assert_int_equal(sqlite3_open_v2(path, &database, flags, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(database, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    value = sqlite3_column_int64(statement, 0);
    (void)sqlite3_finalize(statement);
    assert_int_equal(sqlite3_close(database), SQLITE_OK);
    return value;
}

/* The same of the file at path + suffix, made where it is missing. */
static inline int64_t scratch_number(const struct scratch *scratch, const char *suffix,
                                     const char *sql)
{
    return file_number(scratch_path(scratch, suffix), SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
                       sql);
}

/* One message entry of `len` bytes in the open batch. */
static inline enum error scratch_append(struct store *store, int64_t account_id, size_t len)
{
    char *text = malloc(len);
    struct entry entry = {.kind = ENTRY_MESSAGE_SENT, .other_id = 2, .text = {text, len}};
    int64_t seq = 0;
    enum error error;

    assert_non_null(text);
    memset(text, 'x', len);
    error = store_entry_append(store, account_id, &entry, 0, &seq);
    free(text);
    return error;
}

/* A batch of so many of them for account 1. */
static inline void scratch_commit(struct store *store, int count, size_t len)
{
    assert_ok(store_batch_begin(store));
    for (int i = 0; i < count; i++) {
        assert_ok(scratch_append(store, 1, len));
    }
    assert_ok(store_batch_commit(store));
}

static inline int64_t scratch_head(struct store *store, int64_t account_id)
{
    struct store_moment moment = {0};

    assert_ok(store_moment_find(store, account_id, &moment));
    return moment.head_seq;
}

#define SCRATCH_CASE(function)                                                                     \
    cmocka_unit_test_setup_teardown(function, scratch_set_up, scratch_tear_down)

#endif
