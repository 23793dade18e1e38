/* checkpoint.h - what batches and tests see of checkpoints.
 *
 * Uses:    store/sqlite/connection.h. Used by: batch.c, checkpoint.c. Thread: the writer's.
 */
#ifndef MIGCHAT_STORE_SQLITE_CHECKPOINT_H
#define MIGCHAT_STORE_SQLITE_CHECKPOINT_H

#include <stdint.h>

#include "store/store.h"

/* After a commit: a WAL that has become too large starts over, waiting for readers. */
void checkpoint_if_overdue(struct store *store);
/* With how many frames the next one is due, when one that copied so many took so long. */
int wal_frames_next(int frames, uint64_t took_ns);

#endif
