/* check.h - whether a database is whole: for SQLite, and for us.
 *
 * Uses: sqlite3, base, store/copies.h. Used by: backup.c, examine.c, restore.c. Thread: the
 * connection's.
 */
#ifndef MIGCHAT_STORE_SQLITE_CHECK_H
#define MIGCHAT_STORE_SQLITE_CHECK_H

#include <sqlite3.h>
#include <stdatomic.h>

#include "base/error.h"
#include "store/copies.h"

/* Reads the file to its end; what is wrong goes into `reason`. DRAINING when `*stops` (NULL:
 * never). */
MUST_CHECK enum error check_file(const char *path, atomic_bool *stops,
                                 struct store_summary *out_summary, char *reason);
MUST_CHECK enum error check_database(sqlite3 *database, struct store_summary *out_summary,
                                     char *reason);
/* SQLite's own word, by `sql`: PRAGMA integrity_check(1) or quick_check(1). */
MUST_CHECK enum error check_pages(sqlite3 *database, const char *sql, char *reason);

#endif
