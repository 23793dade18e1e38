/* batch.h - what a batch keeps outside its transaction.
 *
 * Uses:    store/sqlite/connection.h. Used by: batch.c, meta.c. Thread: the store's.
 */
#ifndef MIGCHAT_STORE_SQLITE_BATCH_H
#define MIGCHAT_STORE_SQLITE_BATCH_H

#include "base/error.h"
#include "store/store.h"

/* Writes the counters that moved, in the open batch. */
MUST_CHECK enum error counters_write(struct store *store);
/* They must be read again: the batch was not committed. */
void counters_forget(struct store *store);
/* The open batch changed what this account is shown. */
void changed_note(struct store *store, int64_t account_id);

#endif
