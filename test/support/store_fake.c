/* store_fake.c - opening, batches and units of the fake store, and calls that fail on demand.
 *
 * 1. A batch, and in it a unit, begins by copying all rows; undoing puts the copy back.
 * 2. A call that a test chose to fail fails before it did anything, as a real statement that fails
 *    leaves nothing.
 * 3. A lost batch is back at its beginning at once; only what ends it may still be called.
 */
#include "support/store_fake.h"

#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "base/require.h"
#include "support/store_fake_rows.h"

static enum error fail_if_chosen(struct store *store);
static void batch_lose(struct store *store);
static void batch_end(struct store *store);
static void unit_end(struct store *store);

/* ---- opening --------------------------------------------------------------------------------- */

enum error store_home_open(const struct store_settings *settings, struct store_home **out_home,
                           bool *out_in_memory)
{
    struct store_home *home = calloc(1, sizeof(*home));

    (void)settings;
    REQUIRE(home != NULL);
    arena_init(&home->texts);
    fake_rows_init(&home->rows);
    home->next_message_id = 1;
    random_alphanumeric(home->epoch, EPOCH_LEN);
    *out_home = home;
    *out_in_memory = true;
    return OK;
}

void store_home_close(struct store_home *home)
{
    if (home == NULL) {
        return;
    }
    fake_rows_release(&home->rows);
    arena_release(&home->texts);
    free(home);
}

enum error store_open(struct store_home *home, enum store_access access, struct store **out_store)
{
    struct store *store = calloc(1, sizeof(*store));

    REQUIRE(store != NULL);
    store->home = home;
    store->access = access;
    fake_rows_init(&store->before_batch);
    fake_rows_init(&store->before_unit);
    *out_store = store;
    return OK;
}

void store_close(struct store *store)
{
    if (store == NULL) {
        return;
    }
    if (store->in_batch) {
        store_batch_rollback(store);
    }
    store_walk_end(store);
    free(store);
}

struct store *store_fake_new(void)
{
    struct store_settings settings = {.path = ":memory:"};
    struct store_home *home = NULL;
    struct store *store = NULL;
    bool in_memory;

    REQUIRE(store_home_open(&settings, &home, &in_memory) == OK);
    REQUIRE(store_open(home, STORE_READ_WRITE, &store) == OK);
    store->owns_home = true;
    return store;
}

void store_fake_free(struct store *store)
{
    struct store_home *home = store->home;

    REQUIRE(store->owns_home);
    store_close(store);
    store_home_close(home);
}

/* ---- failing --------------------------------------------------------------------------------- */

void store_fake_fail_at(struct store *store, size_t n, enum error error, bool loses_batch)
{
    store->calls_until_failure = n;
    store->failure = error;
    store->failure_loses_batch = loses_batch;
    store->calls_until_next_failure = 0;
    store->failures = 0;
    store->loses_at_failure = 0;
}

void store_fake_lose_at(struct store *store, unsigned failure)
{
    store->loses_at_failure = failure;
}

void store_fake_fail_again_at(struct store *store, size_t n)
{
    store->calls_until_next_failure = n;
}

unsigned store_fake_failures(const struct store *store)
{
    return store->failures;
}

bool store_fake_has_failed(const struct store *store)
{
    return store->failures > 0;
}

void store_fake_set_disk_low(struct store *store, bool is_low)
{
    store->home->disk_is_low = is_low;
}

unsigned store_fake_rest_count(const struct store *store)
{
    return store->home->rest_count;
}

enum error fake_enter(struct store *store)
{
    REQUIRE(!store->batch_is_lost);
    return fail_if_chosen(store);
}

enum error fake_enter_write(struct store *store)
{
    REQUIRE(store->access == STORE_READ_WRITE);
    REQUIRE(store->in_batch);
    /* Like a statement that was begun: whether it fails or not. */
    store->unit_has_written = store->in_unit;
    return fake_enter(store);
}

static enum error fail_if_chosen(struct store *store)
{
    if (store->calls_until_failure == 0 || --store->calls_until_failure > 0) {
        return OK;
    }
    store->failures++;
    store->calls_until_failure = store->calls_until_next_failure;
    store->calls_until_next_failure = 0;
    bool loses = store->failure_loses_batch || store->failures == store->loses_at_failure;

    if (loses && store->in_batch) {
        batch_lose(store);
    }
    return store->failure;
}

static void batch_lose(struct store *store)
{
    if (store->batch_is_lost) {
        return;
    }
    unit_end(store);
    fake_rows_release(&store->home->rows);
    store->home->rows = store->before_batch;
    fake_rows_init(&store->before_batch);
    store->batch_is_lost = true;
}

/* ---- batches --------------------------------------------------------------------------------- */

enum error store_snapshot_begin(struct store *store)
{
    enum error error;

    REQUIRE(!store->in_snapshot && !store->in_batch);
    error = fake_enter(store);
    if (error == OK) {
        store->in_snapshot = true;
    }
    return error;
}

void store_snapshot_end(struct store *store)
{
    REQUIRE(store->in_snapshot);
    store->in_snapshot = false;
    store_walk_end(store);
}

enum error store_batch_begin(struct store *store)
{
    enum error error;

    REQUIRE(store->access == STORE_READ_WRITE);
    REQUIRE(!store->in_snapshot && !store->in_batch);
    error = fake_enter(store);
    if (error == OK) {
        fake_rows_copy(&store->before_batch, &store->home->rows);
        store->in_batch = true;
    }
    return error;
}

enum error store_batch_commit(struct store *store)
{
    enum error error;

    REQUIRE(store->in_batch && !store->in_unit);
    if (store->batch_is_lost) {
        batch_end(store);
        return ERROR_STORE_FAILED;
    }
    error = fail_if_chosen(store);
    if (error != OK && error != ERROR_OUTCOME_UNKNOWN) {
        batch_lose(store);
    }
    batch_end(store);
    return error;
}

void store_batch_rollback(struct store *store)
{
    REQUIRE(store->in_batch);
    batch_lose(store);
    batch_end(store);
}

static void batch_end(struct store *store)
{
    fake_rows_release(&store->before_batch);
    store->in_batch = false;
    store->batch_is_lost = false;
    store_walk_end(store);
}

bool store_batch_is_lost(const struct store *store)
{
    return store->batch_is_lost;
}

void store_unit_begin(struct store *store, enum unit_form form)
{
    REQUIRE(store->in_batch && !store->in_unit && !store->batch_is_lost);
    fake_rows_copy(&store->before_unit, &store->home->rows);
    store->in_unit = true;
    store->unit_form = form;
    store->unit_has_written = false;
}

bool store_unit_has_written(const struct store *store)
{
    return store->in_unit && store->unit_has_written;
}

enum error store_unit_keep(struct store *store)
{
    enum error error;

    if (store->batch_is_lost) {
        return ERROR_STORE_FAILED;
    }
    REQUIRE(store->in_unit);
    /* There is nothing to do for a bare unit. */
    error = store->unit_form == UNIT_BARE ? OK : fail_if_chosen(store);
    if (error == OK) {
        unit_end(store);
    }
    return error;
}

enum error store_unit_undo(struct store *store)
{
    enum error error;

    if (store->batch_is_lost) {
        return ERROR_STORE_FAILED;
    }
    REQUIRE(store->in_unit);
    REQUIRE(store->unit_form == UNIT_SAVED || !store->unit_has_written);
    error = store->unit_form == UNIT_BARE ? OK : fail_if_chosen(store);
    if (error != OK) {
        batch_lose(store);
        return error;
    }
    fake_rows_release(&store->home->rows);
    store->home->rows = store->before_unit;
    fake_rows_init(&store->before_unit);
    unit_end(store);
    return OK;
}

static void unit_end(struct store *store)
{
    fake_rows_release(&store->before_unit);
    store->in_unit = false;
}

enum error store_rest(struct store *store, bool is_idle, bool *out_more)
{
    enum error error;

    (void)is_idle;
    REQUIRE(!store->in_batch);
    store->home->rest_count++;
    error = fake_enter(store);
    if (error == OK) {
        *out_more = false;
    }
    return error;
}

bool store_rest_is_due(const struct store *store)
{
    (void)store;
    return false;
}

bool store_disk_is_low(struct store *store)
{
    return store->home->disk_is_low;
}

struct str store_epoch(const struct store *store)
{
    return (struct str){store->home->epoch, EPOCH_LEN};
}

enum error store_moment_find(struct store *store, int64_t account_id,
                             struct store_moment *out_moment)
{
    const struct fake_rows *rows = &store->home->rows;
    enum error error = fake_enter(store);

    if (error != OK) {
        return error;
    }
    memcpy(out_moment->epoch, store->home->epoch, sizeof(out_moment->epoch));
    out_moment->names = rows->names_count;
    out_moment->head_seq = 0;
    for (size_t i = 0; i < rows->entries.count; i++) {
        const struct fake_entry *row = FAKE_ROW(rows->entries, struct fake_entry, i);

        if (row->account_id == account_id) {
            out_moment->head_seq = row->entry.seq;
        }
    }
    return OK;
}
