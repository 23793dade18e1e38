/* content.h - the text of long messages, which stands once and not in each log.
 *
 * Uses:    store/sqlite/connection.h.
 * Used by: log.c, walk.c, chores.c, adopt_messages.c, export_messages.c.
 * Thread:  the store's.
 */
#ifndef MIGCHAT_STORE_SQLITE_CONTENT_H
#define MIGCHAT_STORE_SQLITE_CONTENT_H

#include "store/sqlite/connection.h"

/* Escaped for JSON, as it is stored. What is longer stands in table content. Every ciphertext of
 * the published client does (468 and more), hardly any chat by hand. */
#define CONTENT_IN_LOG_MAX_BYTES 256u

static inline bool content_is_long(struct str content)
{
    return content.len > CONTENT_IN_LOG_MAX_BYTES;
}

static inline bool entry_is_without_its_text(const struct entry *entry)
{
    return entry->text.ptr == NULL && entry_kind_is_message(entry->kind);
}

/* The text of a message whose entry has none, in the arena. */
MUST_CHECK enum error content_find(struct store *store, int64_t message_id, struct arena *arena,
                                   struct str *out_text);
/* INTERNAL, and it is logged: an entry is never given without its content. */
MUST_CHECK enum error content_missing(int64_t message_id);
/* An entry of it is being removed, and it with the last one. */
MUST_CHECK enum error content_release(struct store *store, int64_t message_id);

#endif
