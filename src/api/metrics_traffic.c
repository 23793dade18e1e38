/* metrics_traffic.c - requests and connections, from http/traffic.h.
 *
 * A route has series once it has answered: a table's worth of zeros for each listener would be most
 * of the text. What found no route is one, told as "-".
 */
#include "api/metrics.h"
#include "base/buf.h"
#include "base/put.h"
#include "base/require.h"
#include "http/traffic.h"

#define STATUS_BYTES 4u
#define METHOD_BYTES 16u
#define NO_ROUTE "-"

/* What the samples of a row are labelled with. */
struct row_labels {
    char method[METHOD_BYTES];
    struct metrics_label labels[5]; /* listener, method, route, perhaps status, the end */
};

static void requests_write(struct metrics_writer *writer, const struct traffic *traffic);
static void durations_write(struct metrics_writer *writer, const struct traffic *traffic);
static void row_label(const struct listener_traffic *listener, size_t row,
                      struct row_labels *out_labels);
static void status_text(uint16_t status, char out[STATUS_BYTES]);
static void tallies_write(struct metrics_writer *writer, const struct traffic *traffic);
static void pauses_write(struct metrics_writer *writer, const struct traffic *traffic);
static void streams_write(struct metrics_writer *writer, const struct stream_traffic *streams);
static void bodies_write(struct metrics_writer *writer, const struct traffic *traffic);
static void held_write(struct metrics_writer *writer, const struct traffic *traffic);

static uint64_t connections_accepted(const struct listener_traffic *listener);
static uint64_t connections_max(const struct listener_traffic *listener);
static uint64_t received_bytes(const struct listener_traffic *listener);
static uint64_t sent_bytes(const struct listener_traffic *listener);
static uint64_t given_up(const struct listener_traffic *listener);

/* A number a listener. */
static const struct {
    enum metrics_kind kind;
    const char *name;
    const char *unit;
    const char *help;
    uint64_t (*read)(const struct listener_traffic *listener);
} tallies[] = {
    {METRICS_GAUGE, "migchat_http_requests_in_flight", "",
     "Requests that have begun to arrive and are not answered yet.", traffic_in_flight},
    {METRICS_COUNTER, "migchat_http_requests_given_up", "",
     "Requests whose connection ended before their answer.", given_up},
    {METRICS_COUNTER, "migchat_http_received_bytes", "bytes", "Read from connections.",
     received_bytes},
    {METRICS_COUNTER, "migchat_http_sent_bytes", "bytes", "Given to connections to be sent.",
     sent_bytes},
    {METRICS_GAUGE, "migchat_connections", "", "Open connections.", traffic_connections},
    {METRICS_GAUGE, "migchat_connections_max", "",
     "Connections there can be; above it new ones wait.", connections_max},
    {METRICS_COUNTER, "migchat_connections_accepted", "", "Connections accepted.",
     connections_accepted},
};

void metrics_write_traffic(struct metrics_writer *writer, const struct traffic *traffic)
{
    requests_write(writer, traffic);
    durations_write(writer, traffic);
    tallies_write(writer, traffic);
    pauses_write(writer, traffic);
    streams_write(writer, traffic->streams);
    bodies_write(writer, traffic);
    held_write(writer, traffic);
}

static void requests_write(struct metrics_writer *writer, const struct traffic *traffic)
{
    metrics_family(writer, METRICS_COUNTER, "migchat_http_requests", "",
                   "Answers by route and status.");
    for (unsigned i = 0; i < LISTENERS_MAX; i++) {
        const struct listener_traffic *listener = &traffic->listeners[i];

        for (size_t row = 0; listener->for_whom != NULL && row <= listener->routes.count; row++) {
            const struct route_traffic *answers = &listener->rows[row];
            struct row_labels labels;
            char status[STATUS_BYTES];

            row_label(listener, row, &labels);
            labels.labels[3] = (struct metrics_label){"status", status};
            for (unsigned at = 0; at < STATUSES_MAX && answers->statuses[at] != 0; at++) {
                status_text(answers->statuses[at], status);
                metrics_value(writer, labels.labels, tally_read(&answers->by_status[at]));
            }
        }
    }
}

static void durations_write(struct metrics_writer *writer, const struct traffic *traffic)
{
    metrics_family(writer, METRICS_HISTOGRAM, "migchat_http_request_duration_seconds", "seconds",
                   "From a request's first byte to the last of its answer, by route.");
    for (unsigned i = 0; i < LISTENERS_MAX; i++) {
        const struct listener_traffic *listener = &traffic->listeners[i];

        for (size_t row = 0; listener->for_whom != NULL && row <= listener->routes.count; row++) {
            struct row_labels labels;

            if (listener->rows[row].statuses[0] != 0) {
                row_label(listener, row, &labels);
                metrics_histogram(writer, labels.labels, &histogram_of_durations,
                                  &listener->rows[row].durations, 1, 0);
            }
        }
    }
}

static void row_label(const struct listener_traffic *listener, size_t row,
                      struct row_labels *out_labels)
{
    const struct route *route = row < listener->routes.count ? &listener->routes.routes[row] : NULL;
    struct str method = route != NULL ? method_name(route->method) : STR(NO_ROUTE);

    REQUIRE(method.len < METHOD_BYTES);
    *put_str(out_labels->method, method) = '\0';
    out_labels->labels[0] = (struct metrics_label){"listener", listener->for_whom};
    out_labels->labels[1] = (struct metrics_label){"method", out_labels->method};
    out_labels->labels[2] = (struct metrics_label){"route", route != NULL ? route->path : NO_ROUTE};
    out_labels->labels[3] = (struct metrics_label){NULL, NULL};
    out_labels->labels[4] = (struct metrics_label){NULL, NULL};
}

/* Three digits. */
static void status_text(uint16_t status, char out[STATUS_BYTES])
{
    REQUIRE(status >= 100 && status <= 999);
    *put_uint(out, status) = '\0';
}

static void tallies_write(struct metrics_writer *writer, const struct traffic *traffic)
{
    for (size_t t = 0; t < sizeof tallies / sizeof tallies[0]; t++) {
        metrics_family(writer, tallies[t].kind, tallies[t].name, tallies[t].unit, tallies[t].help);
        for (unsigned i = 0; i < LISTENERS_MAX; i++) {
            const struct listener_traffic *listener = &traffic->listeners[i];
            const struct metrics_label labels[] = {{"listener", listener->for_whom}, {NULL, NULL}};

            if (listener->for_whom != NULL) {
                metrics_value(writer, labels, tallies[t].read(listener));
            }
        }
    }
}

static uint64_t connections_accepted(const struct listener_traffic *listener)
{
    return tally_read(&listener->accepted);
}

static uint64_t connections_max(const struct listener_traffic *listener)
{
    return listener->connections_max;
}

static uint64_t received_bytes(const struct listener_traffic *listener)
{
    return tally_read(&listener->received_bytes);
}

static uint64_t sent_bytes(const struct listener_traffic *listener)
{
    return tally_read(&listener->sent_bytes);
}

static uint64_t given_up(const struct listener_traffic *listener)
{
    return tally_read(&listener->given_up);
}

static void pauses_write(struct metrics_writer *writer, const struct traffic *traffic)
{
    static const char *const limits[PAUSE_COUNT] = {"connections", "descriptors"};

    metrics_family(writer, METRICS_COUNTER, "migchat_accept_pauses", "",
                   "How often new connections had to wait, by the limit that was reached.");
    for (unsigned i = 0; i < LISTENERS_MAX; i++) {
        const struct listener_traffic *listener = &traffic->listeners[i];

        for (unsigned pause = 0; listener->for_whom != NULL && pause < PAUSE_COUNT; pause++) {
            const struct metrics_label labels[] = {
                {"listener", listener->for_whom}, {"limit", limits[pause]}, {NULL, NULL}};

            metrics_value(writer, labels, tally_read(&listener->pauses[pause]));
        }
    }
}

static void streams_write(struct metrics_writer *writer, const struct stream_traffic *streams)
{
    static const char *const kinds[STREAM_KIND_COUNT] = {"poll", "sse", "websocket"};

    metrics_family(writer, METRICS_GAUGE, "migchat_streams", "",
                   "Clients that wait for what comes, by how they do.");
    for (unsigned kind = 0; kind < STREAM_KIND_COUNT; kind++) {
        const struct metrics_label labels[] = {{"kind", kinds[kind]}, {NULL, NULL}};

        metrics_value(writer, labels, streams->counts[kind]);
    }
}

/* What requests hold. */
static void bodies_write(struct metrics_writer *writer, const struct traffic *traffic)
{
    metrics_number(writer, METRICS_GAUGE, "migchat_bodies_bytes", "bytes",
                   "What all unfinished requests hold.", *traffic->held_bytes);
    metrics_number(writer, METRICS_GAUGE, "migchat_bodies_max_bytes", "bytes",
                   "What they can hold.", traffic->bodies_max_bytes);
    metrics_number(writer, METRICS_GAUGE, "migchat_connection_idle_bytes", "bytes",
                   "What an open connection costs while it does nothing.",
                   traffic->connection_idle_bytes);
    metrics_number(writer, METRICS_COUNTER, "migchat_answers_recalled", "",
                   "Lists given again from memory, since nothing had changed.",
                   tally_read(&traffic->recalled));
}

/* Counted from what there is, so that it costs a scrape little and a request nothing. Answers on
 * their way to a socket are not in it: a connection has a buffer for them while it writes. */
static void held_write(struct metrics_writer *writer, const struct traffic *traffic)
{
    static const char *const parts[] = {"connections", "streams", "requests"};
    uint64_t connections = 0;

    for (unsigned i = 0; i < LISTENERS_MAX; i++) {
        connections += traffic_connections(&traffic->listeners[i]);
    }
    const uint64_t held_bytes[] = {connections * traffic->connection_idle_bytes,
                                   traffic->streams->held_bytes, *traffic->held_bytes};
    metrics_family(writer, METRICS_GAUGE, "migchat_connections_bytes", "bytes",
                   "Memory of all open connections: their state, what streams add to it, and their "
                   "unfinished requests. Without answers that are being written.");
    for (size_t part = 0; part < sizeof parts / sizeof parts[0]; part++) {
        const struct metrics_label labels[] = {{"part", parts[part]}, {NULL, NULL}};

        metrics_value(writer, labels, held_bytes[part]);
    }
}
