/* arena_test.c - arenas: alignment, growth, marks, what clearing keeps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdalign.h>
#include <string.h>

#include "base/arena.h"

static void allocations_are_aligned_distinct_and_writable(void **state)
{
    struct arena arena;
    char *before = NULL;

    (void)state;
    arena_init(&arena);
    for (size_t size = 0; size < 300; size++) {
        char *at = arena_alloc(&arena, size);
        assert_non_null(at);
        assert_int_equal((uintptr_t)at % alignof(max_align_t), 0);
        assert_ptr_not_equal(at, before);
        memset(at, 0x5a, size);
        before = at;
    }
    arena_release(&arena);
}

static void zeroed_memory_is_zero_also_when_it_is_used_again(void **state)
{
    struct arena arena;
    static const char zeros[200];

    (void)state;
    arena_init(&arena);
    memset(arena_alloc(&arena, 200), 0xff, 200);
    arena_clear(&arena);
    assert_memory_equal(arena_alloc_zero(&arena, 200), zeros, 200);
    arena_release(&arena);
}

static void a_copy_ends_in_nul_and_is_another_memory(void **state)
{
    struct arena arena;
    char original[] = "abc";

    (void)state;
    arena_init(&arena);
    struct str copy = arena_copy(&arena, (struct str){original, 3});
    original[0] = 'x';
    assert_int_equal(copy.len, 3);
    assert_string_equal(copy.ptr, "abc");
    struct str nothing = arena_copy(&arena, (struct str){NULL, 0});
    assert_int_equal(nothing.len, 0);
    assert_string_equal(nothing.ptr, "");
    arena_release(&arena);
}

static void the_first_chunk_is_small_and_clearing_goes_back_to_it(void **state)
{
    struct arena arena;

    (void)state;
    arena_init(&arena);
    assert_int_equal(arena.total_bytes, 0);
    arena_alloc(&arena, 1);
    size_t first_bytes = arena.total_bytes;
    assert_in_range(first_bytes, 1, 4096);
    for (int i = 0; i < 1000; i++) {
        arena_alloc(&arena, 1000);
    }
    assert_true(arena.total_bytes >= 1000 * 1000);
    assert_true(arena.total_bytes <= 2 * 1000 * 1000);
    arena_clear(&arena);
    assert_int_equal(arena.total_bytes, first_bytes);
    assert_int_equal(arena.used_bytes, 0);
    arena_release(&arena);
    assert_int_equal(arena.total_bytes, 0);
}

static void a_huge_allocation_is_not_kept_by_clearing(void **state)
{
    struct arena arena;

    (void)state;
    arena_init(&arena);
    char *huge = arena_alloc(&arena, 1000 * 1000);
    huge[0] = huge[999999] = 'x';
    assert_in_range(arena.total_bytes, 1000 * 1000, 1000 * 1000 + 64);
    arena_alloc(&arena, 10);
    arena_clear(&arena);
    assert_in_range(arena.total_bytes, 1, 4096);
    arena_clear(&arena);
    assert_in_range(arena.total_bytes, 1, 4096);
    arena_alloc(&arena, 10);
    arena_release(&arena);
}

static void what_is_kept_is_given_back_unless_something_is_in_it(void **state)
{
    struct arena arena;

    (void)state;
    arena_init(&arena);
    arena_shrink(&arena);
    assert_int_equal(arena.total_bytes, 0);
    char *at = arena_alloc(&arena, 10);
    at[0] = 'x';
    arena_shrink(&arena);
    assert_true(arena.total_bytes > 0);
    assert_int_equal(at[0], 'x');
    arena_clear(&arena);
    assert_true(arena.total_bytes > 0);
    arena_shrink(&arena);
    assert_int_equal(arena.total_bytes, 0);
    /* Of more than one chunk something is in use. */
    (void)arena_alloc(&arena, 10);
    (void)arena_alloc(&arena, 1 << 20);
    size_t both_bytes = arena.total_bytes;
    arena_shrink(&arena);
    assert_int_equal(arena.total_bytes, both_bytes);
    arena_release(&arena);
}

static void rewinding_gives_back_what_came_after_the_mark(void **state)
{
    struct arena arena;

    (void)state;
    arena_init(&arena);
    char *kept = arena_alloc(&arena, 100);
    memset(kept, 'k', 100);
    struct arena_mark mark = arena_mark(&arena);
    size_t marked_bytes = arena.total_bytes;
    char *first = arena_alloc(&arena, 100);
    for (int page = 0; page < 50; page++) {
        for (int i = 0; i < 100; i++) {
            memset(arena_alloc(&arena, 500), 'p', 500);
        }
        memset(arena_alloc(&arena, 100 * 1000), 'h', 100 * 1000);
        arena_rewind(&arena, mark);
        assert_int_equal(arena.total_bytes, marked_bytes);
    }
    assert_ptr_equal(arena_alloc(&arena, 100), first);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(kept[i], 'k');
    }
    arena_release(&arena);
}

static void a_mark_of_an_empty_arena_rewinds_to_empty(void **state)
{
    struct arena arena;

    (void)state;
    arena_init(&arena);
    struct arena_mark mark = arena_mark(&arena);
    arena_alloc(&arena, 100 * 1000);
    arena_alloc(&arena, 10);
    arena_rewind(&arena, mark);
    assert_int_equal(arena.used_bytes, 0);
    arena_alloc(&arena, 10);
    arena_release(&arena);
}

/* Taken again, so that it may be looked at. */
static void assert_wiped(struct arena *arena, const char *at, size_t size)
{
    const char *again = arena_alloc(arena, size);

    assert_ptr_equal(again, at);
    for (size_t i = 0; i < size; i++) {
        assert_int_equal(again[i], 0);
    }
}

static void what_is_secret_is_overwritten_when_it_is_dropped(void **state)
{
    struct arena arena;

    (void)state;
    arena_init(&arena);
    arena_alloc(&arena, 16);
    arena.is_secret = true;
    struct arena_mark mark = arena_mark(&arena);
    char *first = memset(arena_alloc(&arena, 2000), 's', 2000);
    memset(arena_alloc(&arena, 9000), 's', 9000); /* in another chunk */
    arena_rewind(&arena, mark);
    assert_wiped(&arena, first, 2000);
    memset(first, 's', 2000);
    memset(arena_alloc(&arena, 100 * 1000), 's', 100 * 1000);
    arena_clear(&arena);
    assert_false(arena.is_secret);
    arena_alloc(&arena, 16);
    assert_wiped(&arena, first, 2000);
    arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allocations_are_aligned_distinct_and_writable),
        cmocka_unit_test(zeroed_memory_is_zero_also_when_it_is_used_again),
        cmocka_unit_test(a_copy_ends_in_nul_and_is_another_memory),
        cmocka_unit_test(the_first_chunk_is_small_and_clearing_goes_back_to_it),
        cmocka_unit_test(a_huge_allocation_is_not_kept_by_clearing),
        cmocka_unit_test(what_is_kept_is_given_back_unless_something_is_in_it),
        cmocka_unit_test(rewinding_gives_back_what_came_after_the_mark),
        cmocka_unit_test(a_mark_of_an_empty_arena_rewinds_to_empty),
        cmocka_unit_test(what_is_secret_is_overwritten_when_it_is_dropped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
