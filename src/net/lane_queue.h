/* lane_queue.h - what the loop's side of a lane (lane.c) and its threads (lane_thread.c) share.
 *
 * Uses:    uv, base, net/lane.h.
 * Used by: net/lane.c, net/lane_thread.c.
 * Thread:  each member says whose it is.
 */
#ifndef MIGCHAT_NET_LANE_QUEUE_H
#define MIGCHAT_NET_LANE_QUEUE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <uv.h>

#include "base/list.h"
#include "http/traffic.h"
#include "net/lane.h"

/* What pthread_setname_np takes, with the NUL. */
#define THREAD_NAME_BYTES 16u

struct lane_queue; /* one lane's queue and threads */

struct lane_thread {
    struct batch_source source;
    unsigned batch_count; /* exchanges of the batch that is run */
    struct lanes *lanes;
    struct lane_queue *queue;
    struct services *services;
    struct lane_thread_traffic *traffic; /* this thread writes it */
    uv_thread_t thread;
    char name[THREAD_NAME_BYTES];
};

/* Of these the quickest says how long one takes: others may have had the processor meanwhile. */
#define RUNS_REMEMBERED 4u

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

    /* The threads': how long the last ones took, and how many there were. Kept only where
     * plan.wait_max_ms is set. */
    _Atomic uint64_t runs_ns[RUNS_REMEMBERED];
    _Atomic unsigned run_count;

    uv_mutex_t lock; /* of what follows */
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
    unsigned staged_count;    /* over all queues: most turns lend nothing */
    uint64_t first_staged_ns; /* when the first of them was */
    bool has_told;            /* on_failed was called */
    const struct work *work;
    struct readiness *readiness;
    struct traffic *traffic;
    exchange_returned on_returned;
    lanes_woken on_woken;
    lanes_failed on_failed;
    struct server *server;
    atomic_bool is_refusing;
    atomic_bool has_failed;
    struct lane_queue queues[LANE_COUNT]; /* LANE_LOOP's stays empty */
};

/* How many may be on the lane, by plan.wait_max_ms and the last runs. A free thread is never too
 * long a wait, however long one takes. On any thread; with several the last one counts. */
void queue_places_set(struct lane_queue *queue, struct traffic *traffic);
/* What a thread of a lane runs; `argument` is its struct lane_thread. It ends once the queue is
 * empty and is_stopping. */
void lane_thread_run(void *argument);

#endif
