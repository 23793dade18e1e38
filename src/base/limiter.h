/* limiter.h - how often each of many may do something: a rate for each key, in bounded memory.
 *
 * The generic cell rate algorithm (ITU-T I.371, annex A): all that is kept of a key is when its
 * bucket will be full again. One whose bucket is full is forgotten, since that is what somebody new
 * has.
 *
 * Uses:    base, libc.
 * Used by: http/limits.
 * Thread:  any; a lock.
 * Memory:  heap: grows with the keys that are not full, up to LIMITER_KEYS_MAX of 16 bytes, and
 *          stays as large as it was. Above that, whoever is nearest to full again is forgotten.
 */
#ifndef MIGCHAT_BASE_LIMITER_H
#define MIGCHAT_BASE_LIMITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"

#define LIMITER_KEYS_MAX (512u * 1024u)

struct limiter;

/* Never NULL. */
struct limiter *limiter_new(void);
void limiter_free(struct limiter *limiter);

/* Takes one from the bucket of `key`, which holds `burst` (1 or more) and gets one more each
 * `interval_ns`. False when it is empty: nothing is taken, and *out_wait_ns is how long until there
 * is one. `now_ns` is of a clock that does not go back. Keys are equal or not; different ones that
 * a client chose must be hashed with a secret. */
MUST_CHECK bool limiter_take(struct limiter *limiter, uint64_t key, int64_t now_ns,
                             int64_t interval_ns, unsigned burst, int64_t *out_wait_ns);

/* Its memory now. */
size_t limiter_bytes(struct limiter *limiter);

#endif
