/* adopt_rows.h - the parts of adopting a Rust database: each turns one kind of row into ours.
 *
 * All run inside the one transaction of adopt_run, through a store around its connection, after
 * our tables were made and before the old ones go.
 *
 * Uses:    base, store/sqlite/connection.h.
 * Used by: adopt.c, adopt_rows.c, adopt_messages.c.
 * Thread:  adopt.c's.
 */
#ifndef MIGCHAT_STORE_SQLITE_ADOPT_ROWS_H
#define MIGCHAT_STORE_SQLITE_ADOPT_ROWS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"
#include "store/sqlite/connection.h"

/* What the file has; it grew over that server's versions. */
struct adopt_tables {
    bool has_read_at;
    bool has_user_keys;
    bool has_prekeys;
    bool has_sequences; /* sqlite_sequence */
};

/* The times of one table that could not be read, for one line of the log. */
struct time_faults {
    int64_t count;
    int64_t first_row;
};

/* The longest text we keep: what SQLite is allowed to. */
#define ADOPT_TEXT_MAX_BYTES (15u * 1024 * 1024)

MUST_CHECK enum error adopt_accounts(struct store *store);
MUST_CHECK enum error adopt_sessions(struct store *store);
MUST_CHECK enum error adopt_key_bundles(struct store *store);
MUST_CHECK enum error adopt_prekeys(struct store *store);
MUST_CHECK enum error adopt_messages(struct store *store, const struct adopt_tables *tables);
/* New ids start above every id that was ever given. */
MUST_CHECK enum error adopt_counters(struct store *store, const struct adopt_tables *tables);

/* The text as valid UTF-8: itself, or a copy in `scratch` with U+FFFD for what is not, and a
 * warning that names the row. */
struct str adopt_text(struct str raw, const char *table, int64_t row_id, struct buf *scratch);
/* False, and counted, when the text is no time. */
bool adopt_time(struct str text, int64_t row_id, struct time_faults *faults, int64_t *out_wall_ms);
/* Warns once of what was counted, if anything. */
void adopt_time_warn(const char *table, const struct time_faults *faults);

#endif
