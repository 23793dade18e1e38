/* batch_test.c - what only SQLite does: full disks, failed syncs, the size of the WAL, readers
 * beside the writer.
 *
 * A sync fails by this program's own fdatasync and fsync, which the library calls instead of the
 * system's; a write fails by SQLite's hook for system calls.
 */
#include "scratch.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>

/* The library may call either. */
static atomic_bool syncs_fail;
static atomic_bool disk_is_full;

int fdatasync(int fildes)
{
    if (atomic_load(&syncs_fail)) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fdatasync, fildes);
}

int fsync(int fd)
{
    if (atomic_load(&syncs_fail)) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fsync, fd);
}

static ssize_t write_or_fail(int fd, const void *bytes, size_t len)
{
    if (atomic_load(&disk_is_full)) {
        errno = ENOSPC;
        return -1;
    }
    return write(fd, bytes, len);
}

static ssize_t pwrite_or_fail(int fd, const void *bytes, size_t len, off_t offset)
{
    if (atomic_load(&disk_is_full)) {
        errno = ENOSPC;
        return -1;
    }
    return pwrite(fd, bytes, len, offset);
}

static void writes_can_fail(void)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);

    assert_int_equal(vfs->xSetSystemCall(vfs, "write", (sqlite3_syscall_ptr)write_or_fail),
                     SQLITE_OK);
    (void)vfs->xSetSystemCall(vfs, "pwrite", (sqlite3_syscall_ptr)pwrite_or_fail);
    (void)vfs->xSetSystemCall(vfs, "pwrite64", (sqlite3_syscall_ptr)pwrite_or_fail);
}

/* ---- full disks and failed syncs -------------------------------------------------------------*/

static void a_full_database_fails_the_call_and_the_batch_recovers(void **state)
{
    struct scratch *s = *state;
    enum error error = OK;

    scratch_open(s);
    scratch_commit(s->writer, 1, 10);
    assert_ok(connection_exec(s->writer->database, "PRAGMA max_page_count=60"));
    assert_ok(store_batch_begin(s->writer));
    store_unit_begin(s->writer, UNIT_SAVED);
    assert_ok(scratch_append(s->writer, 1, 10));
    assert_ok(store_unit_keep(s->writer));
    store_unit_begin(s->writer, UNIT_SAVED);
    for (int i = 0; i < 1000 && error == OK; i++) {
        error = scratch_append(s->writer, 1, 4000);
    }
    assert_int_equal(error, ERROR_DISK_FULL);
    if (store_batch_is_lost(s->writer)) {
        assert_int_equal(scratch_append(s->writer, 1, 1), ERROR_DISK_FULL);
        assert_int_equal(store_unit_undo(s->writer), ERROR_DISK_FULL);
        assert_int_equal(store_batch_commit(s->writer), ERROR_DISK_FULL);
        assert_int_equal(scratch_head(s->writer, 1), 1);
    } else {
        assert_ok(store_unit_undo(s->writer));
        assert_ok(store_batch_commit(s->writer));
        assert_int_equal(scratch_head(s->writer, 1), 2);
    }
    assert_ok(connection_exec(s->writer->database, "PRAGMA max_page_count=100000"));
    scratch_commit(s->writer, 1, 4000);
}

static void a_full_disk_loses_the_batch_and_nothing_else(void **state)
{
    struct scratch *s = *state;
    int64_t id = 0;
    int64_t again = 0;

    writes_can_fail();
    scratch_open(s);
    scratch_commit(s->writer, 1, 10);
    assert_ok(store_batch_begin(s->writer));
    store_unit_begin(s->writer, UNIT_SAVED);
    assert_ok(scratch_append(s->writer, 1, 10));
    assert_ok(store_message_id_take(s->writer, &id));
    assert_ok(store_unit_keep(s->writer));
    atomic_store(&disk_is_full, true);
    assert_int_equal(store_batch_commit(s->writer), ERROR_DISK_FULL);
    assert_int_equal(scratch_head(s->writer, 1), 1);
    atomic_store(&disk_is_full, false);
    assert_ok(store_batch_begin(s->writer));
    assert_ok(store_message_id_take(s->writer, &again));
    assert_int_equal(again, id);
    assert_ok(scratch_append(s->writer, 1, 10));
    assert_ok(store_batch_commit(s->writer));
    assert_int_equal(scratch_head(s->writer, 1), 2);
    scratch_close(s);
    scratch_open(s);
    assert_int_equal(scratch_head(s->writer, 1), 2);
}

/* A batch larger than the page cache spills into the WAL before its commit. */
static void a_disk_that_fills_inside_a_batch_loses_it_at_once(void **state)
{
    struct scratch *s = *state;
    enum error error = OK;

    writes_can_fail();
    scratch_open(s);
    scratch_commit(s->writer, 1, 10);
    assert_ok(store_batch_begin(s->writer));
    assert_ok(scratch_append(s->writer, 1, 10));
    store_unit_begin(s->writer, UNIT_SAVED);
    atomic_store(&disk_is_full, true);
    for (int i = 0; i < 2000 && error == OK; i++) {
        error = scratch_append(s->writer, 1, 4000);
    }
    atomic_store(&disk_is_full, false);
    assert_int_equal(error, ERROR_DISK_FULL);
    assert_true(store_batch_is_lost(s->writer));
    /* Nothing may be written now: it would be committed alone. */
    assert_int_equal(scratch_append(s->writer, 1, 10), ERROR_DISK_FULL);
    assert_int_equal(store_unit_keep(s->writer), ERROR_DISK_FULL);
    assert_int_equal(store_batch_commit(s->writer), ERROR_DISK_FULL);
    assert_false(store_batch_is_lost(s->writer));
    assert_int_equal(scratch_head(s->writer, 1), 1);
    scratch_commit(s->writer, 1, 10);
}

static void a_failed_sync_leaves_the_outcome_open_and_ends_the_writing(void **state)
{
    struct scratch *s = *state;
    bool more = false;

    scratch_open(s);
    scratch_commit(s->writer, 1, 10);
    assert_ok(store_batch_begin(s->writer));
    assert_ok(scratch_append(s->writer, 1, 10));
    atomic_store(&syncs_fail, true);
    assert_int_equal(store_batch_commit(s->writer), ERROR_OUTCOME_UNKNOWN);
    atomic_store(&syncs_fail, false);
    assert_int_equal(store_batch_begin(s->writer), ERROR_OUTCOME_UNKNOWN);
    assert_int_equal(store_rest(s->writer, true, &more), ERROR_OUTCOME_UNKNOWN);
    scratch_close(s);
    assert_true(scratch_exists(s, "-wal"));
    scratch_open(s);
    assert_true(scratch_head(s->writer, 1) >= 1);
    scratch_commit(s->writer, 1, 10);
}

static void a_sync_that_fails_in_a_checkpoint_ends_the_writing(void **state)
{
    struct scratch *s = *state;
    bool more = false;

    scratch_open(s);
    scratch_commit(s->writer, 1100, 4000);
    atomic_store(&syncs_fail, true);
    assert_int_equal(store_rest(s->writer, true, &more), ERROR_OUTCOME_UNKNOWN);
    atomic_store(&syncs_fail, false);
    assert_int_equal(store_batch_begin(s->writer), ERROR_OUTCOME_UNKNOWN);
    scratch_close(s);
    scratch_open(s);
    assert_int_equal(scratch_head(s->writer, 1), 1100);
}

/* ---- readers ---------------------------------------------------------------------------------*/

static void readers_neither_write_nor_checkpoint(void **state)
{
    struct scratch *s = *state;
    struct store *reader = NULL;

    scratch_open(s);
    scratch_commit(s->writer, 1, 10);
    assert_ok(store_open(s->home, STORE_READ_ONLY, &reader));
    assert_int_equal(sqlite3_db_readonly(reader->database, "main"), 1);
    assert_int_not_equal(connection_exec(reader->database, "DELETE FROM log"), OK);
    assert_int_not_equal(connection_exec(reader->database, "CREATE TABLE t(x)"), OK);
    assert_int_not_equal(
        sqlite3_wal_checkpoint_v2(reader->database, NULL, SQLITE_CHECKPOINT_FULL, NULL, NULL),
        SQLITE_OK);
    assert_int_equal(scratch_head(reader, 1), 1);
    store_close(reader);
    assert_true(scratch_exists(s, "-wal"));
}

static void a_snapshot_is_one_moment(void **state)
{
    struct scratch *s = *state;
    struct store *reader = NULL;
    struct str name = {NULL, 0};
    bool found = false;
    int64_t id = 0;

    scratch_open(s);
    assert_ok(store_batch_begin(s->writer));
    assert_ok(store_account_add(s->writer, STR("ann"), STR("h"), 1, &id));
    assert_ok(store_batch_commit(s->writer));
    assert_ok(store_open(s->home, STORE_READ_ONLY, &reader));
    assert_ok(store_snapshot_begin(reader));
    assert_ok(store_account_name_find(reader, id, &s->arena, &found, &name));

    assert_ok(store_batch_begin(s->writer));
    assert_ok(scratch_append(s->writer, id, 10));
    assert_ok(store_account_set_name(s->writer, id, STR("anna")));
    assert_ok(store_names_count(s->writer));
    assert_ok(store_batch_commit(s->writer));

    assert_int_equal(scratch_head(reader, id), 0);
    assert_ok(store_account_name_find(reader, id, &s->arena, &found, &name));
    assert_str(name, "ann");
    store_snapshot_end(reader);
    assert_ok(store_snapshot_begin(reader));
    assert_int_equal(scratch_head(reader, id), 1);
    assert_ok(store_account_name_find(reader, id, &s->arena, &found, &name));
    assert_str(name, "anna");
    store_snapshot_end(reader);
    store_close(reader);
}

static void a_walk_jumps_over_what_is_no_message(void **state)
{
    struct scratch *s = *state;
    struct message_walk walk = {1, 0, INT64_MAX, 0};
    struct entry told = {.kind = ENTRY_ACCOUNT_RENAMED, .other_id = 3, .text = STR("[]")};
    struct entry entry = {0};
    bool found = false;
    int64_t seq = 0;

    scratch_open(s);
    assert_ok(store_batch_begin(s->writer));
    assert_ok(scratch_append(s->writer, 1, 10));
    for (int i = 0; i < 20000; i++) {
        assert_ok(store_entry_append(s->writer, 1, &told, 0, &seq));
    }
    assert_ok(store_batch_commit(s->writer));
    assert_ok(store_walk_begin(s->writer, &walk));
    assert_ok(store_walk_next(s->writer, &found, &entry));
    assert_true(found);
    assert_int_equal(entry.seq, 1);
    assert_in_range(
        sqlite3_stmt_status(s->writer->walk.query.statement, SQLITE_STMTSTATUS_VM_STEP, 0), 1, 200);
    store_walk_end(s->writer);
}

/* ---- threads ---------------------------------------------------------------------------------*/

struct reading {
    struct store *store;
    atomic_bool *is_over;
    int64_t last_head;
    int snapshots;
};

/* Heads never go back, and each snapshot has every entry up to its head. */
static void *read_snapshots(void *argument)
{
    struct reading *reading = argument;
    struct arena arena;

    arena_init(&arena);
    while (!atomic_load(reading->is_over) || reading->snapshots == 0) {
        struct message_walk walk = {1, 0, INT64_MAX, 0};
        struct store_moment moment = {0};
        struct entry entry = {0};
        bool found = false;

        if (store_snapshot_begin(reading->store) != OK ||
            store_moment_find(reading->store, 1, &moment) != OK ||
            moment.head_seq < reading->last_head || store_walk_begin(reading->store, &walk) != OK) {
            abort();
        }
        for (int64_t seq = moment.head_seq; seq > 0 && seq > moment.head_seq - 20; seq--) {
            if (store_walk_next(reading->store, &found, &entry) != OK || !found ||
                entry.seq != seq) {
                abort();
            }
        }
        store_snapshot_end(reading->store);
        reading->last_head = moment.head_seq;
        reading->snapshots++;
        arena_clear(&arena);
    }
    arena_release(&arena);
    return NULL;
}

static void readers_in_threads_see_whole_batches(void **state)
{
    struct scratch *s = *state;
    struct reading readings[2];
    pthread_t threads[2];
    atomic_bool is_over = false;
    bool more = false;

    scratch_open(s);
    for (int i = 0; i < 2; i++) {
        readings[i] = (struct reading){.is_over = &is_over};
        assert_ok(store_open(s->home, STORE_READ_ONLY, &readings[i].store));
        assert_int_equal(pthread_create(&threads[i], NULL, read_snapshots, &readings[i]), 0);
    }
    for (int batch = 0; batch < 200; batch++) {
        scratch_commit(s->writer, 20, 400);
        assert_ok(store_rest(s->writer, true, &more));
    }
    /* The writer never rests now, and there is a reader at every moment. */
    assert_ok(connection_exec(s->writer->database, "PRAGMA synchronous=OFF"));
    for (int batch = 0; batch < 2100; batch++) {
        scratch_commit(s->writer, 20, 4000);
        assert_true(scratch_bytes(s, "-wal") < 180L * 1024 * 1024);
    }
    atomic_store(&is_over, true);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(readings[i].last_head % 20, 0);
        store_close(readings[i].store);
    }
}

/* ---- what is marked as changed ---------------------------------------------------------------*/

static struct changes changes;
static uint64_t seen_before;
static bool looked_changed;

/* COMMIT has not returned: who reads now sees what it wrote already. */
static int on_visible(void *scratch, sqlite3 *database, const char *schema, int frames)
{
    (void)database;
    (void)schema;
    (void)frames;
    assert_int_equal(scratch_number(scratch, "", "SELECT count(*) FROM log"), 2);
    looked_changed = changes_since(&changes, 1, seen_before);
    return SQLITE_OK;
}

static void what_others_can_see_looks_changed(void **state)
{
    struct scratch *s = *state;

    s->changes = &changes;
    scratch_open(s);
    scratch_commit(s->writer, 1, 10);
    seen_before = changes_now(&changes);
    (void)sqlite3_wal_hook(s->writer->database, on_visible, s);
    scratch_commit(s->writer, 1, 10);
    assert_true(looked_changed);
    assert_true(changes_now(&changes) > seen_before);
    assert_false(changes_since(&changes, 1, changes_now(&changes)));
}

static void what_fails_looks_changed_to_who_read_before_alone(void **state)
{
    struct scratch *s = *state;

    s->changes = &changes;
    writes_can_fail();
    scratch_open(s);
    scratch_commit(s->writer, 1, 10);
    assert_ok(store_batch_begin(s->writer));
    assert_ok(scratch_append(s->writer, 1, 10));
    atomic_store(&disk_is_full, true);
    assert_int_equal(store_batch_commit(s->writer), ERROR_DISK_FULL);
    atomic_store(&disk_is_full, false);
    assert_false(changes_since(&changes, 1, changes_now(&changes)));
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        SCRATCH_CASE(a_full_database_fails_the_call_and_the_batch_recovers),
        SCRATCH_CASE(a_full_disk_loses_the_batch_and_nothing_else),
        SCRATCH_CASE(a_disk_that_fills_inside_a_batch_loses_it_at_once),
        SCRATCH_CASE(what_others_can_see_looks_changed),
        SCRATCH_CASE(what_fails_looks_changed_to_who_read_before_alone),
        SCRATCH_CASE(a_failed_sync_leaves_the_outcome_open_and_ends_the_writing),
        SCRATCH_CASE(a_sync_that_fails_in_a_checkpoint_ends_the_writing),
        SCRATCH_CASE(readers_neither_write_nor_checkpoint),
        SCRATCH_CASE(a_snapshot_is_one_moment),
        SCRATCH_CASE(a_walk_jumps_over_what_is_no_message),
        SCRATCH_CASE(readers_in_threads_see_whole_batches),
    };

    log_setup(LOG_OFF, LOG_FORM_TEXT);
    return cmocka_run_group_tests_name("batch", cases, NULL, NULL);
}
