/* message_row.h - a message as every answer and event shows it.
 *
 * Uses:    base, store/store.h, api/name_memo.h.
 * Used by: api/message_list.c, api/event.c.
 * Thread:  the lane's.
 */
#ifndef MIGCHAT_API_MESSAGE_ROW_H
#define MIGCHAT_API_MESSAGE_ROW_H

#include <stddef.h>

#include "api/name_memo.h"
#include "base/clock.h"
#include "base/str.h"
#include "store/store.h"

struct message_row {
    struct entry entry; /* its text is borrowed */
    struct str from;    /* names, escaped for JSON */
    struct str to;
};

/* The names of row->entry, which stands in the log of `account_id`. */
MUST_CHECK enum error message_row_find_names(struct message_row *row, int64_t account_id,
                                             struct name_memo *memo);
/* What message_row_put writes at most. */
size_t message_row_max_bytes(const struct message_row *row);
/* {"id":…,"from_username":…,"to_username":…,"content":…,"created_at":…,"seq":…} */
char *message_row_put(char *at, struct time_writer *times, const struct message_row *row);

#endif
