/* entry.h - the rows of table log, for the files that read and write them.
 *
 * Uses:    store/sqlite/connection.h. Used by: log.c, adopt_messages.c. Thread: the store's.
 */
#ifndef MIGCHAT_STORE_SQLITE_ENTRY_H
#define MIGCHAT_STORE_SQLITE_ENTRY_H

#include "store/sqlite/connection.h"

#define ENTRY_COLUMNS "seq, kind, other_id, ref, received, created_at_ms, text, chain"

/* Adds the row as it is, seq and chain included. */
MUST_CHECK enum error entry_add(struct store *store, int64_t account_id, const struct entry *entry);

/* The row of a query whose first columns are ENTRY_COLUMNS; the text is borrowed until its next
 * step. */
static inline void entry_read(const struct query *query, struct entry *out_entry)
{
    out_entry->seq = query_int(query, 0);
    out_entry->kind = (enum entry_kind)query_int(query, 1);
    out_entry->other_id = query_int(query, 2);
    out_entry->ref = query_int(query, 3);
    out_entry->received = query_int(query, 4);
    out_entry->created_at_ms = query_int(query, 5);
    out_entry->text = query_text(query, 6);
    out_entry->chain = query_int(query, 7);
}

#endif
