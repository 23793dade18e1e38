/* metrics_text.h - the two texts that metrics are told in: that of Prometheus and OpenMetrics.
 *
 * https://prometheus.io/docs/instrumenting/exposition_formats/ (text, 0.0.4);
 * https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md (1.0.0).
 * They differ in the names of counters, in units and in the last line. A family is begun, then its
 * samples follow.
 *
 * Uses:    base.
 * Used by: api/metrics*.
 * Thread:  any.
 */
#ifndef MIGCHAT_API_METRICS_TEXT_H
#define MIGCHAT_API_METRICS_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/tally.h"

enum metrics_form { METRICS_PROMETHEUS, METRICS_OPENMETRICS };
/* FACTS: a sample of 1 whose labels tell something ("info" in OpenMetrics). */
enum metrics_kind { METRICS_COUNTER, METRICS_GAUGE, METRICS_HISTOGRAM, METRICS_FACTS };

struct metrics_writer {
    struct buf *out;
    enum metrics_form form;
    const char *family;
    enum metrics_kind kind;
};

/* Values are escaped; names are constants. An array of them ends with a NULL name; NULL: none. */
struct metrics_label {
    const char *name;
    const char *value;
};

/* `name` without "_total" and "_info"; it ends with `unit` unless that is "". */
void metrics_family(struct metrics_writer *writer, enum metrics_kind kind, const char *name,
                    const char *unit, const char *help);
/* One sample of the family, not of a histogram. */
void metrics_value(struct metrics_writer *writer, const struct metrics_label *labels,
                   uint64_t value);
/* The same, given in nanoseconds, told in seconds. */
void metrics_seconds(struct metrics_writer *writer, const struct metrics_label *labels,
                     uint64_t value_ns);
/* A family with one sample that has no labels. */
void metrics_number(struct metrics_writer *writer, enum metrics_kind kind, const char *name,
                    const char *unit, const char *help, uint64_t value);
/* The samples of one histogram; its count is that of its buckets whoever writes meanwhile. `parts`
 * are `part_count` histograms that are added up, `stride_bytes` apart. */
void metrics_histogram(struct metrics_writer *writer, const struct metrics_label *labels,
                       const struct histogram_form *form, const struct histogram *parts,
                       unsigned part_count, size_t stride_bytes);
/* What ends the text. */
void metrics_end(struct metrics_writer *writer);

#endif
