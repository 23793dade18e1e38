/* connection.c - opening and closing.
 *
 * Only the one writer connection writes or checkpoints. Readers are opened read-only, have
 * automatic checkpoints off and query_only on. Most versions of SQLite can damage a WAL that two
 * connections write or reset (library.c). Where another process checkpoints, nobody here does.
 */
#include "store/sqlite/connection.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/require.h"
#include "store/sqlite/backup.h"
#include "store/sqlite/meta.h"
#include "store/sqlite/migrate.h"
#include "store/sqlite/wal_buffer.h"

/* Another process's checkpoint keeps the writer waiting for as long as it copies. */
#define LOCK_WAIT_EXTERNAL_MS 5000
/* Content is at most 2 MiB in an adopted database (that server's body limit), six times as much
 * when every byte is escaped. */
#define VALUE_MAX_BYTES (16 * 1024 * 1024)
#define SQL_MAX_BYTES 100000
/* Steps of SQLite's machine between two looks at whether to stop: well under a millisecond. */
#define STOP_LOOK_STEPS 4096
/* Of each page in the WAL (https://sqlite.org/fileformat2.html#the_write_ahead_log). */
#define WAL_FRAME_HEADER_BYTES 24
/* What the WAL file is cut back to when it starts over, where another process checkpoints; else
 * checkpoint.c cuts it. */
#define WAL_KEPT_BYTES (16 * 1024 * 1024)

struct limit {
    int id;
    int value;
};

static const struct limit limits[] = {
    {SQLITE_LIMIT_LENGTH, VALUE_MAX_BYTES},
    {SQLITE_LIMIT_SQL_LENGTH, SQL_MAX_BYTES},
    {SQLITE_LIMIT_COLUMN, 100},
    {SQLITE_LIMIT_EXPR_DEPTH, 50},
    {SQLITE_LIMIT_COMPOUND_SELECT, 10},
    {SQLITE_LIMIT_VDBE_OP, 25000},
    {SQLITE_LIMIT_FUNCTION_ARG, 8},
    {SQLITE_LIMIT_ATTACHED, 0},
    {SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 50},
    {SQLITE_LIMIT_VARIABLE_NUMBER, 16},
    {SQLITE_LIMIT_TRIGGER_DEPTH, 1},
    {SQLITE_LIMIT_WORKER_THREADS, 0},
};

/* Of the layer all connections are opened with; NULL, the default one, until configured. */
static const char *wal_buffer_name;

static void configure_library(void);
static enum error connection_harden(sqlite3 *database);
static int on_progress(void *stops);
static enum error connection_pragma(sqlite3 *database, const char *format, long long value);
static enum error store_set_up(struct store *store);
static int on_wal_commit(void *store, sqlite3 *database, const char *schema, int frames);
static void wal_measure(struct store *writer, int frames);
static void writer_unregister(struct store *store);

/* ---- connections -----------------------------------------------------------------------------*/

void connection_configure_library(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    REQUIRE(pthread_once(&once, configure_library) == 0);
}

static void configure_library(void)
{
    /* Refused when somebody has used SQLite before us; it works then, only slower. */
    (void)sqlite3_config(SQLITE_CONFIG_MULTITHREAD);
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    /* Each connection would begin with room for twenty pages, which a quiet server never fills: a
     * fifth of what it has of its own. */
    (void)sqlite3_config(SQLITE_CONFIG_PAGECACHE, NULL, 0, 0);
    wal_buffer_name = wal_buffer_register();
}

enum error connection_open(const char *path, int flags, sqlite3 **out_database)
{
    sqlite3 *database = NULL;
    int code = sqlite3_open_v2(path, &database, flags | SQLITE_OPEN_NOMUTEX, wal_buffer_name);
    enum error error;

    if (code != SQLITE_OK) {
        /* Even a failed open leaves a connection, to ask for the reason. */
        if (database != NULL) {
            code = sqlite3_extended_errcode(database);
        }
        error = failure_translate(database, code, FAILURE_ANYWHERE, "open");
    } else {
        error = connection_harden(database);
    }
    if (error != OK) {
        (void)sqlite3_close(database);
        return error;
    }
    *out_database = database;
    return OK;
}

static enum error connection_harden(sqlite3 *database)
{
    (void)sqlite3_extended_result_codes(database, 1);
    (void)sqlite3_busy_timeout(database, LOCK_WAIT_MS);
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        (void)sqlite3_limit(database, limits[i].id, limits[i].value);
    }
    (void)sqlite3_db_config(database, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    (void)sqlite3_db_config(database, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    (void)sqlite3_db_config(database, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    (void)sqlite3_db_config(database, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
    (void)sqlite3_db_config(database, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
    (void)sqlite3_db_config(database, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
    (void)sqlite3_wal_autocheckpoint(database, 0);
    /* secure_delete: what was deleted is overwritten; deleted accounts and the tokens of an
     * adopted database must not lie in free pages. */
    return connection_exec(database, "PRAGMA cell_size_check=ON; PRAGMA foreign_keys=OFF;"
                                     "PRAGMA secure_delete=ON; PRAGMA temp_store=MEMORY;");
}

void connection_leave_checkpoints(sqlite3 *database)
{
    (void)sqlite3_db_config(database, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    (void)sqlite3_busy_timeout(database, LOCK_WAIT_EXTERNAL_MS);
}

void connection_stop_when(sqlite3 *database, atomic_bool *stops)
{
    sqlite3_progress_handler(database, STOP_LOOK_STEPS, stops == NULL ? NULL : on_progress, stops);
}

static int on_progress(void *stops)
{
    return atomic_load((atomic_bool *)stops) ? 1 : 0;
}

enum error connection_exec(sqlite3 *database, const char *sql)
{
    int code = sqlite3_exec(database, sql, NULL, NULL, NULL);

    if (code != SQLITE_OK) {
        return failure_translate(database, sqlite3_extended_errcode(database), FAILURE_ANYWHERE,
                                 sql);
    }
    return OK;
}

enum error connection_int(sqlite3 *database, const char *sql, int64_t *out_value)
{
    sqlite3_stmt *statement = NULL;
    int64_t value = 0;
    int code = sqlite3_prepare_v2(database, sql, -1, &statement, NULL);

    if (code == SQLITE_OK) {
        code = sqlite3_step(statement);
        if (code == SQLITE_ROW) {
            value = sqlite3_column_int64(statement, 0);
        }
    }
    if (code != SQLITE_ROW && code != SQLITE_DONE) {
        enum error error = failure_translate(database, code, FAILURE_ANYWHERE, sql);
        (void)sqlite3_finalize(statement);
        return error;
    }
    (void)sqlite3_finalize(statement);
    *out_value = value;
    return OK;
}

static enum error connection_pragma(sqlite3 *database, const char *format, long long value)
{
    char *sql = sqlite3_mprintf(format, value);
    enum error error;

    REQUIRE(sql != NULL);
    error = connection_exec(database, sql);
    sqlite3_free(sql);
    return error;
}

/* ---- stores ----------------------------------------------------------------------------------*/

enum error store_open(struct store_home *home, enum store_access access, struct store **out_store)
{
    struct store *store = calloc(1, sizeof *store);
    int flags = access == STORE_READ_WRITE ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY;
    enum error error;

    REQUIRE(store != NULL);
    if (home->is_in_memory) {
        /* Another connection would see another, empty database. */
        REQUIRE(access == STORE_READ_WRITE);
        flags |= SQLITE_OPEN_CREATE;
    }
    store->home = home;
    store->access = access;
    store->name_cache.generation = 1;
    if (access == STORE_READ_WRITE) {
        store->known = known_new();
        store->recent_keys = recent_keys_new(home->settings.recent_keys_due);
    }
    error = connection_open(home->path, flags, &store->database);
    if (error == OK) {
        error = store_set_up(store);
    }
    if (error != OK) {
        store_close(store);
        return error;
    }
    if (access == STORE_READ_WRITE) {
        gate_enter(&home->gate);
        home->writer = store;
        gate_leave(&home->gate);
    }
    *out_store = store;
    return OK;
}

enum error function_add(struct store *store, const char *name, int argument_count,
                        void (*run)(sqlite3_context *, int, sqlite3_value **))
{
    int code =
        sqlite3_create_function_v2(store->database, name, argument_count,
                                   SQLITE_UTF8 | SQLITE_DIRECTONLY, store, run, NULL, NULL, NULL);

    return code == SQLITE_OK ? OK : store_note_failure(store, code, FAILURE_ANYWHERE, name);
}

static enum error store_set_up(struct store *store)
{
    const struct store_settings *settings = &store->home->settings;
    bool is_writer = store->access == STORE_READ_WRITE;
    enum error error = OK;

    if (store->home->is_in_memory) {
        error = migrate_run(store->database, NULL, NULL);
        if (error == OK) {
            error = meta_fill(store->database);
        }
    } else if (is_writer) {
        (void)sqlite3_wal_hook(store->database, on_wal_commit, store);
        if (settings->leaves_checkpoints) {
            connection_leave_checkpoints(store->database);
            error = connection_pragma(store->database, "PRAGMA journal_size_limit=%lld",
                                      WAL_KEPT_BYTES);
        }
    } else {
        (void)sqlite3_db_config(store->database, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        error = connection_exec(store->database, "PRAGMA query_only=ON");
    }
    if (error == OK) {
        error = connection_exec(store->database, settings->syncs_every_commit
                                                     ? "PRAGMA synchronous=FULL"
                                                     : "PRAGMA synchronous=NORMAL");
    }
    if (error == OK) {
        /* Negative: KiB, not pages. */
        error = connection_pragma(
            store->database, "PRAGMA cache_size=%lld",
            -(long long)(is_writer ? settings->writer_cache_kib : settings->reader_cache_kib));
    }
    if (error == OK) {
        store->wal_frames_due = WAL_DUE_FIRST_FRAMES;
        store->wal_frames_fit = WAL_DUE_MAX_FRAMES;
        error = connection_int(store->database, "PRAGMA page_size", &store->page_bytes);
    }
    if (error == OK) {
        error = walk_functions_add(store);
    }
    if (error == OK) {
        error = conversation_functions_add(store);
    }
    if (error == OK) {
        error = meta_epoch_find(store->database, store->epoch);
    }
    return error;
}

static int on_wal_commit(void *store, sqlite3 *database, const char *schema, int frames)
{
    struct store *writer = store;

    (void)database;
    (void)schema;
    if (frames < writer->wal_frames) {
        /* The WAL started over. */
        writer->wal_frames = 0;
        writer->wal_frames_copied = 0;
        writer->wal_frames_tried_at = 0;
    }
    wal_measure(writer, frames);
    return SQLITE_OK;
}

/* The commit appended what makes it so many frames. */
static void wal_measure(struct store *writer, int frames)
{
    struct store_measures *measures = writer->home->measures;
    int64_t frame_bytes = WAL_FRAME_HEADER_BYTES + writer->page_bytes;

    tally_add(&measures->wal_written_bytes,
              (uint64_t)(frames - writer->wal_frames) * (uint64_t)frame_bytes);
    tally_set(&measures->wal_bytes, (uint64_t)frames * (uint64_t)frame_bytes);
    writer->wal_frames = frames;
    if (frames > writer->wal_frames_most) {
        writer->wal_frames_most = frames;
    }
}

void store_close(struct store *store)
{
    if (store == NULL) {
        return;
    }
    store_walk_end(store);
    statements_finalize(store);
    writer_unregister(store);
    if (store->database != NULL) {
        if (store->is_broken) {
            /* Pages that may not be on the disk must not end the life of the WAL. */
            (void)sqlite3_db_config(store->database, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        }
        REQUIRE(sqlite3_close(store->database) == SQLITE_OK);
    }
    known_free(store->known);
    recent_keys_free(store->recent_keys);
    free(store->changed_ids);
    free(store);
}

/* A store that is closed amid a batch is inside the gate already. */
static void writer_unregister(struct store *store)
{
    struct store_home *home = store->home;

    if (home == NULL || store->access != STORE_READ_WRITE) {
        return;
    }
    if (store->phase == STORE_IDLE) {
        gate_enter(&home->gate);
    }
    if (home->writer == store) {
        backup_writer_closes(home);
        home->writer = NULL;
    }
    gate_leave(&home->gate);
}

struct store *store_around_new(sqlite3 *database)
{
    struct store *store = calloc(1, sizeof *store);

    REQUIRE(store != NULL);
    store->database = database;
    store->access = STORE_READ_WRITE;
    store->phase = STORE_IN_BATCH;
    store->name_cache.generation = 1;
    return store;
}

void store_around_free(struct store *store)
{
    statements_finalize(store);
    free(store);
}
