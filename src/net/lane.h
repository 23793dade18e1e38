/* lane.h - worker threads that exchanges are lent to, and how they come back.
 *
 * Uses:    uv (threads, async), base, http/exchange.
 * Used by: net/server, net/conn, main.
 * Thread:  the functions below are the loop's; `work` runs on the lane threads.
 *
 * A lane is one queue with one or more threads. Lent exchanges are staged on the loop and handed
 * over once a turn (one lock, one signal only if a thread waits). A thread takes all that is
 * queued, up to its batch limit, runs it and returns it with one wake-up of the loop. The number
 * of exchanges on a lane is counted on the loop, so a full lane is refused without a lock. Where
 * one may take long, a lane is full when who comes would wait too long for its turn.
 */
#ifndef MIGCHAT_NET_LANE_H
#define MIGCHAT_NET_LANE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/attributes.h"
#include "base/error.h"
#include "base/list.h"
#include "http/batch_source.h"
#include "http/exchange.h"
#include "http/readiness.h"
#include "http/traffic.h"

enum work_verdict {
    WORK_DONE,
    WORK_MORE, /* run: rest before the next batch; rest: call again when no request waits */
    WORK_FATAL /* the store cannot be trusted any more: answer, then exit non-zero */
};

/* What main hands in: how a lane's thread does its work. */
struct work {
    /* Runs every exchange of the batch (list of exchange.node), in order, each to the end of its
     * step; none is taken out. It may ask `source` for more to run in the same go. */
    enum work_verdict (*run)(struct services *services, struct list *batch,
                             struct batch_source *source);
    /* Write lane only, after every batch and once when idle for a second (`is_idle`): chores and
     * checkpoints, in short slices. */
    enum work_verdict (*rest)(struct services *services, bool is_idle);
    /* Write lane only, after a rest: whether it left something for the loop to see. May be NULL. */
    bool (*has_news)(const struct services *services);
    /* On the loop, both may be NULL. Before an exchange is lent for its first step: true when it
     * was answered at once (is_done). And before an answer that came back is written. */
    bool (*recall)(struct services *loop_services, struct exchange *exchange);
    void (*keep)(struct services *loop_services, const struct exchange *exchange);
};

struct lane_plan {
    struct services **services; /* one per thread; NULL with count 0 */
    unsigned thread_count;      /* 0: this lane's exchanges run on the write lane (:memory:) */
    unsigned queue_max;         /* exchanges lent at once; above it 503 */
    unsigned batch_max;         /* exchanges a thread takes at once */
    /* Above 0: 503 also for who would wait longer than this, by how long the last ones took;
     * batch_max is 1. */
    unsigned wait_max_ms;
    uint64_t first_run_ns; /* how long one is thought to take before any was run */
    int nice;              /* added to the thread's niceness (hash lane) */
};

struct lanes;
struct server; /* net/server.h */

/* Called on the loop for each exchange that came back. */
typedef void (*exchange_returned)(struct exchange *exchange);
/* Called on the loop after all that was ready came back, or a rest has news. */
typedef void (*lanes_woken)(struct server *server);
/* Called on the loop once when a lane reported WORK_FATAL, after its exchanges came back. */
typedef void (*lanes_failed)(struct server *server);

/* `server` is what on_woken and on_failed get. On failure the caller's loop turns once more. */
MUST_CHECK enum error lanes_start(uv_loop_t *loop, const struct work *work,
                                  const struct lane_plan plans[LANE_COUNT],
                                  struct readiness *readiness, struct traffic *traffic,
                                  exchange_returned on_returned, lanes_woken on_woken,
                                  lanes_failed on_failed, struct server *server,
                                  struct lanes **out_lanes);
/* Lends the exchange to the lane of its next step. False when the lane is full or refuses: still
 * the caller's. Later pages of a stream (page > 0), polls that waited and probes find a full lane
 * open. The threads see it when the loop next polls. */
bool lanes_lend(struct lanes *lanes, struct exchange *exchange);
/* From now on nothing is lent or run: what is queued comes back as it is, its step not taken
 * (is_done unchanged); what runs is finished. The lanes do it themselves on WORK_FATAL. */
void lanes_refuse(struct lanes *lanes);
/* How many exchanges are lent, over all lanes. */
unsigned lanes_lent_count(const struct lanes *lanes);
/* Joins the threads (nothing may be lent) and closes the handles; `lanes` is freed in their close
 * callback, so uv_run must turn once more. */
void lanes_stop(struct lanes *lanes);

#endif
