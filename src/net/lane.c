/* lane.c - the worker threads as the loop sees them; lane_thread.c is what they do.
 *
 * The way of an exchange, lent on the loop:
 *
 *   lanes_lend  → staged (loop only)
 *   on_prepare  → queued, before the loop polls: one lock and at most one signal for each lane
 *   lane_thread takes a batch, runs it, → done
 *   on_returned, woken once for all that is done → back to its owner
 *
 * 1. An exchange is in exactly one of the lists staged, queued, a thread's batch, done, or with
 *    its owner. `lent_count` counts all but the last, on the loop.
 * 2. `lock` guards queued, waiting_count, is_stopping and done. Nothing is run under it.
 * 3. A thread that leaves something in the queue wakes another that waits: one signal from the
 *    loop is enough for any number of threads.
 * 4. Once `is_refusing` is set nothing is lent or run any more: what is queued comes back as it
 *    is, its step not taken. `has_failed` is set only after the batch that failed is in `done`,
 *    and the loop reads it before it takes `done`: on_failed comes after those exchanges.
 */
#include "net/lane.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/require.h"
#include "base/signals.h"
#include "net/lane_queue.h"

/* Pages that are not touched cost nothing; sqlite and cJSON stay far below it. */
#define LANE_STACK_BYTES (1024u * 1024u)

static void queue_init(struct lane_queue *queue, enum lane lane, const struct lane_plan *plan);
static enum error queue_start(struct lanes *lanes, struct lane_queue *queue);
static void on_prepare(uv_prepare_t *prepare);
static void queue_hand_over(struct lane_queue *queue);
static void on_async(uv_async_t *returned);
static void queue_stop(struct lane_queue *queue);
static void on_handle_closed(uv_handle_t *handle);
static struct lane_queue *queue_of(struct lanes *lanes, enum lane lane);

enum error lanes_start(uv_loop_t *loop, const struct work *work,
                       const struct lane_plan plans[LANE_COUNT], struct readiness *readiness,
                       struct traffic *traffic, exchange_returned on_returned, lanes_woken on_woken,
                       lanes_failed on_failed, struct server *server, struct lanes **out_lanes)
{
    struct lanes *lanes = calloc(1, sizeof(*lanes));
    enum error error = OK;

    REQUIRE(lanes != NULL);
    REQUIRE(plans[LANE_WRITE].thread_count > 0);
    lanes->work = work;
    lanes->readiness = readiness;
    lanes->traffic = traffic;
    lanes->on_returned = on_returned;
    lanes->on_woken = on_woken;
    lanes->on_failed = on_failed;
    lanes->server = server;
    atomic_init(&lanes->is_refusing, false);
    atomic_init(&lanes->has_failed, false);
    for (int lane = 0; lane < LANE_COUNT; lane++) {
        queue_init(&lanes->queues[lane], (enum lane)lane, &plans[lane]);
    }
    if (uv_async_init(loop, &lanes->returned, on_async) != 0) {
        log_event(LOG_ERROR, "lanes_not_started", LOG_TEXT("reason", "no descriptor"), LOG_END);
        for (int lane = 0; lane < LANE_COUNT; lane++) {
            queue_stop(&lanes->queues[lane]);
        }
        free(lanes);
        return ERROR_INTERNAL;
    }
    uv_prepare_init(loop, &lanes->prepare);
    uv_prepare_start(&lanes->prepare, on_prepare);
    uv_unref((uv_handle_t *)&lanes->prepare);
    lanes->handles_open = 2;
    for (int lane = LANE_READ; error == OK && lane < LANE_COUNT; lane++) {
        error = queue_start(lanes, &lanes->queues[lane]);
    }
    if (error != OK) {
        lanes_stop(lanes);
        return error;
    }
    *out_lanes = lanes;
    return OK;
}

static void queue_init(struct lane_queue *queue, enum lane lane, const struct lane_plan *plan)
{
    queue->lane = lane;
    queue->plan = *plan;
    if (lane == LANE_LOOP) {
        queue->plan.thread_count = 0;
    }
    atomic_init(&queue->run_count, 0);
    for (unsigned i = 0; i < RUNS_REMEMBERED; i++) {
        atomic_init(&queue->runs_ns[i], plan->first_run_ns);
    }
    list_init(&queue->staged);
    list_init(&queue->queued);
    list_init(&queue->done);
    REQUIRE(uv_mutex_init(&queue->lock) == 0);
    REQUIRE(uv_cond_init(&queue->filled) == 0);
}

static enum error queue_start(struct lanes *lanes, struct lane_queue *queue)
{
    const uv_thread_options_t options = {.flags = UV_THREAD_HAS_STACK_SIZE,
                                         .stack_size = LANE_STACK_BYTES};
    struct lane_traffic *traffic = &lanes->traffic->lanes[queue->lane];
    unsigned count = queue->plan.thread_count;
    sigset_t before;
    int failed = 0;

    if (count == 0) {
        return OK;
    }
    REQUIRE(queue->plan.batch_max > 0);
    REQUIRE(queue->plan.wait_max_ms == 0 || queue->plan.batch_max == 1);
    traffic_open_lane(lanes->traffic, queue->lane, count, queue->plan.queue_max,
                      &queue->lent_count);
    if (queue->plan.wait_max_ms > 0) {
        queue_places_set(queue, lanes->traffic);
    }
    queue->threads = calloc(count, sizeof(*queue->threads));
    REQUIRE(queue->threads != NULL);
    signals_block(&before);
    for (unsigned i = 0; i < count && failed == 0; i++) {
        struct lane_thread *thread = &queue->threads[i];

        thread->lanes = lanes;
        thread->queue = queue;
        thread->services = queue->plan.services[i];
        thread->traffic = &traffic->threads[i];
        (void)snprintf(thread->name, sizeof(thread->name), "lane-%s-%u", lane_names[queue->lane],
                       i % 1000);
        failed = uv_thread_create_ex(&thread->thread, &options, lane_thread_run, thread);
        queue->started_count += failed == 0 ? 1 : 0;
    }
    signals_restore(&before);
    if (failed != 0) {
        log_event(LOG_ERROR, "lanes_not_started", LOG_TEXT("reason", uv_strerror(failed)), LOG_END);
        return ERROR_INTERNAL;
    }
    return OK;
}

bool lanes_lend(struct lanes *lanes, struct exchange *exchange)
{
    struct lane_queue *queue = queue_of(lanes, exchange_lane(exchange));
    /* A stream whose first page was sent is not cut off because others came after it, and a poll
     * that waited has been taken in; a full lane is asked whether it moves. */
    bool is_begun = exchange->page > 0 || exchange->is_resumed || exchange->probe != NULL;

    struct lane_traffic *counted = &lanes->traffic->lanes[queue->lane];

    if (atomic_load(&lanes->is_refusing) ||
        (queue->lent_count >= tally_read(&counted->places) && !is_begun)) {
        tally_add(&counted->refused, 1);
        return false;
    }
    if (lanes->staged_count == 0) {
        lanes->first_staged_ns = clock_monotonic_ns();
    }
    exchange->lent_at_ns = lanes->first_staged_ns;
    list_append(&queue->staged, &exchange->node);
    queue->staged_count++;
    lanes->staged_count++;
    queue->lent_count++;
    return true;
}

unsigned lanes_lent_count(const struct lanes *lanes)
{
    unsigned count = 0;

    for (int lane = 0; lane < LANE_COUNT; lane++) {
        count += lanes->queues[lane].lent_count;
    }
    return count;
}

void lanes_refuse(struct lanes *lanes)
{
    atomic_store(&lanes->is_refusing, true);
}

static void on_prepare(uv_prepare_t *prepare)
{
    struct lanes *lanes = container_of(prepare, struct lanes, prepare);

    if (lanes->staged_count == 0) {
        return;
    }
    lanes->staged_count = 0;
    for (int lane = 0; lane < LANE_COUNT; lane++) {
        if (lanes->queues[lane].staged_count > 0) {
            queue_hand_over(&lanes->queues[lane]);
        }
    }
}

static void queue_hand_over(struct lane_queue *queue)
{
    bool wakes;

    uv_mutex_lock(&queue->lock);
    list_append_all(&queue->queued, &queue->staged);
    queue->queued_count += queue->staged_count;
    wakes = queue->waiting_count > 0;
    uv_mutex_unlock(&queue->lock);
    queue->staged_count = 0;
    if (wakes) {
        uv_cond_signal(&queue->filled);
    }
}

static void on_async(uv_async_t *returned)
{
    struct lanes *lanes = container_of(returned, struct lanes, returned);
    /* Read before `done` is: see 4. */
    bool has_failed = atomic_load(&lanes->has_failed);

    for (int lane = 0; lane < LANE_COUNT; lane++) {
        struct lane_queue *queue = &lanes->queues[lane];
        struct list done;
        struct list *node;

        if (queue->lent_count == 0) {
            continue;
        }
        list_init(&done);
        uv_mutex_lock(&queue->lock);
        list_append_all(&done, &queue->done);
        uv_mutex_unlock(&queue->lock);
        while ((node = list_take_first(&done)) != NULL) {
            queue->lent_count--;
            lanes->on_returned(container_of(node, struct exchange, node));
        }
    }
    lanes->on_woken(lanes->server);
    if (has_failed && !lanes->has_told) {
        lanes->has_told = true;
        lanes->on_failed(lanes->server);
    }
}

void lanes_stop(struct lanes *lanes)
{
    REQUIRE(lanes_lent_count(lanes) == 0);
    for (int lane = 0; lane < LANE_COUNT; lane++) {
        queue_stop(&lanes->queues[lane]);
        traffic_close_lane(lanes->traffic, (enum lane)lane);
    }
    uv_close((uv_handle_t *)&lanes->returned, on_handle_closed);
    uv_close((uv_handle_t *)&lanes->prepare, on_handle_closed);
}

static void queue_stop(struct lane_queue *queue)
{
    uv_mutex_lock(&queue->lock);
    queue->is_stopping = true;
    uv_cond_broadcast(&queue->filled);
    uv_mutex_unlock(&queue->lock);
    for (unsigned i = 0; i < queue->started_count; i++) {
        uv_thread_join(&queue->threads[i].thread);
    }
    free(queue->threads);
    queue->threads = NULL;
    queue->started_count = 0;
    /* on_async may be what led here, and locks nothing that lends nothing. */
    uv_cond_destroy(&queue->filled);
    uv_mutex_destroy(&queue->lock);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct lanes *lanes = handle->type == UV_ASYNC ? container_of(handle, struct lanes, returned)
                                                   : container_of(handle, struct lanes, prepare);

    lanes->handles_open--;
    if (lanes->handles_open == 0) {
        free(lanes);
    }
}

static struct lane_queue *queue_of(struct lanes *lanes, enum lane lane)
{
    REQUIRE(lane != LANE_LOOP);
    return &lanes->queues[lanes->queues[lane].plan.thread_count > 0 ? lane : LANE_WRITE];
}
