/* replace.h - a file takes the place of a database, which is kept under another name with all that
 * belongs to it.
 *
 * Uses:    base, store/sqlite/copy, store/sqlite/files.
 * Used by: store/sqlite/restore.
 * Thread:  any; who holds the database's lock.
 */
#ifndef MIGCHAT_STORE_SQLITE_REPLACE_H
#define MIGCHAT_STORE_SQLITE_REPLACE_H

#include <limits.h>
#include <stdbool.h>

#include "base/error.h"

struct replacement {
    char path[PATH_MAX];         /* of the database, without symbolic links */
    char partial_path[PATH_MAX]; /* where what takes its place is made */
    char ready_path[PATH_MAX];   /* where it is, and then the database, when they are exchanged */
    char kept_path[PATH_MAX];    /* the database's other name */
    bool has_old;                /* there is a file at `path` */
    bool is_kept;                /* it has its other name already: an earlier attempt was killed */
    bool is_in_place;            /* what was made is at `path` */
};

/* From `path`. False when the names would be too long. */
MUST_CHECK bool replacement_name(struct replacement *replacement);
/* From `has_old`: names what an attempt that was killed left, and finds kept_path. INTERNAL,
 * logged, when nine databases are kept already. */
MUST_CHECK enum error replacement_prepare(struct replacement *replacement);
/* Puts partial_path, whole and on the disk, in place. After an error is_in_place tells whether it
 * is there; if not, everything has the name it had. `kept_path` is where the database is now. */
MUST_CHECK enum error replacement_make(struct replacement *replacement);
/* A file that belongs to the one at kept_path and is made anew from it is not left there. */
void replacement_tidy(const struct replacement *replacement);

#endif
