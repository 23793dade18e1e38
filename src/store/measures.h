/* measures.h - what a store counts of itself, for the metrics.
 *
 * Uses:    base.
 * Used by: store/sqlite (counts), startup, api/metrics (tells).
 * Thread:  the writer's counts; any reads.
 */
#ifndef MIGCHAT_STORE_MEASURES_H
#define MIGCHAT_STORE_MEASURES_H

#include "base/tally.h"

struct store_measures {
    struct histogram commit_durations; /* until it is durable, where every commit is synced */
    struct tally rollbacks;
    struct histogram checkpoint_durations;
    struct tally checkpoints_blocked; /* of these, that had to leave something for readers */
    struct tally wal_written_bytes;

    /* As it was at the last commit or checkpoint. */
    struct tally wal_bytes;
    /* As it was when the disk was looked at last: at the start and, after writes, once a second. */
    struct tally database_bytes;
    struct tally disk_free_bytes;
    struct tally disk_floor_bytes; /* less is "low" */
};

#endif
