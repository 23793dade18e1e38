/* lane.c - the worker threads.
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

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/require.h"
#include "base/signals.h"

/* Pages that are not touched cost nothing; sqlite and cJSON stay far below it. */
#define LANE_STACK_BYTES (1024u * 1024u)
/* How long the write lane is idle before it rests once more. */
#define LANE_IDLE_REST_NS (1000u * 1000u * 1000u)
/* What pthread_setname_np takes, with the NUL. */
#define THREAD_NAME_BYTES 16u

struct lane_queue; /* one lane's queue and threads */

struct lane_thread {
    struct batch_source source;
    unsigned batch_count; /* exchanges of the batch that is run */
    struct lanes *lanes;
    struct lane_queue *queue;
    struct services *services;
    uv_thread_t thread;
    char name[THREAD_NAME_BYTES];
};

struct lane_queue {
    /* The loop's. */
    struct list staged;
    unsigned staged_count;
    unsigned lent_count;
    unsigned started_count;

    /* Constant while threads run. */
    enum lane lane;
    struct lane_plan plan;
    struct lane_thread *threads;

    uv_mutex_t lock;
    uv_cond_t filled;
    struct list queued;
    unsigned queued_count;
    unsigned waiting_count;
    bool is_stopping;
    struct list done;
};

struct lanes {
    uv_async_t returned;
    uv_prepare_t prepare;
    unsigned handles_open;
    unsigned staged_count; /* over all queues: most turns lend nothing */
    bool has_told;         /* on_failed was called */
    const struct work *work;
    struct readiness *readiness;
    exchange_returned on_returned;
    lanes_failed on_failed;
    struct server *server;
    atomic_bool is_refusing;
    atomic_bool has_failed;
    struct lane_queue queues[LANE_COUNT]; /* LANE_LOOP's stays empty */
};

/* What is left for the write lane to do between batches. */
enum rest {
    REST_OVER,        /* nothing until the next batch */
    REST_IN_A_SECOND, /* once more when nothing came for a second */
    REST_AFTER_BATCH, /* now */
    REST_WHEN_IDLE    /* now, the second has passed */
};

static void queue_init(struct lane_queue *queue, enum lane lane, const struct lane_plan *plan);
static enum error queue_start(struct lanes *lanes, struct lane_queue *queue);
static void on_prepare(uv_prepare_t *prepare);
static void queue_hand_over(struct lane_queue *queue);
static void lane_thread(void *argument);
static bool thread_take(struct lane_thread *thread, enum rest *rest, struct list *out_batch);
static unsigned batch_fill(struct lane_thread *thread, struct list *batch);
static bool batch_more(struct batch_source *source, struct list *batch);
static bool thread_run(struct lane_thread *thread, struct list *batch);
static enum rest thread_rest(struct lane_thread *thread, enum rest rest);
static void thread_fail(struct lane_thread *thread);
static void set_busy(const struct lane_thread *thread, bool is_busy);
static void on_woken(uv_async_t *returned);
static void queue_stop(struct lane_queue *queue);
static void on_handle_closed(uv_handle_t *handle);
static struct lane_queue *queue_of(struct lanes *lanes, enum lane lane);

static const char *const lane_names[LANE_COUNT] = {"loop", "read", "write", "hash"};

enum error lanes_start(uv_loop_t *loop, const struct work *work,
                       const struct lane_plan plans[LANE_COUNT], struct readiness *readiness,
                       exchange_returned on_returned, lanes_failed on_failed, struct server *server,
                       struct lanes **out_lanes)
{
    struct lanes *lanes = calloc(1, sizeof(*lanes));
    enum error error = OK;

    REQUIRE(lanes != NULL);
    REQUIRE(plans[LANE_WRITE].thread_count > 0);
    lanes->work = work;
    lanes->readiness = readiness;
    lanes->on_returned = on_returned;
    lanes->on_failed = on_failed;
    lanes->server = server;
    atomic_init(&lanes->is_refusing, false);
    atomic_init(&lanes->has_failed, false);
    for (int lane = 0; lane < LANE_COUNT; lane++) {
        queue_init(&lanes->queues[lane], (enum lane)lane, &plans[lane]);
    }
    if (uv_async_init(loop, &lanes->returned, on_woken) != 0) {
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
    unsigned count = queue->plan.thread_count;
    sigset_t before;
    int failed = 0;

    if (count == 0) {
        return OK;
    }
    REQUIRE(queue->plan.batch_max > 0);
    queue->threads = calloc(count, sizeof(*queue->threads));
    REQUIRE(queue->threads != NULL);
    signals_block(&before);
    for (unsigned i = 0; i < count && failed == 0; i++) {
        struct lane_thread *thread = &queue->threads[i];

        thread->source.more = batch_more;
        thread->lanes = lanes;
        thread->queue = queue;
        thread->services = queue->plan.services[i];
        (void)snprintf(thread->name, sizeof(thread->name), "lane-%s-%u", lane_names[queue->lane],
                       i % 1000);
        failed = uv_thread_create_ex(&thread->thread, &options, lane_thread, thread);
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
    /* A stream whose first page was sent is not cut off because others came after it. */
    bool is_begun = exchange->page > 0;

    if (atomic_load(&lanes->is_refusing) ||
        (queue->lent_count >= queue->plan.queue_max && !is_begun)) {
        return false;
    }
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

static void lane_thread(void *argument)
{
    struct lane_thread *thread = argument;
    struct lane_queue *queue = thread->queue;
    bool rests = queue->lane == LANE_WRITE && thread->lanes->work->rest != NULL;
    /* There may be chores left from before. */
    enum rest rest = rests ? REST_AFTER_BATCH : REST_OVER;
    struct list batch;

    pthread_setname_np(pthread_self(), thread->name);
    if (queue->plan.nice != 0) {
        id_t id = (id_t)gettid();

        /* Refused only for a negative one; then it runs as the others do. */
        (void)setpriority(PRIO_PROCESS, id, getpriority(PRIO_PROCESS, id) + queue->plan.nice);
    }
    list_init(&batch);
    while (thread_take(thread, &rest, &batch)) {
        set_busy(thread, true);
        if (list_is_empty(&batch)) {
            rest = thread_rest(thread, rest);
        } else {
            bool rests_first = thread_run(thread, &batch) && rests;

            rest = rests ? REST_AFTER_BATCH : REST_OVER;
            if (rests_first) {
                rest = thread_rest(thread, rest);
            }
        }
        set_busy(thread, false);
    }
}

/* Waits for something to do. An empty batch means that it is time to rest; false, to end. */
static bool thread_take(struct lane_thread *thread, enum rest *rest, struct list *out_batch)
{
    struct lane_queue *queue = thread->queue;
    unsigned taken;
    bool wakes;
    bool goes_on;

    uv_mutex_lock(&queue->lock);
    while (queue->queued_count == 0 && !queue->is_stopping && *rest <= REST_IN_A_SECOND) {
        queue->waiting_count++;
        if (*rest == REST_OVER) {
            uv_cond_wait(&queue->filled, &queue->lock);
        } else if (uv_cond_timedwait(&queue->filled, &queue->lock, LANE_IDLE_REST_NS) != 0) {
            *rest = REST_WHEN_IDLE;
        }
        queue->waiting_count--;
    }
    thread->batch_count = 0;
    taken = batch_fill(thread, out_batch);
    wakes = queue->queued_count > 0 && queue->waiting_count > 0;
    goes_on = taken > 0 || !queue->is_stopping;
    uv_mutex_unlock(&queue->lock);
    if (wakes) {
        uv_cond_signal(&queue->filled);
    }
    return goes_on;
}

/* Under the lock. */
static unsigned batch_fill(struct lane_thread *thread, struct list *batch)
{
    struct lane_queue *queue = thread->queue;
    struct list *node;
    unsigned taken = 0;

    while (thread->batch_count < queue->plan.batch_max &&
           (node = list_take_first(&queue->queued)) != NULL) {
        list_append(batch, node);
        queue->queued_count--;
        thread->batch_count++;
        taken++;
    }
    return taken;
}

static bool batch_more(struct batch_source *source, struct list *batch)
{
    struct lane_thread *thread = container_of(source, struct lane_thread, source);
    unsigned taken;

    if (atomic_load(&thread->lanes->is_refusing)) {
        return false;
    }
    /* On one processor the loop may have something to hand over and no chance to. */
    sched_yield();
    uv_mutex_lock(&thread->queue->lock);
    taken = batch_fill(thread, batch);
    uv_mutex_unlock(&thread->queue->lock);
    return taken > 0;
}

/* Whether the lane must rest before its next batch. */
static bool thread_run(struct lane_thread *thread, struct list *batch)
{
    struct lanes *lanes = thread->lanes;
    struct lane_queue *queue = thread->queue;
    enum work_verdict verdict = WORK_DONE;

    if (!atomic_load(&lanes->is_refusing)) {
        verdict = lanes->work->run(thread->services, batch, &thread->source);
    }
    if (verdict == WORK_FATAL) {
        /* Before the exchanges are let go: none of what waits may touch the store. */
        lanes_refuse(lanes);
    }
    uv_mutex_lock(&queue->lock);
    list_append_all(&queue->done, batch);
    uv_mutex_unlock(&queue->lock);
    if (verdict == WORK_FATAL) {
        thread_fail(thread);
    } else {
        uv_async_send(&lanes->returned);
    }
    return verdict == WORK_MORE;
}

static enum rest thread_rest(struct lane_thread *thread, enum rest rest)
{
    enum work_verdict verdict = WORK_DONE;

    if (!atomic_load(&thread->lanes->is_refusing)) {
        verdict = thread->lanes->work->rest(thread->services, rest == REST_WHEN_IDLE);
    }
    if (verdict == WORK_FATAL) {
        thread_fail(thread);
        return REST_OVER;
    }
    if (verdict == WORK_MORE) {
        return rest;
    }
    return rest == REST_AFTER_BATCH ? REST_IN_A_SECOND : REST_OVER;
}

static void thread_fail(struct lane_thread *thread)
{
    struct lanes *lanes = thread->lanes;

    lanes_refuse(lanes);
    log_event(LOG_ERROR, "lane_failed", LOG_TEXT("lane", thread->name), LOG_END);
    atomic_store(&lanes->has_failed, true);
    uv_async_send(&lanes->returned);
}

static void set_busy(const struct lane_thread *thread, bool is_busy)
{
    if (thread->queue->lane == LANE_WRITE) {
        atomic_store(&thread->lanes->readiness->writer_busy_since_ms,
                     is_busy ? clock_monotonic_ms() : 0);
    }
}

static void on_woken(uv_async_t *returned)
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
    /* on_woken may be what led here, and locks nothing that lends nothing. */
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
