/* admin_routes.c - the table of the admin socket; api/routes.c is that of the API. */
#include "api/admin_routes.h"

#include "api/handlers.h"

#define NO_TOKEN false

static const struct route routes[] = {
    {METHOD_GET, "/readyz", NO_TOKEN, BODY_NONE, {{LANE_LOOP, api_readyz}}},
    {METHOD_GET, "/accounts", NO_TOKEN, BODY_NONE, {{LANE_READ, admin_account_list}}},
    {METHOD_POST,
     "/accounts",
     NO_TOKEN,
     BODY_REQUIRED,
     {{LANE_READ, admin_account_add_read},
      {LANE_HASH, api_account_create_hash},
      {LANE_WRITE, admin_account_add_write}}},
    {METHOD_GET, "/accounts/{username}", NO_TOKEN, BODY_NONE, {{LANE_READ, admin_account_show}}},
    {METHOD_DELETE,
     "/accounts/{username}",
     NO_TOKEN,
     BODY_NONE,
     {{LANE_WRITE, admin_account_delete}}},
    {METHOD_POST,
     "/accounts/{username}/password",
     NO_TOKEN,
     BODY_OPTIONAL,
     {{LANE_READ, admin_password_read},
      {LANE_HASH, api_account_create_hash},
      {LANE_WRITE, admin_password_write}}},
    {METHOD_GET,
     "/accounts/{username}/sessions",
     NO_TOKEN,
     BODY_NONE,
     {{LANE_READ, admin_session_list}}},
    {METHOD_POST,
     "/accounts/{username}/sessions/end",
     NO_TOKEN,
     BODY_OPTIONAL,
     {{LANE_WRITE, admin_session_end}}},
    {METHOD_GET,
     "/stats",
     NO_TOKEN,
     BODY_NONE,
     {{LANE_LOOP, admin_stats_count}, {LANE_READ, admin_stats_show}}},
    {METHOD_POST, "/backups", NO_TOKEN, BODY_REQUIRED, {{LANE_LOOP, admin_backup_start}}},
    {METHOD_GET, "/backups", NO_TOKEN, BODY_NONE, {{LANE_LOOP, admin_backup_find}}},
};

const struct route_table admin_routes = {routes, sizeof routes / sizeof routes[0]};
