/* metrics_text.c - lines: # HELP, # TYPE, # UNIT, then name{labels} value. */
#include "api/metrics_text.h"

#include <inttypes.h>
#include <stdbool.h>

#include "base/require.h"

#define NS_PER_S UINT64_C(1000000000)

static void family_line(struct metrics_writer *writer, const char *word, const char *text);
static const char *family_suffix(const struct metrics_writer *writer);
static const char *sample_suffix(enum metrics_kind kind);
static void sample_begin(struct metrics_writer *writer, const char *suffix,
                         const struct metrics_label *labels, const char *bound);
static bool label_append(struct buf *out, bool is_first, const char *name, const char *value);
static void number_end(struct buf *out, uint64_t value);
static void seconds_end(struct buf *out, uint64_t value_ns);
static const struct histogram *part_at(const struct histogram *parts, unsigned i,
                                       size_t stride_bytes);

static const char *const kind_names[2][4] = {
    [METRICS_PROMETHEUS] = {"counter", "gauge", "histogram", "gauge"},
    [METRICS_OPENMETRICS] = {"counter", "gauge", "histogram", "info"},
};

void metrics_family(struct metrics_writer *writer, enum metrics_kind kind, const char *name,
                    const char *unit, const char *help)
{
    writer->family = name;
    writer->kind = kind;
    family_line(writer, "HELP", help);
    family_line(writer, "TYPE", kind_names[writer->form][kind]);
    if (writer->form == METRICS_OPENMETRICS && unit[0] != '\0') {
        family_line(writer, "UNIT", unit);
    }
}

static void family_line(struct metrics_writer *writer, const char *word, const char *text)
{
    buf_append_format(writer->out, "# %s %s%s %s\n", word, writer->family, family_suffix(writer),
                      text);
}

/* In OpenMetrics only samples have the suffix of their kind. */
static const char *family_suffix(const struct metrics_writer *writer)
{
    return writer->form == METRICS_OPENMETRICS ? "" : sample_suffix(writer->kind);
}

static const char *sample_suffix(enum metrics_kind kind)
{
    switch (kind) {
    case METRICS_COUNTER:
        return "_total";
    case METRICS_FACTS:
        return "_info";
    case METRICS_GAUGE:
    case METRICS_HISTOGRAM:
        break;
    }
    return "";
}

void metrics_value(struct metrics_writer *writer, const struct metrics_label *labels,
                   uint64_t value)
{
    REQUIRE(writer->kind != METRICS_HISTOGRAM);
    sample_begin(writer, sample_suffix(writer->kind), labels, NULL);
    number_end(writer->out, value);
}

void metrics_seconds(struct metrics_writer *writer, const struct metrics_label *labels,
                     uint64_t value_ns)
{
    REQUIRE(writer->kind != METRICS_HISTOGRAM);
    sample_begin(writer, sample_suffix(writer->kind), labels, NULL);
    seconds_end(writer->out, value_ns);
}

void metrics_number(struct metrics_writer *writer, enum metrics_kind kind, const char *name,
                    const char *unit, const char *help, uint64_t value)
{
    metrics_family(writer, kind, name, unit, help);
    metrics_value(writer, NULL, value);
}

void metrics_histogram(struct metrics_writer *writer, const struct metrics_label *labels,
                       const struct histogram_form *form, const struct histogram *parts,
                       unsigned part_count, size_t stride_bytes)
{
    uint64_t count = 0;
    uint64_t sum = 0;

    REQUIRE(writer->kind == METRICS_HISTOGRAM);
    for (unsigned bucket = 0; bucket <= form->bound_count; bucket++) {
        for (unsigned i = 0; i < part_count; i++) {
            count += tally_read(&part_at(parts, i, stride_bytes)->buckets[bucket]);
        }
        sample_begin(writer, "_bucket", labels,
                     bucket < form->bound_count ? form->labels[bucket] : "+Inf");
        number_end(writer->out, count);
    }
    for (unsigned i = 0; i < part_count; i++) {
        sum += tally_read(&part_at(parts, i, stride_bytes)->sum);
    }
    sample_begin(writer, "_sum", labels, NULL);
    if (form == &histogram_of_durations) {
        seconds_end(writer->out, sum);
    } else {
        number_end(writer->out, sum);
    }
    sample_begin(writer, "_count", labels, NULL);
    number_end(writer->out, count);
}

static const struct histogram *part_at(const struct histogram *parts, unsigned i,
                                       size_t stride_bytes)
{
    return (const struct histogram *)(const void *)((const char *)parts + i * stride_bytes);
}

/* `bound`: the label `le` of a bucket, or NULL. */
static void sample_begin(struct metrics_writer *writer, const char *suffix,
                         const struct metrics_label *labels, const char *bound)
{
    struct buf *out = writer->out;
    bool is_first = true;

    buf_append_str(out, str_from(writer->family));
    buf_append_str(out, str_from(suffix));
    for (; labels != NULL && labels->name != NULL; labels++) {
        is_first = label_append(out, is_first, labels->name, labels->value);
    }
    if (bound != NULL) {
        is_first = label_append(out, is_first, "le", bound);
    }
    buf_append_str(out, is_first ? STR(" ") : STR("} "));
}

static bool label_append(struct buf *out, bool is_first, const char *name, const char *value)
{
    buf_append_char(out, is_first ? '{' : ',');
    buf_append_str(out, str_from(name));
    buf_append_str(out, STR("=\""));
    for (const char *at = value; *at != '\0'; at++) {
        if (*at == '\n') {
            buf_append_str(out, STR("\\n"));
            continue;
        }
        if (*at == '"' || *at == '\\') {
            buf_append_char(out, '\\');
        }
        buf_append_char(out, *at);
    }
    buf_append_char(out, '"');
    return false;
}

static void number_end(struct buf *out, uint64_t value)
{
    buf_append_format(out, "%" PRIu64 "\n", value);
}

static void seconds_end(struct buf *out, uint64_t value_ns)
{
    buf_append_format(out, "%" PRIu64 ".%09" PRIu64 "\n", value_ns / NS_PER_S, value_ns % NS_PER_S);
}

void metrics_end(struct metrics_writer *writer)
{
    if (writer->form == METRICS_OPENMETRICS) {
        buf_append_str(writer->out, STR("# EOF\n"));
    }
}
