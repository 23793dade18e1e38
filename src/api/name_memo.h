/* name_memo.h - account names as they go into answers, each looked up once a page.
 *
 * Uses:    base, store/store.h.
 * Used by: api.
 * Thread:  the lane's.
 * Memory:  names live in the arena given; the memo itself is the caller's.
 */
#ifndef MIGCHAT_API_NAME_MEMO_H
#define MIGCHAT_API_NAME_MEMO_H

#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"
#include "store/store.h"

#define NAME_MEMO_SLOTS 64u

struct name_memo_slot {
    int64_t account_id; /* 0: empty */
    struct str escaped;
};

struct name_memo {
    struct store *store;
    struct arena *arena;
    struct name_memo_slot slots[NAME_MEMO_SLOTS];
};

void name_memo_init(struct name_memo *memo, struct store *store, struct arena *arena);
/* The account's shown name as the inside of a JSON string. STORE_FAILED when there is no such
 * account: a log entry names only accounts that exist. */
MUST_CHECK enum error name_memo_find(struct name_memo *memo, int64_t account_id,
                                     struct str *out_escaped);

/* The same without a memo. */
MUST_CHECK enum error name_escaped_find(struct store *store, int64_t account_id,
                                        struct arena *arena, struct str *out_escaped);

#endif
