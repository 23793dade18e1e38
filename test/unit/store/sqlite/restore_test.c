/* restore_test.c - a restore that is killed, or fails, at each step that the file system sees.
 *
 * The functions below stand before libc's for everything linked here, SQLite too: they count, and
 * at the chosen number the process ends, or the step fails.
 */
#include "scratch.h"

#include <dlfcn.h>
#include <errno.h>
#include <sys/wait.h>

#include "store/copies.h"

#define KILLED 99
#define STEPS_MAX 200

static int steps_done;
static int step_that_kills; /* 0: none */
static int step_that_fails; /* 0: none */
static bool is_exchange_unknown;

/* True when it fails. */
static bool step(void)
{
    if (++steps_done == step_that_kills) {
        _exit(KILLED);
    }
    if (steps_done != step_that_fails) {
        return false;
    }
    errno = EIO;
    return true;
}

/* The next function of this name. */
#define LIBC(name, ...)                                                                            \
    int (*libc_##name)(__VA_ARGS__) = NULL;                                                        \
    void *found_##name = dlsym(RTLD_NEXT, #name);                                                  \
    memcpy(&libc_##name, &found_##name, sizeof found_##name)

int rename(const char *from, const char *to)
{
    LIBC(rename, const char *, const char *);
    return step() ? -1 : libc_rename(from, to);
}

int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags)
{
    LIBC(renameat2, int, const char *, int, const char *, unsigned);
    if (step()) {
        return -1;
    }
    if (is_exchange_unknown && (flags & RENAME_EXCHANGE) != 0) {
        errno = EINVAL;
        return -1;
    }
    return libc_renameat2(from_folder, from, to_folder, to, flags);
}

int link(const char *from, const char *to)
{
    LIBC(link, const char *, const char *);
    return step() ? -1 : libc_link(from, to);
}

int unlink(const char *path)
{
    LIBC(unlink, const char *);
    return step() ? -1 : libc_unlink(path);
}

int fsync(int fd)
{
    LIBC(fsync, int);
    return step() ? -1 : libc_fsync(fd);
}

int fdatasync(int fd)
{
    LIBC(fdatasync, int);
    return step() ? -1 : libc_fdatasync(fd);
}

/* An account with `entries` entries, all still in the WAL. */
static void database_make(struct scratch *s, const char *name, int64_t entries)
{
    int64_t id = 0;

    (void)snprintf(s->path, sizeof s->path, "%s/%s", s->folder, name);
    scratch_open(s);
    assert_ok(store_batch_begin(s->writer));
    assert_ok(store_account_add(s->writer, STR("ann"), STR("hash"), 1, &id));
    assert_ok(store_name_set(s->writer, &(struct name_row){.name = STR("ann"),
                                                           .folded = STR("ann"),
                                                           .account_id = id,
                                                           .state = NAME_CURRENT}));
    for (int64_t i = 0; i < entries; i++) {
        struct entry entry = {.kind = ENTRY_SESSION_ENDED, .other_id = id, .text = STR("{}")};
        int64_t seq = 0;

        assert_ok(store_entry_append(s->writer, id, &entry, 0, &seq));
    }
    assert_ok(store_batch_commit(s->writer));
}

static int64_t entries_in(const char *path)
{
    struct store_summary summary;
    char reason[REASON_MAX_BYTES];
    enum error error = store_verify(path, &summary, reason);

    if (error != OK) {
        print_message("%s: %s\n", path, reason);
        return -1;
    }
    return file_number(path, SQLITE_OPEN_READWRITE, "SELECT count(*) FROM log");
}

/* As a server that was killed leaves it: its last commits are in the WAL. */
static void database_leave(struct scratch *s)
{
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        database_make(s, "test.db", 5);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    (void)snprintf(s->path, sizeof s->path, "%s/test.db", s->folder);
    assert_true(scratch_bytes(s, "-wal") > 0);
}

static int restore_in_child(const char *backup, const char *path, int killing_step)
{
    pid_t child = fork();
    int status = 0;

    assert_true(child >= 0);
    if (child == 0) {
        struct restore_report report;
        char reason[REASON_MAX_BYTES];

        steps_done = 0;
        step_that_kills = killing_step;
        _exit(store_restore(backup, path, &report, reason) == OK ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void everything_of_the_database_removed(struct scratch *s)
{
    static const char *const suffixes[] = {"",
                                           "-wal",
                                           "-shm",
                                           "-journal",
                                           ".lock",
                                           ".restore-partial",
                                           ".restore-ready",
                                           ".before-restore",
                                           ".before-restore-wal",
                                           ".before-restore-shm",
                                           ".before-restore-2",
                                           ".before-restore-2-wal",
                                           ".before-restore-2-shm"};

    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        (void)unlink(scratch_path(s, suffixes[i]));
    }
}

/* Whatever was reached, a start finds the one database or the other, and another restore works. */
static void killed_at_each_step(struct scratch *s)
{
    char backup[340];
    int step_at = 0;
    int status = KILLED;
    bool was_old = false;
    bool was_new = false;

    database_make(s, "backup.db", 2);
    scratch_close(s);
    (void)snprintf(backup, sizeof backup, "%s/backup.db", s->folder);
    (void)snprintf(s->path, sizeof s->path, "%s/test.db", s->folder);
    while (status == KILLED) {
        step_at++;
        assert_true(step_at < STEPS_MAX);
        database_leave(s);
        status = restore_in_child(backup, s->path, step_at);
        if (scratch_bytes(s, "-journal") > 0) {
            /* Amid leaving WAL mode: a start undoes that. */
            assert_int_equal(status, KILLED);
            scratch_open(s);
            scratch_close(s);
        }
        int64_t entries = entries_in(s->path);

        assert_true(entries == 5 || entries == 2);
        was_old = was_old || (entries == 5 && status == KILLED);
        was_new = was_new || (entries == 2 && status == KILLED);
        if (entries == 2) {
            /* The old one is somewhere, whole. */
            const char *suffix =
                scratch_exists(s, ".restore-ready") ? ".restore-ready" : ".before-restore";
            assert_int_equal(entries_in(scratch_path(s, suffix)), 5);
        }
        assert_int_equal(restore_in_child(backup, s->path, 0), 0);
        assert_int_equal(entries_in(s->path), 2);
        assert_false(scratch_exists(s, ".restore-ready"));
        assert_false(scratch_exists(s, ".restore-partial"));
        /* None of the attempts has lost it. */
        assert_true(entries_in(scratch_path(s, ".before-restore")) == 5 ||
                    entries_in(scratch_path(s, ".before-restore-2")) == 5);
        scratch_open(s);
        scratch_close(s);
        everything_of_the_database_removed(s);
    }
    assert_int_equal(status, 0);
    assert_true(was_old && was_new);
    print_message("%d steps\n", step_at - 1);
}

static void killed_at_any_step_it_leaves_one_database_or_the_other(void **state)
{
    killed_at_each_step(*state);
}

static void so_it_does_where_names_cannot_be_exchanged(void **state)
{
    is_exchange_unknown = true;
    killed_at_each_step(*state);
    is_exchange_unknown = false;
}

/* ---- a damaged database ----------------------------------------------------------------------*/

#define FILE_MAX_BYTES ((size_t)1024 * 1024)

/* What lies at a path; no bytes where nothing does. */
struct content {
    char bytes[FILE_MAX_BYTES];
    size_t len;
};

static struct content damaged, damaged_wal, found;

static void content_read(const char *path, struct content *out)
{
    FILE *file = fopen(path, "rb");

    out->len = 0;
    if (file != NULL) {
        out->len = fread(out->bytes, 1, sizeof out->bytes, file);
        assert_true(out->len < sizeof out->bytes);
        assert_int_equal(fclose(file), 0);
    }
}

static bool content_is(const char *path, const struct content *expected)
{
    content_read(path, &found);
    return found.len == expected->len && memcmp(found.bytes, expected->bytes, found.len) == 0;
}

/* What a server left that was killed has its last commit in the WAL, and then its head is lost. */
static void damaged_database_leave(struct scratch *s)
{
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        struct entry entry = {.kind = ENTRY_SESSION_ENDED, .other_id = 1, .text = STR("{}")};
        int64_t seq = 0;

        database_make(s, "test.db", 5);
        scratch_close(s);
        scratch_open(s);
        assert_ok(store_batch_begin(s->writer));
        assert_ok(store_entry_append(s->writer, 1, &entry, 0, &seq));
        assert_ok(store_batch_commit(s->writer));
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    (void)snprintf(s->path, sizeof s->path, "%s/test.db", s->folder);
    FILE *file = fopen(s->path, "r+b");
    assert_non_null(file);
    assert_int_equal(fwrite("no database at all", 1, 18, file), 18);
    assert_int_equal(fclose(file), 0);
    content_read(s->path, &damaged);
    content_read(scratch_path(s, "-wal"), &damaged_wal);
    assert_true(damaged_wal.len > 0);
}

/* Under one name at least both files are as they were. */
static void assert_together(struct scratch *s)
{
    static const char *const names[][2] = {{"", "-wal"},
                                           {".before-restore", ".before-restore-wal"},
                                           {".before-restore-2", ".before-restore-2-wal"}};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (content_is(scratch_path(s, names[i][0]), &damaged) &&
            content_is(scratch_path(s, names[i][1]), &damaged_wal)) {
            return;
        }
    }
    fail_msg("the damaged database is without its WAL");
}

static void assert_whole_or_as_it_was(struct scratch *s)
{
    if (content_is(s->path, &damaged)) {
        return;
    }
    assert_false(scratch_exists(s, "-wal"));
    assert_int_equal(entries_in(s->path), 2);
}

static void killed_at_any_step_a_damaged_database_keeps_its_log(void **state)
{
    struct scratch *s = *state;
    char backup[340];
    int step_at = 0;
    int status = KILLED;

    database_make(s, "backup.db", 2);
    scratch_close(s);
    (void)snprintf(backup, sizeof backup, "%s/backup.db", s->folder);
    while (status == KILLED) {
        step_at++;
        assert_true(step_at < STEPS_MAX);
        damaged_database_leave(s);
        status = restore_in_child(backup, s->path, step_at);
        assert_together(s);
        assert_whole_or_as_it_was(s);
        assert_int_equal(restore_in_child(backup, s->path, 0), 0);
        assert_together(s);
        assert_false(scratch_exists(s, "-wal"));
        assert_int_equal(entries_in(s->path), 2);
        assert_false(scratch_exists(s, ".restore-ready"));
        assert_false(scratch_exists(s, ".restore-partial"));
        scratch_open(s);
        scratch_close(s);
        everything_of_the_database_removed(s);
    }
    assert_int_equal(status, 0);
    print_message("%d steps\n", step_at - 1);
}

/* ---- steps that fail -------------------------------------------------------------------------*/

/* What it says is so: nothing changed, or it is in place and the old one is where it says. */
static void fails_at_each_step(struct scratch *s, void (*leave)(struct scratch *s),
                               int64_t old_entries)
{
    struct restore_report report;
    char reason[REASON_MAX_BYTES];
    char backup[340];
    bool was_in_place = false;
    enum error error = ERROR_STORE_FAILED;

    database_make(s, "backup.db", 2);
    scratch_close(s);
    (void)snprintf(backup, sizeof backup, "%s/backup.db", s->folder);
    for (int step_at = 1; steps_done == 0 || step_at <= steps_done; step_at++) {
        assert_true(step_at < STEPS_MAX);
        leave(s);
        steps_done = 0;
        step_that_fails = step_at;
        error = store_restore(backup, s->path, &report, reason);
        step_that_fails = 0;
        assert_int_equal(error == OK, reason[0] == '\0');
        if (report.is_in_place) {
            was_in_place = was_in_place || error != OK;
            assert_int_equal(entries_in(s->path), 2);
            if (old_entries > 0) {
                /* With a journal beside it where it could not leave WAL mode. */
                assert_int_equal(file_number(report.replaced_path, SQLITE_OPEN_READWRITE,
                                             "SELECT count(*) FROM log"),
                                 old_entries);
            } else {
                assert_together(s);
            }
        } else {
            assert_int_not_equal(error, OK);
            assert_false(scratch_exists(s, ".before-restore"));
            assert_false(scratch_exists(s, ".before-restore-wal"));
            if (old_entries > 0) {
                scratch_open(s);
                scratch_close(s);
                assert_int_equal(entries_in(s->path), old_entries);
            } else {
                assert_true(content_is(s->path, &damaged));
                assert_true(content_is(scratch_path(s, "-wal"), &damaged_wal));
            }
        }
        everything_of_the_database_removed(s);
    }
    assert_true(was_in_place);
}

static void failing_at_any_step_it_says_what_is_so(void **state)
{
    fails_at_each_step(*state, database_leave, 5);
}

static void so_it_does_of_a_damaged_one(void **state)
{
    fails_at_each_step(*state, damaged_database_leave, 0);
}

static void a_restore_waits_for_nobody(void **state)
{
    struct scratch *s = *state;
    struct restore_report report;
    char reason[REASON_MAX_BYTES];
    char backup[340];

    database_make(s, "backup.db", 2);
    scratch_close(s);
    (void)snprintf(backup, sizeof backup, "%s/backup.db", s->folder);
    database_make(s, "test.db", 5);
    assert_int_not_equal(store_restore(backup, s->path, &report, reason), OK);
    assert_non_null(strstr(reason, "stop it first"));
    scratch_close(s);

    /* Nor for another program that reads it. */
    sqlite3 *reader = NULL;
    assert_int_equal(sqlite3_open(s->path, &reader), SQLITE_OK);
    assert_int_equal(sqlite3_exec(reader, "BEGIN; SELECT count(*) FROM log", NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_not_equal(store_restore(backup, s->path, &report, reason), OK);
    assert_non_null(strstr(reason, "another program"));
    assert_int_equal(sqlite3_close(reader), SQLITE_OK);
    assert_int_equal(entries_in(s->path), 5);
    assert_false(scratch_exists(s, ".restore-partial"));
    assert_ok(store_restore(backup, s->path, &report, reason));
    assert_int_equal(entries_in(s->path), 2);
    assert_true(report.replaced_is_known);
}

int main(void)
{
    log_setup(LOG_OFF, LOG_FORM_JSON);
    const struct CMUnitTest tests[] = {
        SCRATCH_CASE(killed_at_any_step_it_leaves_one_database_or_the_other),
        SCRATCH_CASE(so_it_does_where_names_cannot_be_exchanged),
        SCRATCH_CASE(killed_at_any_step_a_damaged_database_keeps_its_log),
        SCRATCH_CASE(failing_at_any_step_it_says_what_is_so),
        SCRATCH_CASE(so_it_does_of_a_damaged_one),
        SCRATCH_CASE(a_restore_waits_for_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
