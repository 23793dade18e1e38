/* command_verify.h - `verify FILE`: reads a database that no server has open, and says what it is.
 *
 * Uses: store/copies.h. Used by: command, command_restore (the log). Thread: main.
 */
#ifndef MIGCHAT_COMMAND_VERIFY_H
#define MIGCHAT_COMMAND_VERIFY_H

#include "base/buf.h"
#include "config.h"
#include "store/copies.h"

/* What there is to say goes into `out`, why it failed to stderr. Returns an exit code. */
int command_verify(const struct config *config, struct str file, struct buf *out);

/* A command about files tells why it failed in one line; it logs where a level was asked for. */
void command_log_setup(const struct config *config);
/* "2 accounts, 1 message, schema 1, backup of 2026-…" */
void command_tell_summary(const struct store_summary *summary, struct buf *out);

#endif
