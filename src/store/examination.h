/* examination.h - a look at a database's file by another process than its server's: for `doctor`.
 *
 * Uses:    base, store/store.h, store/copies.h.
 * Used by: command_doctor.
 * Thread:  any, in a process that has not opened that database.
 */
#ifndef MIGCHAT_STORE_EXAMINATION_H
#define MIGCHAT_STORE_EXAMINATION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/error.h"
#include "store/copies.h"

struct store_examination {
    int64_t schema;       /* of the file; not above what this binary knows */
    int64_t newest_at_ms; /* of the last entry of any account's log; 0 without one */
};

/* Reads the whole file (SQLite's quick_check), through a connection that only reads: beside a
 * server it takes no lock that a write or a checkpoint waits for, and the WAL cannot start over
 * meanwhile, so it grows by what is written. Nothing is made or changed. An error's `reason` is for
 * people; it is also why the database is not whole, or not one that this binary can serve. */
MUST_CHECK enum error store_examine(const char *path, struct store_examination *out_examination,
                                    char reason[REASON_MAX_BYTES]);

/* A file beside the database that an adoption left, in which the tokens of the Rust server stand in
 * clear: the `place`-th (from 0) of them into `out_path`; false when there are not so many. */
bool store_rust_copy_find(const char *path, unsigned place, char out_path[PATH_MAX]);

#endif
