/* readiness.h - what the health routes tell, written by whoever knows it.
 *
 * Uses: C11 atomics. Used by: net and main (write), api/health (reads). Thread: any.
 */
#ifndef MIGCHAT_HTTP_READINESS_H
#define MIGCHAT_HTTP_READINESS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* A writer busy with one batch for longer than this is stuck. */
#define WRITER_STUCK_AFTER_MS 10000

struct readiness {
    atomic_bool is_migrating; /* the server listens, its lanes are not open yet */
    atomic_bool is_draining;
    atomic_bool disk_is_low;
    _Atomic int64_t writer_busy_since_ms; /* monotonic; 0 while it waits for work */
};

#endif
