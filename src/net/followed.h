/* followed.h - the accounts that have streams, found by their id.
 *
 * Uses:    base, net/streams.h.
 * Used by: net/streams, net/polls.
 * Thread:  the loop.
 * Memory:  heap; an account is freed when its last stream is gone and no read of it is lent.
 */
#ifndef MIGCHAT_NET_FOLLOWED_H
#define MIGCHAT_NET_FOLLOWED_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "net/streams.h"

struct followed {
    struct followed *next; /* in its bucket */
    struct list due;       /* in streams->due */
    struct list streams;
    int64_t account_id;
    uint64_t change;    /* its last read saw all up to this one */
    int64_t poll_seq;   /* has_poll_lent: the cursor of that poll */
    bool is_lent;       /* a read for its open streams is, or somebody walks them */
    bool has_poll_lent; /* a poll is run whose equals wait for its answer (net/polls.h) */
};

/* NULL when nobody follows it. */
struct followed *followed_find(const struct streams *streams, int64_t account_id);
/* Made and told to streams->changes when it is new. */
struct followed *followed_take(struct streams *streams, int64_t account_id);
void followed_free_if_done(struct streams *streams, struct followed *account);

/* The stream whose place in its account's list this is. */
static inline struct stream *stream_of(struct list *node)
{
    return container_of(node, struct stream, node);
}

#endif
