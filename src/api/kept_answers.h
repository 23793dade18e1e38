/* kept_answers.h - lists that were answered before, given again by the loop while nothing changed.
 *
 * Most polls ask for what they were told last time. An answer is kept with the number of the last
 * commit it shows (base/changes.h) and given again, without a lane and without the database, to
 * the same token asking for the same target, as long as no later commit touched what the account
 * is shown: its log, its sessions, any name. So it is exact: a client that was told of a write can
 * never be given an answer from before it. Once an hour a poll goes the long way, because the use
 * of its session is to be noted.
 *
 * Lists longer than a page are kept without their body: they answer If-None-Match only.
 *
 * Uses:    base, http.
 * Used by: api/dispatch.c (what may be kept), main (net/lane.h, struct work).
 * Thread:  the loop.
 * Memory:  at most `max_bytes` in all; the answer longest not asked for goes first.
 */
#ifndef MIGCHAT_API_KEPT_ANSWERS_H
#define MIGCHAT_API_KEPT_ANSWERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/changes.h"
#include "http/exchange.h"

struct kept_answers;

/* max_bytes 0 keeps nothing. Never NULL. `changes` outlives it. */
struct kept_answers *kept_answers_new(size_t max_bytes, const struct changes *changes);
void kept_answers_free(struct kept_answers *kept);

/* Before an exchange is lent for its first step: answers it (is_done) from what is kept, if it can.
 * `now_ms` is the wall clock. */
bool kept_answers_recall(struct kept_answers *kept, struct exchange *exchange, int64_t now_ms);
/* Before the answer of an exchange that came back is written: keeps it if exchange->may_be_kept. */
void kept_answers_take(struct kept_answers *kept, const struct exchange *exchange, int64_t now_ms);

/* What it holds, for tests and metrics. */
size_t kept_answers_bytes(const struct kept_answers *kept);
size_t kept_answers_count(const struct kept_answers *kept);

#endif
