/* router.h - method and path to route; the form of the route table.
 *
 * The table itself is api/routes.c. A route is up to three steps, each on a lane: creating an
 * account is read (is the name free?), hash (bcrypt), write. Steps run in order; the first that
 * does not return OK ends the exchange with that error.
 *
 * Uses:    base, http/request.
 * Used by: net (through admission), api (the table), main.
 * Thread:  any; the table is constant.
 */
#ifndef MIGCHAT_HTTP_ROUTER_H
#define MIGCHAT_HTTP_ROUTER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/str.h"
#include "http/request.h"

struct exchange;
struct services; /* api/services.h: what one lane's thread owns */

/* Where a step runs. LOOP is the loop thread itself: no database, no waiting. */
enum lane { LANE_LOOP, LANE_READ, LANE_WRITE, LANE_HASH, LANE_COUNT };

/* What the route does with content. A body sent to BODY_NONE is read and ignored; BODY_UPGRADE
 * takes none: its request must be a WebSocket handshake (http/upgrade.h). */
enum route_body { BODY_NONE, BODY_OPTIONAL, BODY_REQUIRED, BODY_UPGRADE };

/* Whose allowance a request is taken from (http/limits.h). */
enum limit {
    LIMIT_NONE,
    LIMIT_SIGNUP,
    LIMIT_LOGIN, /* whatever checks a password */
    LIMIT_CLAIM,
    LIMIT_TYPING,
    LIMIT_SEND, /* what writes */
    LIMIT_READ, /* all else, but what only ends something */
    LIMIT_COUNT
};

/* One step of a route. OK: go on with the next step, or answer what is in the response. */
typedef enum error (*route_handler)(struct exchange *exchange, struct services *services);

struct route_step {
    enum lane lane;
    route_handler run; /* NULL ends the steps */
};

#define ROUTE_STEPS_MAX 3u

struct route {
    enum method method;
    const char *path; /* "/api/keys/{username}": a whole segment in braces matches any one */
    bool needs_token;
    enum route_body body;
    enum limit limit; /* of the account with a token, else of the client's address */
    struct route_step steps[ROUTE_STEPS_MAX];
};

struct route_table {
    const struct route *routes;
    size_t count;
};

/* Splits the request's target (origin form, absolute form, or "*" for OPTIONS) into
 * request->path and request->query. TARGET_MALFORMED for a target that is none of them or has
 * bytes RFC 3986 does not allow, an absolute form with user information or no host. */
MUST_CHECK enum error request_split_target(struct request *request);

/* Finds the route for the request's method and path. HEAD finds the GET route. A literal segment
 * wins over one in braces. *out_parameter is the decoded segment in braces, if there is one
 * (copied into `arena`). ROUTE_NOT_FOUND, METHOD_NOT_ALLOWED (the path exists), TARGET_MALFORMED
 * (the segment does not decode). */
MUST_CHECK enum error router_match(const struct route_table *table, const struct request *request,
                                   struct arena *arena, const struct route **out_route,
                                   struct str *out_parameter);

/* Whether any route has this path, whatever its method. */
bool router_has_path(const struct route_table *table, struct str path);

/* "GET, HEAD, OPTIONS": the methods of the request's path into `out`; for "*" all of the table.
 * Nothing when the path does not exist. */
void router_allow(const struct route_table *table, struct str path, struct buf *out);

#endif
