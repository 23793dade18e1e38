/* command_user.h - `user add|list|show|reset-password|delete`: accounts, by their operator.
 *
 * Uses: command_answer, api/json.h. Used by: command. Thread: main; it waits for the server.
 */
#ifndef MIGCHAT_COMMAND_USER_H
#define MIGCHAT_COMMAND_USER_H

#include "base/buf.h"
#include "config.h"

/* What there is to say goes into `out` (a list goes to stdout page by page), why it failed to
 * stderr. Returns an exit code. */
int command_user(const struct config *config, struct buf *out);

#endif
