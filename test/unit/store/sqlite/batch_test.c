/* batch_test.c - what only SQLite does: full disks, failed syncs, the size of the WAL, readers
 * beside the writer.
 *
 * A sync fails by this program's own fdatasync and fsync, which the library calls instead of the
 * system's; a write fails by SQLite's hook for system calls.
 */
#include "scratch.h"

#include "store/sqlite/checkpoint.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>

/* The library may call either. */
static atomic_bool syncs_fail;
/* How much longer each takes. */
static atomic_uint sync_us;
static atomic_bool disk_is_full;
/* 0: as the system says. */
static atomic_long disk_free_bytes;

int fdatasync(int fildes)
{
    (void)usleep(atomic_load(&sync_us));
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

int statvfs(const char *file, struct statvfs *buf)
{
    struct statfs found;

    if (statfs(file, &found) != 0) {
        return -1;
    }
    *buf = (struct statvfs){.f_frsize = 1, .f_bavail = (fsblkcnt_t)atomic_load(&disk_free_bytes)};
    if (buf->f_bavail == 0) {
        buf->f_bavail = found.f_bavail * (fsblkcnt_t)found.f_bsize;
    }
    return 0;
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

static void append_one(struct store *store, size_t len)
{
    assert_ok(store_batch_begin(store));
    assert_ok(scratch_append(store, 1, len));
    assert_ok(store_batch_commit(store));
}

/* A page of the database each, and a seventh of one. */
static void append_pages(struct store *store, int count)
{
    assert_ok(store_batch_begin(store));
    for (int i = 0; i < count; i++) {
        assert_ok(scratch_append(store, 1, 4000));
    }
    assert_ok(store_batch_commit(store));
}

/* ---- full disks and failed syncs -------------------------------------------------------------*/

static void a_full_database_fails_the_call_and_the_batch_recovers(void **state)
{
    struct scratch *s = *state;
    enum error error = OK;

    scratch_open(s);
    append_one(s->writer, 10);
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
    append_one(s->writer, 4000);
}

static void a_full_disk_loses_the_batch_and_nothing_else(void **state)
{
    struct scratch *s = *state;
    int64_t id = 0;
    int64_t again = 0;

    writes_can_fail();
    scratch_open(s);
    append_one(s->writer, 10);
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
    append_one(s->writer, 10);
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
    append_one(s->writer, 10);
}

static void a_failed_sync_leaves_the_outcome_open_and_ends_the_writing(void **state)
{
    struct scratch *s = *state;
    bool more = false;

    scratch_open(s);
    append_one(s->writer, 10);
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
    append_one(s->writer, 10);
}

static void a_sync_that_fails_in_a_checkpoint_ends_the_writing(void **state)
{
    struct scratch *s = *state;
    bool more = false;

    scratch_open(s);
    assert_ok(store_batch_begin(s->writer));
    for (int i = 0; i < 1100; i++) {
        assert_ok(scratch_append(s->writer, 1, 4000));
    }
    assert_ok(store_batch_commit(s->writer));
    atomic_store(&syncs_fail, true);
    assert_int_equal(store_rest(s->writer, true, &more), ERROR_OUTCOME_UNKNOWN);
    atomic_store(&syncs_fail, false);
    assert_int_equal(store_batch_begin(s->writer), ERROR_OUTCOME_UNKNOWN);
    scratch_close(s);
    scratch_open(s);
    assert_int_equal(scratch_head(s->writer, 1), 1100);
}

/* ---- the WAL ---------------------------------------------------------------------------------*/

static void rest_lets_the_wal_start_over(void **state)
{
    struct scratch *s = *state;
    bool more = true;

    scratch_open(s);
    for (int round = 0; round < 20; round++) {
        assert_ok(store_batch_begin(s->writer));
        for (int i = 0; i < 300; i++) {
            assert_ok(scratch_append(s->writer, 1, 4000));
        }
        assert_ok(store_batch_commit(s->writer));
        assert_ok(store_rest(s->writer, true, &more));
        assert_false(more);
    }
    assert_true(scratch_bytes(s, "-wal") < 8 * 1024 * 1024);
}

/* Between batches: three syncs are for when it pays. */
static void under_load_a_checkpoint_waits_until_it_is_due(void **state)
{
    struct scratch *s = *state;
    bool more = true;
    long largest = 0;
    int was_due = 0;

    scratch_open(s);
    assert_ok(connection_exec(s->writer->database, "PRAGMA synchronous=OFF"));
    append_pages(s->writer, 2400);
    assert_false(store_rest_is_due(s->writer));
    append_pages(s->writer, 400);
    assert_true(store_rest_is_due(s->writer));
    s->writer->wal_frames_due = WAL_DUE_MAX_FRAMES;
    for (int round = 0; round < 70; round++) {
        append_pages(s->writer, 600);
        was_due += store_rest_is_due(s->writer);
        assert_ok(store_rest(s->writer, false, &more));
        assert_false(store_rest_is_due(s->writer));
        largest = scratch_bytes(s, "-wal") > largest ? scratch_bytes(s, "-wal") : largest;
    }
    assert_in_range(was_due, 1, 2);
    assert_in_range(largest, 120 * 1024 * 1024, 140 * 1024 * 1024);
    /* Its room is used again under load, and given back when nothing comes. */
    assert_true(scratch_bytes(s, "-wal") == largest);
    assert_ok(store_rest(s->writer, true, &more));
    assert_int_equal(scratch_bytes(s, "-wal"), 0);
    append_one(s->writer, 10);
    assert_in_range(scratch_bytes(s, "-wal"), 4096, 1024 * 1024);
}

static void a_quick_checkpoint_is_made_less_often_and_a_slow_one_more_often(void **state)
{
    const uint64_t ms = 1000000;

    (void)state;
    assert_int_equal(wal_frames_next(3000, 0), 6000);
    assert_int_equal(wal_frames_next(3000, 25 * ms), 6000);
    assert_int_equal(wal_frames_next(3000, 26 * ms), 3000);
    assert_int_equal(wal_frames_next(3000, 50 * ms), 3000);
    assert_int_equal(wal_frames_next(3000, 51 * ms), 1500);
    assert_int_equal(wal_frames_next(1500, 51 * ms), 1000);
    assert_int_equal(wal_frames_next(1000, UINT64_MAX), 1000);
    assert_int_equal(wal_frames_next(24000, 0), 32000);
    assert_int_equal(wal_frames_next(32000, 0), 32000);
}

static void a_slow_disk_makes_the_wal_small(void **state)
{
    struct scratch *s = *state;
    bool more = true;

    scratch_open(s);
    append_pages(s->writer, 2800);
    assert_true(store_rest_is_due(s->writer));
    atomic_store(&sync_us, 60000);
    assert_ok(store_rest(s->writer, false, &more));
    atomic_store(&sync_us, 0);
    assert_int_equal(s->writer->wal_frames_due, WAL_DUE_FIRST_FRAMES / 2);
    append_pages(s->writer, 1400);
    assert_true(store_rest_is_due(s->writer));
}

static void a_reader_in_the_way_keeps_a_large_wal_until_it_is_gone(void **state)
{
    struct scratch *s = *state;
    struct store *reader = NULL;
    bool more = true;
    long large;

    scratch_open(s);
    assert_ok(store_open(s->home, STORE_READ_ONLY, &reader));
    assert_ok(connection_exec(s->writer->database, "PRAGMA synchronous=OFF"));
    append_pages(s->writer, 6000);
    large = scratch_bytes(s, "-wal");
    assert_true(large > 20 * 1024 * 1024);
    assert_ok(store_snapshot_begin(reader));
    assert_int_equal(scratch_head(reader, 1), 6000);
    assert_ok(store_rest(s->writer, true, &more));
    assert_int_equal(scratch_bytes(s, "-wal"), large);
    append_one(s->writer, 10);
    assert_int_equal(scratch_head(reader, 1), 6000);
    store_snapshot_end(reader);
    assert_ok(store_rest(s->writer, true, &more));
    assert_int_equal(scratch_bytes(s, "-wal"), 0);
    assert_int_equal(scratch_head(s->writer, 1), 6001);
    store_close(reader);
}

/* A quarter of what is free, and never less than what a pause waits for. */
static void a_disk_with_little_room_makes_the_wal_small(void **state)
{
    struct scratch *s = *state;
    bool more = true;

    scratch_open(s);
    assert_ok(connection_exec(s->writer->database, "PRAGMA synchronous=OFF"));
    s->writer->wal_frames_due = WAL_DUE_MAX_FRAMES;
    append_pages(s->writer, 3000);
    assert_false(store_rest_is_due(s->writer));
    atomic_store(&disk_free_bytes, 64 * 1024 * 1024);
    (void)store_disk_is_low(s->writer);
    assert_false(store_rest_is_due(s->writer));
    append_pages(s->writer, 1200);
    assert_true(store_rest_is_due(s->writer));
    assert_ok(store_rest(s->writer, false, &more));
    assert_false(store_rest_is_due(s->writer));
    atomic_store(&disk_free_bytes, 1024 * 1024);
    (void)store_disk_is_low(s->writer);
    append_pages(s->writer, 600);
    assert_false(store_rest_is_due(s->writer));
    append_pages(s->writer, 500);
    assert_true(store_rest_is_due(s->writer));
    atomic_store(&disk_free_bytes, 0);
    (void)store_disk_is_low(s->writer);
    assert_false(store_rest_is_due(s->writer));
}

static void the_wal_is_bounded_without_rest_and_with_a_reader(void **state)
{
    struct scratch *s = *state;
    struct store *reader = NULL;
    long largest = 0;

    scratch_open(s);
    assert_ok(store_open(s->home, STORE_READ_ONLY, &reader));
    assert_ok(connection_exec(s->writer->database, "PRAGMA synchronous=OFF"));
    for (int round = 0; round < 72; round++) {
        /* There for five rounds, away for one. */
        if (round % 6 == 0) {
            assert_ok(store_snapshot_begin(reader));
        }
        append_pages(s->writer, 600);
        if (round % 6 == 4) {
            assert_int_equal(scratch_head(reader, 1), (round - 4) * 600);
            store_snapshot_end(reader);
        }
        if (scratch_bytes(s, "-wal") > largest) {
            largest = scratch_bytes(s, "-wal");
        }
    }
    store_close(reader);
    /* 40,000 frames, and what was written while the reader was in the way. */
    assert_in_range(largest, 155L * 1024 * 1024, 195L * 1024 * 1024);
}

/* ---- readers ---------------------------------------------------------------------------------*/

static void readers_neither_write_nor_checkpoint(void **state)
{
    struct scratch *s = *state;
    struct store *reader = NULL;

    scratch_open(s);
    append_one(s->writer, 10);
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
        assert_ok(store_batch_begin(s->writer));
        for (int i = 0; i < 20; i++) {
            assert_ok(scratch_append(s->writer, 1, 400));
        }
        assert_ok(store_batch_commit(s->writer));
        assert_ok(store_rest(s->writer, true, &more));
    }
    /* The writer never rests now, and there is a reader at every moment. */
    assert_ok(connection_exec(s->writer->database, "PRAGMA synchronous=OFF"));
    for (int batch = 0; batch < 2100; batch++) {
        assert_ok(store_batch_begin(s->writer));
        for (int i = 0; i < 20; i++) {
            assert_ok(scratch_append(s->writer, 1, 4000));
        }
        assert_ok(store_batch_commit(s->writer));
        assert_true(scratch_bytes(s, "-wal") < 180L * 1024 * 1024);
    }
    atomic_store(&is_over, true);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(readings[i].last_head % 20, 0);
        store_close(readings[i].store);
    }
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        SCRATCH_CASE(a_full_database_fails_the_call_and_the_batch_recovers),
        SCRATCH_CASE(a_full_disk_loses_the_batch_and_nothing_else),
        SCRATCH_CASE(a_disk_that_fills_inside_a_batch_loses_it_at_once),
        SCRATCH_CASE(a_failed_sync_leaves_the_outcome_open_and_ends_the_writing),
        SCRATCH_CASE(a_sync_that_fails_in_a_checkpoint_ends_the_writing),
        SCRATCH_CASE(rest_lets_the_wal_start_over),
        SCRATCH_CASE(under_load_a_checkpoint_waits_until_it_is_due),
        SCRATCH_CASE(a_slow_disk_makes_the_wal_small),
        cmocka_unit_test(a_quick_checkpoint_is_made_less_often_and_a_slow_one_more_often),
        SCRATCH_CASE(a_reader_in_the_way_keeps_a_large_wal_until_it_is_gone),
        SCRATCH_CASE(a_disk_with_little_room_makes_the_wal_small),
        SCRATCH_CASE(the_wal_is_bounded_without_rest_and_with_a_reader),
        SCRATCH_CASE(readers_neither_write_nor_checkpoint),
        SCRATCH_CASE(a_snapshot_is_one_moment),
        SCRATCH_CASE(a_walk_jumps_over_what_is_no_message),
        SCRATCH_CASE(readers_in_threads_see_whole_batches),
    };

    log_setup(LOG_OFF, LOG_FORM_TEXT);
    return cmocka_run_group_tests_name("batch", cases, NULL, NULL);
}
