/* limiter.c - sets of eight slots; a key has its place in one of two sets, the emptier one when it
 * came. So they fill evenly (Azar, Broder, Karlin and Upfal, Balanced allocations, 1994).
 *
 * 1. A slot whose time has passed is free: its key's bucket is full.
 * 2. When both have none, the number of sets doubles. The keys of a set go to two sets then, so
 * that none is without a place; the largest table is moved in milliseconds, and once.
 */
#include "base/limiter.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/require.h"

#define SLOTS 8u
#define SETS_FIRST 64u
#define SETS_MAX (LIMITER_KEYS_MAX / SLOTS)
#define CHOICES 2u
#define CHOICE_BITS 32u

struct slot {
    uint64_t key;
    int64_t full_at_ns; /* 0: never used */
};

struct set {
    struct slot slots[SLOTS];
};

struct limiter {
    pthread_mutex_t lock;
    struct set *sets;
    size_t set_count; /* a power of two */
};

static struct slot *slot_take(struct limiter *limiter, uint64_t key, int64_t now_ns);
static struct slot *slot_find(const struct limiter *limiter, uint64_t key, int64_t now_ns);
static struct slot *slot_fullest(struct set *set);
static struct set *set_of(const struct limiter *limiter, uint64_t key, unsigned choice);
static void sets_double(struct limiter *limiter);

struct limiter *limiter_new(void)
{
    struct limiter *limiter = calloc(1, sizeof *limiter);

    REQUIRE(limiter != NULL);
    REQUIRE(pthread_mutex_init(&limiter->lock, NULL) == 0);
    limiter->set_count = SETS_FIRST;
    limiter->sets = calloc(limiter->set_count, sizeof *limiter->sets);
    REQUIRE(limiter->sets != NULL);
    return limiter;
}

void limiter_free(struct limiter *limiter)
{
    if (limiter == NULL) {
        return;
    }
    (void)pthread_mutex_destroy(&limiter->lock);
    free(limiter->sets);
    free(limiter);
}

bool limiter_take(struct limiter *limiter, uint64_t key, int64_t now_ns, int64_t interval_ns,
                  unsigned burst, int64_t *out_wait_ns)
{
    REQUIRE(burst > 0);
    (void)pthread_mutex_lock(&limiter->lock);
    struct slot *slot = slot_take(limiter, key, now_ns);
    int64_t full_at_ns = slot->full_at_ns > now_ns ? slot->full_at_ns : now_ns;
    int64_t wait_ns = full_at_ns - now_ns - (int64_t)(burst - 1) * interval_ns;
    if (wait_ns <= 0) {
        slot->full_at_ns = full_at_ns + interval_ns;
    }
    (void)pthread_mutex_unlock(&limiter->lock);
    if (wait_ns > 0) {
        *out_wait_ns = wait_ns;
    }
    return wait_ns <= 0;
}

/* The key's, or one that is its from now on. */
static struct slot *slot_take(struct limiter *limiter, uint64_t key, int64_t now_ns)
{
    struct slot *slot = slot_find(limiter, key, now_ns);

    while (slot == NULL && limiter->set_count < SETS_MAX) {
        sets_double(limiter);
        slot = slot_find(limiter, key, now_ns);
    }
    if (slot == NULL) {
        slot = slot_fullest(set_of(limiter, key, 0));
    }
    if (slot->key != key) {
        *slot = (struct slot){.key = key};
    }
    return slot;
}

/* The key's slot, else a free one in that of its sets which has more, else NULL. */
static struct slot *slot_find(const struct limiter *limiter, uint64_t key, int64_t now_ns)
{
    struct slot *found = NULL;
    unsigned most_free = 0;

    for (unsigned choice = 0; choice < CHOICES; choice++) {
        struct set *set = set_of(limiter, key, choice);
        struct slot *free_slot = NULL;
        unsigned free_count = 0;

        for (size_t i = 0; i < SLOTS; i++) {
            struct slot *slot = &set->slots[i];

            if (slot->key == key) {
                return slot;
            }
            if (slot->full_at_ns <= now_ns) {
                free_slot = slot;
                free_count++;
            }
        }
        if (free_count > most_free) {
            most_free = free_count;
            found = free_slot;
        }
    }
    return found;
}

static struct slot *slot_fullest(struct set *set)
{
    struct slot *fullest = &set->slots[0];

    for (size_t i = 1; i < SLOTS; i++) {
        if (set->slots[i].full_at_ns < fullest->full_at_ns) {
            fullest = &set->slots[i];
        }
    }
    return fullest;
}

static struct set *set_of(const struct limiter *limiter, uint64_t key, unsigned choice)
{
    return &limiter->sets[key >> choice * CHOICE_BITS & (limiter->set_count - 1)];
}

/* The keys of a set stay in it or go to the one as far behind all old ones as it was from their
 * first, by whichever choice brought them there. */
static void sets_double(struct limiter *limiter)
{
    struct limiter old = *limiter;

    limiter->set_count = 2 * old.set_count;
    limiter->sets = calloc(limiter->set_count, sizeof *limiter->sets);
    REQUIRE(limiter->sets != NULL);
    for (size_t at = 0; at < old.set_count; at++) {
        for (size_t i = 0; i < SLOTS; i++) {
            const struct slot *slot = &old.sets[at].slots[i];
            unsigned choice = set_of(&old, slot->key, 0) == &old.sets[at] ? 0 : 1;

            if (slot->full_at_ns > 0) {
                set_of(limiter, slot->key, choice)->slots[i] = *slot;
            }
        }
    }
    free(old.sets);
}

size_t limiter_bytes(struct limiter *limiter)
{
    (void)pthread_mutex_lock(&limiter->lock);
    size_t bytes = sizeof *limiter + limiter->set_count * sizeof *limiter->sets;
    (void)pthread_mutex_unlock(&limiter->lock);
    return bytes;
}
