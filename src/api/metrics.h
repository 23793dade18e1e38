/* metrics.h - what GET /metrics tells, and where it is read from.
 *
 * Uses:    base, api/metrics_text.h.
 * Used by: api, startup.
 * Thread:  the loop's.
 */
#ifndef MIGCHAT_API_METRICS_H
#define MIGCHAT_API_METRICS_H

#include <stdint.h>

#include "api/metrics_text.h"
#include "base/buf.h"

struct services;
struct traffic;        /* http/traffic.h */
struct store_measures; /* store/measures.h */
struct backups;        /* api/backups.h */

/* What was built and what it runs with. */
struct build_facts {
    const char *version;
    const char *commit;
    const char *sqlite;
    const char *libuv;
    const char *llhttp;
};

struct metrics_sources {
    struct build_facts build;
    int64_t started_at_ms; /* wall clock */
    const struct traffic *traffic;
    struct limits *limits;
    const struct store_measures *store;
};

/* All of it, as it is now. */
void metrics_write(const struct services *services, enum metrics_form form, struct buf *out);

/* Its parts: metrics_traffic.c, metrics_limits.c, metrics_lanes.c, metrics_store.c. */
void metrics_write_limits(struct metrics_writer *writer, struct limits *limits);
void metrics_write_traffic(struct metrics_writer *writer, const struct traffic *traffic);
void metrics_write_lanes(struct metrics_writer *writer, const struct traffic *traffic);
void metrics_write_store(struct metrics_writer *writer, const struct store_measures *measures,
                         struct backups *backups);

#endif
