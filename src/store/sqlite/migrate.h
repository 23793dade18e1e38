/* migrate.h - the numbered migrations and running them.
 *
 * Uses:    sqlite3, base. `migration_list` is generated at build from migrations/NNNN_*.sql.
 * Used by: store/sqlite/home.c, connection.c (in memory), adopt.c.
 * Thread:  the one that opens, before any other connection is open.
 */
#ifndef MIGCHAT_STORE_SQLITE_MIGRATE_H
#define MIGCHAT_STORE_SQLITE_MIGRATE_H

#include <sqlite3.h>
#include <stdatomic.h>
#include <stddef.h>

#include "base/error.h"

struct migration {
    int version; /* NNNN of its file; user_version after it */
    const char *name;
    const char *sql;
};

extern const struct migration migration_list[];
extern const size_t migration_count;

/* Brings the database from its user_version to the newest, one transaction each, after a copy
 * FILE.before-NNNN made through SQLite when it holds data (`path` NULL: no copy). A newer schema
 * is refused: INTERNAL, logged. DRAINING when `*stops` (NULL: never) is seen in time; the step it
 * was at is undone. */
MUST_CHECK enum error migrate_run(sqlite3 *database, const char *path, atomic_bool *stops);

/* One migration and its user_version, inside the caller's transaction. */
MUST_CHECK enum error migrate_apply(sqlite3 *database, const struct migration *migration);

#endif
