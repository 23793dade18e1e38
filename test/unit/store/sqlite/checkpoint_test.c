/* checkpoint_test.c - when the WAL is copied into the database, and how large its file becomes.
 *
 * A sync takes longer by this program's own fdatasync and fsync, and the disk has little room by
 * its own statvfs.
 */
#include "scratch.h"

#include "store/sqlite/checkpoint.h"

#include <limits.h>
#include <stdatomic.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>

/* How much longer each takes. */
static atomic_uint sync_us;
/* 0: as the system says. */
static atomic_long disk_free_bytes;

/* The library may call either. */
int fdatasync(int fildes)
{
    (void)usleep(atomic_load(&sync_us));
    return (int)syscall(SYS_fdatasync, fildes);
}

int fsync(int fd)
{
    (void)usleep(atomic_load(&sync_us));
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

/* A page of the database each, and a seventh of one. */
static void append_pages(struct store *store, int count)
{
    scratch_commit(store, count, 4000);
}

static void rest_lets_the_wal_start_over(void **state)
{
    struct scratch *s = *state;
    bool more = true;

    scratch_open(s);
    for (int round = 0; round < 20; round++) {
        append_pages(s->writer, 300);
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
    for (int round = 0; round < 100; round++) {
        append_pages(s->writer, 600);
        if (store_rest_is_due(s->writer)) {
            was_due++;
            assert_ok(store_rest(s->writer, false, &more));
            assert_false(store_rest_is_due(s->writer));
            /* However long it took. */
            s->writer->wal_frames_due = WAL_DUE_MAX_FRAMES;
        }
        largest = scratch_bytes(s, "-wal") > largest ? scratch_bytes(s, "-wal") : largest;
    }
    assert_int_equal(was_due, 2);
    assert_in_range(largest, 120 * 1024 * 1024, 140 * 1024 * 1024);
    /* Its room is used again under load, and given back when nothing comes. */
    assert_true(scratch_bytes(s, "-wal") == largest);
    assert_ok(store_rest(s->writer, true, &more));
    assert_int_equal(scratch_bytes(s, "-wal"), 0);
    scratch_commit(s->writer, 1, 10);
    assert_in_range(scratch_bytes(s, "-wal"), 4096, 1024 * 1024);
}

static void a_quick_checkpoint_is_made_less_often_and_a_slow_one_more_often(void **state)
{
    const uint64_t ms = 1000000;

    (void)state;
    assert_int_equal(wal_frames_next(3000, 0), 12000);
    assert_int_equal(wal_frames_next(3000, 6 * ms), 12000);
    assert_int_equal(wal_frames_next(3000, 10 * ms), 7500);
    assert_int_equal(wal_frames_next(3000, 25 * ms), 3000);
    assert_int_equal(wal_frames_next(3000, 26 * ms), 3000);
    assert_int_equal(wal_frames_next(3000, 50 * ms), 3000);
    assert_int_equal(wal_frames_next(3000, 100 * ms), 1500);
    assert_int_equal(wal_frames_next(3000, 1000 * ms), 1000);
    assert_int_equal(wal_frames_next(100000, 2000 * ms), 2500);
    assert_int_equal(wal_frames_next(1000, UINT64_MAX), 1000);
    assert_int_equal(wal_frames_next(24000, 0), 32000);
    assert_int_equal(wal_frames_next(INT_MAX, 0), 32000);
}

static void a_slow_disk_makes_the_wal_small(void **state)
{
    struct scratch *s = *state;
    bool more = true;

    scratch_open(s);
    s->writer->wal_frames_due = 6000;
    append_pages(s->writer, 5400);
    assert_true(store_rest_is_due(s->writer));
    atomic_store(&sync_us, 60000);
    assert_ok(store_rest(s->writer, false, &more));
    atomic_store(&sync_us, 0);
    assert_in_range(s->writer->wal_frames_due, 1000, 5500);
}

/* It copied nothing, so how quick it was tells nothing. */
static void a_checkpoint_that_met_a_reader_does_not_count_as_quick(void **state)
{
    struct scratch *s = *state;
    struct store *reader = NULL;
    bool more = true;

    scratch_open(s);
    scratch_commit(s->writer, 1, 10);
    assert_ok(store_open(s->home, STORE_READ_ONLY, &reader));
    assert_ok(store_snapshot_begin(reader));
    append_pages(s->writer, 2800);
    for (int i = 0; i < 3; i++) {
        assert_true(store_rest_is_due(s->writer));
        assert_ok(store_rest(s->writer, false, &more));
        assert_int_equal(s->writer->wal_frames_due, WAL_DUE_FIRST_FRAMES);
    }
    store_snapshot_end(reader);
    store_close(reader);
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
    s->writer->wal_frames_tried_at = 300000;
    assert_ok(store_snapshot_begin(reader));
    assert_int_equal(scratch_head(reader, 1), 6000);
    assert_ok(store_rest(s->writer, true, &more));
    assert_int_equal(scratch_bytes(s, "-wal"), large);
    scratch_commit(s->writer, 1, 10);
    assert_int_equal(scratch_head(reader, 1), 6000);
    store_snapshot_end(reader);
    assert_ok(store_rest(s->writer, true, &more));
    assert_int_equal(scratch_bytes(s, "-wal"), 0);
    assert_int_equal(scratch_head(s->writer, 1), 6001);
    assert_int_equal(s->writer->wal_frames_tried_at, 0);
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
    /* A file that is larger than twice that is cut at once. */
    assert_true(scratch_bytes(s, "-wal") > 12 * 1024 * 1024);
    assert_ok(store_rest(s->writer, false, &more));
    assert_int_equal(scratch_bytes(s, "-wal"), 0);
    atomic_store(&disk_free_bytes, 0);
    (void)store_disk_is_low(s->writer);
    assert_int_equal(s->writer->wal_frames_fit, WAL_DUE_MAX_FRAMES);
}

/* The reader is there for five rounds and away for one, again and again. */
static long largest_wal_beside(struct scratch *s, struct store *reader, int rounds, int pages)
{
    long largest = 0;

    for (int round = 0; round < rounds; round++) {
        if (round % 6 == 0) {
            assert_ok(store_snapshot_begin(reader));
        }
        append_pages(s->writer, pages);
        if (round % 6 == 4) {
            assert_int_equal(scratch_head(reader, 1), (round - 4) * pages);
            store_snapshot_end(reader);
        }
        if (scratch_bytes(s, "-wal") > largest) {
            largest = scratch_bytes(s, "-wal");
        }
    }
    return largest;
}

static void the_wal_is_bounded_without_rest_and_with_a_reader(void **state)
{
    struct scratch *s = *state;
    struct store *reader = NULL;
    long largest;

    scratch_open(s);
    assert_ok(store_open(s->home, STORE_READ_ONLY, &reader));
    assert_ok(connection_exec(s->writer->database, "PRAGMA synchronous=OFF"));
    largest = largest_wal_beside(s, reader, 72, 600);
    store_close(reader);
    /* 40,000 frames, and what was written while the reader was in the way. */
    assert_in_range(largest, 155L * 1024 * 1024, 195L * 1024 * 1024);
}

/* At twice its part, whatever readers do. */
static void a_disk_with_little_room_bounds_the_wal_beside_a_reader(void **state)
{
    struct scratch *s = *state;
    struct store *reader = NULL;
    long largest;

    scratch_open(s);
    assert_ok(store_open(s->home, STORE_READ_ONLY, &reader));
    assert_ok(connection_exec(s->writer->database, "PRAGMA synchronous=OFF"));
    atomic_store(&disk_free_bytes, 1024 * 1024);
    (void)store_disk_is_low(s->writer);
    atomic_store(&disk_free_bytes, 0);
    largest = largest_wal_beside(s, reader, 60, 300);
    store_close(reader);
    /* 2,000 frames, and what was written while the reader was in the way. */
    assert_in_range(largest, 5 * 1024 * 1024, 25 * 1024 * 1024);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        SCRATCH_CASE(rest_lets_the_wal_start_over),
        SCRATCH_CASE(under_load_a_checkpoint_waits_until_it_is_due),
        cmocka_unit_test(a_quick_checkpoint_is_made_less_often_and_a_slow_one_more_often),
        SCRATCH_CASE(a_slow_disk_makes_the_wal_small),
        SCRATCH_CASE(a_checkpoint_that_met_a_reader_does_not_count_as_quick),
        SCRATCH_CASE(a_reader_in_the_way_keeps_a_large_wal_until_it_is_gone),
        SCRATCH_CASE(a_disk_with_little_room_makes_the_wal_small),
        SCRATCH_CASE(the_wal_is_bounded_without_rest_and_with_a_reader),
        SCRATCH_CASE(a_disk_with_little_room_bounds_the_wal_beside_a_reader),
    };

    log_setup(LOG_OFF, LOG_FORM_JSON);
    return cmocka_run_group_tests(cases, NULL, NULL);
}
