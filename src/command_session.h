/* command_session.h - `session list|end`: an account's sessions, by its operator.
 *
 * Uses: command_answer, api/json.h. Used by: command. Thread: main; it waits for the server.
 */
#ifndef MIGCHAT_COMMAND_SESSION_H
#define MIGCHAT_COMMAND_SESSION_H

#include "base/buf.h"
#include "config.h"

/* What there is to say goes into `out`, why it failed to stderr. Returns an exit code. */
int command_session(const struct config *config, struct buf *out);

#endif
