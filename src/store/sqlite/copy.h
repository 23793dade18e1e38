/* copy.h - a copy of a database in a file of its own, and putting it back.
 *
 * Uses:    sqlite3, base.
 * Used by: store/sqlite only.
 * Thread:  the connections'.
 */
#ifndef MIGCHAT_STORE_SQLITE_COPY_H
#define MIGCHAT_STORE_SQLITE_COPY_H

#include <limits.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/error.h"

/* Whether a finished copy with this suffix holds the same as `source`, row by row: an earlier
 * attempt that came to nothing made it, and it serves this one. It is on the disk then. */
MUST_CHECK bool copy_find(sqlite3 *source, const char *path, const char *suffix,
                          char out_path[PATH_MAX]);

/* Copies the database, through SQLite, to `path``suffix`, or `path``suffix`-2 and so on where
 * that exists: 0600, and on the disk before it gets that name. Until then it is
 * `path``suffix`-partial, of which there is at most one: a stale one is replaced. `source` has no
 * transaction open that writes. Refuses (INTERNAL, logged) a tenth copy; DRAINING when `*stops`
 * (NULL: never). */
MUST_CHECK enum error copy_make(sqlite3 *source, const char *path, const char *suffix,
                                atomic_bool *stops, char out_path[PATH_MAX]);

#define COPIES_MAX 9
/* `path``suffix`, and from 2 on with a dash and the number. False when that is too long. */
MUST_CHECK bool copy_name_numbered(const char *path, const char *suffix, int number,
                                   char out_path[PATH_MAX]);
/* None is free up to COPIES_MAX: INTERNAL, logged. */
MUST_CHECK enum error copies_too_many(const char *path, const char *suffix);

/* Makes `partial_path` anew, 0600 and empty, and opens it to be filled: what an attempt that died
 * left there is removed. It is not synced, and is to be thrown away unless it comes to be whole. */
MUST_CHECK enum error partial_open(const char *partial_path, sqlite3 **out_copy);
void partial_remove(const char *partial_path);

/* Opens a copy to read it, as a file that nobody changes: a copy of a database in WAL mode is in
 * that mode too, and would get a WAL beside it by being read. */
MUST_CHECK enum error copy_open(const char *copy_path, sqlite3 **out_copy);

/* All pages of one database over those of the other. DRAINING when `*stops` (NULL: never). */
MUST_CHECK enum error pages_copy(sqlite3 *to, sqlite3 *from, atomic_bool *stops);

/* Overwrites the database with the copy. */
MUST_CHECK enum error copy_put_back(const char *copy_path, sqlite3 *database);

#endif
