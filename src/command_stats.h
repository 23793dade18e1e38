/* command_stats.h - `stats`: what the running server has and does.
 *
 * Uses: command_answer. Used by: command. Thread: main; it waits for the server.
 */
#ifndef MIGCHAT_COMMAND_STATS_H
#define MIGCHAT_COMMAND_STATS_H

#include "base/buf.h"
#include "config.h"

/* What there is to say goes into `out`, why it failed to stderr. Returns an exit code. */
int command_stats(const struct config *config, struct buf *out);

#endif
