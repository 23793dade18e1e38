/* deadline_test.c - many time limits on one timer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/deadline.h"

#define COUNT 8

struct fixture {
    struct deadlines deadlines;
    struct deadline each[COUNT];
    int passed[4 * COUNT]; /* indices, in order */
    int passed_count;
    int64_t passed_at_ms[4 * COUNT];
    int clears;  /* the index on_passed clears, COUNT for none */
    int repeats; /* how often on_passed sets the one that passed again */
};

static uv_loop_t loop;
static struct fixture fixture;

static void on_passed(struct deadlines *deadlines, struct deadline *deadline)
{
    int index = (int)(deadline - fixture.each);

    fixture.passed_at_ms[fixture.passed_count] = (int64_t)uv_now(&loop);
    fixture.passed[fixture.passed_count++] = index;
    if (fixture.clears < COUNT) {
        deadline_clear(&fixture.each[fixture.clears]);
    }
    if (fixture.repeats > 0) {
        fixture.repeats--;
        deadline_set(deadlines, deadline, deadline->kind);
    }
}

static void fixture_start(void)
{
    const unsigned duration_ms[DEADLINE_KIND_COUNT] = {
        [DEADLINE_HEAD] = 60, [DEADLINE_BODY] = 120, [DEADLINE_IDLE] = 30, [DEADLINE_DRAIN] = 0};

    fixture = (struct fixture){.clears = COUNT};
    assert_int_equal(uv_loop_init(&loop), 0);
    deadlines_init(&fixture.deadlines, &loop, duration_ms, on_passed);
    for (int i = 0; i < COUNT; i++) {
        deadline_init(&fixture.each[i]);
    }
}

static void fixture_end(void)
{
    deadlines_close(&fixture.deadlines, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
}

static void deadlines_of_all_kinds_pass_in_order_and_in_time(void **state)
{
    static const enum deadline_kind kinds[] = {DEADLINE_BODY, DEADLINE_HEAD, DEADLINE_IDLE,
                                               DEADLINE_HEAD};
    static const int order[] = {2, 1, 3, 0};
    static const int after_ms[] = {30, 60, 60, 120};
    int64_t began_at_ms;

    (void)state;
    fixture_start();
    began_at_ms = (int64_t)uv_now(&loop);
    for (int i = 0; i < 4; i++) {
        deadline_set(&fixture.deadlines, &fixture.each[i], kinds[i]);
        assert_true(deadline_is_set(&fixture.each[i], kinds[i]));
    }
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(fixture.passed_count, 4);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(fixture.passed[i], order[i]);
        assert_true(fixture.passed_at_ms[i] - began_at_ms >= after_ms[i]);
        assert_false(deadline_is_set(&fixture.each[i], kinds[i]));
    }
    fixture_end();
}

static void a_cleared_deadline_does_not_pass_and_a_moved_one_passes_once(void **state)
{
    (void)state;
    fixture_start();
    deadline_set(&fixture.deadlines, &fixture.each[0], DEADLINE_IDLE);
    deadline_set(&fixture.deadlines, &fixture.each[1], DEADLINE_IDLE);
    deadline_set(&fixture.deadlines, &fixture.each[2], DEADLINE_IDLE);
    deadline_clear(&fixture.each[0]);
    deadline_clear(&fixture.each[0]);
    deadline_set(&fixture.deadlines, &fixture.each[1], DEADLINE_HEAD);
    assert_false(deadline_is_set(&fixture.each[1], DEADLINE_IDLE));
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(fixture.passed_count, 2);
    assert_int_equal(fixture.passed[0], 2);
    assert_int_equal(fixture.passed[1], 1);
    fixture_end();
}

static void what_is_called_may_set_and_clear_others(void **state)
{
    (void)state;
    fixture_start();
    fixture.clears = 1;
    fixture.repeats = 2;
    deadline_set(&fixture.deadlines, &fixture.each[0], DEADLINE_IDLE);
    deadline_set(&fixture.deadlines, &fixture.each[1], DEADLINE_IDLE);
    deadline_set(&fixture.deadlines, &fixture.each[2], DEADLINE_BODY);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(fixture.passed_count, 4);
    assert_int_equal(fixture.passed[0], 0);
    assert_int_equal(fixture.passed[1], 0);
    assert_int_equal(fixture.passed[2], 0);
    assert_int_equal(fixture.passed[3], 2);
    fixture_end();
}

static void no_duration_is_the_shortest(void **state)
{
    (void)state;
    fixture_start();
    fixture.repeats = 3;
    deadline_set(&fixture.deadlines, &fixture.each[0], DEADLINE_DRAIN);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(fixture.passed_count, 4);
    fixture_end();
}

static void closing_forgets_what_is_set(void **state)
{
    (void)state;
    fixture_start();
    deadline_set(&fixture.deadlines, &fixture.each[0], DEADLINE_IDLE);
    fixture_end();
    assert_int_equal(fixture.passed_count, 0);
    assert_false(deadline_is_set(&fixture.each[0], DEADLINE_IDLE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deadlines_of_all_kinds_pass_in_order_and_in_time),
        cmocka_unit_test(a_cleared_deadline_does_not_pass_and_a_moved_one_passes_once),
        cmocka_unit_test(what_is_called_may_set_and_clear_others),
        cmocka_unit_test(no_duration_is_the_shortest),
        cmocka_unit_test(closing_forgets_what_is_set),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
