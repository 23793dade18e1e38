/* copies.h - a database as a file: backing it up, checking it, putting it back, moving it on.
 *
 * Beside store.h, which is about one that is open: here the file is at rest, except for
 * store_backup.
 *
 * Uses:    base, store/store.h.
 * Used by: command (verify, restore, export), the admin socket (backup).
 * Thread:  store_backup: one of its own, which is neither the loop nor a lane. The rest: any, in a
 *          process that has not opened that database.
 * Errors:  why something failed is written for people into the `reason` of the caller, and details
 *          are logged. DRAINING: it was told to stop.
 */
#ifndef MIGCHAT_STORE_COPIES_H
#define MIGCHAT_STORE_COPIES_H

#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "store/store.h"

#define REASON_MAX_BYTES 400u

/* What a database file holds. */
struct store_summary {
    int64_t schema;
    int64_t accounts; /* without deleted ones */
    int64_t deleted_accounts;
    int64_t messages;
    int64_t unclaimed_prekeys;
    int64_t made_at_ms; /* when the backup was made; 0 for a file that is none */
    char epoch[EPOCH_LEN + 1];
};

/* ---- backup ---------------------------------------------------------------------------------- */

/* Read by any thread meanwhile. */
struct backup_progress {
    atomic_int_least64_t pages_done;
    atomic_int_least64_t pages_total; /* 0 until it is known; it grows with the database */
    atomic_bool is_verifying;         /* all pages are copied */
};

/* Copies the open database to the new file `path` (absolute; it must not exist): 0600, one file in
 * itself, verified, and on the disk before it gets that name; until then it is `path`.partial. It
 * holds what was committed when its last page was copied, everything up to there and nothing else.
 * The writer goes on between two steps; one backup at a time. It may be called while the database
 * is open, and has to return before store_home_close; when the writer closes, or `*stops`, it ends
 * with DRAINING. Nothing is left of one that fails. Lowers the priority of its thread. */
MUST_CHECK enum error store_backup(struct store_home *home, const char *path, atomic_bool *stops,
                                   struct backup_progress *progress,
                                   struct store_summary *out_summary,
                                   char reason[REASON_MAX_BYTES]);

/* ---- files at rest ----------------------------------------------------------------------------*/

/* Reads the whole file: SQLite's own check, and that logs are dense and counts agree. It is not
 * changed. Refuses one that a server has open. */
MUST_CHECK enum error store_verify(const char *path, struct store_summary *out_summary,
                                   char reason[REASON_MAX_BYTES]);

struct restore_report {
    struct store_summary summary;
    char replaced_path[PATH_MAX]; /* where the database that was there is now; "" if none was */
    bool replaced_is_known;       /* its counters and claimed keys could be read and count */
    bool is_in_place;             /* what was restored is at the database's path */
    int64_t voided_prekeys;
    int64_t remembered_prekeys; /* claimed after the backup was made, known from what was there */
};

/* Puts a copy of the file `backup_path`, verified, in the place of the database at
 * `database_path`: with a new epoch, without its unclaimed one-time keys, which are remembered as
 * claimed, and with counters that go on above those of the database that was there, which is kept
 * beside it. Refuses while a server has either open. Whenever it is interrupted, at
 * `database_path` is either the one or the other, whole. After an error, too, the report says
 * whether it is in place (a sync failed at the end) and where the other is; if not, nothing
 * changed. */
MUST_CHECK enum error store_restore(const char *backup_path, const char *database_path,
                                    struct restore_report *out_report,
                                    char reason[REASON_MAX_BYTES]);

/* Writes the last commit of the database at `database_path`, which a server may have open, as a new
 * file that the Rust MigChat server opens, and `path`.tokens: a line with name, tab and new token
 * for each account; a tab, line end, NUL or backslash in an adopted name is \t, \n, \r, \0 or \\.
 * Both are 0600 and must not exist; they get their names when they are whole and on the disk.
 * `told` gets what was written and what could not be, a line each. */
MUST_CHECK enum error store_export_rust(const char *database_path, const char *path,
                                        struct buf *told, char reason[REASON_MAX_BYTES]);

/* ---- the library ------------------------------------------------------------------------------*/

/* Whether with this SQLite a database can be damaged by two connections that checkpoint: the
 * WAL-reset bug, https://sqlite.org/wal.html#walresetbug. */
bool store_library_has_wal_reset_bug(void);

#endif
