/* adopt_failure_test.c - an adoption that cannot be done leaves the Rust database as it was.
 *
 * The room on the disk is what this program's own statvfs says; writes fail by SQLite's hook for
 * system calls, at the n-th write, for every n.
 */
#include "scratch.h"

#include <errno.h>
#include <sys/statvfs.h>
#include <sys/wait.h>

#include "store/sqlite/migrate.h"

#include "rust_schema.h"

#define ROWS                                                                                       \
    "INSERT INTO messages VALUES (1, 1, 2, 'a', '2025-11-03T12:00:00+00:00', NULL),"               \
    " (2, 2, 1, 'b', '2025-11-03T12:00:01+00:00', NULL);"
/* More rows than fit into a small page cache. */
#define MANY_ROWS                                                                                  \
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)"               \
    " INSERT INTO messages(from_user_id, to_user_id, content, created_at)"                         \
    " SELECT 1 + i % 2, 5, printf('%0500d', i), '2025-11-03T12:00:00Z' FROM n;"

static unsigned long long free_disk_bytes = 1ULL << 40;
static long writes_left = -1;      /* negative: no limit */
static atomic_bool *stops_instead; /* set when no writes are left, which then go on */

int statvfs(const char *restrict file, struct statvfs *restrict buf)
{
    (void)file;
    memset(buf, 0, sizeof *buf);
    buf->f_frsize = 1;
    buf->f_bavail = free_disk_bytes;
    return 0;
}

static bool write_is_refused(void)
{
    if (writes_left == 0 && stops_instead != NULL) {
        *stops_instead = true;
        return false;
    }
    if (writes_left == 0) {
        errno = ENOSPC;
        return true;
    }
    if (writes_left > 0) {
        writes_left--;
    }
    return false;
}

static ssize_t write_or_fail(int fd, const void *bytes, size_t len)
{
    return write_is_refused() ? -1 : write(fd, bytes, len);
}

static ssize_t pwrite_or_fail(int fd, const void *bytes, size_t len, off_t offset)
{
    return write_is_refused() ? -1 : pwrite(fd, bytes, len, offset);
}

static int set_up(void **state)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);

    (void)vfs->xSetSystemCall(vfs, "write", (sqlite3_syscall_ptr)write_or_fail);
    (void)vfs->xSetSystemCall(vfs, "pwrite", (sqlite3_syscall_ptr)pwrite_or_fail);
    (void)vfs->xSetSystemCall(vfs, "pwrite64", (sqlite3_syscall_ptr)pwrite_or_fail);
    free_disk_bytes = 1ULL << 40;
    writes_left = -1;
    stops_instead = NULL;
    return scratch_set_up(state);
}

static void make_rust(struct scratch *s, const char *rows)
{
    scratch_sql(s, RUST_SCHEMA);
    scratch_sql(s, RUST_USERS);
    scratch_sql(s, rows);
}

static void assert_is_rust(struct scratch *s, int64_t messages)
{
    assert_int_equal(scratch_number(s, "", "SELECT count(*) FROM messages"), messages);
    assert_int_equal(
        scratch_number(s, "", "SELECT count(*) FROM sessions WHERE token = '" RUST_TOKEN_ANN "'"),
        1);
    assert_int_equal(scratch_number(s, "", "PRAGMA user_version"), 0);
    assert_int_equal(
        scratch_number(s, "", "SELECT count(*) FROM sqlite_master WHERE name = 'account'"), 0);
}

static void a_row_that_belongs_to_nobody_is_refused_before_the_copy(void **state)
{
    struct scratch *s = *state;
    struct store_home *home = NULL;
    static const char *const rows[] = {
        "INSERT INTO messages VALUES (9, 1, 77, 'x', '', NULL)",
        "INSERT INTO messages VALUES (9, 77, 1, 'x', '', NULL)",
        "INSERT INTO sessions VALUES (9, 77, 'token', '')",
        "INSERT INTO user_keys VALUES (77, 'i', 's', 'g', '')",
        "INSERT INTO one_time_prekeys VALUES (9, 77, 0, 'k', 0, '')",
    };

    make_rust(s, ROWS);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        scratch_sql(s, rows[i]);
        assert_int_equal(scratch_open_home(s, &home), ERROR_INTERNAL);
        assert_false(scratch_exists(s, ".rust-copy"));
        scratch_sql(s, "DELETE FROM messages WHERE id = 9; DELETE FROM sessions WHERE id = 9;"
                       "DELETE FROM user_keys; DELETE FROM one_time_prekeys");
        assert_is_rust(s, 2);
    }
    scratch_open(s);
    assert_int_equal(scratch_head(s->writer, 1), 2);
}

static void too_little_room_is_refused_before_the_copy(void **state)
{
    struct scratch *s = *state;
    struct store_home *home = NULL;

    make_rust(s, MANY_ROWS);
    free_disk_bytes = (unsigned long long)scratch_bytes(s, "") * 3;
    assert_int_equal(scratch_open_home(s, &home), ERROR_DISK_FULL);
    assert_false(scratch_exists(s, ".rust-copy"));
    assert_is_rust(s, 3000);
    free_disk_bytes = (unsigned long long)scratch_bytes(s, "") * 4 + 1024 * 1024;
    assert_ok(scratch_open_home(s, &home));
    store_home_close(home);
}

static void a_failure_in_the_middle_is_undone_and_the_copy_stays(void **state)
{
    struct scratch *s = *state;
    struct store_home *home = NULL;

    make_rust(s, ROWS);
    /* A table of the operator's own, in the way of ours. */
    scratch_sql(s, "CREATE TABLE conversation(x)");
    assert_int_not_equal(scratch_open_home(s, &home), OK);
    assert_is_rust(s, 2);
    assert_true(scratch_exists(s, ".rust-copy"));
    scratch_sql(s, "DROP TABLE conversation");
    scratch_open(s);
    assert_true(scratch_exists(s, ".rust-copy-2"));
    assert_int_equal(scratch_number(s, ".rust-copy-2", "SELECT count(*) FROM messages"), 2);
    assert_int_equal(scratch_head(s->writer, 1), 2);
}

static void a_disk_that_fills_at_any_write_leaves_the_rust_database(void **state)
{
    struct scratch *s = *state;
    struct store_home *home = NULL;
    enum error error = ERROR_DISK_FULL;
    long allowed;

    make_rust(s, MANY_ROWS);
    for (allowed = 0; error != OK; allowed += 1 + allowed / 8) {
        writes_left = allowed;
        error = scratch_open_home(s, &home);
        writes_left = -1;
        if (error != OK) {
            bool is_rust = scratch_number(s, "",
                                          "SELECT count(*) FROM sqlite_master"
                                          " WHERE name = 'users'") == 1;

            if (is_rust) {
                assert_is_rust(s, 3000);
            } else {
                /* Adopted; only what comes after found no room. */
                assert_int_equal(scratch_number(s, "", "SELECT count(*) FROM log"), 6000);
            }
            (void)unlink(scratch_path(s, ".rust-copy"));
        }
    }
    assert_true(allowed > 100);
    store_home_close(home);
    assert_int_equal(scratch_number(s, "", "SELECT count(*) FROM log"), 6000);
    assert_int_equal(scratch_number(s, "", "PRAGMA user_version"),
                     migration_list[migration_count - 1].version);
}

static void stopping_at_any_write_leaves_the_rust_database_and_one_copy(void **state)
{
    struct scratch *s = *state;
    struct store_home *home = NULL;
    enum error error = ERROR_DRAINING;
    int stopped_late = 0;
    long allowed;

    make_rust(s, MANY_ROWS);
    stops_instead = &s->stops;
    for (allowed = 0; error != OK; allowed += 1 + allowed / 8) {
        s->stops = false;
        writes_left = allowed;
        error = scratch_open_home(s, &home);
        writes_left = -1;
        assert_false(scratch_exists(s, ".rust-copy-partial"));
        assert_false(scratch_exists(s, ".rust-copy-2"));
        if (error != OK) {
            assert_int_equal(error, ERROR_DRAINING);
            assert_is_rust(s, 3000);
            stopped_late += scratch_exists(s, ".rust-copy") ? 1 : 0;
        }
    }
    assert_true(stopped_late > 3);
    store_home_close(home);
    assert_int_equal(scratch_number(s, "", "SELECT count(*) FROM log"), 6000);
    assert_int_equal(scratch_number(s, ".rust-copy", "SELECT count(*) FROM messages"), 3000);
}

/* A process that dies inside a transaction leaves a journal that is part of the database. */
static void a_hot_journal_is_rolled_back_before_the_copy(void **state)
{
    struct scratch *s = *state;
    int status = 0;
    pid_t child;

    make_rust(s, MANY_ROWS);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        sqlite3 *database = NULL;

        if (sqlite3_open(s->path, &database) != SQLITE_OK ||
            sqlite3_exec(database,
                         "PRAGMA cache_size=5; BEGIN; UPDATE messages SET content = 'torn';", NULL,
                         NULL, NULL) != SQLITE_OK) {
            _exit(1);
        }
        _exit(7);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(WEXITSTATUS(status), 7);
    assert_true(scratch_bytes(s, "-journal") > 0);
    scratch_open(s);
    assert_int_equal(
        scratch_number(s, ".rust-copy", "SELECT count(*) FROM messages WHERE content = 'torn'"), 0);
    scratch_close(s);
    assert_int_equal(scratch_number(s, "", "SELECT count(*) FROM log WHERE text = 'torn'"), 0);
    assert_int_equal(scratch_number(s, "", "SELECT count(*) FROM log"), 6000);
}

#define FAILURE_CASE(function) cmocka_unit_test_setup_teardown(function, set_up, scratch_tear_down)

int main(void)
{
    const struct CMUnitTest cases[] = {
        FAILURE_CASE(a_row_that_belongs_to_nobody_is_refused_before_the_copy),
        FAILURE_CASE(too_little_room_is_refused_before_the_copy),
        FAILURE_CASE(a_failure_in_the_middle_is_undone_and_the_copy_stays),
        FAILURE_CASE(a_disk_that_fills_at_any_write_leaves_the_rust_database),
        FAILURE_CASE(stopping_at_any_write_leaves_the_rust_database_and_one_copy),
        FAILURE_CASE(a_hot_journal_is_rolled_back_before_the_copy),
    };

    log_setup(LOG_OFF, LOG_FORM_TEXT);
    return cmocka_run_group_tests_name("adopt failures", cases, NULL, NULL);
}
