/* home_test.c - which files are opened, which are refused, and who else may see them. */
#include "scratch.h"

#include <sys/wait.h>

#include "store/sqlite/copy.h"
#include "store/sqlite/meta.h"
#include "store/sqlite/migrate.h"

static void a_new_database_is_closed_to_others(void **state)
{
    struct scratch *s = *state;
    mode_t before = umask(0);

    scratch_open(s);
    assert_ok(store_batch_begin(s->writer));
    assert_ok(scratch_append(s->writer, 1, 10));
    assert_ok(store_batch_commit(s->writer));
    (void)umask(before);
    assert_int_equal(scratch_mode(s, ""), 0600);
    assert_int_equal(scratch_mode(s, "-wal"), 0600);
    assert_int_equal(scratch_mode(s, "-shm"), 0600);
    assert_int_equal(scratch_mode(s, ".lock"), 0600);
}

static void a_clean_close_leaves_one_file_and_its_lock(void **state)
{
    struct scratch *s = *state;

    scratch_open(s);
    assert_ok(store_batch_begin(s->writer));
    assert_ok(scratch_append(s->writer, 1, 10));
    assert_ok(store_batch_commit(s->writer));
    scratch_close(s);
    assert_false(scratch_exists(s, "-wal"));
    assert_true(scratch_exists(s, ".lock"));
    assert_int_equal(scratch_number(s, "", "SELECT count(*) FROM log"), 1);
    assert_int_equal(scratch_number(s, "", "PRAGMA user_version"),
                     migration_list[migration_count - 1].version);
}

static void a_second_process_is_refused(void **state)
{
    struct scratch *s = *state;
    struct store_home *home = NULL;
    int status = 0;
    pid_t child;

    scratch_open(s);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        _exit(scratch_open_home(s, &home) == ERROR_INTERNAL ? 7 : 8);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 7);
    assert_int_equal(scratch_open_home(s, &home), ERROR_INTERNAL);
    scratch_close(s);
    assert_ok(scratch_open_home(s, &home));
    store_home_close(home);
}

static void a_symbolic_link_meets_the_same_lock(void **state)
{
    struct scratch *s = *state;
    struct scratch other = *s;
    struct store_home *home = NULL;

    scratch_open(s);
    (void)snprintf(other.path, sizeof other.path, "%s/other.db", s->folder);
    assert_int_equal(symlink("test.db", other.path), 0);
    assert_int_equal(scratch_open_home(&other, &home), ERROR_INTERNAL);
}

static void a_newer_schema_is_refused_untouched(void **state)
{
    struct scratch *s = *state;
    struct store_home *home = NULL;

    scratch_open(s);
    scratch_close(s);
    scratch_sql(s, "PRAGMA user_version=999");
    assert_int_equal(scratch_open_home(s, &home), ERROR_INTERNAL);
    assert_int_equal(scratch_number(s, "", "PRAGMA user_version"), 999);
}

static void a_database_of_schema_1_is_copied_and_brought_to_the_newest(void **state)
{
    struct scratch *s = *state;
    sqlite3 *database = NULL;
    struct sha256 digest = {{0}};
    struct session session = {0};
    struct invite invite = {.uses_left = 1};
    bool found = false;
    int64_t id = 0;

    assert_ok(connection_open(s->path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, &database));
    assert_ok(migrate_apply(database, &migration_list[0]));
    assert_ok(meta_fill(database));
    assert_ok(connection_exec(database,
                              "DELETE FROM meta WHERE key = 'next_invite_id';"
                              "INSERT INTO account VALUES(1, 'ada', 'hash', 5, NULL);"
                              "INSERT INTO session VALUES(zeroblob(32), 1, 1, NULL, 5, 5)"));
    assert_int_equal(sqlite3_close(database), SQLITE_OK);

    scratch_open(s);
    assert_ok(store_batch_begin(s->writer));
    assert_ok(store_session_find(s->writer, &digest, &found, &session));
    assert_true(found && !session.is_barred);
    assert_ok(store_invite_add(s->writer, &digest, &invite, &id));
    assert_int_equal(id, 1);
    assert_ok(store_batch_commit(s->writer));
    scratch_close(s);
    assert_int_equal(scratch_number(s, "", "PRAGMA user_version"),
                     migration_list[migration_count - 1].version);
    assert_int_equal(scratch_number(s, "", "SELECT value FROM meta WHERE key = 'next_invite_id'"),
                     2);
    assert_int_equal(scratch_number(s, ".before-0002", "PRAGMA user_version"), 1);
    assert_int_equal(scratch_number(s, ".before-0002", "SELECT count(*) FROM account"), 1);
    assert_int_equal(scratch_mode(s, ".before-0002"), 0600);
}

static void a_database_of_another_program_is_refused_untouched(void **state)
{
    struct scratch *s = *state;
    struct store_home *home = NULL;

    scratch_sql(s, "CREATE TABLE messages(id INTEGER)");
    assert_int_equal(scratch_open_home(s, &home), ERROR_INTERNAL);
    assert_int_equal(scratch_number(s, "", "SELECT count(*) FROM sqlite_master"), 1);
    scratch_sql(s, "PRAGMA user_version=1");
    assert_int_equal(scratch_open_home(s, &home), ERROR_INTERNAL);
    scratch_sql(s, "DROP TABLE messages");
    assert_int_equal(scratch_open_home(s, &home), ERROR_INTERNAL);
}

static void what_is_no_database_is_refused(void **state)
{
    struct scratch *s = *state;
    struct scratch other = *s;
    struct store_home *home = NULL;
    FILE *file = fopen(s->path, "w");

    assert_non_null(file);
    for (int i = 0; i < 100; i++) {
        (void)fprintf(file, "a line of text that is no database\n");
    }
    (void)fclose(file);
    assert_int_not_equal(scratch_open_home(s, &home), OK);
    assert_int_equal(scratch_bytes(s, ""), 3500);

    memcpy(other.path, s->folder, sizeof s->folder);
    assert_int_equal(scratch_open_home(&other, &home), ERROR_INTERNAL);
    (void)snprintf(other.path, sizeof other.path, "%s/missing/test.db", s->folder);
    assert_int_equal(scratch_open_home(&other, &home), ERROR_INTERNAL);
}

static void a_second_name_of_the_file_is_refused(void **state)
{
    struct scratch *s = *state;
    struct store_home *home = NULL;

    scratch_open(s);
    scratch_close(s);
    assert_int_equal(link(s->path, scratch_path(s, ".second")), 0);
    assert_int_equal(scratch_open_home(s, &home), ERROR_INTERNAL);
    assert_int_equal(unlink(scratch_path(s, ".second")), 0);
    assert_ok(scratch_open_home(s, &home));
    store_home_close(home);
}

static void a_wal_without_its_database_is_kept(void **state)
{
    struct scratch *s = *state;
    struct store_home *home = NULL;
    int fd = open(scratch_path(s, "-wal"), O_WRONLY | O_CREAT, 0600);

    assert_true(fd >= 0);
    (void)close(fd);
    assert_int_equal(scratch_open_home(s, &home), ERROR_INTERNAL);
    assert_true(scratch_exists(s, "-wal"));
    assert_false(scratch_exists(s, ""));
}

static void a_copy_is_whole_closed_to_others_and_never_overwrites(void **state)
{
    struct scratch *s = *state;
    sqlite3 *database = NULL;
    char copy[PATH_MAX];

    scratch_sql(s, "CREATE TABLE t(x); INSERT INTO t VALUES(1), (2), (3)");
    assert_ok(connection_open(s->path, SQLITE_OPEN_READWRITE, &database));
    assert_ok(copy_make(database, s->path, ".before-0002", NULL, copy));
    assert_string_equal(copy, scratch_path(s, ".before-0002"));
    assert_int_equal(scratch_mode(s, ".before-0002"), 0600);
    assert_ok(connection_exec(database, "DELETE FROM t"));
    assert_ok(copy_make(database, s->path, ".before-0002", NULL, copy));
    assert_string_equal(copy, scratch_path(s, ".before-0002-2"));
    assert_int_equal(scratch_number(s, ".before-0002", "SELECT count(*) FROM t"), 3);
    assert_int_equal(scratch_number(s, ".before-0002-2", "SELECT count(*) FROM t"), 0);
    assert_ok(copy_put_back(scratch_path(s, ".before-0002"), database));
    assert_int_equal(sqlite3_close(database), SQLITE_OK);
    assert_int_equal(scratch_number(s, "", "SELECT count(*) FROM t"), 3);
}

static void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void a_copy_has_its_name_when_it_is_whole(void **state)
{
    struct scratch *s = *state;
    sqlite3 *database = NULL;
    char copy[PATH_MAX];

    scratch_sql(s, "CREATE TABLE t(x); INSERT INTO t VALUES(1), (2), (3)");
    assert_ok(connection_open(s->path, SQLITE_OPEN_READWRITE, &database));
    /* What a process left that was killed as it copied. */
    write_text(scratch_path(s, ".rust-copy-partial"), "torn");
    s->stops = true;
    assert_int_equal(copy_make(database, s->path, ".rust-copy", &s->stops, copy), ERROR_DRAINING);
    assert_false(scratch_exists(s, ".rust-copy"));
    assert_false(scratch_exists(s, ".rust-copy-partial"));
    s->stops = false;
    write_text(scratch_path(s, ".rust-copy-partial"), "torn");
    assert_ok(copy_make(database, s->path, ".rust-copy", &s->stops, copy));
    assert_int_equal(sqlite3_close(database), SQLITE_OK);
    assert_false(scratch_exists(s, ".rust-copy-partial"));
    assert_int_equal(scratch_number(s, ".rust-copy", "SELECT count(*) FROM t"), 3);
}

static void a_copy_is_found_while_it_holds_the_same(void **state)
{
    struct scratch *s = *state;
    sqlite3 *database = NULL;
    char copy[PATH_MAX];
    static const char *const changes[] = {
        "INSERT INTO t VALUES(1, NULL)",
        "UPDATE t SET y = '1' WHERE x = 3",
        "DELETE FROM t WHERE x = 2",
        "UPDATE t SET y = x'62' WHERE x = 2",
        "UPDATE t SET y = '' WHERE x = 4",
        "UPDATE t SET y = 'c' WHERE x = 2",
        "UPDATE t SET y = 1.5 WHERE x = 3",
        "CREATE INDEX i ON t(y)",
        "PRAGMA user_version=1",
        "CREATE TABLE \"a \"\" b\"(z)",
    };

    /* In WAL mode the copy is too; reading it must leave nothing beside it. */
    scratch_sql(s, "PRAGMA journal_mode=WAL; CREATE TABLE t(x, y);"
                   "INSERT INTO t VALUES(2, 'b'), (3, 1), (4, NULL)");
    write_text(scratch_path(s, ".rust-copy"), "somebody's own");
    assert_ok(connection_open(s->path, SQLITE_OPEN_READWRITE, &database));
    assert_false(copy_find(database, s->path, ".rust-copy", copy));
    assert_ok(copy_make(database, s->path, ".rust-copy", NULL, copy));
    assert_string_equal(copy, scratch_path(s, ".rust-copy-2"));
    copy[0] = '\0';
    assert_true(copy_find(database, s->path, ".rust-copy", copy));
    assert_string_equal(copy, scratch_path(s, ".rust-copy-2"));
    assert_false(scratch_exists(s, ".rust-copy-2-wal"));
    assert_false(scratch_exists(s, ".rust-copy-2-shm"));
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        assert_ok(connection_exec(database, "BEGIN"));
        assert_ok(connection_exec(database, changes[i]));
        assert_false(copy_find(database, s->path, ".rust-copy", copy));
        assert_ok(connection_exec(database, "ROLLBACK"));
        assert_true(copy_find(database, s->path, ".rust-copy", copy));
    }
    assert_int_equal(sqlite3_close(database), SQLITE_OK);
    assert_int_equal(scratch_bytes(s, ".rust-copy"), 14);
}

static void a_database_of_ours_keeps_its_mode(void **state)
{
    struct scratch *s = *state;

    scratch_open(s);
    scratch_close(s);
    assert_int_equal(chmod(s->path, 0640), 0);
    scratch_open(s);
    assert_int_equal(scratch_mode(s, ""), 0640);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        SCRATCH_CASE(a_new_database_is_closed_to_others),
        SCRATCH_CASE(a_clean_close_leaves_one_file_and_its_lock),
        SCRATCH_CASE(a_second_process_is_refused),
        SCRATCH_CASE(a_symbolic_link_meets_the_same_lock),
        SCRATCH_CASE(a_newer_schema_is_refused_untouched),
        SCRATCH_CASE(a_database_of_schema_1_is_copied_and_brought_to_the_newest),
        SCRATCH_CASE(a_database_of_another_program_is_refused_untouched),
        SCRATCH_CASE(what_is_no_database_is_refused),
        SCRATCH_CASE(a_second_name_of_the_file_is_refused),
        SCRATCH_CASE(a_wal_without_its_database_is_kept),
        SCRATCH_CASE(a_copy_is_whole_closed_to_others_and_never_overwrites),
        SCRATCH_CASE(a_copy_has_its_name_when_it_is_whole),
        SCRATCH_CASE(a_copy_is_found_while_it_holds_the_same),
        SCRATCH_CASE(a_database_of_ours_keeps_its_mode),
    };

    log_setup(LOG_OFF, LOG_FORM_TEXT);
    return cmocka_run_group_tests_name("home", cases, NULL, NULL);
}
