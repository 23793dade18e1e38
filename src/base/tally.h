/* tally.h - numbers that only grow, and histograms of them: written by one thread, read by any.
 *
 * A tally costs its writer what a plain addition costs: there is one writer, so nothing is locked,
 * and a reader sees a value it had some nanoseconds ago. What different threads write does not
 * belong into one cache line.
 *
 * Uses: C11 atomics. Used by: http, net, store, api. Thread: each tally has one that writes.
 */
#ifndef MIGCHAT_BASE_TALLY_H
#define MIGCHAT_BASE_TALLY_H

#include <stdatomic.h>
#include <stdint.h>

#define CACHE_LINE_BYTES 64u

struct tally {
    _Atomic uint64_t value;
};

static inline uint64_t tally_read(const struct tally *tally)
{
    return atomic_load_explicit(&tally->value, memory_order_relaxed);
}

static inline void tally_add(struct tally *tally, uint64_t amount)
{
    atomic_store_explicit(&tally->value, tally_read(tally) + amount, memory_order_relaxed);
}

/* What the value is now, for what also falls. */
static inline void tally_set(struct tally *tally, uint64_t value)
{
    atomic_store_explicit(&tally->value, value, memory_order_relaxed);
}

/* The upper bounds of a histogram's buckets, each inclusive; above the last there is one more. */
#define HISTOGRAM_BOUNDS_MAX 15u
struct histogram_form {
    unsigned bound_count;
    uint64_t bounds[HISTOGRAM_BOUNDS_MAX];
    const char *labels[HISTOGRAM_BOUNDS_MAX]; /* the same as text, in the unit that is shown */
};

/* 100 µs to 10 s: values in nanoseconds, labels in seconds. */
extern const struct histogram_form histogram_of_durations;
/* 1 to 256, doubling. */
extern const struct histogram_form histogram_of_sizes;

struct histogram {
    struct tally buckets[HISTOGRAM_BOUNDS_MAX + 1];
    struct tally sum;
};

static inline void histogram_add(struct histogram *histogram, const struct histogram_form *form,
                                 uint64_t value)
{
    unsigned bucket = 0;

    while (bucket < form->bound_count && value > form->bounds[bucket]) {
        bucket++;
    }
    tally_add(&histogram->buckets[bucket], 1);
    tally_add(&histogram->sum, value);
}

/* How many values there were, over all buckets. */
uint64_t histogram_count(const struct histogram *histogram);

#endif
