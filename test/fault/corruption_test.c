/* corruption_test.c - a byte of a small database is another one, each in turn; the file is cut
 * short, or is none of ours: it is refused when it is opened, or some of it is refused when it is
 * used, or it is served; the process never dies of it, and never goes on without end.
 *
 * SQLite has no checksum of its pages, so a letter of a message that became another one is served
 * as such: what is seen of that is printed. The WAL has checksums: what it does not confirm is not
 * there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "fault/memory_disk.h"
#include "fault/scripted_run.h"
#include "fault/torture.h"
#include "store/sqlite/check.h"
#include "store/sqlite/connection.h"

#define BATCHES 8
#define STATES_MAX (2 * BATCHES + 2)
/* For one damaged file; SIGALRM ends the test. */
#define PATIENCE_S 60u

struct outcomes {
    size_t tried;
    size_t refused; /* when it was opened */
    size_t failed;  /* a part of it, when it was used */
    size_t changed; /* served, and not as it was */
    size_t found;   /* of the changed and failed: by the check of `verify` */
};

static unsigned char *copy_of(const char *suffix, size_t *out_len);
static void small_database_make(struct scripted_run *run);
static void damaged_try(struct scripted_run *run, struct str bytes, uint64_t digest,
                        struct outcomes *outcomes);
static bool everything_is_read(struct scripted_run *run);
static void tell(const char *what, const struct outcomes *outcomes);

static void a_byte_of_the_database_is_another_one(void **state)
{
    struct scripted_run run;
    struct outcomes outcomes = {0};
    size_t len;
    uint64_t chance = torture_seed();

    (void)state;
    small_database_make(&run);
    uint64_t digest = run_digest(&run);

    run_close(&run);
    unsigned char *bytes = copy_of(".db", &len);
    size_t step = torture_is_long() ? 1 : len / 400;

    /* The first page is what all else hangs on. */
    for (size_t at = 0; at < len; at += at < 200 ? 1 : 1 + chance_below(&chance, 2 * step - 1)) {
        unsigned char flipped = (unsigned char)(1u << chance_below(&chance, 8));

        bytes[at] ^= flipped;
        damaged_try(&run, (struct str){(const char *)bytes, len}, digest, &outcomes);
        bytes[at] ^= flipped;
    }
    tell("bytes", &outcomes);
    assert_true(outcomes.refused > 0);
    free(bytes);
    run_release(&run);
    memory_disk_clear();
}

static void the_database_is_cut_short(void **state)
{
    struct scripted_run run;
    struct outcomes outcomes = {0};
    size_t len;
    uint64_t chance = torture_seed();

    (void)state;
    small_database_make(&run);
    uint64_t digest = run_digest(&run);

    run_close(&run);
    unsigned char *bytes = copy_of(".db", &len);
    size_t step = torture_is_long() ? 64 : len / 60;

    for (size_t kept = 1; kept < len; kept += 1 + chance_below(&chance, step)) {
        damaged_try(&run, (struct str){(const char *)bytes, kept}, digest, &outcomes);
    }
    tell("lengths", &outcomes);
    /* Of a last page that zeros fill up, it is chance whether anybody who reads it notices. */
    assert_int_equal(outcomes.refused, outcomes.tried);
    free(bytes);
    run_release(&run);
    memory_disk_clear();
}

static void another_file_is_refused(void **state)
{
    static const char text[] = "This is a text, and no database at all. It is longer than a header "
                               "of SQLite's is, which has a hundred bytes.";
    struct scripted_run run;
    unsigned char noise[8192];
    uint64_t chance = torture_seed();

    (void)state;
    run_init(&run, torture_seed());
    for (size_t i = 0; i < sizeof noise; i++) {
        noise[i] = (unsigned char)chance_below(&chance, 256);
    }
    memory_disk_set_file(run.path, (struct str){(const char *)noise, sizeof noise});
    assert_int_not_equal(run_open(&run), OK);
    memory_disk_set_file(run.path, (struct str){text, sizeof text});
    assert_int_not_equal(run_open(&run), OK);
    assert_memory_equal(memory_disk_file(".db").ptr, text, sizeof text);

    /* A database, and not ours. */
    sqlite3 *database = NULL;

    memory_disk_set_file(run.path, (struct str){"", 0});
    assert_int_equal(sqlite3_open(run.path, &database), SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(database, "CREATE TABLE t(a); INSERT INTO t VALUES(1)", NULL, NULL, NULL),
        SQLITE_OK);
    assert_int_equal(sqlite3_close(database), SQLITE_OK);
    assert_int_not_equal(run_open(&run), OK);
    run_release(&run);
    memory_disk_clear();
}

static void a_byte_of_the_wal_is_another_one(void **state)
{
    struct scripted_run run;
    uint64_t states[STATES_MAX];
    size_t state_count = 0;
    size_t wal_len;
    size_t database_len;
    size_t tried = 0;
    uint64_t chance = torture_seed();

    (void)state;
    run_init(&run, torture_seed());
    assert_int_equal(run_open(&run), OK);
    states[state_count++] = run_digest(&run);
    for (int i = 0; i < BATCHES; i++) {
        assert_int_equal(run_batch(&run), OK);
        states[state_count++] = run_digest(&run);
        assert_int_equal(run_rest(&run), OK);
        states[state_count++] = run_digest(&run);
    }
    unsigned char *wal = copy_of("-wal", &wal_len);
    unsigned char *database = copy_of(".db", &database_len);

    run_close(&run);
    assert_true(wal_len > 4096);
    size_t step = torture_is_long() ? 7 : wal_len / 100;
    char wal_path[sizeof run.path + 8];

    (void)snprintf(wal_path, sizeof wal_path, "%s-wal", run.path);
    for (size_t at = 0; at < wal_len; at += at < 60 ? 1 : 1 + chance_below(&chance, 2 * step)) {
        unsigned char flipped = (unsigned char)(1u << chance_below(&chance, 8));
        bool is_known = false;

        (void)alarm(PATIENCE_S);
        wal[at] ^= flipped;
        memory_disk_set_file(run.path, (struct str){(const char *)database, database_len});
        memory_disk_set_file(wal_path, (struct str){(const char *)wal, wal_len});
        wal[at] ^= flipped;
        run_folder_empty(&run);
        assert_int_equal(run_open(&run), OK);
        uint64_t digest = run_digest(&run);

        for (size_t i = 0; i < state_count; i++) {
            is_known = is_known || states[i] == digest;
        }
        assert_true(is_known);
        run_verify(&run);
        run_close(&run);
        tried++;
    }
    print_message("seed %" PRIu64 ": %zu bytes of a WAL flipped\n", torture_seed(), tried);
    free(wal);
    free(database);
    run_release(&run);
    memory_disk_clear();
}

static unsigned char *copy_of(const char *suffix, size_t *out_len)
{
    struct str file = memory_disk_file(suffix);

    assert_non_null(file.ptr);
    unsigned char *bytes = malloc(file.len);

    assert_non_null(bytes);
    memcpy(bytes, file.ptr, file.len);
    *out_len = file.len;
    return bytes;
}

/* Open, with everything in its file once it is closed. */
static void small_database_make(struct scripted_run *run)
{
    run_init(run, torture_seed());
    assert_int_equal(run_open(run), OK);
    for (int i = 0; i < BATCHES; i++) {
        assert_int_equal(run_batch(run), OK);
        assert_int_equal(run_rest(run), OK);
    }
}

static void damaged_try(struct scripted_run *run, struct str bytes, uint64_t digest,
                        struct outcomes *outcomes)
{
    struct store_summary summary;
    char reason[REASON_MAX_BYTES] = "";

    (void)alarm(PATIENCE_S);
    outcomes->tried++;
    run_folder_empty(run);
    memory_disk_set_file(run->path, bytes);
    if (run_open(run) != OK) {
        outcomes->refused++;
        return;
    }
    bool is_read = everything_is_read(run);
    bool is_changed = is_read && !run_digest_is(run, digest);
    bool is_found = check_database(run->writer->database, &summary, reason) != OK;
    struct scripted_run before = *run;
    /* Whatever comes of it. */
    bool is_written = run_batch(run) == OK && run_rest(run) == OK;

    outcomes->failed += !is_read || !is_written ? 1 : 0;
    outcomes->changed += is_changed ? 1 : 0;
    outcomes->found += is_found && (!is_read || !is_written || is_changed) ? 1 : 0;
    memcpy(run->accounts, before.accounts, sizeof run->accounts);
    run->account_count = before.account_count;
    run_close(run);
}

/* False when something could not be. */
static bool everything_is_read(struct scripted_run *run)
{
    bool is_read = store_snapshot_begin(run->reader) == OK;

    if (!is_read) {
        return false;
    }
    for (size_t i = 0; i < run->account_count && is_read; i++) {
        is_read = run_read_account(run, &run->accounts[i]) == OK;
    }
    store_snapshot_end(run->reader);
    arena_clear(&run->arena);
    return is_read;
}

static void tell(const char *what, const struct outcomes *outcomes)
{
    print_message("seed %" PRIu64 ": %zu %s: %zu refused at the opening, %zu when used, %zu served "
                  "changed, %zu of both found by verify; no crash\n",
                  torture_seed(), outcomes->tried, what, outcomes->refused, outcomes->failed,
                  outcomes->changed, outcomes->found);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_byte_of_the_database_is_another_one),
        cmocka_unit_test(the_database_is_cut_short),
        cmocka_unit_test(another_file_is_refused),
        cmocka_unit_test(a_byte_of_the_wal_is_another_one),
    };

    log_setup(getenv("MIGCHAT_FAULT_LOG") == NULL ? LOG_OFF : LOG_INFO, LOG_FORM_JSON);
    memory_disk_register();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
