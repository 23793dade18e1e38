/* routes.h - the one table of all routes.
 *
 * Uses:    http/router. Used by: main (hands it to net), tests.
 */
#ifndef MIGCHAT_API_ROUTES_H
#define MIGCHAT_API_ROUTES_H

#include "http/router.h"

extern const struct route_table api_routes;

#endif
