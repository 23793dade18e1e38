/* opening.h - opens the crew on a thread of its own, while the loop serves what needs no lane.
 *
 * Uses:    uv, startup.
 * Used by: main.
 * Thread:  the loop; the thread in between belongs to this.
 * Memory:  embedded in its owner, until the loop has turned after `on_opened`.
 */
#ifndef MIGCHAT_OPENING_H
#define MIGCHAT_OPENING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <uv.h>

#include "base/attributes.h"
#include "base/error.h"
#include "config.h"
#include "startup.h"

struct opening;

/* Called once on the loop when the thread has ended: DRAINING when it was stopped, other errors
 * were logged. In every case the crew is the caller's again, to be closed. */
typedef void (*opening_ended)(struct opening *opening, enum error error);

struct opening {
    const struct config *config;
    struct crew *crew;
    opening_ended on_ended;
    enum error error; /* the thread's, until it is joined */
    atomic_bool stops;
    bool is_running;
    uv_thread_t thread;
    uv_async_t ended;
    uv_timer_t limit; /* of stopping */
};

/* Starts the thread; on_ended will be called. The crew is prepared, and not looked at by others
 * until then, but for its `loop` and `settings`. */
void opening_start(struct opening *opening, uv_loop_t *loop, const struct config *config,
                   struct crew *crew, opening_ended on_ended);
/* Tells it to give up and undo what it had begun, if it still runs. When that takes longer than
 * the time for draining the process ends here, with EXIT_OK: the journal beside the file undoes it
 * at the next start, this server's or another's. */
void opening_stop(struct opening *opening);

#endif
