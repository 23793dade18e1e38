/* disk_fault_test.c - the n-th write, sync, read, truncation, opening, deletion or mapping fails,
 * for every n of a scripted run, once or from then on.
 *
 *   a batch is refused -> nothing of it is there, everything before is, and once the disk is well
 *                         the next batch is taken: without opening the store anew
 *   OUTCOME_UNKNOWN    -> nothing is taken any more; opened anew, it holds the state before or one
 *                         that is whole
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "fault/memory_disk.h"
#include "fault/scripted_run.h"
#include "fault/torture.h"

#define BATCHES 14
#define SMALL_BATCHES 8
#define CACHE_KIB 40u /* ten pages */

struct tally {
    size_t runs;
    size_t refused;
    size_t unknown;
    size_t not_opened;
    size_t done[RUN_KINDS]; /* of the units' kinds */
};

static size_t calls_of_opening(enum disk_call call);
static size_t next_call(size_t n, size_t opening);
static bool fails_and_is_judged(enum disk_call call, enum disk_fault fault, size_t n, bool stays,
                                struct tally *tally);
static uint64_t digest_seen(const struct scripted_run *run, bool reads_fail);
static void batch_refused(const struct scripted_run *run, enum error error, uint64_t digest,
                          bool reads_fail, struct tally *tally);
static void opened_anew(struct scripted_run *run, uint64_t digest, bool is_unknown);

static const struct {
    enum disk_call call;
    enum disk_fault fault;
    const char *name;
} kinds[] = {
    {CALL_WRITE, FAULT_EIO, "write: EIO"},       {CALL_WRITE, FAULT_FULL, "write: ENOSPC"},
    {CALL_WRITE, FAULT_SHORT, "write: short"},   {CALL_SYNC, FAULT_EIO, "sync: EIO"},
    {CALL_SYNC, FAULT_FULL, "sync: ENOSPC"},     {CALL_READ, FAULT_EIO, "read: EIO"},
    {CALL_TRUNCATE, FAULT_EIO, "truncate: EIO"}, {CALL_OPEN, FAULT_EIO, "open: EIO"},
    {CALL_DELETE, FAULT_EIO, "delete: EIO"},     {CALL_INDEX, FAULT_EIO, "index: EIO"},
};

static void every_call_that_can_fail_is_survived(void **state)
{
    size_t done[RUN_KINDS] = {0};

    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct tally tally = {0};
        size_t opening = calls_of_opening(kinds[i].call);

        /* Both in the long form; in the short one each kind of call has a fault of either sort. */
        for (int stays = 0; stays < 2; stays++) {
            if (!torture_is_long() && stays != (int)(i % 2)) {
                continue;
            }
            for (size_t n = 1;
                 fails_and_is_judged(kinds[i].call, kinds[i].fault, n, stays != 0, &tally);
                 n = next_call(n, opening)) {
            }
        }
        print_message("seed %" PRIu64 ", %s: %zu faults, %zu batches refused, %zu unknown, %zu not "
                      "opened; nothing acknowledged was lost\n",
                      torture_seed(), kinds[i].name, tally.runs, tally.refused, tally.unknown,
                      tally.not_opened);
        for (size_t unit = 0; unit < RUN_KINDS; unit++) {
            done[unit] += tally.done[unit];
        }
        assert_true(tally.runs > 0);
        /* The first faults must not all be in the opening, however much that does. */
        assert_true(kinds[i].call != CALL_SYNC || tally.unknown > 0);
    }
    run_kinds_tell(done);
}

static size_t calls_of_opening(enum disk_call call)
{
    struct scripted_run run;

    run_init(&run, torture_seed());
    run.cache_kib = CACHE_KIB;
    assert_int_equal(run_open(&run), OK);
    size_t count = memory_disk_calls(call);

    run_release(&run);
    memory_disk_clear();
    return count;
}

/* In the short form, of the opening's and of those behind it the first ones, where most differ;
 * pages of a checkpoint are much the same. */
static size_t next_call(size_t n, size_t opening)
{
    if (torture_is_long()) {
        return n + 1;
    }
    size_t behind = n > opening ? n - opening : n;
    size_t next = n + (behind < 10 ? 1 : behind / 2);

    return n <= opening && next > opening ? opening + 1 : next;
}

/* False when the run has fewer than `n` such calls. */
static bool fails_and_is_judged(enum disk_call call, enum disk_fault fault, size_t n, bool stays,
                                struct tally *tally)
{
    struct scripted_run run;
    bool is_unknown = false;
    bool has_failed = false;

    run_init(&run, torture_seed());
    run.cache_kib = CACHE_KIB;
    memory_disk_fail(call, fault, n, stays);
    if (run_open(&run) != OK) {
        has_failed = memory_disk_has_failed();
        assert_true(has_failed);
        tally->not_opened++;
        memory_disk_heal();
        run_folder_empty(&run);
        assert_int_equal(run_open(&run), OK);
    }
    /* Reads go on while nothing can be written. */
    bool reads_fail = call == CALL_READ || call == CALL_INDEX || call == CALL_OPEN;
    uint64_t digest = digest_seen(&run, reads_fail);

    bool is_killed = false;

    for (int i = 0; i < BATCHES && !is_unknown && !is_killed; i++) {
        run.writes_much = i >= SMALL_BATCHES;
        enum error error = run_batch(&run);

        is_unknown = error == ERROR_OUTCOME_UNKNOWN;
        if (error != OK) {
            batch_refused(&run, error, digest, reads_fail, tally);
            is_killed = n % 2 == 0; /* as it is, before it does anything more */
        } else {
            error = run_rest(&run);
            assert_true(error == OK || memory_disk_has_failed());
            is_unknown = error == ERROR_OUTCOME_UNKNOWN;
            digest = is_unknown ? digest : digest_seen(&run, reads_fail);
        }
    }
    has_failed = has_failed || memory_disk_has_failed();

    memory_disk_heal();
    tally->unknown += is_unknown ? 1 : 0;
    if (is_unknown) {
        assert_int_equal(run_batch(&run), ERROR_OUTCOME_UNKNOWN);
    } else if (!is_killed) {
        /* Without opening it anew. */
        assert_int_equal(run_batch(&run), OK);
        digest = run_digest(&run);
    }
    opened_anew(&run, digest, is_unknown);
    for (size_t i = 0; i < RUN_KINDS; i++) {
        tally->done[i] += run.done[i];
    }
    run_release(&run);
    memory_disk_clear();
    tally->runs += has_failed ? 1 : 0;
    return has_failed;
}

static uint64_t digest_seen(const struct scripted_run *run, bool reads_fail)
{
    memory_disk_pause(reads_fail);
    uint64_t digest = run_digest(run);

    memory_disk_pause(false);
    return digest;
}

static void batch_refused(const struct scripted_run *run, enum error error, uint64_t digest,
                          bool reads_fail, struct tally *tally)
{
    assert_true(memory_disk_has_failed());
    assert_true(error == ERROR_STORE_FAILED || error == ERROR_DISK_FULL ||
                error == ERROR_OUTCOME_UNKNOWN);
    tally->refused++;
    if (error != ERROR_OUTCOME_UNKNOWN) {
        assert_true(digest_seen(run, reads_fail) == digest);
    }
}

static void opened_anew(struct scripted_run *run, uint64_t digest, bool is_unknown)
{
    memory_disk_kill_begin();
    run_close(run);
    memory_disk_kill_end();
    run_folder_empty(run);
    assert_int_equal(run_open(run), OK);
    run_verify(run);
    assert_true(is_unknown || run_digest(run) == digest);
    if (is_unknown) {
        /* It may have made other accounts than the run knows. */
        run->account_count = 0;
        run->names_given += 1000;
    }
    assert_int_equal(run_batch(run), OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_call_that_can_fail_is_survived),
    };

    log_setup(getenv("MIGCHAT_FAULT_LOG") == NULL ? LOG_OFF : LOG_INFO, LOG_FORM_JSON);
    memory_disk_register();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
