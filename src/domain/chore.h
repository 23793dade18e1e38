/* chore.h - the slices of long work: telling contacts, removing a deleted account's log.
 *
 * Uses:    base, store/store.h.
 * Used by: api/dispatch (the write lane's rest).
 */
#ifndef MIGCHAT_DOMAIN_CHORE_H
#define MIGCHAT_DOMAIN_CHORE_H

#include <stdbool.h>

#include "base/error.h"
#include "store/store.h"

/* Rows written or removed in one transaction: about 10 ms of the writer. */
#define CHORE_SLICE_ROWS 1000u
/* Text of log entries removed in one transaction: as long. */
#define CHORE_SLICE_TEXT_BYTES (1024u * 1024u)

/* One slice of the oldest chore, as one batch of its own. *out_more: there is more to do. */
MUST_CHECK enum error chore_run_slice(struct store *store, bool *out_more);

#endif
