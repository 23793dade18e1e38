/* message.h - sending messages, marking them read, walking lists of them.
 *
 * Uses:    base, store/store.h, domain/name.h.
 * Used by: api/messages.c, api/conversations.c.
 * Thread:  write lane for sending and marking, read lane for lists.
 */
#ifndef MIGCHAT_DOMAIN_MESSAGE_H
#define MIGCHAT_DOMAIN_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"
#include "store/store.h"

#define SENT_KEY_MAX_BYTES 64u

/* What the sender hands in. */
struct message_draft {
    int64_t sender_id;
    struct str to_username;  /* as sent */
    struct str content;      /* as sent, UTF-8, not empty; checked by the caller for its length */
    struct str content_json; /* the same, escaped for JSON, without quotes */
    struct str key;          /* exactly-once key; ptr NULL without one */
    int64_t now_ms;
};

struct message_sent {
    int64_t message_id;
    int64_t created_at_ms;
    int64_t recipient_id; /* 0 for a replay */
    bool is_replay;       /* the key was used for the same message before */
};

/* Appends the message to the sender's and the recipient's log (one entry to oneself), in ascending
 * account id, and to both conversations; to the sender's alone when the recipient blocks them.
 * Order: CONTENT_EMPTY, the key (KEY_NOT_ALLOWED,
 * KEY_REUSED, or a replay), RECIPIENT_NOT_FOUND. */
MUST_CHECK enum error message_send(struct store *store, const struct message_draft *draft,
                                   struct arena *arena, struct message_sent *out_sent);

/* Marks what `other_id` sent to `account_id` read, up to log entry `up_to_seq` (0: all of it).
 * SEQ_NOT_ALLOWED when that entry is no message of this conversation. Appends read entries to both
 * logs (not to that of an account which is deleted or blocks the reader) when anything changed. To
 * oneself: 0. */
MUST_CHECK enum error message_mark_read(struct store *store, int64_t account_id, int64_t other_id,
                                        int64_t up_to_seq, int64_t now_ms, struct arena *arena,
                                        int64_t *out_marked);

/* Checks that `seq` is a message of the account with other_id (SEQ_NOT_ALLOWED). */
MUST_CHECK enum error message_check_seq(struct store *store, int64_t account_id, int64_t other_id,
                                        int64_t seq);

#endif
