/* measures_test.c - what the writer counts is what happened to the files. */
#include "scratch.h"

#include "domain/chore.h"
#include "store/measures.h"

#define FRAME_BYTES (4096 + 24)
#define WAL_HEADER_BYTES 32

static const struct store_measures *measures_of(const struct scratch *s)
{
    return s->home->measures;
}

static void batch_of(struct scratch *s, int entries)
{
    assert_ok(store_batch_begin(s->writer));
    for (int i = 0; i < entries; i++) {
        assert_ok(scratch_append(s->writer, 1, 4000));
    }
    assert_ok(store_batch_commit(s->writer));
}

static void commits_and_what_they_write_are_counted(void **state)
{
    struct scratch *s = *state;

    scratch_open(s);
    uint64_t commits = histogram_count(&measures_of(s)->commit_durations);
    uint64_t written = tally_read(&measures_of(s)->wal_written_bytes);

    for (int i = 1; i <= 5; i++) {
        uint64_t before = tally_read(&measures_of(s)->wal_bytes);

        batch_of(s, i);
        assert_int_equal(histogram_count(&measures_of(s)->commit_durations), commits + (uint64_t)i);
        uint64_t now = tally_read(&measures_of(s)->wal_bytes);
        assert_true(now > before && now % FRAME_BYTES == 0);
        assert_int_equal(now + WAL_HEADER_BYTES, scratch_bytes(s, "-wal"));
        written += now - before;
        assert_int_equal(tally_read(&measures_of(s)->wal_written_bytes), written);
    }
    assert_true(tally_read(&measures_of(s)->commit_durations.sum) > 0);
}

static void a_batch_that_is_given_up_is_no_commit(void **state)
{
    struct scratch *s = *state;

    scratch_open(s);
    uint64_t commits = histogram_count(&measures_of(s)->commit_durations);
    uint64_t rollbacks = tally_read(&measures_of(s)->rollbacks);

    assert_ok(store_batch_begin(s->writer));
    assert_ok(scratch_append(s->writer, 1, 100));
    store_batch_rollback(s->writer);
    assert_int_equal(histogram_count(&measures_of(s)->commit_durations), commits);
    assert_int_equal(tally_read(&measures_of(s)->rollbacks), rollbacks + 1);
}

/* It used to give the batch up, and the writer then forgot all it knew after each batch. */
static void looking_for_chores_in_vain_happens_once_and_gives_nothing_up(void **state)
{
    struct scratch *s = *state;
    bool more = true;

    scratch_open(s);
    uint64_t rollbacks = tally_read(&measures_of(s)->rollbacks);

    assert_true(store_may_have_chores(s->writer));
    assert_ok(chore_run_slice(s->writer, &more));
    assert_false(more);
    assert_false(store_may_have_chores(s->writer));
    assert_int_equal(tally_read(&measures_of(s)->rollbacks), rollbacks);
}

static void checkpoints_are_counted_and_those_a_reader_blocks(void **state)
{
    struct scratch *s = *state;
    struct store *reader = NULL;
    bool more = true;

    scratch_open(s);
    uint64_t checkpoints = histogram_count(&measures_of(s)->checkpoint_durations);

    assert_ok(store_open(s->home, STORE_READ_ONLY, &reader));
    assert_ok(store_snapshot_begin(reader));
    batch_of(s, 1200);
    assert_ok(store_rest(s->writer, true, &more));
    assert_int_equal(histogram_count(&measures_of(s)->checkpoint_durations), checkpoints + 1);
    assert_int_equal(tally_read(&measures_of(s)->checkpoints_blocked), 1);
    store_snapshot_end(reader);
    assert_ok(store_rest(s->writer, true, &more));
    assert_int_equal(histogram_count(&measures_of(s)->checkpoint_durations), checkpoints + 2);
    assert_int_equal(tally_read(&measures_of(s)->checkpoints_blocked), 1);
    /* Then the WAL starts over: what is in it falls, what was written does not. */
    uint64_t written = tally_read(&measures_of(s)->wal_written_bytes);
    uint64_t full = tally_read(&measures_of(s)->wal_bytes);
    batch_of(s, 1);
    assert_true(tally_read(&measures_of(s)->wal_bytes) < full);
    assert_int_equal(tally_read(&measures_of(s)->wal_written_bytes),
                     written + tally_read(&measures_of(s)->wal_bytes));
    store_close(reader);
}

static void a_look_at_the_disk_is_told(void **state)
{
    struct scratch *s = *state;

    scratch_open(s);
    assert_false(store_disk_is_low(s->writer));
    assert_int_equal(tally_read(&measures_of(s)->database_bytes), scratch_bytes(s, ""));
    assert_true(tally_read(&measures_of(s)->disk_free_bytes) > 0);
    assert_int_equal(tally_read(&measures_of(s)->disk_floor_bytes), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(commits_and_what_they_write_are_counted, scratch_set_up,
                                        scratch_tear_down),
        cmocka_unit_test_setup_teardown(a_batch_that_is_given_up_is_no_commit, scratch_set_up,
                                        scratch_tear_down),
        cmocka_unit_test_setup_teardown(
            looking_for_chores_in_vain_happens_once_and_gives_nothing_up, scratch_set_up,
            scratch_tear_down),
        cmocka_unit_test_setup_teardown(checkpoints_are_counted_and_those_a_reader_blocks,
                                        scratch_set_up, scratch_tear_down),
        cmocka_unit_test_setup_teardown(a_look_at_the_disk_is_told, scratch_set_up,
                                        scratch_tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
