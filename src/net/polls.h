/* polls.h - polls of one account that wait at one cursor are run again together.
 *
 * When news come, one of them is lent to the read lane (its exchange->polled_id says so) and its
 * equals go on waiting. What it brings is their answer as well, each behind a head of its own; whom
 * it does not fit is run by itself. A poll at another cursor is run at once.
 *
 * Why may a token that nobody looked at get an answer? It was good when its poll was put aside,
 * with nothing above the cursor. A session ends with an entry in its account's log, so its end is
 * among what was read, or it lasted until then. Accounts that are disabled or deleted are refused
 * their read, and then each is asked for itself.
 *
 * Uses:    net/streams, net/conn.
 * Used by: net/streams, net/conn.
 * Thread:  the loop.
 * Memory:  none of its own: an account and a stream have a few bytes for it.
 */
#ifndef MIGCHAT_NET_POLLS_H
#define MIGCHAT_NET_POLLS_H

#include "http/exchange.h"
#include "net/streams.h"

struct followed;

/* Runs the account's polls that are behind, or lets them wait for the one that is run. The account
 * must be marked as lent, and may have no streams any more afterwards. */
void polls_run(struct followed *account);
/* A lane gave back an exchange with a polled_id, which is 0 then; its connection may be closing. */
void polls_returned(struct streams *streams, struct exchange *exchange);

#endif
