/* command_restore.h - `restore FILE`: a backup takes the place of the database.
 *
 * Uses: store/copies.h, command_verify. Used by: command. Thread: main.
 */
#ifndef MIGCHAT_COMMAND_RESTORE_H
#define MIGCHAT_COMMAND_RESTORE_H

#include "base/buf.h"
#include "config.h"

/* What there is to say goes into `out`, why it failed to stderr. Returns an exit code. */
int command_restore(const struct config *config, struct str file, struct buf *out);

#endif
