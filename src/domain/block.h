/* block.h - whom an account does not want to hear from.
 *
 * What a blocked account sends is answered as ever and stands in its own log; the blocker's side
 * never learns of it, also not after unblocking (domain/message.h, api/typing.h). New names and
 * keys are not told either (domain/chore.c), until the block ends: the last of each is told then.
 *
 * Uses:    base, store/store.h, domain/name.h, domain/renamed.h.
 * Used by: api/blocks.c.
 * Thread:  write lane.
 */
#ifndef MIGCHAT_DOMAIN_BLOCK_H
#define MIGCHAT_DOMAIN_BLOCK_H

#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"
#include "store/store.h"

/* Of one account; the text of BLOCKS_FULL says it too. Adding one counts them: 0.2 ms at the most.
 */
#define BLOCKS_MAX 10000

/* Blocks whom the name means; one who is blocked already stays so since then. ACCOUNT_NOT_FOUND,
 * BLOCK_OF_ONESELF, BLOCKS_FULL. */
MUST_CHECK enum error block_add(struct store *store, int64_t account_id, struct str username,
                                int64_t now_ms, struct arena *arena);
/* Also a deleted account, by the name it is listed under; one who is not blocked is no error.
 * ACCOUNT_NOT_FOUND. */
MUST_CHECK enum error block_remove(struct store *store, int64_t account_id, struct str username,
                                   int64_t now_ms, struct arena *arena);

#endif
