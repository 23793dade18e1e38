/* command_export.h - the command that writes a database for another server.
 *
 * Uses: config, store/copies.h. Used by: command. Thread: main.
 */
#ifndef MIGCHAT_COMMAND_EXPORT_H
#define MIGCHAT_COMMAND_EXPORT_H

#include "base/buf.h"
#include "config.h"

/* The database of --db, also that of a running server, as the new files `file` and `file`.tokens.
 * Returns the exit code; `out` tells what is in them and what is not, stderr why not. */
int command_export(const struct config *config, struct str file, struct buf *out);

#endif
