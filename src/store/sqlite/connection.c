/* connection.c - opening, closing, and one statement at a time.
 *
 * 1. Only the one writer connection writes or checkpoints. Readers are opened read-only, have
 *    automatic checkpoints off and query_only on. SQLite before 3.51.3 can damage a WAL that two
 *    connections write or reset.
 * 2. A statement is prepared once and kept; after each use it is reset and its bindings cleared,
 *    so it holds neither a read transaction nor a borrowed string.
 * 3. Nothing is written outside a batch, and nothing runs in a batch whose transaction is lost: a
 *    statement would commit by itself.
 */
#include "store/sqlite/connection.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/require.h"
#include "store/sqlite/meta.h"
#include "store/sqlite/migrate.h"

/* How long a statement waits for a lock: only recovery and a checkpoint that waits for readers. */
#define LOCK_WAIT_MS 250
/* Content is at most 2 MiB in an adopted database (that server's body limit), six times as much
 * when every byte is escaped. */
#define VALUE_MAX_BYTES (16 * 1024 * 1024)
#define SQL_MAX_BYTES 100000
/* What the WAL file is cut back to when it starts over. */
#define WAL_KEPT_BYTES (16 * 1024 * 1024)

struct limit {
    int id;
    int value;
};

static const struct limit limits[] = {
    {SQLITE_LIMIT_LENGTH, VALUE_MAX_BYTES},   {SQLITE_LIMIT_SQL_LENGTH, SQL_MAX_BYTES},
    {SQLITE_LIMIT_COLUMN, 100},               {SQLITE_LIMIT_EXPR_DEPTH, 50},
    {SQLITE_LIMIT_COMPOUND_SELECT, 10},       {SQLITE_LIMIT_VDBE_OP, 25000},
    {SQLITE_LIMIT_FUNCTION_ARG, 8},           {SQLITE_LIMIT_ATTACHED, 0},
    {SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 50},   {SQLITE_LIMIT_VARIABLE_NUMBER, 16},
    {SQLITE_LIMIT_TRIGGER_DEPTH, 1},          {SQLITE_LIMIT_WORKER_THREADS, 0},
};

static void prepare_process(void);
static enum error connection_harden(sqlite3 *database);
static enum error connection_pragma(sqlite3 *database, const char *format, long long value);
static enum error store_set_up(struct store *store);
static void statements_finalize(struct store *store);
static int on_wal_commit(void *store, sqlite3 *database, const char *schema, int frames);
static struct query query_begin(struct store *store, const char *sql);
static struct statement_slot *statement_slot_find(struct store *store, const char *sql);
static enum error savepoint_open(struct store *store);

/* ---- connections -----------------------------------------------------------------------------*/

void connection_prepare_process(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    REQUIRE(pthread_once(&once, prepare_process) == 0);
}

static void prepare_process(void)
{
    /* Refused when somebody has used SQLite before us; it works then, only slower. */
    (void)sqlite3_config(SQLITE_CONFIG_MULTITHREAD);
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

enum error connection_open(const char *path, int flags, sqlite3 **out_database)
{
    sqlite3 *database = NULL;
    int code = sqlite3_open_v2(path, &database, flags | SQLITE_OPEN_NOMUTEX, NULL);
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
    error = connection_open(home->path, flags, &store->database);
    if (error == OK) {
        error = store_set_up(store);
    }
    if (error != OK) {
        store_close(store);
        return error;
    }
    *out_store = store;
    return OK;
}

static enum error store_set_up(struct store *store)
{
    const struct store_settings *settings = &store->home->settings;
    bool is_writer = store->access == STORE_READ_WRITE;
    enum error error = OK;

    if (store->home->is_in_memory) {
        error = migrate_run(store->database, NULL);
        if (error == OK) {
            error = meta_fill(store->database);
        }
    } else if (is_writer) {
        (void)sqlite3_wal_hook(store->database, on_wal_commit, store);
        error = connection_pragma(store->database, "PRAGMA journal_size_limit=%lld",
                                  WAL_KEPT_BYTES);
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
        error = connection_pragma(store->database, "PRAGMA cache_size=%lld",
                                  -(long long)(is_writer ? settings->writer_cache_kib
                                                         : settings->reader_cache_kib));
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
        writer->wal_frames_copied = 0;
        writer->wal_frames_tried_at = 0;
    }
    writer->wal_frames = frames;
    return SQLITE_OK;
}

void store_close(struct store *store)
{
    if (store == NULL) {
        return;
    }
    store_walk_end(store);
    statements_finalize(store);
    if (store->database != NULL) {
        if (store->is_broken) {
            /* Pages that may not be on the disk must not end the life of the WAL. */
            (void)sqlite3_db_config(store->database, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        }
        REQUIRE(sqlite3_close(store->database) == SQLITE_OK);
    }
    free(store);
}

static void statements_finalize(struct store *store)
{
    for (size_t i = 0; i < STATEMENT_SLOTS; i++) {
        (void)sqlite3_finalize(store->statements[i].statement);
    }
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

/* ---- queries ---------------------------------------------------------------------------------*/

struct query query_read(struct store *store, const char *sql)
{
    return query_begin(store, sql);
}

struct query query_write(struct store *store, const char *sql)
{
    REQUIRE(store->phase == STORE_IN_BATCH);
    if (store->lost_error == OK && store->unit_is_open && !store->savepoint_is_open) {
        enum error error = savepoint_open(store);

        if (error != OK) {
            return (struct query){.store = store, .sql = sql, .error = error};
        }
    }
    return query_begin(store, sql);
}

static enum error savepoint_open(struct store *store)
{
    struct query query = query_begin(store, "SAVEPOINT unit");
    enum error error = query_run(&query);

    store->savepoint_is_open = error == OK;
    return error;
}

static struct query query_begin(struct store *store, const char *sql)
{
    struct query query = {.store = store, .sql = sql};
    struct statement_slot *slot;

    if (store->lost_error != OK) {
        query.error = store->lost_error;
        return query;
    }
    slot = statement_slot_find(store, sql);
    if (slot->statement == NULL) {
        int code = sqlite3_prepare_v3(store->database, sql, -1, SQLITE_PREPARE_PERSISTENT,
                                      &slot->statement, NULL);

        if (code != SQLITE_OK) {
            query.error = store_note_failure(store, code, FAILURE_ANYWHERE, sql);
            return query;
        }
        slot->sql = sql;
    }
    REQUIRE(!sqlite3_stmt_busy(slot->statement));
    query.statement = slot->statement;
    return query;
}

static struct statement_slot *statement_slot_find(struct store *store, const char *sql)
{
    size_t at = ((uintptr_t)sql >> 3) * 0x9e3779b1u % STATEMENT_SLOTS;

    size_t tried = 0;

    while (store->statements[at].statement != NULL && store->statements[at].sql != sql) {
        at = (at + 1) % STATEMENT_SLOTS;
        tried++;
        REQUIRE(tried < STATEMENT_SLOTS);
    }
    return &store->statements[at];
}

void query_bind_int(struct query *query, int64_t value)
{
    query->bound++;
    if (query->error == OK) {
        REQUIRE(sqlite3_bind_int64(query->statement, query->bound, value) == SQLITE_OK);
    }
}

void query_bind_text(struct query *query, struct str text)
{
    int code;

    query->bound++;
    if (query->error != OK) {
        return;
    }
    code = text.ptr == NULL
               ? sqlite3_bind_null(query->statement, query->bound)
               : sqlite3_bind_text64(query->statement, query->bound, text.ptr, text.len,
                                     SQLITE_STATIC, SQLITE_UTF8);
    if (code != SQLITE_OK) {
        query->error =
            store_note_failure(query->store, code, FAILURE_ANYWHERE, query->sql);
    }
}

void query_bind_bytes(struct query *query, const void *bytes, size_t len)
{
    query->bound++;
    if (query->error == OK) {
        REQUIRE(sqlite3_bind_blob64(query->statement, query->bound, bytes, len, SQLITE_STATIC) ==
                SQLITE_OK);
    }
}

bool query_step(struct query *query)
{
    int code;

    if (query->error != OK) {
        return false;
    }
    code = sqlite3_step(query->statement);
    if (code != SQLITE_ROW && code != SQLITE_DONE) {
        query->error =
            store_note_failure(query->store, code, FAILURE_ANYWHERE, query->sql);
    }
    return code == SQLITE_ROW;
}

int64_t query_int(const struct query *query, int column)
{
    return sqlite3_column_int64(query->statement, column);
}

struct str query_text(const struct query *query, int column)
{
    const unsigned char *text = sqlite3_column_text(query->statement, column);

    if (text == NULL) {
        return (struct str){NULL, 0};
    }
    return (struct str){(const char *)text,
                        (size_t)sqlite3_column_bytes(query->statement, column)};
}

struct str query_text_copy(const struct query *query, int column, struct arena *arena)
{
    struct str text = query_text(query, column);

    return text.ptr == NULL ? text : arena_copy(arena, text);
}

enum error query_end(struct query *query)
{
    if (query->statement != NULL) {
        (void)sqlite3_reset(query->statement);
        (void)sqlite3_clear_bindings(query->statement);
        query->statement = NULL;
    }
    return query->error;
}

enum error query_run(struct query *query)
{
    REQUIRE(!query_step(query));
    return query_end(query);
}

enum error store_note_failure(struct store *store, int code, enum failure_moment moment,
                              const char *doing)
{
    enum error error = failure_translate(store->database, code, moment, doing);

    if (error == ERROR_OUTCOME_UNKNOWN) {
        store->is_broken = true;
    }
    if (store->phase == STORE_IN_BATCH && store->lost_error == OK &&
        sqlite3_get_autocommit(store->database) != 0) {
        store->lost_error = error;
    }
    return error;
}

void *rows_reserve(struct arena *arena, void *rows, size_t count, size_t *capacity,
                   size_t row_size)
{
    size_t wanted = *capacity == 0 ? 8 : *capacity * 2;
    void *larger;

    if (count < *capacity) {
        return rows;
    }
    larger = arena_alloc(arena, wanted * row_size);
    if (count > 0) {
        memcpy(larger, rows, count * row_size);
    }
    *capacity = wanted;
    return larger;
}

/* Called by main only, before any thread starts. */
const char *store_library_version(void)
{
    static char text[32];

    (void)snprintf(text, sizeof(text), "SQLite %s", sqlite3_libversion());
    return text;
}
