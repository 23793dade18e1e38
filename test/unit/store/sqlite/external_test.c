/* external_test.c - checkpoint=external: the WAL is another process's to copy, from the first
 * transaction to the last close. */
#include "scratch.h"

#define ROUNDS 70
#define ENTRIES 600

/* As scratch_open, with checkpoints left to others. */
static void open_external(struct scratch *s)
{
    struct store_settings settings = {
        .path = s->path,
        .leaves_checkpoints = true,
        .writer_cache_kib = 1024,
        .reader_cache_kib = 512,
    };
    bool in_memory = false;

    assert_ok(store_home_open(&settings, &s->home, &in_memory));
    assert_ok(store_open(s->home, STORE_READ_WRITE, &s->writer));
    assert_ok(connection_exec(s->writer->database, "PRAGMA synchronous=OFF"));
}

static int64_t frames_copied_by_another(const struct scratch *s, int mode)
{
    sqlite3 *other = NULL;
    int frames = 0;
    int copied = 0;

    assert_int_equal(sqlite3_open(s->path, &other), SQLITE_OK);
    /* It learns that there is a WAL by reading. */
    assert_int_equal(sqlite3_exec(other, "SELECT count(*) FROM sqlite_master", NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_wal_checkpoint_v2(other, NULL, mode, &frames, &copied), SQLITE_OK);
    assert_int_equal(frames, copied);
    assert_int_equal(sqlite3_close(other), SQLITE_OK);
    return copied;
}

/* Well above all the limits at which the own checkpoints come. */
static void nothing_is_copied_into_the_database(void **state)
{
    struct scratch *s = *state;
    bool more = true;
    long database_bytes;

    open_external(s);
    database_bytes = scratch_bytes(s, "");
    for (int round = 0; round < ROUNDS; round++) {
        scratch_commit(s->writer, ENTRIES, 4000);
        assert_false(store_rest_is_due(s->writer));
        assert_ok(store_rest(s->writer, true, &more));
        assert_false(more);
    }
    assert_true(scratch_bytes(s, "-wal") > 160L * 1024 * 1024);
    assert_int_equal(scratch_bytes(s, ""), database_bytes);
    assert_true(frames_copied_by_another(s, SQLITE_CHECKPOINT_PASSIVE) > 40000);
    assert_true(scratch_bytes(s, "") > 80L * 1024 * 1024);
}

static void closing_leaves_the_wal(void **state)
{
    struct scratch *s = *state;
    long wal_bytes;

    open_external(s);
    scratch_commit(s->writer, ENTRIES, 4000);
    wal_bytes = scratch_bytes(s, "-wal");
    scratch_close(s);
    assert_int_equal(scratch_bytes(s, "-wal"), wal_bytes);
    /* Opening goes through a connection of its own, which is closed again. */
    open_external(s);
    assert_int_equal(scratch_bytes(s, "-wal"), wal_bytes);
    assert_int_equal(scratch_head(s->writer, 1), ENTRIES);
}

static void it_goes_on_in_a_wal_that_another_process_started_over(void **state)
{
    struct scratch *s = *state;

    open_external(s);
    scratch_commit(s->writer, ENTRIES, 4000);
    assert_true(scratch_bytes(s, "-wal") > 0);
    assert_int_equal(frames_copied_by_another(s, SQLITE_CHECKPOINT_TRUNCATE), 0);
    assert_int_equal(scratch_bytes(s, "-wal"), 0);
    scratch_commit(s->writer, ENTRIES, 4000);
    assert_true(scratch_bytes(s, "-wal") > 0);
    assert_int_equal(scratch_head(s->writer, 1), 2 * ENTRIES);
    assert_int_equal(scratch_number(s, "",
                                    "SELECT count(*) FROM pragma_integrity_check"
                                    " WHERE integrity_check <> 'ok'"),
                     0);
}

static void the_own_way_is_the_default(void **state)
{
    struct scratch *s = *state;

    scratch_open(s);
    scratch_commit(s->writer, ENTRIES, 4000);
    scratch_close(s);
    assert_false(scratch_exists(s, "-wal"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH_CASE(nothing_is_copied_into_the_database),
        SCRATCH_CASE(closing_leaves_the_wal),
        SCRATCH_CASE(it_goes_on_in_a_wal_that_another_process_started_over),
        SCRATCH_CASE(the_own_way_is_the_default),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
