/* usage.h - what this program takes of the machine, as the kernel counts it (proc(5)).
 *
 * Uses: libc. Used by: api/metrics. Thread: any.
 */
#ifndef MIGCHAT_BASE_USAGE_H
#define MIGCHAT_BASE_USAGE_H

#include <stdint.h>

struct usage {
    int64_t cpu_ns;         /* of all threads together, user and system */
    int64_t resident_bytes; /* -1: not to be had */
    int64_t descriptors;    /* open now; -1: not to be had, or too many to count */
    int64_t descriptors_max;
};

/* Above it open descriptors are not counted one by one, which older kernels (before 6.2) need. */
#define USAGE_DESCRIPTORS_COUNTED_MAX 16384

void usage_read(struct usage *out_usage);

#endif
