/* traffic_test.c - every status any route can answer has its place, in every row. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"
#include "http/traffic.h"

static const struct route routes[] = {
    {METHOD_GET, "/first", false, BODY_NONE, LIMIT_NONE, {{LANE_LOOP, NULL}}},
    {METHOD_POST, "/second", false, BODY_NONE, LIMIT_NONE, {{LANE_LOOP, NULL}}},
};
static const struct route_table table = {routes, 2};

static uint64_t counted(const struct route_traffic *row, int status)
{
    uint64_t found = 0;

    for (unsigned i = 0; i < STATUSES_MAX && row->statuses[i] != 0; i++) {
        found += row->statuses[i] == status ? tally_read(&row->by_status[i]) : 0;
    }
    return found;
}

static void every_status_has_a_place(void **state)
{
    static const int good[] = {200, 201, 202, 204, 206, 304};
    struct traffic traffic = {.held_bytes = NULL};
    struct listener_traffic *listener = &traffic.listeners[1];

    (void)state;
    traffic_open(&traffic, 1, "public", table);
    for (int i = OK; i < ERROR_COUNT; i++) {
        traffic_count(listener, NULL, error_status((enum error)i), 1);
    }
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        traffic_count(listener, NULL, good[i], 1);
        assert_int_equal(counted(&listener->rows[2], good[i]), good[i] == 200 ? 2 : 1);
    }
    assert_int_equal(histogram_count(&listener->rows[2].durations),
                     ERROR_COUNT + sizeof good / sizeof good[0]);
    traffic_release(&traffic);
}

static void a_route_has_a_row_of_its_own(void **state)
{
    struct traffic traffic = {.held_bytes = NULL};
    struct listener_traffic *listener = &traffic.listeners[0];

    (void)state;
    traffic_open(&traffic, 0, "public", table);
    traffic_count(listener, &routes[1], 200, 5);
    traffic_count(listener, &routes[1], 503, 7);
    traffic_count(listener, &routes[1], 200, 11);
    traffic_count(listener, &routes[0], 204, 13);
    assert_int_equal(counted(&listener->rows[1], 200), 2);
    assert_int_equal(counted(&listener->rows[1], 503), 1);
    assert_int_equal(tally_read(&listener->rows[1].durations.sum), 23);
    assert_int_equal(counted(&listener->rows[0], 204), 1);
    assert_int_equal(histogram_count(&listener->rows[2].durations), 0);
    traffic_release(&traffic);
    assert_null(listener->for_whom);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_status_has_a_place),
        cmocka_unit_test(a_route_has_a_row_of_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
