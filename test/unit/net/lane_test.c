/* lane_test.c - lending to threads and getting back, without connections. */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "api/services.h"
#include "base/clock.h"
#include "base/log.h"
#include "net/lane.h"

#define COUNT 8u

static enum error note_run(struct exchange *exchange, struct services *services);

static const struct route read_route = {METHOD_GET, "/read",    false,
                                        BODY_NONE,  LIMIT_NONE, {{LANE_READ, note_run}}};
static const struct route write_route = {METHOD_GET, "/write",   false,
                                         BODY_NONE,  LIMIT_NONE, {{LANE_WRITE, note_run}}};
static const struct route hash_route = {METHOD_GET, "/hash",    false,
                                        BODY_NONE,  LIMIT_NONE, {{LANE_HASH, note_run}}};

/* One test's lanes. What the lane threads write is atomic. */
static uv_loop_t loop;
static struct lanes *lanes;
static struct readiness readiness;
static struct traffic traffic;
/* What the lanes had counted when the last exchange came back, all threads together. */
static struct {
    uint64_t waits, batches, batch_exchanges, waits_ns;
} counted[LANE_COUNT];
static struct lane_plan plans[LANE_COUNT];
static struct services owners[LANE_COUNT][2];
static struct exchange *exchanges[COUNT];
static unsigned returned_count;
static struct exchange *returned[COUNT];
static unsigned returned_goal; /* then the lanes are stopped */
static unsigned failed_after;  /* how many had come back when on_failed was called */
static bool has_failed;
static struct server *const some_server = (struct server *)&loop;

static atomic_uint batch_count;
static atomic_uint rest_count;
static atomic_uint rest_goal; /* rests until WORK_DONE */
static atomic_int lane_seen;  /* of the services the last step ran with */
static atomic_bool was_busy;
static atomic_bool fails;
static atomic_int nice_seen;
static atomic_bool takes_signals;
static atomic_bool is_named; /* "lane-hash-0" */
static atomic_bool gathers;  /* batches wait for GATHERED and ask for more */
static atomic_bool wants_rest;
static atomic_bool idle_seen; /* by the last rest */
static atomic_uint batch_lens[COUNT];
static atomic_uint rests_before[COUNT]; /* batches */

static enum error note_run(struct exchange *exchange, struct services *services)
{
    sigset_t blocked;
    char name[16];

    atomic_store(&lane_seen, (int)services->lane);
    atomic_store(&was_busy, atomic_load(&readiness.writer_busy_since_ms) > 0);
    atomic_store(&nice_seen, getpriority(PRIO_PROCESS, (id_t)gettid()));
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    atomic_store(&takes_signals, sigismember(&blocked, SIGTERM) == 0);
    pthread_getname_np(pthread_self(), name, sizeof(name));
    atomic_store(&is_named, strcmp(name, "lane-hash-0") == 0);
    exchange->response.status = 200;
    return OK;
}

static enum work_verdict batch_run(struct services *services, struct list *batch,
                                   struct batch_source *source)
{
    unsigned number = atomic_fetch_add(&batch_count, 1);
    unsigned len = 0;

    for (struct list *node = batch->next; node != batch; node = node->next) {
        exchange_run_step(container_of(node, struct exchange, node), services);
        len++;
        while (node->next == batch && atomic_load(&gathers) && len < plans[LANE_WRITE].batch_max &&
               !source->more(source, batch)) {
        }
    }
    assert_false(len == plans[LANE_WRITE].batch_max && source->more(source, batch));
    if (number < COUNT) {
        atomic_store(&batch_lens[number], len);
        atomic_store(&rests_before[number], atomic_load(&rest_count));
    }
    if (atomic_load(&fails)) {
        return WORK_FATAL;
    }
    return atomic_load(&wants_rest) ? WORK_MORE : WORK_DONE;
}

static enum work_verdict rest_run(struct services *services, bool is_idle)
{
    atomic_store(&idle_seen, is_idle);
    (void)services;
    return atomic_fetch_add(&rest_count, 1) + 1 < atomic_load(&rest_goal) ? WORK_MORE : WORK_DONE;
}

static void counted_note(void)
{
    memset(counted, 0, sizeof(counted));
    for (int lane = 0; lane < LANE_COUNT; lane++) {
        for (unsigned i = 0; i < traffic.lanes[lane].thread_count; i++) {
            const struct lane_thread_traffic *thread = &traffic.lanes[lane].threads[i];

            counted[lane].waits += histogram_count(&thread->waits);
            counted[lane].waits_ns += tally_read(&thread->waits.sum);
            counted[lane].batches += histogram_count(&thread->batch_sizes);
            counted[lane].batch_exchanges += tally_read(&thread->batch_sizes.sum);
        }
    }
}

static void on_returned(struct exchange *exchange)
{
    returned[returned_count++] = exchange;
    if (returned_count == returned_goal) {
        counted_note();
        lanes_stop(lanes);
    }
}

static void on_woken(struct server *server)
{
    (void)server;
}

static void on_failed(struct server *server)
{
    assert_ptr_equal(server, some_server);
    has_failed = true;
    failed_after = returned_count;
    if (returned_goal == 0) {
        lanes_stop(lanes);
    }
}

static int set_up(void **state)
{
    static struct services *pointers[LANE_COUNT][2];

    (void)state;
    log_setup(LOG_OFF, LOG_FORM_JSON);
    memset(&readiness, 0, sizeof(readiness));
    returned_count = 0;
    has_failed = false;
    failed_after = 0;
    atomic_store(&batch_count, 0);
    atomic_store(&rest_count, 0);
    atomic_store(&rest_goal, 1);
    atomic_store(&lane_seen, -1);
    atomic_store(&fails, false);
    atomic_store(&gathers, false);
    atomic_store(&wants_rest, false);
    for (int lane = 0; lane < LANE_COUNT; lane++) {
        for (int i = 0; i < 2; i++) {
            owners[lane][i].lane = (enum lane)lane;
            pointers[lane][i] = &owners[lane][i];
        }
        plans[lane] = (struct lane_plan){
            .services = pointers[lane], .thread_count = 1, .queue_max = COUNT, .batch_max = COUNT};
    }
    for (unsigned i = 0; i < COUNT; i++) {
        exchanges[i] = exchange_new();
    }
    assert_int_equal(uv_loop_init(&loop), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    for (unsigned i = 0; i < COUNT; i++) {
        exchange_free(exchanges[i]);
    }
    return 0;
}

static void start(bool rests, unsigned goal)
{
    static struct work work;

    work = (struct work){.run = batch_run, .rest = rests ? rest_run : NULL};
    returned_goal = goal;
    assert_int_equal(lanes_start(&loop, &work, plans, &readiness, &traffic, on_returned, on_woken,
                                 on_failed, some_server, &lanes),
                     OK);
}

static bool lend(unsigned index, const struct route *route)
{
    exchanges[index]->route = route;
    return lanes_lend(lanes, exchanges[index]);
}

static void what_is_lent_in_one_turn_is_one_batch_and_comes_back_in_order(void **state)
{
    (void)state;
    start(false, COUNT);
    for (unsigned i = 0; i < COUNT; i++) {
        assert_true(lend(i, &write_route));
    }
    assert_int_equal(lanes_lent_count(lanes), COUNT);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(returned_count, COUNT);
    for (unsigned i = 0; i < COUNT; i++) {
        assert_ptr_equal(returned[i], exchanges[i]);
        assert_true(exchanges[i]->is_done);
    }
    assert_int_equal(atomic_load(&batch_count), 1);
    assert_true(atomic_load(&was_busy));
    assert_int_equal(atomic_load(&readiness.writer_busy_since_ms), 0);
}

static void a_batch_is_as_long_as_it_may_be(void **state)
{
    (void)state;
    plans[LANE_READ].batch_max = 3;
    plans[LANE_READ].thread_count = 2;
    start(false, COUNT);
    for (unsigned i = 0; i < COUNT; i++) {
        assert_true(lend(i, &read_route));
    }
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(returned_count, COUNT);
    assert_in_range(atomic_load(&batch_count), 3, 4);
    assert_false(atomic_load(&was_busy));
    assert_int_equal(counted[LANE_READ].waits, COUNT);
    assert_int_equal(counted[LANE_READ].batches, atomic_load(&batch_count));
    assert_int_equal(counted[LANE_READ].batch_exchanges, COUNT);
    assert_int_equal(counted[LANE_WRITE].waits, 0);
    /* It is gone with the lanes. */
    assert_int_equal(traffic.lanes[LANE_READ].thread_count, 0);
}

static void on_lend_later(uv_timer_t *timer)
{
    unsigned next = *(unsigned *)timer->data;

    assert_true(lend(next, &write_route));
    *(unsigned *)timer->data = next + 1;
    if (next + 1 == COUNT) {
        uv_close((uv_handle_t *)timer, NULL);
    }
}

/* One is lent a millisecond; each batch waits until it is full. */
static void a_batch_takes_in_what_comes_while_it_is_run(void **state)
{
    uv_timer_t timer;
    unsigned next = 0;

    (void)state;
    plans[LANE_WRITE].batch_max = 4;
    atomic_store(&gathers, true);
    start(false, COUNT);
    uv_timer_init(&loop, &timer);
    timer.data = &next;
    uv_timer_start(&timer, on_lend_later, 1, 1);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(returned_count, COUNT);
    assert_int_equal(atomic_load(&batch_count), 2);
    assert_int_equal(atomic_load(&batch_lens[0]), 4);
    assert_int_equal(atomic_load(&batch_lens[1]), 4);
    assert_int_equal(counted[LANE_WRITE].waits, COUNT);
    assert_int_equal(counted[LANE_WRITE].batches, 2);
    assert_int_equal(counted[LANE_WRITE].batch_exchanges, COUNT);
    /* Whoever comes to a batch that waits for it hardly waits itself. */
    assert_in_range(counted[LANE_WRITE].waits_ns, 1, UINT64_C(60) * 1000 * 1000 * 1000);
    for (unsigned i = 0; i < COUNT; i++) {
        assert_ptr_equal(returned[i], exchanges[i]);
    }
}

/* Without, it would rest when nothing waits any more. */
static void a_batch_may_ask_for_rest_before_the_next(void **state)
{
    (void)state;
    plans[LANE_WRITE].batch_max = 2;
    atomic_store(&wants_rest, true);
    start(true, COUNT);
    for (unsigned i = 0; i < COUNT; i++) {
        assert_true(lend(i, &write_route));
    }
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(returned_count, COUNT);
    assert_false(atomic_load(&idle_seen));
    for (unsigned number = 1; number < COUNT / 2; number++) {
        assert_true(atomic_load(&rests_before[number]) > atomic_load(&rests_before[number - 1]));
    }
}

static void a_full_lane_refuses_but_not_a_stream_that_has_begun(void **state)
{
    (void)state;
    plans[LANE_READ].queue_max = 2;
    start(false, 4);
    assert_true(lend(0, &read_route));
    assert_true(lend(1, &read_route));
    assert_int_equal(tally_read(&traffic.lanes[LANE_READ].refused), 0);
    assert_false(lend(2, &read_route));
    assert_int_equal(tally_read(&traffic.lanes[LANE_READ].refused), 1);
    assert_int_equal(*traffic.lanes[LANE_READ].lent_count, 2);
    exchanges[3]->page = 1;
    assert_true(lend(3, &read_route));
    assert_true(lend(4, &write_route));
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(returned_count, 4);
    assert_int_equal(exchanges[2]->response.status, 0);
}

/* A run takes 600 ms, it is thought; those here take next to nothing, which is noticed. */
static void a_lane_refuses_who_would_wait_too_long(void **state)
{
    (void)state;
    plans[LANE_HASH].batch_max = 1;
    plans[LANE_HASH].wait_max_ms = 1000;
    plans[LANE_HASH].first_run_ns = UINT64_C(600) * 1000 * 1000;
    start(false, 0);
    assert_int_equal(tally_read(&traffic.lanes[LANE_HASH].places), 2);
    assert_true(lend(0, &hash_route));
    assert_true(lend(1, &hash_route));
    assert_false(lend(2, &hash_route));
    assert_int_equal(tally_read(&traffic.lanes[LANE_HASH].refused), 1);
    exchanges[2]->is_resumed = true;
    assert_true(lend(2, &hash_route));
    while (returned_count < 3) {
        uv_run(&loop, UV_RUN_ONCE);
    }
    /* The quickest of the last ones counts. */
    assert_int_equal(tally_read(&traffic.lanes[LANE_HASH].places), COUNT);
    returned_goal = 6;
    for (unsigned i = 3; i < 6; i++) {
        assert_true(lend(i, &hash_route));
    }
}

/* However long one takes: it waits for nobody. */
static void a_free_thread_takes_one_that_takes_long(void **state)
{
    (void)state;
    plans[LANE_HASH].batch_max = 1;
    plans[LANE_HASH].thread_count = 2;
    plans[LANE_HASH].wait_max_ms = 100;
    plans[LANE_HASH].first_run_ns = UINT64_C(1000) * 1000 * 1000;
    start(false, 2);
    assert_true(lend(0, &hash_route));
    assert_true(lend(1, &hash_route));
    assert_false(lend(2, &hash_route));
}

static void a_lane_without_threads_is_the_write_lane(void **state)
{
    (void)state;
    plans[LANE_READ].thread_count = 0;
    plans[LANE_READ].services = NULL;
    start(false, 1);
    assert_true(lend(0, &read_route));
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(atomic_load(&lane_seen), LANE_WRITE);
}

static void lane_threads_are_named_niced_and_leave_signals_alone(void **state)
{
    int nice_here = getpriority(PRIO_PROCESS, 0);

    (void)state;
    plans[LANE_HASH].nice = 5;
    start(false, 1);
    assert_true(lend(0, &hash_route));
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(atomic_load(&lane_seen), LANE_HASH);
    assert_true(atomic_load(&is_named));
    assert_int_equal(atomic_load(&nice_seen), nice_here + 5 > 19 ? 19 : nice_here + 5);
    assert_false(atomic_load(&takes_signals));
    assert_int_equal(getpriority(PRIO_PROCESS, 0), nice_here);
}

static void on_wait_over(uv_timer_t *timer)
{
    uv_close((uv_handle_t *)timer, NULL);
    lanes_stop(lanes);
}

/* At the start, after the batch until there is no more, and once when idle for a second. */
static void the_write_lane_rests_after_a_batch_and_once_when_idle(void **state)
{
    uv_timer_t timer;

    (void)state;
    atomic_store(&rest_goal, 4);
    start(true, 0);
    uv_timer_init(&loop, &timer);
    /* More than two idle seconds, in which there must be one rest only. */
    uv_timer_start(&timer, on_wait_over, 2600, 0);
    assert_true(lend(0, &write_route));
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(returned_count, 1);
    /* 4 to the goal, all before or after the batch; or 4 before it and 1 behind it. Then 1. */
    assert_in_range(atomic_load(&rest_count), 5, 6);
    assert_true(atomic_load(&idle_seen));
}

static void a_fatal_batch_comes_back_before_the_failure_is_told(void **state)
{
    (void)state;
    plans[LANE_WRITE].batch_max = 2;
    atomic_store(&fails, true);
    start(true, 0);
    for (unsigned i = 0; i < COUNT; i++) {
        assert_true(lend(i, &write_route));
    }
    returned_goal = COUNT + 1;
    while (!has_failed || returned_count < COUNT) {
        uv_run(&loop, UV_RUN_ONCE);
    }
    assert_true(failed_after >= 2);
    assert_int_equal(atomic_load(&batch_count), 1);
    for (unsigned i = 0; i < COUNT; i++) {
        assert_int_equal(exchanges[i]->is_done, i < 2);
    }
    exchanges[5]->step = 0;
    assert_false(lend(5, &write_route));
    assert_false(lend(6, &read_route));
    assert_int_equal(lanes_lent_count(lanes), 0);
    lanes_stop(lanes);
}

static void refusing_sends_back_what_waits_untouched(void **state)
{
    (void)state;
    start(false, COUNT);
    for (unsigned i = 0; i < COUNT; i++) {
        assert_true(lend(i, i % 2 == 0 ? &write_route : &read_route));
    }
    lanes_refuse(lanes);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(returned_count, COUNT);
    assert_int_equal(atomic_load(&batch_count), 0);
    assert_false(has_failed);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_is_lent_in_one_turn_is_one_batch_and_comes_back_in_order),
        TEST(a_batch_is_as_long_as_it_may_be),
        TEST(a_batch_takes_in_what_comes_while_it_is_run),
        TEST(a_batch_may_ask_for_rest_before_the_next),
        TEST(a_full_lane_refuses_but_not_a_stream_that_has_begun),
        TEST(a_lane_refuses_who_would_wait_too_long),
        TEST(a_free_thread_takes_one_that_takes_long),
        TEST(a_lane_without_threads_is_the_write_lane),
        TEST(lane_threads_are_named_niced_and_leave_signals_alone),
        TEST(the_write_lane_rests_after_a_batch_and_once_when_idle),
        TEST(a_fatal_batch_comes_back_before_the_failure_is_told),
        TEST(refusing_sends_back_what_waits_untouched),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
