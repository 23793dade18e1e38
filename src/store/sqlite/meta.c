/* meta.c - the epoch and the first values, written when a database is made or adopted; then the
 * counters, kept in the writer's memory while a batch is open; and the number of renames.
 *
 * A counter is read once and from then on counted in memory. Its row is written once a batch, in
 * the same transaction as what the numbers were given to, so a number of committed work is never
 * given again, and one of lost work was never answered to anybody.
 */
#include "store/sqlite/meta.h"

#include <string.h>

#include "base/random.h"
#include "base/require.h"
#include "store/sqlite/batch.h"
#include "store/sqlite/connection.h"

static const char META_ADD[] = "INSERT OR IGNORE INTO meta(key, value) VALUES('epoch', ?1)";
static const char META_ADD_NUMBERS[] =
    "INSERT OR IGNORE INTO meta(key, value) VALUES ('names', '0'), ('password_cost', '0'),"
    " ('next_account_id', '1'),"
    " ('next_session_id', '1'), ('next_message_id', '1'), ('next_chore_id', '1')";
static const char MADE_AT_SET[] = "INSERT OR REPLACE INTO meta(key, value)"
                                  " VALUES('backup_made_at_ms', CAST(?1 AS TEXT))";
static const char EPOCH_RENEW[] = "UPDATE meta SET value = ?1 WHERE key = 'epoch'";
static const char EPOCH_FIND[] = "SELECT value FROM meta WHERE key = 'epoch'";
static const char NUMBER_FIND[] = "SELECT CAST(value AS INTEGER) FROM meta WHERE key = ?1";
static const char NUMBER_SET[] = "UPDATE meta SET value = CAST(?2 AS TEXT) WHERE key = ?1";
static const char NAMES_COUNT[] =
    "UPDATE meta SET value = CAST(CAST(value AS INTEGER) + 1 AS TEXT) WHERE key = 'names'";

static const char PASSWORD_COST_RAISE[] =
    "UPDATE meta SET value = CAST(?1 AS TEXT)"
    " WHERE key = 'password_cost' AND CAST(value AS INTEGER) < ?1";

/* "$2b$12$...": the two digits. The domain takes no others, so those cost nothing. */
static const char PASSWORD_COST_FILL[] =
    "UPDATE meta SET value = (SELECT CAST(coalesce(max(cost), 0) AS TEXT) FROM"
    " (SELECT CAST(substr(password_hash, 5, 2) AS INTEGER) AS cost FROM account)"
    " WHERE cost BETWEEN 4 AND 16) WHERE key = 'password_cost'";

static enum error row_write(sqlite3 *database, const char *sql, struct str text, int64_t number);
static struct str counter_key(enum counter_name name);
static enum error number_find(struct store *store, struct str key, int64_t *out_value);

enum error meta_fill(sqlite3 *database)
{
    char epoch[EPOCH_LEN + 1];

    random_alphanumeric(epoch, EPOCH_LEN);
    enum error error = row_write(database, META_ADD, (struct str){epoch, EPOCH_LEN}, 0);

    return error == OK ? connection_exec(database, META_ADD_NUMBERS) : error;
}

enum error meta_epoch_renew(sqlite3 *database)
{
    char epoch[EPOCH_LEN + 1];

    random_alphanumeric(epoch, EPOCH_LEN);
    return row_write(database, EPOCH_RENEW, (struct str){epoch, EPOCH_LEN}, 0);
}

enum error meta_made_at_set(sqlite3 *database, int64_t made_at_ms)
{
    return row_write(database, MADE_AT_SET, (struct str){NULL, 0}, made_at_ms);
}

/* The one parameter is the text, or without one the number. */
static enum error row_write(sqlite3 *database, const char *sql, struct str text, int64_t number)
{
    sqlite3_stmt *statement = NULL;
    enum error error = OK;
    int code = sqlite3_prepare_v2(database, sql, -1, &statement, NULL);

    if (code == SQLITE_OK) {
        code = text.ptr != NULL
                   ? sqlite3_bind_text(statement, 1, text.ptr, (int)text.len, SQLITE_STATIC)
                   : sqlite3_bind_int64(statement, 1, number);
    }
    if (code == SQLITE_OK) {
        code = sqlite3_step(statement);
    }
    if (code != SQLITE_DONE) {
        error = failure_translate(database, code, FAILURE_ANYWHERE, sql);
    }
    (void)sqlite3_finalize(statement);
    return error;
}

enum error meta_password_cost_fill(sqlite3 *database)
{
    return connection_exec(database, PASSWORD_COST_FILL);
}

enum error meta_epoch_find(sqlite3 *database, char out_epoch[EPOCH_LEN + 1])
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(database, EPOCH_FIND, -1, &statement, NULL);
    enum error error = OK;

    if (code == SQLITE_OK) {
        code = sqlite3_step(statement);
    }
    if (code == SQLITE_ROW && sqlite3_column_bytes(statement, 0) == (int)EPOCH_LEN) {
        memcpy(out_epoch, sqlite3_column_text(statement, 0), EPOCH_LEN);
        out_epoch[EPOCH_LEN] = '\0';
    } else {
        error = failure_translate(database, code, FAILURE_ANYWHERE, EPOCH_FIND);
    }
    (void)sqlite3_finalize(statement);
    return error;
}

/* ---- counters --------------------------------------------------------------------------------*/

enum error counter_take(struct store *store, enum counter_name name, int64_t *out_id)
{
    struct counter *counter = &store->counters[name];

    REQUIRE(store->phase == STORE_IN_BATCH);
    if (store->lost_error != OK) {
        return store->lost_error;
    }
    if (!counter->is_known) {
        enum error error = number_find(store, counter_key(name), &counter->next);

        if (error != OK) {
            return error;
        }
        counter->is_known = true;
    }
    counter->is_dirty = true;
    *out_id = counter->next++;
    return OK;
}

enum error counters_write(struct store *store)
{
    for (size_t i = 0; i < COUNTER_COUNT; i++) {
        struct counter *counter = &store->counters[i];
        struct query query;
        enum error error;

        if (!counter->is_dirty) {
            continue;
        }
        query = query_write(store, NUMBER_SET);
        query_bind_text(&query, counter_key((enum counter_name)i));
        query_bind_int(&query, counter->next);
        error = query_run(&query);
        if (error != OK) {
            return error;
        }
        counter->is_dirty = false;
    }
    return OK;
}

void counters_forget(struct store *store)
{
    memset(store->counters, 0, sizeof store->counters);
}

static struct str counter_key(enum counter_name name)
{
    static const char *const keys[COUNTER_COUNT] = {
        [COUNTER_ACCOUNT] = "next_account_id", [COUNTER_SESSION] = "next_session_id",
        [COUNTER_MESSAGE] = "next_message_id", [COUNTER_CHORE] = "next_chore_id",
        [COUNTER_INVITE] = "next_invite_id",
    };

    return str_from(keys[name]);
}

static enum error number_find(struct store *store, struct str key, int64_t *out_value)
{
    struct query query = query_read(store, NUMBER_FIND);

    query_bind_text(&query, key);
    return query_run_int(&query, out_value);
}

enum error store_message_id_take(struct store *store, int64_t *out_id)
{
    return counter_take(store, COUNTER_MESSAGE, out_id);
}

/* ---- passwords -------------------------------------------------------------------------------*/

enum error store_password_cost_find(struct store *store, unsigned *out_cost)
{
    int64_t cost = 0;
    enum error error = number_find(store, STR("password_cost"), &cost);

    if (error == OK) {
        *out_cost = (unsigned)cost;
    }
    return error;
}

enum error store_password_cost_raise(struct store *store, unsigned cost)
{
    unsigned highest = 0;
    enum error error = store_password_cost_find(store, &highest);

    if (error != OK || cost <= highest) {
        return error;
    }
    struct query query = query_write(store, PASSWORD_COST_RAISE);

    query_bind_int(&query, (int64_t)cost);
    return query_run(&query);
}

/* ---- renames ---------------------------------------------------------------------------------*/

enum error names_refresh(struct store *store)
{
    if (store->names_is_known && store->phase != STORE_IDLE) {
        return OK;
    }
    enum error error = number_find(store, STR("names"), &store->names);

    if (error != OK) {
        return error;
    }
    store->names_is_known = true;
    if (store->name_cache.names != store->names) {
        name_cache_clear(store);
        store->name_cache.names = store->names;
    }
    return OK;
}

enum error store_names_count(struct store *store)
{
    struct query query = query_write(store, NAMES_COUNT);

    store->names_is_known = false;
    store->names_have_changed = true;
    return query_run(&query);
}
