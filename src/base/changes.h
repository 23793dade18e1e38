/* changes.h - when each account last changed, for those who kept something about it, and which just
 * did, for those who follow it.
 *
 * Every commit has a number. The writer marks the accounts a commit is about to change, commits,
 * and then lets the number be seen. Whoever reads takes changes_now() before it opens its snapshot;
 * what it made of the snapshot is right as long as changes_since() says that nothing came after
 * that number. The marks come first because another reader sees a commit before COMMIT returns: who
 * was shown it must not be given what somebody kept from before.
 *
 * Accounts share slots, so an account may seem changed when another was; never the other way.
 *
 * One reader may also follow accounts: each that changed is told to it as news, once its number is
 * seen. Whoever first follows and then looks whether something changed since (changes_of_log_since,
 * or a snapshot opened afterwards) misses nothing: either it sees the change, or the writer sees
 * the follower.
 *
 * Uses:    C11 atomics, base/require. Used by: store (writes), api and net (ask).
 * Thread:  one writer, any readers; one of them follows and takes the news.
 * Memory:  226 KiB of address space, of which only touched pages count.
 */
#ifndef MIGCHAT_BASE_CHANGES_H
#define MIGCHAT_BASE_CHANGES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define CHANGES_SLOTS 16384u /* a power of two */
/* News not yet taken; more are lost, and the loss is told. A power of two. */
#define CHANGES_NEWS_MAX 4096u

struct changes {
    _Atomic uint64_t now;      /* the newest commit that is over */
    _Atomic uint64_t of_names; /* the last commit with a rename or deletion: it changes any list */
    _Atomic uint64_t of_account[CHANGES_SLOTS];
    _Atomic uint32_t followers[CHANGES_SLOTS];
    _Atomic uint64_t news_told;  /* so far; the writer's */
    _Atomic uint64_t news_taken; /* so far; the follower's */
    atomic_bool news_are_lost;
    int64_t news[CHANGES_NEWS_MAX];
};

/* The writer, before its COMMIT: the number to mark with, and the marks. */
uint64_t changes_begin(const struct changes *changes);
void changes_mark_account(struct changes *changes, int64_t account_id, uint64_t number);
void changes_mark_names(struct changes *changes, uint64_t number);
/* When COMMIT returned, also when it failed: what is read from now on is newer than the marks. */
void changes_end(struct changes *changes, uint64_t number);
/* Then, before anybody is answered: news of each account that was marked. */
void changes_tell(struct changes *changes, int64_t account_id);

/* A reader, before it opens its snapshot. */
uint64_t changes_now(const struct changes *changes);
/* Whether anything the account is shown may have changed after `number`, or is about to. */
bool changes_since(const struct changes *changes, int64_t account_id, uint64_t number);
/* Whether its log alone, without the names in it, may have changed: what is about to is told when
 * it did. */
bool changes_of_log_since(const struct changes *changes, int64_t account_id, uint64_t number);

/* The follower's. Each follow is ended by one unfollow of the same account. News may still tell of
 * an account that is followed no more, or of another in its slot. */
void changes_follow(struct changes *changes, int64_t account_id);
void changes_unfollow(struct changes *changes, int64_t account_id);
/* The next account that changed; false when there is none. */
bool changes_take_news(struct changes *changes, int64_t *out_account_id);
/* Whether news were lost since this was last asked: any account may have changed. Take what there
 * is first. */
bool changes_take_loss(struct changes *changes);
/* Any thread: whether there is something to take. */
bool changes_have_news(const struct changes *changes);

#endif
