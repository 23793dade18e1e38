/* query.c - one prepared statement at a time.
 *
 * 1. A statement is prepared once and kept; after each use it is reset and its bindings cleared,
 *    so it holds neither a read transaction nor a borrowed string.
 * 2. Nothing is written outside a batch, and nothing runs in a batch whose transaction is lost: a
 *    statement would commit by itself.
 */
#include <string.h>

#include "base/require.h"
#include "store/sqlite/connection.h"

static struct query query_begin(struct store *store, const char *sql);
static struct statement_slot *statement_slot_find(struct store *store, const char *sql);
static enum error savepoint_open(struct store *store);

struct query query_read(struct store *store, const char *sql)
{
    return query_begin(store, sql);
}

struct query query_write(struct store *store, const char *sql)
{
    REQUIRE(store->phase == STORE_IN_BATCH);
    if (store->lost_error == OK && store->unit_is_open && !store->unit_has_written) {
        enum error error = store->unit_form == UNIT_SAVED ? savepoint_open(store) : OK;

        if (error != OK) {
            return (struct query){.store = store, .sql = sql, .error = error};
        }
        store->unit_has_written = true;
    }
    return query_begin(store, sql);
}

static enum error savepoint_open(struct store *store)
{
    struct query query = query_begin(store, "SAVEPOINT unit");

    return query_run(&query);
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
    code = text.ptr == NULL ? sqlite3_bind_null(query->statement, query->bound)
                            : sqlite3_bind_text64(query->statement, query->bound, text.ptr,
                                                  text.len, SQLITE_STATIC, SQLITE_UTF8);
    if (code != SQLITE_OK) {
        query->error = store_note_failure(query->store, code, FAILURE_ANYWHERE, query->sql);
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
        query->error = store_note_failure(query->store, code, FAILURE_ANYWHERE, query->sql);
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
    return (struct str){(const char *)text, (size_t)sqlite3_column_bytes(query->statement, column)};
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

enum error query_run_int(struct query *query, int64_t *out_value)
{
    int64_t value = query_step(query) ? query_int(query, 0) : 0;
    enum error error = query_end(query);

    if (error == OK) {
        *out_value = value;
    }
    return error;
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

void *rows_reserve(struct arena *arena, void *rows, size_t count, size_t *capacity, size_t row_size)
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

void statements_finalize(struct store *store)
{
    for (size_t i = 0; i < STATEMENT_SLOTS; i++) {
        (void)sqlite3_finalize(store->statements[i].statement);
    }
}
