/* traffic.c - a row for each route: the label of a metric is never what a client sent. */
#include "http/traffic.h"

#include <stdlib.h>

#include "base/require.h"

const char *const lane_names[LANE_COUNT] = {"loop", "read", "write", "hash"};

void traffic_open(struct traffic *traffic, unsigned listener, const char *for_whom,
                  struct route_table routes)
{
    struct listener_traffic *opened = &traffic->listeners[listener];

    REQUIRE(listener < LISTENERS_MAX && opened->for_whom == NULL);
    opened->for_whom = for_whom;
    opened->routes = routes;
    opened->rows = calloc(routes.count + 1, sizeof *opened->rows);
    REQUIRE(opened->rows != NULL);
}

void traffic_open_lane(struct traffic *traffic, enum lane lane, unsigned thread_count,
                       unsigned queue_max, const unsigned *lent_count)
{
    struct lane_traffic *opened = &traffic->lanes[lane];

    REQUIRE(opened->threads == NULL);
    opened->threads = calloc(thread_count, sizeof *opened->threads);
    REQUIRE(opened->threads != NULL);
    opened->thread_count = thread_count;
    tally_set(&opened->places, queue_max);
    opened->lent_count = lent_count;
}

void traffic_close_lane(struct traffic *traffic, enum lane lane)
{
    free(traffic->lanes[lane].threads);
    traffic->lanes[lane] = (struct lane_traffic){.thread_count = 0};
}

void traffic_release(struct traffic *traffic)
{
    for (unsigned i = 0; i < LISTENERS_MAX; i++) {
        free(traffic->listeners[i].rows);
    }
    *traffic = (struct traffic){.held_bytes = NULL};
}

void traffic_count(struct listener_traffic *listener, const struct route *route, int status,
                   uint64_t duration_ns)
{
    size_t place =
        route != NULL ? (size_t)(route - listener->routes.routes) : listener->routes.count;
    struct route_traffic *row = &listener->rows[place];
    unsigned at = 0;

    /* Mostly the first. */
    while (row->statuses[at] != status) {
        if (row->statuses[at] == 0) {
            row->statuses[at] = (uint16_t)status;
            break;
        }
        at++;
        REQUIRE(at < STATUSES_MAX);
    }
    tally_add(&row->by_status[at], 1);
    histogram_add(&row->durations, &histogram_of_durations, duration_ns);
}

uint64_t traffic_in_flight(const struct listener_traffic *listener)
{
    uint64_t over = tally_read(&listener->given_up);

    for (size_t row = 0; row <= listener->routes.count; row++) {
        over += histogram_count(&listener->rows[row].durations);
    }
    return tally_read(&listener->begun) - over;
}
