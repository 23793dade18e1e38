/* backups.c - one thread at a time; what it found is the loop's once `is_over` is set. */
#include "api/backups.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/require.h"
#include "base/signals.h"
#include "base/tally.h"

/* SQLite's check keeps what it walks on the heap. */
#define BACKUP_STACK_BYTES ((size_t)512 * 1024)

struct backups {
    struct store_home *const *home;
    pthread_t thread;
    bool has_thread; /* to be joined */
    int64_t id;
    char *path;
    atomic_bool stops;
    atomic_bool is_over;
    struct backup_progress progress;
    /* Written by the thread before is_over. */
    enum error error;
    struct store_summary summary;
    char reason[REASON_MAX_BYTES];
    struct tally done;
    struct tally failed;
    struct tally last_done_at_ms;
};

static void *backup_thread(void *argument);
static void thread_join(struct backups *backups);

struct backups *backups_new(struct store_home *const *home)
{
    struct backups *backups = calloc(1, sizeof *backups);

    REQUIRE(backups != NULL);
    backups->home = home;
    return backups;
}

enum error backups_start(struct backups *backups, struct str path, int64_t *out_id)
{
    pthread_attr_t attributes;
    sigset_t before;

    if (backups->has_thread && !atomic_load(&backups->is_over)) {
        return ERROR_BACKUP_RUNNING;
    }
    thread_join(backups);
    backups->path = strndup(path.ptr, path.len);
    REQUIRE(backups->path != NULL);
    atomic_store(&backups->is_over, false);
    atomic_store(&backups->progress.pages_done, 0);
    atomic_store(&backups->progress.pages_total, 0);
    atomic_store(&backups->progress.is_verifying, false);
    backups->reason[0] = '\0';
    signals_block(&before);
    REQUIRE(pthread_attr_init(&attributes) == 0);
    REQUIRE(pthread_attr_setstacksize(&attributes, BACKUP_STACK_BYTES) == 0);
    int failure = pthread_create(&backups->thread, &attributes, backup_thread, backups);
    pthread_attr_destroy(&attributes);
    signals_restore(&before);
    if (failure != 0) {
        free(backups->path);
        backups->path = NULL;
        return ERROR_OVERLOADED;
    }
    backups->has_thread = true;
    *out_id = ++backups->id;
    return OK;
}

static void *backup_thread(void *argument)
{
    struct backups *backups = argument;

    pthread_setname_np(pthread_self(), "backup");
    backups->error = store_backup(*backups->home, backups->path, &backups->stops,
                                  &backups->progress, &backups->summary, backups->reason);
    tally_add(backups->error == OK ? &backups->done : &backups->failed, 1);
    if (backups->error == OK) {
        tally_set(&backups->last_done_at_ms, (uint64_t)clock_wall_ms());
    }
    atomic_store(&backups->is_over, true);
    return NULL;
}

static void thread_join(struct backups *backups)
{
    if (backups->has_thread) {
        pthread_join(backups->thread, NULL);
        backups->has_thread = false;
        free(backups->path);
        backups->path = NULL;
    }
}

void backups_look(struct backups *backups, struct backup_report *out_report)
{
    *out_report = (struct backup_report){
        .id = backups->id,
        .pages_done = atomic_load(&backups->progress.pages_done),
        .pages_total = atomic_load(&backups->progress.pages_total),
        .done_count = tally_read(&backups->done),
        .failed_count = tally_read(&backups->failed),
        .last_done_at_ms = (int64_t)tally_read(&backups->last_done_at_ms),
    };
    if (backups->id == 0) {
        out_report->state = BACKUP_NONE;
    } else if (!atomic_load(&backups->is_over)) {
        out_report->state = BACKUP_RUNNING;
    } else if (backups->error == OK) {
        out_report->state = BACKUP_DONE;
        out_report->summary = backups->summary;
    } else {
        out_report->state = BACKUP_FAILED;
        out_report->reason =
            backups->reason[0] != '\0' ? backups->reason : error_text(backups->error);
    }
}

void backups_stop(struct backups *backups)
{
    if (backups != NULL) {
        atomic_store(&backups->stops, true);
        thread_join(backups);
    }
}

void backups_free(struct backups *backups)
{
    free(backups);
}
