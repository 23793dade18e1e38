/* source.h - a database file opened to be read and left as it is, mostly one that is at rest.
 *
 * Uses:    sqlite3, base.
 * Used by: check.c, examine.c, restore.c, export_rust.c.
 * Thread:  one at a time.
 */
#ifndef MIGCHAT_STORE_SQLITE_SOURCE_H
#define MIGCHAT_STORE_SQLITE_SOURCE_H

#include <limits.h>
#include <sqlite3.h>

#include "base/error.h"

struct source {
    sqlite3 *database; /* one snapshot, until it is closed */
    int lock_fd;       /* no server opens it meanwhile; -1 where none ever did, or one has it */
    char path[PATH_MAX];
};

/* Refuses what a server has open, and what a rollback journal lies beside. `reason` has room for
 * REASON_MAX_BYTES and gets what to tell people. */
MUST_CHECK enum error source_open(const char *path, struct source *out_source, char *reason);
void source_close(struct source *source);

/* The same, but of a server that has it open it reads the last commit beside it. Until it is closed
 * that server's checkpoints wait. */
MUST_CHECK enum error source_open_beside_server(const char *path, struct source *out_source,
                                                char *reason);

/* Refuses what is not ours, or newer than this server. */
MUST_CHECK enum error source_must_be_ours(sqlite3 *database, char *reason);

#endif
