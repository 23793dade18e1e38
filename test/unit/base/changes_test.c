/* changes_test.c - nothing that came after a number is ever denied. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/changes.h"

static struct changes changes;

static int changes_forget(void **state)
{
    (void)state;
    memset(&changes, 0, sizeof changes);
    return 0;
}

static uint64_t commit_of(int64_t account_id)
{
    uint64_t number = changes_begin(&changes);

    changes_mark_account(&changes, account_id, number);
    changes_end(&changes, number);
    return number;
}

static void a_commit_changes_its_account_for_those_who_read_before(void **state)
{
    (void)state;
    uint64_t before = changes_now(&changes);
    commit_of(7);
    assert_true(changes_since(&changes, 7, before));
    assert_false(changes_since(&changes, 8, before));
    assert_false(changes_since(&changes, 7, changes_now(&changes)));
}

static void a_reader_between_mark_and_end_counts_as_before(void **state)
{
    (void)state;
    uint64_t number = changes_begin(&changes);

    changes_mark_account(&changes, 7, number);
    uint64_t seen = changes_now(&changes);
    changes_end(&changes, number);
    assert_true(changes_since(&changes, 7, seen));
}

static void a_rename_changes_everybody(void **state)
{
    (void)state;
    commit_of(1);
    uint64_t before = changes_now(&changes);
    uint64_t number = changes_begin(&changes);

    changes_mark_names(&changes, number);
    changes_end(&changes, number);
    assert_true(changes_since(&changes, 1, before));
    assert_true(changes_since(&changes, 999, before));
    assert_false(changes_since(&changes, 999, changes_now(&changes)));
}

static void accounts_of_one_slot_change_together(void **state)
{
    (void)state;
    uint64_t before = changes_now(&changes);
    commit_of(5);
    assert_true(changes_since(&changes, 5 + (int64_t)CHANGES_SLOTS, before));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_commit_changes_its_account_for_those_who_read_before,
                               changes_forget),
        cmocka_unit_test_setup(a_reader_between_mark_and_end_counts_as_before, changes_forget),
        cmocka_unit_test_setup(a_rename_changes_everybody, changes_forget),
        cmocka_unit_test_setup(accounts_of_one_slot_change_together, changes_forget),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
