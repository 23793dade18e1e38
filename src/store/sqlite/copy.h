/* copy.h - a copy of a database in a file of its own, and putting it back.
 *
 * Uses:    sqlite3, base.
 * Used by: store/sqlite/migrate.c, adopt.c.
 * Thread:  main, before the stores are open.
 */
#ifndef MIGCHAT_STORE_SQLITE_COPY_H
#define MIGCHAT_STORE_SQLITE_COPY_H

#include <limits.h>
#include <sqlite3.h>

#include "base/error.h"

/* Copies the database, through SQLite, to `path``suffix`, or `path``suffix`-2 and so on where
 * that exists: 0600, on the disk when this returns. `source` has no transaction open that writes.
 * After a failure the unfinished copy is gone. Refuses (INTERNAL, logged) a tenth copy. */
MUST_CHECK enum error copy_make(sqlite3 *source, const char *path, const char *suffix,
                                char out_path[PATH_MAX]);

/* Overwrites the database with the copy. */
MUST_CHECK enum error copy_put_back(const char *copy_path, sqlite3 *database);

#endif
