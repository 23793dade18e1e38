/* followed.c - a hash table that grows by doubling, chained. */
#include "net/followed.h"

#include <stdlib.h>

#include "base/require.h"

#define BUCKETS_FIRST 64u

static void buckets_grow(struct streams *streams);
static struct followed **bucket_of(const struct streams *streams, int64_t account_id);

struct followed *followed_find(const struct streams *streams, int64_t account_id)
{
    struct followed *account = streams->bucket_count > 0 ? *bucket_of(streams, account_id) : NULL;

    while (account != NULL && account->account_id != account_id) {
        account = account->next;
    }
    return account;
}

struct followed *followed_take(struct streams *streams, int64_t account_id)
{
    struct followed *account = followed_find(streams, account_id);

    if (account != NULL) {
        return account;
    }
    if (streams->account_count >= streams->bucket_count) {
        buckets_grow(streams);
    }
    account = calloc(1, sizeof *account);
    REQUIRE(account != NULL);
    account->account_id = account_id;
    list_init(&account->streams);
    struct followed **bucket = bucket_of(streams, account_id);
    account->next = *bucket;
    *bucket = account;
    streams->account_count++;
    streams->traffic.held_bytes += sizeof *account;
    changes_follow(streams->changes, account_id);
    return account;
}

static void buckets_grow(struct streams *streams)
{
    struct followed **old = streams->buckets;
    size_t old_count = streams->bucket_count;

    streams->bucket_count = old_count == 0 ? BUCKETS_FIRST : 2 * old_count;
    streams->buckets = calloc(streams->bucket_count, sizeof(struct followed *));
    REQUIRE(streams->buckets != NULL);
    streams->traffic.held_bytes += (streams->bucket_count - old_count) * sizeof(struct followed *);
    for (size_t i = 0; i < old_count; i++) {
        struct followed *account = old[i];

        while (account != NULL) {
            struct followed *next = account->next;
            struct followed **bucket = bucket_of(streams, account->account_id);

            account->next = *bucket;
            *bucket = account;
            account = next;
        }
    }
    free(old);
}

/* Ids are given in order, so they spread by themselves. */
static struct followed **bucket_of(const struct streams *streams, int64_t account_id)
{
    return &streams->buckets[(uint64_t)account_id & (streams->bucket_count - 1)];
}

void followed_free_if_done(struct streams *streams, struct followed *account)
{
    if (account->is_lent || account->has_poll_lent || !list_is_empty(&account->streams)) {
        return;
    }
    struct followed **place = bucket_of(streams, account->account_id);
    while (*place != account) {
        place = &(*place)->next;
    }
    *place = account->next;
    streams->account_count--;
    streams->traffic.held_bytes -= sizeof *account;
    list_remove(&account->due);
    changes_unfollow(streams->changes, account->account_id);
    free(account);
}
