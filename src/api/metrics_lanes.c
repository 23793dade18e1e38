/* metrics_lanes.c - the worker threads, and what was refused because a limit was reached. */
#include "api/metrics.h"
#include "http/traffic.h"

static void lane_histogram(struct metrics_writer *writer, const struct traffic *traffic,
                           const struct histogram_form *form, size_t offset);
static uint64_t depth(const struct lane_traffic *lane);
static uint64_t depth_max(const struct lane_traffic *lane);
static uint64_t threads(const struct lane_traffic *lane);
static void busy_write(struct metrics_writer *writer, const struct traffic *traffic);
static void refusals_write(struct metrics_writer *writer, const struct traffic *traffic);

/* A number a lane. */
static const struct {
    const char *name;
    const char *help;
    uint64_t (*read)(const struct lane_traffic *lane);
} levels[] = {
    {"migchat_lane_depth", "Requests on the lane, waiting or run.", depth},
    {"migchat_lane_depth_max", "Requests there can be on it; one more is answered 503.", depth_max},
    {"migchat_lane_threads", "Threads of the lane.", threads},
};

void metrics_write_lanes(struct metrics_writer *writer, const struct traffic *traffic)
{
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++) {
        metrics_family(writer, METRICS_GAUGE, levels[i].name, "", levels[i].help);
        for (int lane = LANE_READ; lane < LANE_COUNT; lane++) {
            const struct metrics_label labels[] = {{"lane", lane_names[lane]}, {NULL, NULL}};

            if (traffic->lanes[lane].thread_count > 0) {
                metrics_value(writer, labels, levels[i].read(&traffic->lanes[lane]));
            }
        }
    }
    metrics_family(writer, METRICS_HISTOGRAM, "migchat_lane_wait_seconds", "seconds",
                   "How long requests waited for a thread of the lane.");
    lane_histogram(writer, traffic, &histogram_of_durations,
                   offsetof(struct lane_thread_traffic, waits));
    metrics_family(writer, METRICS_HISTOGRAM, "migchat_lane_batch_requests", "",
                   "Requests run in one go: by the write lane, in one transaction.");
    lane_histogram(writer, traffic, &histogram_of_sizes,
                   offsetof(struct lane_thread_traffic, batch_sizes));
    busy_write(writer, traffic);
    refusals_write(writer, traffic);
}

/* That of all threads of a lane together. */
static void lane_histogram(struct metrics_writer *writer, const struct traffic *traffic,
                           const struct histogram_form *form, size_t offset)
{
    for (int lane = LANE_READ; lane < LANE_COUNT; lane++) {
        const struct lane_traffic *counted = &traffic->lanes[lane];
        const struct metrics_label labels[] = {{"lane", lane_names[lane]}, {NULL, NULL}};

        if (counted->thread_count > 0) {
            const char *first = (const char *)counted->threads + offset;

            metrics_histogram(writer, labels, form, (const struct histogram *)(const void *)first,
                              counted->thread_count, sizeof *counted->threads);
        }
    }
}

static uint64_t depth(const struct lane_traffic *lane)
{
    return *lane->lent_count;
}

static uint64_t depth_max(const struct lane_traffic *lane)
{
    return tally_read(&lane->places);
}

static uint64_t threads(const struct lane_traffic *lane)
{
    return lane->thread_count;
}

static void busy_write(struct metrics_writer *writer, const struct traffic *traffic)
{
    metrics_family(writer, METRICS_COUNTER, "migchat_lane_busy_seconds", "seconds",
                   "Time the threads of the lane were at work, checkpoints and chores included.");
    for (int lane = LANE_READ; lane < LANE_COUNT; lane++) {
        const struct lane_traffic *counted = &traffic->lanes[lane];
        const struct metrics_label labels[] = {{"lane", lane_names[lane]}, {NULL, NULL}};
        uint64_t busy_ns = 0;

        for (unsigned i = 0; i < counted->thread_count; i++) {
            busy_ns += tally_read(&counted->threads[i].busy_ns);
        }
        if (counted->thread_count > 0) {
            metrics_seconds(writer, labels, busy_ns);
        }
    }
}

/* A new limit of requests is a line here. */
static void refusals_write(struct metrics_writer *writer, const struct traffic *traffic)
{
    static const char *const queues[LANE_COUNT] = {NULL, "read_queue", "write_queue", "hash_queue"};
    const struct metrics_label bodies[] = {{"limit", "bodies"}, {NULL, NULL}};

    metrics_family(writer, METRICS_COUNTER, "migchat_refusals", "",
                   "Requests answered 503, or cut off, because this limit was reached.");
    metrics_value(writer, bodies, tally_read(&traffic->bodies_refused));
    for (int lane = LANE_READ; lane < LANE_COUNT; lane++) {
        const struct metrics_label labels[] = {{"limit", queues[lane]}, {NULL, NULL}};

        if (traffic->lanes[lane].thread_count > 0) {
            metrics_value(writer, labels, tally_read(&traffic->lanes[lane].refused));
        }
    }
}
