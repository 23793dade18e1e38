/* metrics_routes.h - what a monitoring system asks, on a listener of its own.
 *
 * No route has a token: who can reach the listener may read. Nothing there names an account, and
 * nothing can be changed.
 *
 * Uses:    http/router.h.
 * Used by: main.
 * Thread:  any; the table is constant.
 */
#ifndef MIGCHAT_API_METRICS_ROUTES_H
#define MIGCHAT_API_METRICS_ROUTES_H

#include "http/router.h"

extern const struct route_table metrics_routes;

#endif
