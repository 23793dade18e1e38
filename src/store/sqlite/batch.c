/* batch.c - snapshots, batches and their units.
 *
 *   idle -- snapshot_begin --> in snapshot -- snapshot_end --> idle
 *   idle -- batch_begin --> in batch -- commit, rollback --> idle
 *
 * A disk that is full or broken may end the whole transaction inside any statement; the batch is
 * then lost: every call fails with the same error until commit or rollback ends it.
 */
#include "store/sqlite/batch.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/require.h"
#include "store/sqlite/checkpoint.h"
#include "store/sqlite/connection.h"
#include "store/sqlite/sent_keys.h"

/* Room for the accounts of a batch of 256 sends at once. */
#define CHANGED_IDS_FIRST 512u

static enum error transaction_run(struct store *store, const char *sql, enum failure_moment moment);
static enum error commit_run(struct store *store);
static uint64_t changed_mark(const struct store *store, struct changes *changes);
static void batch_over(struct store *store);
static void unit_over(struct store *store);
static void gate_in(struct store *store);
static void gate_out(struct store *store);

/* ---- snapshots -------------------------------------------------------------------------------*/

enum error store_snapshot_begin(struct store *store)
{
    enum error error;

    REQUIRE(store->phase == STORE_IDLE);
    gate_in(store);
    error = transaction_run(store, "BEGIN", FAILURE_ANYWHERE);
    if (error != OK) {
        gate_out(store);
        return error;
    }
    store->phase = STORE_IN_SNAPSHOT;
    store->names_is_known = false;
    /* BEGIN alone opens nothing; the first read does. */
    error = names_refresh(store);
    if (error != OK) {
        store_snapshot_end(store);
    }
    return error;
}

void store_snapshot_end(struct store *store)
{
    REQUIRE(store->phase == STORE_IN_SNAPSHOT);
    store_walk_end(store);
    if (sqlite3_get_autocommit(store->database) == 0) {
        /* Nothing was written, so this only gives the snapshot up. A failure is logged. */
        (void)!transaction_run(store, "ROLLBACK", FAILURE_ANYWHERE);
    }
    store->phase = STORE_IDLE;
    store->names_is_known = false;
    gate_out(store);
}

/* ---- batches ---------------------------------------------------------------------------------*/

enum error store_batch_begin(struct store *store)
{
    enum error error;

    REQUIRE(store->access == STORE_READ_WRITE);
    REQUIRE(store->phase == STORE_IDLE);
    if (store->is_broken) {
        return ERROR_OUTCOME_UNKNOWN;
    }
    gate_in(store);
    error = transaction_run(store, "BEGIN IMMEDIATE", FAILURE_ANYWHERE);
    if (error != OK) {
        gate_out(store);
        return error;
    }
    store->phase = STORE_IN_BATCH;
    store->names_is_known = false;
    return OK;
}

enum error store_batch_commit(struct store *store)
{
    enum error error;

    REQUIRE(store->phase == STORE_IN_BATCH);
    REQUIRE(!store->unit_is_open);
    store_walk_end(store);
    error = store->lost_error;
    if (error == OK) {
        error = sent_keys_move(store);
    }
    if (error == OK) {
        error = counters_write(store);
    }
    if (error == OK) {
        error = commit_run(store);
    }
    if (error != OK) {
        store_batch_rollback(store);
        return error;
    }
    batch_over(store);
    checkpoint_if_overdue(store);
    gate_out(store);
    return OK;
}

/* What a unit undid is marked and told as well, as is what fails: it only looks changed. */
static enum error commit_run(struct store *store)
{
    struct changes *changes = store->home->settings.changes;
    uint64_t number = changes != NULL ? changed_mark(store, changes) : 0;
    uint64_t since_ns = clock_monotonic_ns();
    enum error error;

    error = transaction_run(store, "COMMIT", FAILURE_IN_COMMIT);
    if (error == OK) {
        histogram_add(&store->home->measures->commit_durations, &histogram_of_durations,
                      clock_monotonic_ns() - since_ns);
    }
    if (number > 0) {
        changes_end(changes, number);
        for (size_t i = 0; i < store->changed_count; i++) {
            changes_tell(changes, store->changed_ids[i]);
        }
    }
    return error;
}

/* The number of the commit, or 0 when it changes nothing that anybody is shown. */
static uint64_t changed_mark(const struct store *store, struct changes *changes)
{
    if (store->changed_count == 0 && !store->names_have_changed) {
        return 0;
    }
    uint64_t number = changes_begin(changes);

    for (size_t i = 0; i < store->changed_count; i++) {
        changes_mark_account(changes, store->changed_ids[i], number);
    }
    if (store->names_have_changed) {
        changes_mark_names(changes, number);
    }
    return number;
}

void changed_note(struct store *store, int64_t account_id)
{
    size_t count = store->changed_count;

    if (store->home == NULL || store->home->settings.changes == NULL ||
        (count > 0 && store->changed_ids[count - 1] == account_id)) {
        return;
    }
    if (count == store->changed_capacity) {
        store->changed_capacity = count == 0 ? CHANGED_IDS_FIRST : 2 * count;
        int64_t *larger =
            realloc(store->changed_ids, store->changed_capacity * sizeof *store->changed_ids);
        REQUIRE(larger != NULL);
        store->changed_ids = larger;
    }
    store->changed_ids[store->changed_count++] = account_id;
}

void store_batch_rollback(struct store *store)
{
    REQUIRE(store->phase == STORE_IN_BATCH);
    tally_add(&store->home->measures->rollbacks, 1);
    store_walk_end(store);
    store->lost_error = OK;
    if (sqlite3_get_autocommit(store->database) == 0) {
        /* When even this fails the transaction is still open, and the next BEGIN will say so. */
        (void)!transaction_run(store, "ROLLBACK", FAILURE_ANYWHERE);
    }
    counters_forget(store);
    name_cache_clear(store);
    known_forget(store->known);
    recent_keys_forget(store->recent_keys);
    store->knows_no_chore = false;
    batch_over(store);
    gate_out(store);
}

/* In memory the writer reads for all, so its snapshots go through the gate as well. */
static void gate_in(struct store *store)
{
    if (store->access == STORE_READ_WRITE) {
        gate_enter(&store->home->gate);
    }
}

static void gate_out(struct store *store)
{
    if (store->access == STORE_READ_WRITE) {
        gate_leave(&store->home->gate);
    }
}

static void batch_over(struct store *store)
{
    store->phase = STORE_IDLE;
    store->lost_error = OK;
    unit_over(store);
    store->names_is_known = false;
    store->changed_count = 0;
    store->names_have_changed = false;
}

bool store_batch_is_lost(const struct store *store)
{
    return store->phase == STORE_IN_BATCH && store->lost_error != OK;
}

static enum error transaction_run(struct store *store, const char *sql, enum failure_moment moment)
{
    struct query query = query_read(store, sql);
    int code;

    if (query.error != OK) {
        return query.error;
    }
    code = sqlite3_step(query.statement);
    if (code != SQLITE_DONE) {
        query.error = store_note_failure(store, code, moment, sql);
    }
    return query_end(&query);
}

/* ---- units -----------------------------------------------------------------------------------*/

void store_unit_begin(struct store *store, enum unit_form form)
{
    REQUIRE(store->phase == STORE_IN_BATCH);
    REQUIRE(!store->unit_is_open);
    store->unit_is_open = true;
    store->unit_form = form;
    store->unit_has_written = false;
}

bool store_unit_has_written(const struct store *store)
{
    return store->unit_is_open && store->unit_has_written;
}

enum error store_unit_keep(struct store *store)
{
    enum error error = store->lost_error;

    REQUIRE(store->unit_is_open);
    if (error == OK && store->unit_has_written && store->unit_form == UNIT_SAVED) {
        error = transaction_run(store, "RELEASE unit", FAILURE_ANYWHERE);
    }
    unit_over(store);
    return error;
}

enum error store_unit_undo(struct store *store)
{
    enum error error = store->lost_error;

    REQUIRE(store->unit_is_open);
    if (error == OK && store->unit_has_written) {
        REQUIRE(store->unit_form == UNIT_SAVED);
        store_walk_end(store);
        error = transaction_run(store, "ROLLBACK TO unit", FAILURE_ANYWHERE);
        if (error == OK) {
            error = transaction_run(store, "RELEASE unit", FAILURE_ANYWHERE);
        }
        if (error != OK && store->lost_error == OK) {
            /* What the unit wrote is still there: the batch must not be committed. */
            store->lost_error = error;
        }
        store->names_is_known = false;
        name_cache_clear(store);
        known_forget(store->known);
    }
    unit_over(store);
    return error;
}

static void unit_over(struct store *store)
{
    store->unit_is_open = false;
    store->unit_has_written = false;
}
