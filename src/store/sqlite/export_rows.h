/* export_rows.h - the parts of exporting to a Rust database: each turns one kind of row of ours
 * into that server's. What adopt_rows.h does, the other way.
 *
 * Uses:    base, store/sqlite/connection.h.
 * Used by: export_rust.c, export_rows.c, export_messages.c.
 * Thread:  export_rust.c's.
 */
#ifndef MIGCHAT_STORE_SQLITE_EXPORT_ROWS_H
#define MIGCHAT_STORE_SQLITE_EXPORT_ROWS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"
#include "store/sqlite/connection.h"

/* The tables and indices that server makes at its start, in its order and words. */
extern const char export_schema[];

struct export_counts {
    int64_t accounts; /* without deleted ones */
    int64_t disabled_accounts;
    int64_t deleted_accounts;
    int64_t tokens;
    int64_t messages;
    int64_t received; /* of these, from another account to one that is not deleted */
    int64_t unread;   /* of these, not read */
    int64_t read_at_unknown;
    int64_t key_bundles;
    int64_t prekeys;
    int64_t entries_left; /* of logs, neither messages nor read marks */
};

struct rust_export {
    struct store *from; /* one snapshot of ours, read only */
    struct store *to;   /* the new file, in the one transaction that fills it */
    FILE *tokens;       /* name, tab, token, line feed for each account */
    int64_t now_ms;
    bool has_disabled;    /* from schema 2 on */
    bool has_invites;     /* the same */
    bool has_blocks;      /* from schema 3 on */
    bool has_contents;    /* from schema 4 on */
    bool has_recent_keys; /* from schema 5 on */
    struct export_counts counts;
};

/* In this order: messages name accounts, and of deleted ones only those that messages name are
 * exported. */
MUST_CHECK enum error export_accounts(struct rust_export *export);
MUST_CHECK enum error export_keys(struct rust_export *export);
MUST_CHECK enum error export_messages(struct rust_export *export);
MUST_CHECK enum error export_deleted_accounts(struct rust_export *export);
/* That server gives new ids above every id that was ever given here. */
MUST_CHECK enum error export_sequences(struct rust_export *export);

/* As that server writes its clock, which counts nanoseconds: "2025-11-03T12:00:00.123000456+00:00".
 * It sorts by this text alone, so `place` (its last six digits) orders what has one millisecond. */
#define RUST_TIME_LEN 35u
struct str rust_time(int64_t wall_ms, int64_t place, char out[RUST_TIME_LEN + 1]);

#endif
