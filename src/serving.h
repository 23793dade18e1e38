/* serving.h - from listening to stopped: what is served where, signals, and what systemd is told.
 *
 * Uses:    all that main has built; net, api's tables, opening, supervision.
 * Used by: main.
 * Thread:  the loop.
 */
#ifndef MIGCHAT_SERVING_H
#define MIGCHAT_SERVING_H

#include <uv.h>

#include "base/attributes.h"
#include "config.h"
#include "net/lane.h"
#include "startup.h"

struct serving_plan {
    struct config *config; /* a reload changes it */
    int argc;              /* and reads these again */
    const char *const *argv;
    const char *const *environment;
    struct crew *crew; /* prepared; opened and, afterwards, for the caller to close */
    const struct work *work;
};

/* Listens, has the crew opened, serves, and runs the loop until all of it has ended. Returns the
 * exit code of the process: EXIT_FAILED when it could not start, or when a lane found its store
 * broken. */
MUST_CHECK int serving_run(uv_loop_t *loop, const struct serving_plan *plan,
                           unsigned connections_max);

#endif
