/* backup.h - what the rest of the folder needs to know of a backup that is being made.
 *
 * Uses: store/sqlite/home.h. Used by: connection.c. Thread: the writer's, inside the gate.
 */
#ifndef MIGCHAT_STORE_SQLITE_BACKUP_H
#define MIGCHAT_STORE_SQLITE_BACKUP_H

#include "store/sqlite/home.h"

/* The writer's connection is about to be closed: a backup from it ends without success. */
void backup_writer_closes(struct store_home *home);

#endif
