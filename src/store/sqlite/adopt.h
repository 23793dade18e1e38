/* adopt.h - a database of the Rust MigChat server becomes one of ours, in place.
 *
 * Uses:    sqlite3, base, store/sqlite/migrate.h, copy.h.
 * Used by: store/sqlite/home.c, examine.c.
 * Thread:  the one that opens, before any other connection is open.
 */
#ifndef MIGCHAT_STORE_SQLITE_ADOPT_H
#define MIGCHAT_STORE_SQLITE_ADOPT_H

#include <sqlite3.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/error.h"

/* Of the copy kept of that server's file, which holds tokens in clear; a number may follow. */
#define ADOPT_COPY_SUFFIX ".rust-copy"

/* Whether the tables are that server's, of any age. */
MUST_CHECK enum error adopt_recognise(sqlite3 *database, bool *out_is_rust);

/* Copies the file at `path`, which `database` has open, to FILE.rust-copy, unless an attempt before
 * this one did, and converts it in one transaction; schema 1 afterwards, and the file is closed to
 * others. On a failure, which is logged, it is as it was; so it is after DRAINING, when `*stops`
 * (NULL: never). */
MUST_CHECK enum error adopt_run(sqlite3 *database, const char *path, atomic_bool *stops);

/* Warns of every copy beside the file: they hold tokens in clear. */
void adopt_warn_of_copies(const char *path);

#endif
