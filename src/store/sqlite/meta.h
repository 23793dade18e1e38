/* meta.h - the rows of table meta that every database has.
 *
 * Uses:    sqlite3, store/store.h. Used by: store/sqlite only. Thread: the connection's.
 */
#ifndef MIGCHAT_STORE_SQLITE_META_H
#define MIGCHAT_STORE_SQLITE_META_H

#include <sqlite3.h>

#include "base/error.h"
#include "store/store.h"

/* Adds the rows that are missing: a new epoch, counters at 1, no renames. */
MUST_CHECK enum error meta_fill(sqlite3 *database);
/* For adopted accounts: sets the highest cost of any password hash. */
MUST_CHECK enum error meta_password_cost_fill(sqlite3 *database);
/* Notes in a backup when it was made; that row goes with the restore. */
MUST_CHECK enum error meta_made_at_set(sqlite3 *database, int64_t made_at_ms);
/* After a restore: another epoch, so that nobody's cursor or tag is trusted. */
MUST_CHECK enum error meta_epoch_renew(sqlite3 *database);
MUST_CHECK enum error meta_epoch_find(sqlite3 *database, char out_epoch[EPOCH_LEN + 1]);

#endif
