/* checkpoint.c - when the WAL is copied into the database, and how large its file may be.
 *
 * Checkpoints happen here only, on the writer: when idle, once the WAL has grown by
 * CHECKPOINT_IDLE_FRAMES, and a large file is cut then; between two batches once it has grown by as
 * much as takes no longer than CHECKPOINT_MAX_MS and leaves room on the disk; after a commit that
 * leaves it a quarter larger than it may become, waiting for readers then, so that it starts over
 * whatever they do. Their snapshots are short. Where another process checkpoints, none happens
 * here.
 */
#include "store/sqlite/checkpoint.h"

#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/require.h"
#include "store/sqlite/connection.h"

/* 4 MiB in pages of 4 KiB, when nothing comes: a checkpoint is three syncs, and under load the
 * queue is empty between any two batches. */
#define CHECKPOINT_IDLE_FRAMES 1000
/* How long all writing may wait for one; half of that is aimed at. */
#define CHECKPOINT_MAX_MS 50
/* How many times as much the next one may be. */
#define GROWTH_MAX 4
/* Where the disk has little room left the WAL takes this part of it at most. */
#define DISK_FREE_PART 4
/* A file that grew larger is cut when nothing comes; under load its room is used again. 16 MiB. */
#define WAL_KEPT_FRAMES 4000
/* 156 MiB in pages of 4 KiB; twice its part where the disk has little room. */
#define WAL_MAX_FRAMES 40000
/* How long a cut waits for readers. */
#define CUT_WAIT_MS 20
/* How much more is written before another forced checkpoint, when a reader was in the way. */
#define WAL_RETRY_FRAMES 1000

static enum error checkpoint(struct store *store, int mode);
static bool idle_checkpoint_is_due(const struct store *store);
static bool wal_is_too_large(const struct store *store, bool is_idle);
static enum error wal_cut(struct store *store);
static void wal_is_empty(struct store *store, bool is_cut);
static int frames_within_limits(double frames);

/* ---- rest ------------------------------------------------------------------------------------*/

enum error store_rest(struct store *store, bool is_idle, bool *out_more)
{
    enum error error = OK;

    REQUIRE(store->phase == STORE_IDLE);
    if (store->is_broken) {
        return ERROR_OUTCOME_UNKNOWN;
    }
    if (store_rest_is_due(store) || (is_idle && idle_checkpoint_is_due(store))) {
        gate_enter(&store->home->gate);
        error = checkpoint(store, SQLITE_CHECKPOINT_PASSIVE);
        if (error == OK && wal_is_too_large(store, is_idle)) {
            error = wal_cut(store);
        }
        gate_leave(&store->home->gate);
    }
    if (error != OK) {
        return error;
    }
    *out_more = false;
    return OK;
}

static bool wal_is_too_large(const struct store *store, bool is_idle)
{
    int64_t most = is_idle ? WAL_KEPT_FRAMES : 2 * (int64_t)store->wal_frames_fit;

    return !store->home->settings.leaves_checkpoints && store->wal_frames_most > most;
}

bool store_rest_is_due(const struct store *store)
{
    int due = store->wal_frames_due < store->wal_frames_fit ? store->wal_frames_due
                                                            : store->wal_frames_fit;

    return !store->home->settings.leaves_checkpoints &&
           store->wal_frames - store->wal_frames_copied >= due;
}

static bool idle_checkpoint_is_due(const struct store *store)
{
    return !store->home->settings.leaves_checkpoints &&
           (store->wal_frames - store->wal_frames_copied >= CHECKPOINT_IDLE_FRAMES ||
            wal_is_too_large(store, true));
}

void checkpoint_if_overdue(struct store *store)
{
    int retry_frames = store->home->settings.leaves_checkpoints ? WAL_MAX_FRAMES : WAL_RETRY_FRAMES;
    int max_frames =
        2 * store->wal_frames_fit < WAL_MAX_FRAMES ? 2 * store->wal_frames_fit : WAL_MAX_FRAMES;

    if (store->wal_frames < max_frames ||
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
    (void)!checkpoint(store, SQLITE_CHECKPOINT_TRUNCATE);
}

static enum error checkpoint(struct store *store, int mode)
{
    int frames = 0;
    int copied = 0;
    struct store_measures *measures = store->home->measures;
    int copied_before = store->wal_frames_copied;
    bool was_due = store_rest_is_due(store);
    uint64_t since_ns = clock_monotonic_ns();
    int code = sqlite3_wal_checkpoint_v2(store->database, NULL, mode, &frames, &copied);
    uint64_t took_ns = clock_monotonic_ns() - since_ns;

    histogram_add(&measures->checkpoint_durations, &histogram_of_durations, took_ns);
    /* One that a reader or a fault kept from copying tells nothing, one that waited neither. */
    if (was_due && code == SQLITE_OK && copied == frames && mode == SQLITE_CHECKPOINT_PASSIVE) {
        store->wal_frames_due = wal_frames_next(copied - copied_before, took_ns);
    }
    if (code != SQLITE_OK && (code & 0xff) != SQLITE_BUSY) {
        return store_note_failure(store, code, FAILURE_IN_CHECKPOINT, "checkpoint");
    }
    if (frames >= 0 && copied >= 0) {
        store->wal_frames = frames;
        store->wal_frames_copied = copied;
        tally_add(&measures->checkpoints_blocked, copied < frames ? 1 : 0);
        if (frames == 0) {
            wal_is_empty(store, mode == SQLITE_CHECKPOINT_TRUNCATE);
        }
    }
    if (code != SQLITE_OK) {
        log_event(LOG_WARN, "checkpoint_blocked", LOG_INT("wal_frames", store->wal_frames),
                  LOG_END);
    }
    return OK;
}

/* Pages written again and again are copied once, so less often is less work, and fewer sends wait
 * for it; but on a slow disk, or with many accounts, whoever waits would wait for long. */
int wal_frames_next(int frames, uint64_t took_ns)
{
    const double max_ns = CHECKPOINT_MAX_MS * 1e6;
    double next = frames;

    if ((double)took_ns > max_ns) {
        next = next * max_ns / (double)took_ns;
    } else if ((double)took_ns * GROWTH_MAX <= max_ns / 2) {
        next = next * GROWTH_MAX;
    } else if ((double)took_ns <= max_ns / 2) {
        next = next * (max_ns / 2) / (double)took_ns;
    }
    return frames_within_limits(next);
}

static int frames_within_limits(double frames)
{
    if (frames >= WAL_DUE_MAX_FRAMES) {
        return WAL_DUE_MAX_FRAMES;
    }
    return frames > CHECKPOINT_IDLE_FRAMES ? (int)frames : CHECKPOINT_IDLE_FRAMES;
}

/* Unless a reader stays in the way: then the next time. */
static enum error wal_cut(struct store *store)
{
    int code;

    (void)sqlite3_busy_timeout(store->database, CUT_WAIT_MS);
    code = sqlite3_wal_checkpoint_v2(store->database, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    (void)sqlite3_busy_timeout(store->database, LOCK_WAIT_MS);
    if (code == SQLITE_OK) {
        wal_is_empty(store, true);
    } else if ((code & 0xff) != SQLITE_BUSY) {
        return store_note_failure(store, code, FAILURE_IN_CHECKPOINT, "wal_cut");
    }
    return OK;
}

/* Which it can be in a large file. */
static void wal_is_empty(struct store *store, bool is_cut)
{
    store->wal_frames = 0;
    store->wal_frames_copied = 0;
    store->wal_frames_tried_at = 0;
    if (is_cut) {
        store->wal_frames_most = 0;
    }
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
    store->wal_frames_fit =
        frames_within_limits((double)free_bytes / DISK_FREE_PART / (double)store->page_bytes);
    return free_bytes < store->home->settings.disk_floor_bytes;
}
