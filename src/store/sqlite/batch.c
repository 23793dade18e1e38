/* batch.c - snapshots, batches and their units, and checkpoints.
 *
 *   idle -- snapshot_begin --> in snapshot -- snapshot_end --> idle
 *   idle -- batch_begin --> in batch -- commit, rollback --> idle
 *
 * A disk that is full or broken may end the whole transaction inside any statement; the batch is
 * then lost: every call fails with the same error until commit or rollback ends it.
 *
 * Checkpoints happen here only, on the writer: when idle, once the WAL has grown by
 * CHECKPOINT_IDLE_FRAMES, and a large file is cut then; between two batches once it has grown by
 * WAL_DUE_FRAMES, or less where the disk is nearly full; after a commit that leaves it above
 * WAL_MAX_FRAMES, waiting for readers then, so that it starts over whatever they do. Their
 * snapshots are short. Where another process checkpoints, none happens here.
 */
#include "store/sqlite/batch.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/require.h"
#include "store/sqlite/connection.h"
#include "store/sqlite/sent_keys.h"

/* 4 MiB in pages of 4 KiB, when nothing comes: a checkpoint is three syncs, and under load the
 * queue is empty between any two batches. */
#define CHECKPOINT_IDLE_FRAMES 1000
/* Where the disk has little room left the WAL takes this part of it at most. */
#define DISK_FREE_PART 4
/* A file that grew larger is cut when nothing comes; under load its room is used again. 16 MiB. */
#define WAL_KEPT_FRAMES 4000
/* 160 MiB. */
#define WAL_MAX_FRAMES 40000
/* How much more is written before another forced checkpoint, when a reader was in the way. */
#define WAL_RETRY_FRAMES 1000
/* Room for the accounts of a batch of 256 sends at once. */
#define CHANGED_IDS_FIRST 512u

static enum error transaction_run(struct store *store, const char *sql, enum failure_moment moment);
static void changed_tell(const struct store *store);
static void batch_over(struct store *store);
static void unit_over(struct store *store);
static void gate_in(struct store *store);
static void gate_out(struct store *store);
static enum error checkpoint(struct store *store, int mode);
static void checkpoint_if_overdue(struct store *store);
static bool idle_checkpoint_is_due(const struct store *store);
static enum error wal_cut(struct store *store);
static void wal_is_empty(struct store *store);
static int wal_frames_that_fit(const struct store *store, uint64_t free_bytes);

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
        uint64_t since_ns = clock_monotonic_ns();

        error = transaction_run(store, "COMMIT", FAILURE_IN_COMMIT);
        if (error == OK) {
            histogram_add(&store->home->measures->commit_durations, &histogram_of_durations,
                          clock_monotonic_ns() - since_ns);
        }
    }
    if (error != OK) {
        store_batch_rollback(store);
        return error;
    }
    changed_tell(store);
    batch_over(store);
    checkpoint_if_overdue(store);
    gate_out(store);
    return OK;
}

/* What a unit undid is told as well: it only looks changed. */
static void changed_tell(const struct store *store)
{
    struct changes *changes = store->home->settings.changes;

    if (changes == NULL || (store->changed_count == 0 && !store->names_have_changed)) {
        return;
    }
    uint64_t number = changes_begin(changes);

    for (size_t i = 0; i < store->changed_count; i++) {
        changes_mark_account(changes, store->changed_ids[i], number);
    }
    if (store->names_have_changed) {
        changes_mark_names(changes, number);
    }
    changes_end(changes, number);
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

/* ---- rest ------------------------------------------------------------------------------------*/

enum error store_rest(struct store *store, bool is_idle, bool *out_more)
{
    enum error error = OK;

    REQUIRE(store->phase == STORE_IDLE);
    if (store->is_broken) {
        return ERROR_OUTCOME_UNKNOWN;
    }
    if (store_rest_is_due(store) || (is_idle && idle_checkpoint_is_due(store))) {
        gate_in(store);
        error = checkpoint(store, SQLITE_CHECKPOINT_PASSIVE);
        if (error == OK && is_idle && store->wal_frames_most > WAL_KEPT_FRAMES) {
            error = wal_cut(store);
        }
        gate_out(store);
    }
    if (error != OK) {
        return error;
    }
    *out_more = false;
    return OK;
}

bool store_rest_is_due(const struct store *store)
{
    return !store->home->settings.leaves_checkpoints &&
           store->wal_frames - store->wal_frames_copied >= store->wal_frames_due;
}

static bool idle_checkpoint_is_due(const struct store *store)
{
    return !store->home->settings.leaves_checkpoints &&
           (store->wal_frames - store->wal_frames_copied >= CHECKPOINT_IDLE_FRAMES ||
            store->wal_frames_most > WAL_KEPT_FRAMES);
}

static void checkpoint_if_overdue(struct store *store)
{
    int retry_frames = store->home->settings.leaves_checkpoints ? WAL_MAX_FRAMES : WAL_RETRY_FRAMES;

    if (store->wal_frames < WAL_MAX_FRAMES ||
        store->wal_frames - store->wal_frames_tried_at < retry_frames) {
        return;
    }
    store->wal_frames_tried_at = store->wal_frames;
    if (store->home->settings.leaves_checkpoints) {
        log_event(LOG_WARN, "checkpoint_missing", LOG_INT("wal_frames", store->wal_frames),
                  LOG_TEXT("means", "the process that checkpoints has not done so for long"),
                  LOG_END);
        return;
    }
    /* The batch is committed whatever comes of this; a broken disk is told by the next batch. */
    if (checkpoint(store, SQLITE_CHECKPOINT_TRUNCATE) == OK && store->wal_frames == 0) {
        store->wal_frames_tried_at = 0;
    }
}

static enum error checkpoint(struct store *store, int mode)
{
    int frames = 0;
    int copied = 0;
    struct store_measures *measures = store->home->measures;
    uint64_t since_ns = clock_monotonic_ns();
    int code = sqlite3_wal_checkpoint_v2(store->database, NULL, mode, &frames, &copied);

    histogram_add(&measures->checkpoint_durations, &histogram_of_durations,
                  clock_monotonic_ns() - since_ns);
    if (code != SQLITE_OK && (code & 0xff) != SQLITE_BUSY) {
        return store_note_failure(store, code, FAILURE_IN_CHECKPOINT, "checkpoint");
    }
    if (frames >= 0 && copied >= 0) {
        store->wal_frames = frames;
        store->wal_frames_copied = copied;
        tally_add(&measures->checkpoints_blocked, copied < frames ? 1 : 0);
        if (frames == 0) {
            wal_is_empty(store);
        }
    }
    if (code != SQLITE_OK) {
        log_event(LOG_WARN, "checkpoint_blocked", LOG_INT("wal_frames", store->wal_frames),
                  LOG_END);
    }
    return OK;
}

/* Unless a reader is in the way: then the next time nothing comes. */
static enum error wal_cut(struct store *store)
{
    int code;

    (void)sqlite3_busy_timeout(store->database, 0);
    code = sqlite3_wal_checkpoint_v2(store->database, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    (void)sqlite3_busy_timeout(store->database, LOCK_WAIT_MS);
    if (code == SQLITE_OK) {
        wal_is_empty(store);
    } else if ((code & 0xff) != SQLITE_BUSY) {
        return store_note_failure(store, code, FAILURE_IN_CHECKPOINT, "wal_cut");
    }
    return OK;
}

static void wal_is_empty(struct store *store)
{
    store->wal_frames = 0;
    store->wal_frames_copied = 0;
    store->wal_frames_most = 0;
    tally_set(&store->home->measures->wal_bytes, 0);
}

bool store_disk_is_low(struct store *store)
{
    struct statvfs disk;
    struct stat file;

    if (store->home->is_in_memory || statvfs(store->home->path, &disk) != 0 ||
        stat(store->home->path, &file) != 0) {
        return false;
    }
    uint64_t free_bytes = (uint64_t)disk.f_bavail * disk.f_frsize;

    tally_set(&store->home->measures->disk_free_bytes, free_bytes);
    tally_set(&store->home->measures->database_bytes, (uint64_t)file.st_size);
    store->wal_frames_due = wal_frames_that_fit(store, free_bytes);
    return free_bytes < store->home->settings.disk_floor_bytes;
}

static int wal_frames_that_fit(const struct store *store, uint64_t free_bytes)
{
    uint64_t frames = free_bytes / DISK_FREE_PART / (uint64_t)store->page_bytes;

    if (frames >= WAL_DUE_FRAMES) {
        return WAL_DUE_FRAMES;
    }
    return frames > CHECKPOINT_IDLE_FRAMES ? (int)frames : CHECKPOINT_IDLE_FRAMES;
}
