/* backups.h - the backup a running server makes: begun by one request, asked about by others.
 *
 * Uses:    base, store/copies.h, pthread.
 * Used by: api/admin_backup.c, startup.
 * Thread:  the loop's, but what store_backup does is on a thread of its own.
 */
#ifndef MIGCHAT_API_BACKUPS_H
#define MIGCHAT_API_BACKUPS_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/str.h"
#include "store/copies.h"

struct backups;

enum backup_state { BACKUP_NONE, BACKUP_RUNNING, BACKUP_DONE, BACKUP_FAILED };

/* The last one, as it is now. */
struct backup_report {
    int64_t id; /* 1, 2, 3, … since the server started */
    enum backup_state state;
    int64_t pages_done;
    int64_t pages_total;
    struct store_summary summary; /* once it is DONE */
    const char *reason;           /* once it FAILED; until the next is begun */
    /* Of all since the server started. */
    uint64_t done_count;
    uint64_t failed_count;
    int64_t last_done_at_ms; /* wall clock; 0: none is done */
};

/* `*home` is the database once backups_start is called. */
struct backups *backups_new(struct store_home *const *home);
/* Ends one that runs and waits for it; before the home is closed. NULL is allowed. */
void backups_stop(struct backups *backups);
void backups_free(struct backups *backups);

/* Begins one to the file `path`, absolute. BACKUP_RUNNING when another runs. Only
 * when the server is neither migrating nor draining. */
MUST_CHECK enum error backups_start(struct backups *backups, struct str path, int64_t *out_id);
void backups_look(struct backups *backups, struct backup_report *out_report);

#endif
