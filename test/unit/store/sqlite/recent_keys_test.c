/* recent_keys_test.c - the index of the recent exactly-once keys finds what was added, as long as
 * it was not dropped, and gives out what moves in the order of accounts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "store/sqlite/recent_keys.h"

/* Enough for the table of slots to grow several times. */
#define MANY 5000

static struct str text_of_number(char text[16], int number)
{
    (void)snprintf(text, 16, "key-%d", number);
    return str_from(text);
}

/* How many messages may have it; `*out_message_id` is the last of them. */
static int found(const struct recent_keys *keys, int64_t account_id, struct str key,
                 int64_t *out_message_id)
{
    struct recent_look look = recent_keys_look(keys, account_id, key);
    int count = 0;

    while (recent_keys_next(keys, &look, out_message_id)) {
        count++;
    }
    return count;
}

static void each_of_many_is_found_by_account_and_key(void **state)
{
    struct recent_keys *keys = recent_keys_new(0);
    int64_t message_id = 0;
    char text[16];

    (void)state;
    assert_int_equal(found(keys, 1, STR("key-1"), &message_id), 0);
    for (int i = 0; i < MANY; i++) {
        recent_keys_add(keys, i % 7, text_of_number(text, i), 100 + i);
    }
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(found(keys, i % 7, text_of_number(text, i), &message_id), 1);
        assert_int_equal(message_id, 100 + i);
        assert_int_equal(found(keys, i % 7 + 1, text_of_number(text, i), &message_id), 0);
    }
    assert_int_equal(recent_keys_take_added(keys), MANY);
    assert_int_equal(recent_keys_take_added(keys), 0);
    recent_keys_free(keys);
}

/* What was undone stays beside the one that came after it. */
static void all_that_may_have_a_key_are_found(void **state)
{
    struct recent_keys *keys = recent_keys_new(0);
    int64_t message_id = 0;

    (void)state;
    recent_keys_add(keys, 1, STR("k"), 5);
    recent_keys_add(keys, 1, STR("k"), 6);
    assert_int_equal(found(keys, 1, STR("k"), &message_id), 2);
    recent_keys_forget(keys);
    assert_int_equal(found(keys, 1, STR("k"), &message_id), 0);
    assert_false(recent_keys_is_loaded(keys));
    recent_keys_free(keys);
}

static void what_moves_comes_by_account_and_is_dropped_alone(void **state)
{
    struct recent_keys *keys = recent_keys_new(4);
    int64_t message_id = 0;
    const int64_t order[] = {12, 14, 11, 13};

    (void)state;
    recent_keys_set_loaded(keys);
    recent_keys_add(keys, 9, STR("a"), 11);
    recent_keys_add(keys, 2, STR("b"), 12);
    recent_keys_add(keys, 9, STR("c"), 13);
    assert_false(recent_keys_are_due(keys));
    recent_keys_add(keys, 2, STR("d"), 14);
    assert_true(recent_keys_are_due(keys));
    recent_keys_move(keys, 14);
    assert_true(recent_keys_are_moving(keys));
    assert_int_equal(recent_keys_moving_to(keys), 14);
    recent_keys_add(keys, 1, STR("e"), 15);
    assert_false(recent_keys_are_due(keys));
    for (size_t i = 0; i < 4; i++) {
        assert_true(recent_keys_take_moving(keys, &message_id));
        assert_int_equal(message_id, order[i]);
        assert_int_equal(found(keys, 9, STR("c"), &message_id), 1);
    }
    assert_false(recent_keys_take_moving(keys, &message_id));
    recent_keys_drop_moved(keys);
    assert_false(recent_keys_are_moving(keys));
    assert_int_equal(found(keys, 9, STR("c"), &message_id), 0);
    assert_int_equal(found(keys, 1, STR("e"), &message_id), 1);
    recent_keys_free(keys);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(each_of_many_is_found_by_account_and_key),
        cmocka_unit_test(all_that_may_have_a_key_are_found),
        cmocka_unit_test(what_moves_comes_by_account_and_is_dropped_alone),
    };

    return cmocka_run_group_tests(cases, NULL, NULL);
}
