/* metrics.c - the families, in the order they are shown.
 *
 * Names follow https://prometheus.io/docs/practices/naming/. A label never holds what a client
 * sent: routes are told by their template.
 */
#include "api/metrics.h"

#include "api/services.h"
#include "base/usage.h"

#define NS_PER_MS 1000000

static void build_write(struct metrics_writer *writer, const struct build_facts *build);
static void usage_write(struct metrics_writer *writer, int64_t started_at_ms);

void metrics_write(const struct services *services, enum metrics_form form, struct buf *out)
{
    struct metrics_writer writer = {.out = out, .form = form};
    const struct metrics_sources *sources = services->metrics;

    build_write(&writer, &sources->build);
    usage_write(&writer, sources->started_at_ms);
    metrics_write_traffic(&writer, sources->traffic);
    metrics_write_limits(&writer, sources->limits);
    metrics_write_lanes(&writer, sources->traffic);
    metrics_write_store(&writer, sources->store, services->backups);
    metrics_end(&writer);
}

static void build_write(struct metrics_writer *writer, const struct build_facts *build)
{
    const struct metrics_label labels[] = {{"version", build->version}, {"commit", build->commit},
                                           {"sqlite", build->sqlite},   {"libuv", build->libuv},
                                           {"llhttp", build->llhttp},   {NULL, NULL}};

    metrics_family(writer, METRICS_FACTS, "migchat_build", "", "Versions of server and libraries.");
    metrics_value(writer, labels, 1);
}

/* The names that every Prometheus client library has for these. */
static void usage_write(struct metrics_writer *writer, int64_t started_at_ms)
{
    struct usage usage;

    usage_read(&usage);
    metrics_family(writer, METRICS_COUNTER, "process_cpu_seconds", "seconds",
                   "User and system time of all threads.");
    metrics_seconds(writer, NULL, (uint64_t)usage.cpu_ns);
    metrics_family(writer, METRICS_GAUGE, "process_start_time_seconds", "seconds",
                   "When it started, in Unix time.");
    metrics_seconds(writer, NULL, (uint64_t)started_at_ms * NS_PER_MS);
    /* What is not to be had is left out. */
    if (usage.resident_bytes >= 0) {
        metrics_number(writer, METRICS_GAUGE, "process_resident_memory_bytes", "bytes",
                       "Memory in use.", (uint64_t)usage.resident_bytes);
    }
    if (usage.descriptors >= 0) {
        metrics_number(writer, METRICS_GAUGE, "process_open_fds", "", "Open descriptors.",
                       (uint64_t)usage.descriptors);
    }
    metrics_number(writer, METRICS_GAUGE, "process_max_fds", "", "Descriptors there can be.",
                   (uint64_t)usage.descriptors_max);
}
