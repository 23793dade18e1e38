/* command_backup.h - `backup FILE`: has the running server write a copy of its database.
 *
 * Uses: command_answer, api/json.h. Used by: command. Thread: main; it waits.
 */
#ifndef MIGCHAT_COMMAND_BACKUP_H
#define MIGCHAT_COMMAND_BACKUP_H

#include "base/buf.h"
#include "config.h"

/* What there is to say goes into `out`, why it failed to stderr. Returns an exit code. */
int command_backup(const struct config *config, struct str file, struct buf *out);

#endif
