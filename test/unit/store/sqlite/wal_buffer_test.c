/* wal_buffer_test.c - after every commit the WAL's file is whole, whoever looks, in few writes.
 *
 * synchronous=NORMAL, where no sync follows that would write what was forgotten. A copy of both
 * files made while the writer has them open is what a killed process leaves.
 */
#include "scratch.h"

#include <errno.h>

#include "store/sqlite/wal_buffer.h"

#define PAGE_BYTES 4096u
#define ROW_BYTES 3000u

static sqlite3 *writer;
static unsigned writes;
static unsigned writes_until_full; /* 0: never */

static ssize_t pwrite_counted(int fd, const void *bytes, size_t len, off_t offset)
{
    writes++;
    if (writes_until_full > 0 && --writes_until_full == 0) {
        errno = ENOSPC;
        return -1;
    }
    return pwrite(fd, bytes, len, offset);
}

static void run(const char *sql)
{
    assert_int_equal(sqlite3_exec(writer, sql, NULL, NULL, NULL), SQLITE_OK);
}

/* `cache_pages`: what a transaction holds before it spills into the WAL. */
static void writer_open(const struct scratch *s, int cache_pages)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
    char sql[100];

    connection_configure_library();
    (void)vfs->xSetSystemCall(vfs, "pwrite", (sqlite3_syscall_ptr)pwrite_counted);
    (void)vfs->xSetSystemCall(vfs, "pwrite64", (sqlite3_syscall_ptr)pwrite_counted);
    assert_ok(connection_open(s->path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, &writer));
    run("PRAGMA page_size=4096; PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
        "CREATE TABLE row(id INTEGER PRIMARY KEY, text TEXT NOT NULL)");
    snprintf(sql, sizeof sql, "PRAGMA cache_size=%d; PRAGMA cache_spill=%d", cache_pages,
             cache_pages);
    run(sql);
}

static void writer_close(void)
{
    assert_int_equal(sqlite3_close(writer), SQLITE_OK);
}

/* Of ROW_BYTES each, so one a page. */
static void rows_add(int count)
{
    char sql[200];

    snprintf(sql, sizeof sql,
             "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
             " INSERT INTO row(text) SELECT printf('%%.*c', %u, 'x') FROM n",
             count, ROW_BYTES);
    run(sql);
}

static void file_copy(const char *from, const char *to)
{
    FILE *source = fopen(from, "rb");
    FILE *target = fopen(to, "wb");
    char bytes[8192];
    size_t len;

    assert_true(source != NULL && target != NULL);
    while ((len = fread(bytes, 1, sizeof bytes, source)) > 0) {
        assert_int_equal(fwrite(bytes, 1, len, target), len);
    }
    (void)fclose(source);
    assert_int_equal(fclose(target), 0);
}

/* Killed now, the next start would find this many rows, all whole. */
static int64_t rows_after_kill(const struct scratch *s)
{
    char from[400];
    char to[400];

    for (int i = 0; i < 2; i++) {
        const char *const suffix[] = {"", "-wal"};
        snprintf(from, sizeof from, "%s%s", s->path, suffix[i]);
        snprintf(to, sizeof to, "%s-copy%s", s->path, suffix[i]);
        file_copy(from, to);
    }
    snprintf(to, sizeof to, "%s-copy-shm", s->path);
    (void)remove(to);
    assert_int_equal(scratch_number(s, "-copy",
                                    "SELECT count(*) FROM pragma_integrity_check"
                                    " WHERE integrity_check <> 'ok'"),
                     0);
    return scratch_number(s, "-copy", "SELECT count(*) FROM row");
}

static void a_commit_is_written_when_it_returns_and_in_few_writes(void **state)
{
    struct scratch *s = *state;
    int64_t rows = 0;

    writer_open(s, 1000);
    for (int i = 1; i <= 40; i++) {
        int count = i % 10 == 0 ? 100 : 1 + i % 7;

        writes = 0;
        rows_add(count);
        rows += count;
        /* A buffer each, and some at the start of a WAL; else two for each of the pages. */
        assert_in_range(writes, 1,
                        8 + (unsigned)count * PAGE_BYTES / (WAL_BUFFER_BYTES - 2 * PAGE_BYTES));
        assert_int_equal(scratch_number(s, "", "SELECT count(*) FROM row"), rows);
        assert_int_equal(rows_after_kill(s), rows);
    }
    writer_close();
}

/* Spilled pages are read back, and written a second time where they stand, with new checksums. */
static void what_spills_before_its_commit_is_there_after_it(void **state)
{
    struct scratch *s = *state;
    int64_t rows = 0;

    writer_open(s, 10);
    for (int i = 0; i < 20; i++) {
        run("BEGIN");
        rows_add(50);
        run("UPDATE row SET text = text || 'y' WHERE id % 3 = 0");
        rows_add(20);
        run("UPDATE row SET text = replace(text, 'x', 'z') WHERE id % 5 = 0");
        run("COMMIT");
        rows += 70;
        assert_int_equal(rows_after_kill(s), rows);
        assert_int_equal(
            scratch_number(s, "-copy", "SELECT count(*) FROM row WHERE text LIKE 'z%'"), rows / 5);
        if (i % 6 == 5) {
            run("PRAGMA wal_checkpoint(TRUNCATE)");
            assert_int_equal(scratch_bytes(s, "-wal"), 0);
        }
    }
    writer_close();
}

/* Whichever write of a commit fails. */
static void a_write_that_fails_undoes_its_transaction_only(void **state)
{
    struct scratch *s = *state;
    bool has_failed = true;

    writer_open(s, 1000);
    rows_add(5);
    for (unsigned n = 1; has_failed; n++) {
        writes_until_full = n;
        int code = sqlite3_exec(writer, "UPDATE row SET text = text || 'w' WHERE id <= 5", NULL,
                                NULL, NULL);

        has_failed = code != SQLITE_OK;
        writes_until_full = 0;
        assert_int_equal(code & 0xff, has_failed ? SQLITE_FULL : SQLITE_OK);
        assert_int_equal(scratch_number(s, "", "SELECT count(*) FROM row WHERE text LIKE '%w'"),
                         has_failed ? 0 : 5);
        rows_add(1);
        assert_int_equal(rows_after_kill(s), 5 + n);
    }
    writer_close();
}

/* The disk is full when a statement that can be undone alone reads what was spilled: SQLite then
 * keeps the transaction, and it may be committed once there is room. */
static void what_a_read_could_not_write_is_not_forgotten(void **state)
{
    struct scratch *s = *state;
    int64_t rows = 0;
    unsigned kept = 0;

    writer_open(s, 10);
    for (unsigned n = 1; n <= 20; n++) {
        run("BEGIN");
        rows_add(50);
        writes_until_full = n;
        (void)sqlite3_exec(writer, "UPDATE row SET text = nullif(text || 'y', '') WHERE id % 3 = 0",
                           NULL, NULL, NULL);
        bool has_failed = writes_until_full == 0;
        writes_until_full = 0;
        if (sqlite3_get_autocommit(writer) == 0 &&
            sqlite3_exec(writer, "COMMIT", NULL, NULL, NULL) == SQLITE_OK) {
            rows += 50;
            kept += has_failed ? 1 : 0;
        } else if (sqlite3_get_autocommit(writer) == 0) {
            run("ROLLBACK");
        }
        assert_int_equal(rows_after_kill(s), rows);
    }
    assert_true(kept > 0);
    writer_close();
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        SCRATCH_CASE(a_commit_is_written_when_it_returns_and_in_few_writes),
        SCRATCH_CASE(what_spills_before_its_commit_is_there_after_it),
        SCRATCH_CASE(a_write_that_fails_undoes_its_transaction_only),
        SCRATCH_CASE(what_a_read_could_not_write_is_not_forgotten),
    };

    return cmocka_run_group_tests(cases, NULL, NULL);
}
