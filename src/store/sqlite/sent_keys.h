/* sent_keys.h - what a commit does for the exactly-once keys.
 *
 * Uses:    store/sqlite/connection.h.
 * Used by: batch.c.
 * Thread:  the writer's.
 */
#ifndef MIGCHAT_STORE_SQLITE_SENT_KEYS_H
#define MIGCHAT_STORE_SQLITE_SENT_KEYS_H

#include "store/sqlite/connection.h"

/* In a batch, outside its units: moves some recent keys to where they stay, when enough have
 * gathered. For each that the batch added two at most, or eight that were moved are removed; all of
 * them in the first batch after an opening or a rollback. */
MUST_CHECK enum error sent_keys_move(struct store *store);

#endif
