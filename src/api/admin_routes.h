/* admin_routes.h - what the admin commands ask of a running server, over its Unix socket.
 *
 * No route has a token: who can open the socket (its owner and root) may do everything.
 *
 * Uses:    http/router.h.
 * Used by: main.
 * Thread:  any; the table is constant.
 */
#ifndef MIGCHAT_API_ADMIN_ROUTES_H
#define MIGCHAT_API_ADMIN_ROUTES_H

#include "http/router.h"

extern const struct route_table admin_routes;

#endif
