/* lane_thread.c - what a lane's thread does: takes a batch, runs it, gives it back, rests.
 *
 * lane.c has the loop's side and the rules; the numbers below are those there.
 */
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "net/lane_queue.h"

/* How long the write lane is idle before it rests once more. */
#define LANE_IDLE_REST_NS (1000u * 1000u * 1000u)
#define NS_PER_MS 1000000u

/* What is left for the write lane to do between batches. */
enum rest {
    REST_OVER,        /* nothing until the next batch */
    REST_IN_A_SECOND, /* once more when nothing came for a second */
    REST_AFTER_BATCH, /* now */
    REST_WHEN_IDLE    /* now, the second has passed */
};

static bool thread_take(struct lane_thread *thread, enum rest *rest, struct list *out_batch);
static unsigned batch_fill(struct lane_thread *thread, struct list *batch);
static bool batch_more(struct batch_source *source, struct list *batch);
static void waits_count(struct lane_thread *thread, struct list *before, struct list *end,
                        uint64_t now_ns);
static bool thread_run(struct lane_thread *thread, struct list *batch);
static void run_time_note(const struct lane_thread *thread, uint64_t took_ns);
static enum rest thread_rest(struct lane_thread *thread, enum rest rest);
static void thread_fail(struct lane_thread *thread);
static uint64_t busy_begin(const struct lane_thread *thread);
static void busy_end(const struct lane_thread *thread, uint64_t since_ns);

void lane_thread_run(void *argument)
{
    struct lane_thread *thread = argument;
    struct lane_queue *queue = thread->queue;
    bool rests = queue->lane == LANE_WRITE && thread->lanes->work->rest != NULL;
    /* There may be chores left from before. */
    enum rest rest = rests ? REST_AFTER_BATCH : REST_OVER;
    struct list batch;

    pthread_setname_np(pthread_self(), thread->name);
    thread->source.more = batch_more;
    if (queue->plan.nice != 0) {
        id_t id = (id_t)gettid();

        /* Refused only for a negative one; then it runs as the others do. */
        (void)setpriority(PRIO_PROCESS, id, getpriority(PRIO_PROCESS, id) + queue->plan.nice);
    }
    list_init(&batch);
    while (thread_take(thread, &rest, &batch)) {
        uint64_t since_ns = busy_begin(thread);

        if (list_is_empty(&batch)) {
            rest = thread_rest(thread, rest);
        } else {
            waits_count(thread, &batch, &batch, since_ns);
            bool rests_first = thread_run(thread, &batch) && rests;

            rest = rests ? REST_AFTER_BATCH : REST_OVER;
            if (rests_first) {
                rest = thread_rest(thread, rest);
            }
        }
        busy_end(thread, since_ns);
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
    struct list *last = batch->prev;
    unsigned taken;

    if (atomic_load(&thread->lanes->is_refusing)) {
        return false;
    }
    /* On one processor the loop may have something to hand over and no chance to. */
    sched_yield();
    uv_mutex_lock(&thread->queue->lock);
    taken = batch_fill(thread, batch);
    uv_mutex_unlock(&thread->queue->lock);
    if (taken > 0) {
        waits_count(thread, last, batch, clock_monotonic_ns());
    }
    return taken > 0;
}

/* Of the exchanges behind `before` up to `end`, which were taken now. */
static void waits_count(struct lane_thread *thread, struct list *before, struct list *end,
                        uint64_t now_ns)
{
    for (struct list *node = before->next; node != end; node = node->next) {
        const struct exchange *exchange = container_of(node, struct exchange, node);

        histogram_add(&thread->traffic->waits, &histogram_of_durations,
                      now_ns - exchange->lent_at_ns);
    }
}

/* Whether the lane must rest before its next batch. */
static bool thread_run(struct lane_thread *thread, struct list *batch)
{
    struct lanes *lanes = thread->lanes;
    struct lane_queue *queue = thread->queue;
    enum work_verdict verdict = WORK_DONE;

    if (!atomic_load(&lanes->is_refusing)) {
        uint64_t since_ns = queue->plan.wait_max_ms > 0 ? clock_monotonic_ns() : 0;

        verdict = lanes->work->run(thread->services, batch, &thread->source);
        if (since_ns > 0) {
            run_time_note(thread, clock_monotonic_ns() - since_ns);
        }
        histogram_add(&thread->traffic->batch_sizes, &histogram_of_sizes, thread->batch_count);
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

static void run_time_note(const struct lane_thread *thread, uint64_t took_ns)
{
    struct lane_queue *queue = thread->queue;

    atomic_store(&queue->runs_ns[atomic_fetch_add(&queue->run_count, 1) % RUNS_REMEMBERED],
                 took_ns);
    queue_places_set(queue, thread->lanes->traffic);
}

void queue_places_set(struct lane_queue *queue, struct traffic *traffic)
{
    const struct lane_plan *plan = &queue->plan;
    uint64_t run_ns = UINT64_MAX;

    for (unsigned i = 0; i < RUNS_REMEMBERED; i++) {
        uint64_t took_ns = atomic_load(&queue->runs_ns[i]);

        run_ns = took_ns < run_ns ? took_ns : run_ns;
    }
    uint64_t turns = (uint64_t)plan->wait_max_ms * NS_PER_MS / (run_ns | 1) + 1;
    uint64_t places = turns * plan->thread_count;

    tally_set(&traffic->lanes[queue->lane].places,
              places < plan->queue_max ? places : plan->queue_max);
}

static enum rest thread_rest(struct lane_thread *thread, enum rest rest)
{
    struct lanes *lanes = thread->lanes;
    enum work_verdict verdict = WORK_DONE;

    if (!atomic_load(&lanes->is_refusing)) {
        verdict = lanes->work->rest(thread->services, rest == REST_WHEN_IDLE);
        if (lanes->work->has_news != NULL && lanes->work->has_news(thread->services)) {
            uv_async_send(&lanes->returned);
        }
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

static uint64_t busy_begin(const struct lane_thread *thread)
{
    uint64_t now_ns = clock_monotonic_ns();

    if (thread->queue->lane == LANE_WRITE) {
        atomic_store(&thread->lanes->readiness->writer_busy_since_ms,
                     (int64_t)(now_ns / NS_PER_MS));
    }
    return now_ns;
}

static void busy_end(const struct lane_thread *thread, uint64_t since_ns)
{
    tally_add(&thread->traffic->busy_ns, clock_monotonic_ns() - since_ns);
    if (thread->queue->lane == LANE_WRITE) {
        atomic_store(&thread->lanes->readiness->writer_busy_since_ms, 0);
    }
}
