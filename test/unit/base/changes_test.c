/* changes_test.c - nothing that came after a number is ever denied. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
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
    changes_tell(&changes, account_id);
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

/* Others may see the commit already: what was kept is not given any more. Who follows is told
 * later, and need not ask until then. */
static void what_is_about_to_change_looks_changed_but_to_who_is_told(void **state)
{
    (void)state;
    uint64_t seen = changes_now(&changes);
    uint64_t number = changes_begin(&changes);

    changes_mark_account(&changes, 7, number);
    assert_true(changes_since(&changes, 7, seen));
    assert_false(changes_of_log_since(&changes, 7, seen));
    changes_end(&changes, number);
    assert_true(changes_of_log_since(&changes, 7, seen));
}

/* Told of one commit before it followed, it must not miss it for the next that has the mark. */
static void a_mark_above_another_hides_nothing(void **state)
{
    (void)state;
    uint64_t seen = changes_now(&changes);

    commit_of(7);
    changes_mark_account(&changes, 7, changes_begin(&changes));
    assert_true(changes_of_log_since(&changes, 7, seen));
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

static void who_follows_is_told_of_each_change(void **state)
{
    (void)state;
    int64_t account_id = 0;

    commit_of(7);
    assert_false(changes_have_news(&changes));
    changes_follow(&changes, 7);
    changes_follow(&changes, 7);
    commit_of(7);
    commit_of(8);
    commit_of(7);
    assert_true(changes_have_news(&changes));
    for (int i = 0; i < 2; i++) {
        assert_true(changes_take_news(&changes, &account_id));
        assert_int_equal(account_id, 7);
    }
    assert_false(changes_take_news(&changes, &account_id));
    changes_unfollow(&changes, 7);
    commit_of(7);
    assert_true(changes_take_news(&changes, &account_id));
    changes_unfollow(&changes, 7);
    commit_of(7);
    assert_false(changes_have_news(&changes));
}

static void news_that_have_no_room_are_known_to_be_lost(void **state)
{
    (void)state;
    int64_t account_id = 0;

    changes_follow(&changes, 7);
    for (unsigned i = 0; i < CHANGES_NEWS_MAX; i++) {
        commit_of(7);
    }
    assert_false(changes_take_loss(&changes));
    commit_of(7);
    for (unsigned i = 0; i < CHANGES_NEWS_MAX; i++) {
        assert_true(changes_take_news(&changes, &account_id));
    }
    assert_false(changes_take_news(&changes, &account_id));
    assert_true(changes_have_news(&changes));
    assert_true(changes_take_loss(&changes));
    assert_false(changes_have_news(&changes));
    commit_of(7);
    assert_true(changes_take_news(&changes, &account_id));
}

#define RACES 20000
#define RACE_ACCOUNT(i) (1 + (i) % 64)

static void *races_write(void *argument)
{
    (void)argument;
    for (int64_t i = 0; i < RACES; i++) {
        commit_of(RACE_ACCOUNT(i));
    }
    return NULL;
}

/* Beside a writer that does not stop: each account changes every 64 commits. */
static void a_follower_is_told_while_the_writer_goes_on(void **state)
{
    (void)state;
    pthread_t writer;
    int64_t told_id = 0;

    assert_int_equal(pthread_create(&writer, NULL, races_write, NULL), 0);
    for (int64_t i = 0; changes_now(&changes) < RACES; i++) {
        int64_t account_id = RACE_ACCOUNT(i);
        bool is_told = false;

        changes_follow(&changes, account_id);
        uint64_t from = changes_now(&changes);
        while (changes_now(&changes) < from + 2 * 64 && changes_now(&changes) < RACES) {
        }
        bool has_changed = changes_now(&changes) >= from + 2 * 64;
        while (changes_take_news(&changes, &told_id)) {
            is_told = is_told || told_id == account_id;
        }
        is_told = changes_take_loss(&changes) || is_told;
        assert_true(is_told || !has_changed);
        changes_unfollow(&changes, account_id);
    }
    assert_int_equal(pthread_join(writer, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_commit_changes_its_account_for_those_who_read_before,
                               changes_forget),
        cmocka_unit_test_setup(a_reader_between_mark_and_end_counts_as_before, changes_forget),
        cmocka_unit_test_setup(what_is_about_to_change_looks_changed_but_to_who_is_told,
                               changes_forget),
        cmocka_unit_test_setup(a_mark_above_another_hides_nothing, changes_forget),
        cmocka_unit_test_setup(a_rename_changes_everybody, changes_forget),
        cmocka_unit_test_setup(accounts_of_one_slot_change_together, changes_forget),
        cmocka_unit_test_setup(who_follows_is_told_of_each_change, changes_forget),
        cmocka_unit_test_setup(news_that_have_no_room_are_known_to_be_lost, changes_forget),
        cmocka_unit_test_setup(a_follower_is_told_while_the_writer_goes_on, changes_forget),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
