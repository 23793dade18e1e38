/* event.h - log entries as the events that clients follow.
 *
 *   {"type":"message","cursor":"epoch:seq","message":{…}}, and so on for each kind of entry.
 *
 * Every transport sends the same bytes. An event is one line: what JSON escapes has no line ends.
 *
 * Uses:    base, store/store.h, api/name_memo.h, api/message_row.h, api/cursor.h.
 * Used by: api.
 * Thread:  the lane's.
 */
#ifndef MIGCHAT_API_EVENT_H
#define MIGCHAT_API_EVENT_H

#include <stddef.h>
#include <stdint.h>

#include "api/message_row.h"
#include "api/name_memo.h"
#include "base/clock.h"
#include "base/error.h"
#include "store/store.h"

/* Writes events of one account. */
struct event_writer {
    struct name_memo names;
    struct time_writer times;
    int64_t account_id;
    struct str epoch;
};

/* Names go into the arena; `store` and `arena` outlive the writer. */
void event_writer_init(struct event_writer *writer, struct store *store, int64_t account_id,
                       struct arena *arena);

/* An entry with its names: row.from did what the entry tells, or was what somebody is now. */
struct event {
    struct message_row row;
};
/* Looks the entry's names up. */
MUST_CHECK enum error event_find(struct event_writer *writer, const struct entry *entry,
                                 struct event *out_event);
/* What event_put writes at most. */
size_t event_max_bytes(const struct event *event);
char *event_put(char *at, struct event_writer *writer, const struct event *event);

#endif
