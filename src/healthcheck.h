/* healthcheck.h - asks the server of this configuration, on this machine, whether it is ready.
 *
 * Uses:    base, config.
 * Used by: command.
 * Thread:  main.
 */
#ifndef MIGCHAT_HEALTHCHECK_H
#define MIGCHAT_HEALTHCHECK_H

#include "base/buf.h"
#include "config.h"

/* GET /readyz, within three seconds. What the server says, or why it says nothing, is a line in
 * `out`. EXIT_OK when it is ready, else EXIT_FAILED. */
int healthcheck_run(const struct config *config, struct buf *out);

#endif
