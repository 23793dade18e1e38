/* home.h - the database as one process has it: its path, its lock, its settings.
 *
 * Uses:    store/store.h. Used by: store/sqlite only.
 * Thread:  written by the one that opens and closes it; read-only in between.
 */
#ifndef MIGCHAT_STORE_SQLITE_HOME_H
#define MIGCHAT_STORE_SQLITE_HOME_H

#include <limits.h>
#include <stdbool.h>

#include "store/store.h"

struct store_home {
    struct store_settings settings; /* path points to the member below */
    char path[PATH_MAX];            /* without symbolic links; ":memory:" in memory */
    bool is_in_memory;
    int lock_fd; /* holds the flock on FILE.lock; -1 in memory */
};

#endif
