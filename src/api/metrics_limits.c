/* metrics_limits.c - what rate limits refused, and what they remember. */
#include "api/metrics.h"
#include "http/limits.h"

void metrics_write_limits(struct metrics_writer *writer, struct limits *limits)
{
    metrics_family(writer, METRICS_COUNTER, "migchat_rate_limited", "",
                   "Requests refused with 429, by limit.");
    for (enum limit limit = LIMIT_NONE + 1; limit < LIMIT_COUNT; limit++) {
        const struct metrics_label labels[] = {{"limit", limit_names[limit]}, {NULL, NULL}};

        metrics_value(writer, labels, limits_refused(limits, limit));
    }
    metrics_number(writer, METRICS_GAUGE, "migchat_rate_limits_bytes", "bytes",
                   "What is remembered of who asked how often.", limits_bytes(limits));
}
