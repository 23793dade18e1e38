/* admin_routes.c - the table of the admin socket; api/routes.c is that of the API. */
#include "api/admin_routes.h"

#include "api/handlers.h"

#define NO_TOKEN false

static const struct route routes[] = {
    {METHOD_GET, "/readyz", NO_TOKEN, BODY_NONE, {{LANE_LOOP, api_readyz}}},
    {METHOD_POST, "/backups", NO_TOKEN, BODY_REQUIRED, {{LANE_LOOP, admin_backup_start}}},
    {METHOD_GET, "/backups", NO_TOKEN, BODY_NONE, {{LANE_LOOP, admin_backup_find}}},
};

const struct route_table admin_routes = {routes, sizeof routes / sizeof routes[0]};
