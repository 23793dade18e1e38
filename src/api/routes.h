/* routes.h - the one table of all routes.
 *
 * Uses:    http/router. Used by: main (hands it to net), tests.
 */
#ifndef MIGCHAT_API_ROUTES_H
#define MIGCHAT_API_ROUTES_H

#include "http/router.h"

extern const struct route_table api_routes;
/* In no table: what streams read with (http/event_reads.h). */
extern const struct route api_event_reads_route;
/* In no table: what a WebSocket's messages run through. */
extern const struct route api_websocket_command_route;

#endif
