/* failure.h - SQLite's result codes turned into ours, and logged, in one place.
 *
 * Uses:    sqlite3, base.
 * Used by: store/sqlite only.
 * Thread:  the connection's.
 */
#ifndef MIGCHAT_STORE_SQLITE_FAILURE_H
#define MIGCHAT_STORE_SQLITE_FAILURE_H

#include <sqlite3.h>

#include "base/error.h"

/* When a failure came up: what is known about the transaction differs. */
enum failure_moment {
    FAILURE_ANYWHERE,
    FAILURE_IN_COMMIT,    /* some of it may be on the disk */
    FAILURE_IN_CHECKPOINT /* a page that was not synced counts as written for the kernel */
};

/* Logs the failure (SQLite's message and extended code, `doing`; never a value) and says what it
 * means: DISK_FULL, OUTCOME_UNKNOWN or STORE_FAILED. A statement that connection_stop_when ended is
 * DRAINING and not logged; nor is one that lost its transaction to the failure of another.
 * `database` may be NULL. */
MUST_CHECK enum error failure_translate(sqlite3 *database, int code, enum failure_moment moment,
                                        const char *doing);

#endif
