/* home.h - the database as one process has it: its path, its lock, its settings.
 *
 * Uses:    store/store.h. Used by: store/sqlite only.
 * Thread:  written by the one that opens and closes it; read-only in between, but for the gate and
 *          what stands behind it.
 */
#ifndef MIGCHAT_STORE_SQLITE_HOME_H
#define MIGCHAT_STORE_SQLITE_HOME_H

#include <limits.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "store/measures.h"
#include "store/sqlite/gate.h"
#include "store/store.h"

struct backup;

struct store_home {
    struct store_settings settings; /* path points to the member below */
    char path[PATH_MAX];            /* without symbolic links; ":memory:" in memory */
    bool is_in_memory;
    int lock_fd; /* holds the flock on FILE.lock; -1 in memory */

    struct store_measures *measures; /* of the settings, or what nobody reads */
    struct store_measures unmeasured;

    struct gate gate;         /* around the writer's connection */
    struct store *writer;     /* behind the gate; NULL while there is none */
    struct backup *backup;    /* behind the gate; NULL while there is none */
    atomic_bool is_backed_up; /* now */
};

/* `path` without symbolic links; the file may be missing, its folder not. Refused: INTERNAL. */
MUST_CHECK enum error home_path_resolve(const char *path, char out_path[PATH_MAX]);
/* Locks the database at the resolved path against other processes: `*out_fd` holds FILE.lock. */
MUST_CHECK enum error home_lock_take(const char *path, int *out_fd);

enum home_content { CONTENT_NOTHING, CONTENT_OURS, CONTENT_RUST, CONTENT_FOREIGN };
MUST_CHECK enum error home_content_find(sqlite3 *database, enum home_content *out_content);

#endif
