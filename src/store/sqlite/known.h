/* known.h - rows the writer need not ask for again.
 *
 * Nobody else writes, so what the writer last read or wrote is what is there, in its own open
 * transaction too. A send finds its session, its recipient, both logs' heads and both conversations
 * here: five statements and a sixth less.
 *
 * Uses:    base, store/store.h.
 * Used by: store/sqlite: the writer's connection; readers and adoptions have none (NULL), for which
 *          every function here does nothing and finds nothing.
 * Thread:  the connection's.
 * Memory:  2.7 MiB of address space at most, of which only touched pages count. Tables are
 *          direct-mapped: what comes later takes the place.
 */
#ifndef MIGCHAT_STORE_SQLITE_KNOWN_H
#define MIGCHAT_STORE_SQLITE_KNOWN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/digest.h"
#include "base/str.h"
#include "store/store.h"

/* Powers of two. */
#define KNOWN_HEADS 4096u
#define KNOWN_CONVERSATIONS 32768u
#define KNOWN_SESSIONS 4096u
#define KNOWN_NAMES 4096u
/* Longer names are not kept. */
#define KNOWN_NAME_BYTES 48u

/* Where an account's log ends. */
struct log_head {
    int64_t seq;
    int64_t last_message_seq; /* at or before the head */
};

struct known;

/* Never NULL. */
struct known *known_new(void);
void known_free(struct known *known);

/* After a rollback, and wherever rows change by other ways than the _set functions here. */
void known_forget(struct known *known);
/* The one with this id. */
void known_forget_session(struct known *known, int64_t session_id);
void known_forget_names(struct known *known);

bool known_head_find(const struct known *known, int64_t account_id, struct log_head *out_head);
void known_head_set(struct known *known, int64_t account_id, const struct log_head *head);

/* Of conversations that exist. */
bool known_conversation_find(const struct known *known, int64_t account_id, int64_t other_id,
                             struct conversation *out_conversation);
void known_conversation_set(struct known *known, int64_t account_id,
                            const struct conversation *conversation);

/* Whether the account blocks the other one; beside a conversation that is known only, which every
 * send has to find first. */
bool known_block_find(const struct known *known, int64_t account_id, int64_t other_id,
                      bool *out_is_blocked);
void known_block_set(struct known *known, int64_t account_id, int64_t other_id, bool is_blocked);

/* All but the label. */
bool known_session_find(const struct known *known, const struct sha256 *token_digest,
                        struct session *out_session);
void known_session_set(struct known *known, const struct sha256 *token_digest,
                       const struct session *session);

/* Of folded forms with exactly one row, which is copied into the arena. */
bool known_name_find(const struct known *known, struct str folded, struct arena *arena,
                     struct name_row *out_row);
void known_name_set(struct known *known, const struct name_row *row);

#endif
