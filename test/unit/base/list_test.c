/* list_test.c - intrusive lists: order, unlinking, moving whole lists. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/list.h"

struct item {
    int number;
    struct list node;
};

/* The number of the first item, which leaves the list; 0 when there is none. */
static int number_take(struct list *head)
{
    struct list *node = list_take_first(head);

    return node == NULL ? 0 : container_of(node, struct item, node)->number;
}

static void items_come_out_in_the_order_they_went_in(void **state)
{
    struct list head;
    struct item items[3] = {{1, {0}}, {2, {0}}, {3, {0}}};

    (void)state;
    list_init(&head);
    assert_true(list_is_empty(&head));
    for (size_t i = 0; i < 3; i++) {
        assert_false(list_is_linked(&items[i].node));
        list_append(&head, &items[i].node);
        assert_true(list_is_linked(&items[i].node));
    }
    for (int expected = 1; expected <= 3; expected++) {
        assert_int_equal(number_take(&head), expected);
        assert_false(list_is_linked(&items[expected - 1].node));
    }
    assert_null(list_take_first(&head));
}

static void an_item_leaves_from_the_middle_and_leaving_twice_is_nothing(void **state)
{
    struct list head;
    struct item items[3] = {{1, {0}}, {2, {0}}, {3, {0}}};

    (void)state;
    list_init(&head);
    for (size_t i = 0; i < 3; i++) {
        list_append(&head, &items[i].node);
    }
    list_remove(&items[1].node);
    list_remove(&items[1].node);
    assert_ptr_equal(head.next, &items[0].node);
    assert_ptr_equal(items[0].node.next, &items[2].node);
    assert_ptr_equal(head.prev, &items[2].node);
    assert_ptr_equal(items[2].node.prev, &items[0].node);
}

static void a_whole_list_moves_behind_another(void **state)
{
    struct list to, from;
    struct item items[3] = {{1, {0}}, {2, {0}}, {3, {0}}};

    (void)state;
    list_init(&to);
    list_init(&from);
    list_append_all(&to, &from);
    assert_true(list_is_empty(&to));
    list_append(&to, &items[0].node);
    list_append(&from, &items[1].node);
    list_append(&from, &items[2].node);
    list_append_all(&to, &from);
    assert_true(list_is_empty(&from));
    for (int expected = 1; expected <= 3; expected++) {
        assert_int_equal(number_take(&to), expected);
    }
    assert_true(list_is_empty(&to));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_come_out_in_the_order_they_went_in),
        cmocka_unit_test(an_item_leaves_from_the_middle_and_leaving_twice_is_nothing),
        cmocka_unit_test(a_whole_list_moves_behind_another),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
