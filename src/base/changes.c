/* changes.c - marks go up before the commit, the number after it: a reader that saw the number sees
 * the commit, and one that did not finds the mark above its own number. */
#include "base/changes.h"

#include "base/require.h"

static bool is_marked_since(const struct changes *changes, int64_t account_id, uint64_t number);
static uint64_t slot_of(int64_t account_id);

uint64_t changes_begin(const struct changes *changes)
{
    return atomic_load(&changes->now) + 1;
}

void changes_mark_account(struct changes *changes, int64_t account_id, uint64_t number)
{
    atomic_store(&changes->of_account[slot_of(account_id)], number);
}

void changes_mark_names(struct changes *changes, uint64_t number)
{
    atomic_store(&changes->of_names, number);
}

void changes_end(struct changes *changes, uint64_t number)
{
    atomic_store(&changes->now, number);
}

void changes_tell(struct changes *changes, int64_t account_id)
{
    uint64_t told = atomic_load_explicit(&changes->news_told, memory_order_relaxed);

    if (atomic_load(&changes->followers[slot_of(account_id)]) == 0) {
        return;
    }
    if (told - atomic_load(&changes->news_taken) == CHANGES_NEWS_MAX) {
        atomic_store(&changes->news_are_lost, true);
        return;
    }
    changes->news[told & (CHANGES_NEWS_MAX - 1)] = account_id;
    atomic_store(&changes->news_told, told + 1);
}

uint64_t changes_now(const struct changes *changes)
{
    return atomic_load(&changes->now);
}

bool changes_since(const struct changes *changes, int64_t account_id, uint64_t number)
{
    return atomic_load(&changes->of_names) > number || is_marked_since(changes, account_id, number);
}

/* A mark above `now` is of a commit that is not over: with nothing but that to see, a follower
 * would read over and over for as long as the disk takes. */
bool changes_of_log_since(const struct changes *changes, int64_t account_id, uint64_t number)
{
    return changes_now(changes) > number && is_marked_since(changes, account_id, number);
}

static bool is_marked_since(const struct changes *changes, int64_t account_id, uint64_t number)
{
    return atomic_load(&changes->of_account[slot_of(account_id)]) > number;
}

void changes_follow(struct changes *changes, int64_t account_id)
{
    atomic_fetch_add(&changes->followers[slot_of(account_id)], 1);
}

void changes_unfollow(struct changes *changes, int64_t account_id)
{
    uint32_t before = atomic_fetch_sub(&changes->followers[slot_of(account_id)], 1);

    REQUIRE(before > 0);
}

bool changes_take_news(struct changes *changes, int64_t *out_account_id)
{
    uint64_t taken = atomic_load_explicit(&changes->news_taken, memory_order_relaxed);

    if (taken == atomic_load(&changes->news_told)) {
        return false;
    }
    *out_account_id = changes->news[taken & (CHANGES_NEWS_MAX - 1)];
    atomic_store(&changes->news_taken, taken + 1);
    return true;
}

bool changes_take_loss(struct changes *changes)
{
    return atomic_exchange(&changes->news_are_lost, false);
}

bool changes_have_news(const struct changes *changes)
{
    return atomic_load(&changes->news_taken) != atomic_load(&changes->news_told) ||
           atomic_load(&changes->news_are_lost);
}

static uint64_t slot_of(int64_t account_id)
{
    return (uint64_t)account_id & (CHANGES_SLOTS - 1);
}
