/* admin_stats.c - GET /stats: the operator's numbers at a glance, for `stats`.
 *
 * Two steps, because the numbers live in two places: the loop counts connections and what it lent,
 * the database counts accounts. All else are the metrics' own tallies, which anybody may read.
 */
#include "api/answer.h"
#include "api/handlers.h"
#include "api/metrics.h"
#include "api/services.h"
#include "api/work.h"
#include "base/usage.h"
#include "http/traffic.h"
#include "store/measures.h"

/* The public listener; the others are of operators. */
#define LISTENER_PUBLIC 0

static void number(struct json_writer *writer, const char *name, uint64_t value);

enum error admin_stats_count(struct exchange *exchange, struct services *services)
{
    const struct traffic *traffic = services->metrics->traffic;

    exchange->work = ARENA_NEW(&exchange->arena, struct api_work);
    struct stats_work *work = &exchange->work->stats;
    work->connections = traffic_connections(&traffic->listeners[LISTENER_PUBLIC]);
    work->connections_max = traffic->listeners[LISTENER_PUBLIC].connections_max;
    work->in_flight = traffic_in_flight(&traffic->listeners[LISTENER_PUBLIC]);
    for (int lane = LANE_READ; lane < LANE_COUNT; lane++) {
        const struct lane_traffic *counted = &traffic->lanes[lane];

        work->lane_depths[lane] = counted->thread_count > 0 ? *counted->lent_count : 0;
    }
    return OK;
}

enum error admin_stats_show(struct exchange *exchange, struct services *services)
{
    const struct metrics_sources *sources = services->metrics;
    const struct stats_work *work = &exchange->work->stats;
    struct store_totals totals;
    struct usage usage;

    enum error error = store_totals_find(services->store, &totals);
    if (error != OK) {
        return error;
    }
    usage_read(&usage);
    struct json_writer writer = answer_object(exchange);
    json_name(&writer, "version");
    json_text(&writer, str_from(sources->build.version));
    json_name(&writer, "commit");
    json_text(&writer, str_from(sources->build.commit));
    json_name(&writer, "started_at");
    json_time(&writer, sources->started_at_ms);
    json_name(&writer, "uptime_seconds");
    json_int(&writer, services->now_ms > sources->started_at_ms
                          ? (services->now_ms - sources->started_at_ms) / 1000
                          : 0);
    json_name(&writer, "accounts");
    json_int(&writer, totals.accounts);
    json_name(&writer, "sessions");
    json_int(&writer, totals.sessions);
    json_name(&writer, "messages");
    json_int(&writer, totals.messages);
    number(&writer, "database_bytes", tally_read(&sources->store->database_bytes));
    number(&writer, "wal_bytes", tally_read(&sources->store->wal_bytes));
    number(&writer, "disk_free_bytes", tally_read(&sources->store->disk_free_bytes));
    number(&writer, "connections", work->connections);
    number(&writer, "connections_max", work->connections_max);
    number(&writer, "requests_in_flight", work->in_flight);
    number(&writer, "read_lane_depth", work->lane_depths[LANE_READ]);
    number(&writer, "write_lane_depth", work->lane_depths[LANE_WRITE]);
    number(&writer, "hash_lane_depth", work->lane_depths[LANE_HASH]);
    json_name(&writer, "resident_bytes");
    if (usage.resident_bytes >= 0) {
        json_int(&writer, usage.resident_bytes);
    } else {
        json_null(&writer);
    }
    json_close(&writer, '}');
    return OK;
}

static void number(struct json_writer *writer, const char *name, uint64_t value)
{
    json_name(writer, name);
    json_int(writer, (int64_t)value);
}
