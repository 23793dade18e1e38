/* buf_test.c - buffers: growth, the limit, numbers and formats. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/buf.h"

static void assert_text(const struct buf *buf, const char *text)
{
    assert_int_equal(buf->len, strlen(text));
    assert_memory_equal(buf->ptr, text, buf->len);
}

static void what_is_appended_stands_there_in_order(void **state)
{
    struct buf buf;

    (void)state;
    buf_init(&buf, 1000);
    assert_null(buf.ptr);
    buf_append(&buf, "ab", 2);
    buf_append_char(&buf, 'c');
    buf_append_str(&buf, STR("de"));
    buf_append_str(&buf, (struct str){NULL, 0});
    buf_append_format(&buf, "-%d-%s", 7, "x");
    assert_text(&buf, "abcde-7-x");
    assert_true(str_equal(buf_str(&buf), STR("abcde-7-x")));
    buf_release(&buf);
    assert_null(buf.ptr);
}

static void integers_are_written_to_their_extremes(void **state)
{
    struct buf buf;

    (void)state;
    buf_init(&buf, 1000);
    buf_append_int(&buf, 0);
    buf_append_char(&buf, ' ');
    buf_append_int(&buf, -1);
    buf_append_char(&buf, ' ');
    buf_append_int(&buf, INT64_MAX);
    buf_append_char(&buf, ' ');
    buf_append_int(&buf, INT64_MIN);
    assert_text(&buf, "0 -1 9223372036854775807 -9223372036854775808");
    buf_release(&buf);
}

static void the_limit_can_be_filled_but_not_passed(void **state)
{
    struct buf buf;

    (void)state;
    buf_init(&buf, 10);
    buf_append_format(&buf, "%s", "0123456789");
    assert_text(&buf, "0123456789");
    assert_false(buf.overflowed);
    buf_append_char(&buf, 'x');
    assert_true(buf.overflowed);
    assert_text(&buf, "0123456789");
    buf_release(&buf);
}

static void after_an_overflow_nothing_fits_until_it_is_cleared(void **state)
{
    struct buf buf;

    (void)state;
    buf_init(&buf, 10);
    buf_append_str(&buf, STR("12345"));
    buf_append_str(&buf, STR("123456"));
    assert_true(buf.overflowed);
    buf_append_char(&buf, 'x');
    buf_append_int(&buf, 1);
    buf_append_format(&buf, "y");
    assert_null(buf_reserve(&buf, 1));
    assert_text(&buf, "12345");
    buf_clear(&buf);
    assert_false(buf.overflowed);
    buf_append_char(&buf, 'x');
    assert_text(&buf, "x");
    buf_release(&buf);
}

static void reserved_room_is_claimed_as_far_as_it_was_written(void **state)
{
    struct buf buf;

    (void)state;
    buf_init(&buf, 100);
    char *room = buf_reserve(&buf, 50);
    assert_non_null(room);
    memcpy(room, "hello", 5);
    assert_int_equal(buf.len, 0);
    buf_grow(&buf, 5);
    assert_text(&buf, "hello");
    assert_null(buf_reserve(&buf, 96));
    assert_true(buf.overflowed);
    buf_release(&buf);
}

static void reserving_nothing_in_an_empty_buf_gives_a_valid_place(void **state)
{
    struct buf buf;

    (void)state;
    buf_init(&buf, 0);
    assert_non_null(buf_reserve(&buf, 0));
    assert_false(buf.overflowed);
    buf_append_format(&buf, "%s", "");
    assert_false(buf.overflowed);
    buf_release(&buf);
}

static void growth_is_geometric(void **state)
{
    struct buf buf;
    unsigned moves = 0;
    size_t capacity = 0;

    (void)state;
    buf_init(&buf, 1000 * 1000);
    for (int i = 0; i < 1000 * 1000; i++) {
        buf_append_char(&buf, 'x');
        if (buf.capacity != capacity) {
            capacity = buf.capacity;
            moves++;
        }
    }
    assert_int_equal(buf.len, 1000 * 1000);
    assert_in_range(moves, 1, 20);
    buf_release(&buf);
}

static void the_front_and_the_end_can_be_cut_off(void **state)
{
    struct buf buf;

    (void)state;
    buf_init(&buf, 100);
    buf_append_str(&buf, STR("0123456789"));
    buf_drop_front(&buf, 3);
    assert_text(&buf, "3456789");
    buf_truncate(&buf, 2);
    assert_text(&buf, "34");
    buf_drop_front(&buf, 0);
    buf_drop_front(&buf, 2);
    assert_int_equal(buf.len, 0);
    buf_release(&buf);
}

static void what_is_borrowed_is_shown_and_never_written(void **state)
{
    static const char shown[] = "longer than the limit";
    struct buf buf;

    (void)state;
    buf_init(&buf, 8);
    buf_append_str(&buf, STR("own"));
    buf_borrow(&buf, STR("longer than the limit"));
    buf_borrow(&buf, (struct str){shown, sizeof shown - 1});
    assert_ptr_equal(buf.ptr, shown);
    assert_text(&buf, "longer than the limit");
    buf_append_char(&buf, 'x');
    assert_text(&buf, "longer than the limit");
    buf_clear(&buf);
    assert_int_equal(buf.len, 0);
    buf_append_str(&buf, STR("own"));
    assert_ptr_not_equal(buf.ptr, shown);
    assert_text(&buf, "own");
    buf_append_str(&buf, STR("again"));
    assert_text(&buf, "ownagain");
    buf_append_char(&buf, 'x');
    assert_true(buf.overflowed);
    buf_borrow(&buf, (struct str){shown, sizeof shown - 1});
    buf_release(&buf);
    assert_null(buf.ptr);
    assert_int_equal(buf.max_bytes, 8);
}

static void assert_wiped(const struct buf *buf)
{
    for (size_t i = 0; i < buf->capacity; i++) {
        assert_int_equal(buf->ptr[i], 0);
    }
}

static void what_is_secret_is_overwritten_also_behind_what_it_holds_now(void **state)
{
    struct buf buf;

    (void)state;
    buf_init(&buf, 1000);
    buf.is_secret = true;
    for (int i = 0; i < 100; i++) {
        buf_append(&buf, "grows", 5); /* its memory moves, with all that was in it */
    }
    assert_int_equal(buf.len, 500);
    assert_memory_equal(buf.ptr, "growsgrows", 10);
    buf_drop_front(&buf, 4);
    buf_clear(&buf);
    assert_true(buf.is_secret);
    buf_append(&buf, "short", 5);
    buf_wipe(&buf);
    assert_int_equal(buf.len, 0);
    assert_false(buf.is_secret);
    assert_wiped(&buf);
    buf_append(&buf, "open", 4);
    buf_borrow(&buf, STR("of others"));
    buf_wipe(&buf); /* not ours to write to */
    buf_release(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_appended_stands_there_in_order),
        cmocka_unit_test(integers_are_written_to_their_extremes),
        cmocka_unit_test(the_limit_can_be_filled_but_not_passed),
        cmocka_unit_test(after_an_overflow_nothing_fits_until_it_is_cleared),
        cmocka_unit_test(reserved_room_is_claimed_as_far_as_it_was_written),
        cmocka_unit_test(reserving_nothing_in_an_empty_buf_gives_a_valid_place),
        cmocka_unit_test(growth_is_geometric),
        cmocka_unit_test(the_front_and_the_end_can_be_cut_off),
        cmocka_unit_test(what_is_borrowed_is_shown_and_never_written),
        cmocka_unit_test(what_is_secret_is_overwritten_also_behind_what_it_holds_now),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
