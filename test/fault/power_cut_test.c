/* power_cut_test.c - the power fails behind any write, sync or change of a name of a scripted run,
 * and what was not synced is lost, reordered or torn: whatever was acknowledged is there, what is
 * there is one of the states between two commits, and the store goes on from it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "fault/memory_disk.h"
#include "fault/scripted_run.h"
#include "fault/torture.h"

#define STATES_MAX 4000u
#define GOES_ON_EVERY 20u /* cuts, of which one is worked on with */
#define REOPENED_EVERY 90u
#define CUTS_MIN_LONG 10000u

/* What the database held after a commit. */
struct state {
    size_t begun;        /* changes of the recording before it could be on the disk */
    size_t acknowledged; /* changes by which its commit had returned */
    uint64_t digest;
};

static struct state states[STATES_MAX];
static size_t state_count;
static size_t opened_at; /* changes by which the database was made */

static void state_add(const struct scripted_run *run, size_t begun)
{
    assert_true(state_count < STATES_MAX);
    states[state_count++] = (struct state){begun, memory_disk_change_count(), run_digest(run)};
}

static void record(struct scripted_run *run, size_t batches)
{
    memory_disk_record();
    state_count = 0;
    assert_int_equal(run_open(run), OK);
    opened_at = memory_disk_change_count();
    state_add(run, 0);
    for (size_t i = 1; i <= batches; i++) {
        size_t begun = memory_disk_change_count();

        assert_int_equal(run_batch(run), OK);
        state_add(run, begun);
        begun = memory_disk_change_count();
        assert_int_equal(run_rest(run), OK);
        state_add(run, begun);
        if (i % REOPENED_EVERY == 0) {
            run_close(run);
            assert_int_equal(run_open(run), OK);
        }
    }
    run_close(run);
}

/* The disk is as the cut left it. */
static void judge(struct scripted_run *run, size_t change, bool goes_on)
{
    size_t first = 0;
    bool is_found = false;

    run_folder_empty(run);
    assert_int_equal(run_open(run), OK);
    run_verify(run);
    if (change >= opened_at) {
        uint64_t digest = run_digest(run);

        for (size_t i = 0; i < state_count && states[i].begun <= change; i++) {
            first = states[i].acknowledged <= change ? i : first;
        }
        for (size_t i = first; i < state_count && states[i].begun <= change; i++) {
            is_found = is_found || states[i].digest == digest;
        }
        if (!is_found) {
            fail_msg("it is not the state behind commit %zu or a later one", first);
        }
    }
    if (goes_on) {
        /* The accounts the run knows may not be there yet: new ones are made. */
        run->account_count = 0;
        for (int i = 0; i < 3; i++) {
            assert_int_equal(run_batch(run), OK);
        }
        run_verify(run);
    }
    run_close(run);
}

static void whatever_was_not_synced_is_lost_and_nothing_else(void **state)
{
    size_t batches = torture_is_long() ? 700 : 120;
    size_t cuts_wanted = torture_is_long() ? 12000 : 500;
    struct scripted_run run;
    uint64_t chance = torture_seed();
    size_t cuts = 0;
    size_t changes;

    (void)state;
    run_init(&run, torture_seed());
    record(&run, batches);
    run_kinds_tell(run.done);
    run_kinds_check(run.done);
    changes = memory_disk_change_count();
    /* Behind every change in the long form, several ways; behind some of them in the short one. */
    size_t step = changes / cuts_wanted + 1;
    size_t ways = cuts_wanted / (changes / step) + 1;

    for (size_t change = 1; change <= changes; change += change < opened_at ? 1 : step) {
        for (size_t i = 0; i < ways; i++, cuts++) {
            enum disk_loss loss = (enum disk_loss)((change / step + i) % LOSS_COUNT);

            memory_disk_cut(change, loss, &chance);
            run.names_given = 1000000u + (unsigned)cuts * 100u;
            judge(&run, change, cuts % GOES_ON_EVERY == 0);
        }
    }
    print_message("seed %" PRIu64
                  ": %zu commits, %zu changes of the disk, %zu cuts, nothing lost\n",
                  torture_seed(), state_count, changes, cuts);
    if (torture_is_long()) {
        assert_int_equal(step, 1);
        assert_true(cuts >= CUTS_MIN_LONG);
    }
    run_release(&run);
    memory_disk_clear();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_was_not_synced_is_lost_and_nothing_else),
    };

    log_setup(getenv("MIGCHAT_FAULT_LOG") == NULL ? LOG_OFF : LOG_INFO, LOG_FORM_JSON);
    memory_disk_register();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
