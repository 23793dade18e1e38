/* metrics_routes.c - the table of the metrics listener; api/routes.c is that of the API. */
#include "api/metrics_routes.h"

#include "api/handlers.h"

#define NO_TOKEN false

static const struct route routes[] = {
    {METHOD_GET, "/metrics", NO_TOKEN, BODY_NONE, LIMIT_NONE, {{LANE_LOOP, metrics_show}}},
};

const struct route_table metrics_routes = {routes, sizeof routes / sizeof routes[0]};
