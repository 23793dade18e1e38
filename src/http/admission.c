/* admission.c - the first judgements, in the contract's order, each of which ends the matter:
 *
 *   1. the head, then the target: 400, 501
 *   2. the path: 404; the method: 405 with Allow, or OPTIONS answered
 *   3. the expectation: 417
 *   4. the announced length: 413
 *   5. the WebSocket handshake, where one is needed: 426, 400, 403
 *   6. the form of the token, where one is needed: 401
 *   7. how often this address asks, where none is needed: 429 (accounts: api/dispatch.c)
 *
 * A request refused here may still have a body on its way. It is read and thrown away when its
 * framing is clear and it is no longer than we take of others; else the connection ends.
 */
#include "http/admission.h"

#include "http/cors.h"
#include "http/upgrade.h"

/* "GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS" and some room. */
#define ALLOW_MAX_BYTES 64u

static enum error exchange_judge(struct exchange *exchange, const struct admission_policy *policy);
static enum error path_judge(struct exchange *exchange, const struct admission_policy *policy,
                             const struct route **out_route);
static enum error address_judge(struct exchange *exchange, const struct admission_policy *policy,
                                const struct route *route);
static bool options_has_target(const struct route_table *routes, struct str path);
static void allow_add(struct exchange *exchange, const struct admission_policy *policy);
static bool body_can_be_skipped(const struct request *request,
                                const struct admission_policy *policy);

enum admission exchange_admit(struct exchange *exchange, const struct admission_policy *policy,
                              bool *out_must_close)
{
    struct request *request = &exchange->request;

    if (exchange->request_id[0] == '\0') {
        exchange_name(exchange);
    }
    enum error error = request_judge_head(request);
    if (error != OK) {
        response_error(exchange, error);
        *out_must_close = true;
        return ADMITTED_ANSWERED;
    }
    error = exchange_judge(exchange, policy);
    if (error != OK) {
        response_error(exchange, error);
        if (error == ERROR_METHOD_NOT_ALLOWED) {
            allow_add(exchange, policy);
        } else if (error == ERROR_UPGRADE_REQUIRED) {
            upgrade_required_fields(&exchange->response);
        }
    } else if (request->method == METHOD_OPTIONS) {
        exchange_answer_options(exchange, policy);
    } else {
        *out_must_close = false;
        return ADMITTED;
    }
    *out_must_close = !body_can_be_skipped(request, policy);
    return ADMITTED_ANSWERED;
}

void exchange_answer_options(struct exchange *exchange, const struct admission_policy *policy)
{
    if (!options_has_target(&policy->routes, exchange->request.path)) {
        response_error(exchange, ERROR_ROUTE_NOT_FOUND);
        return;
    }
    response_clear(&exchange->response);
    exchange->response.status = 204;
    allow_add(exchange, policy);
}

static enum error exchange_judge(struct exchange *exchange, const struct admission_policy *policy)
{
    struct request *request = &exchange->request;
    const struct route *route = NULL;
    struct str token;

    enum error error = request_split_target(request);
    if (error == OK) {
        error = path_judge(exchange, policy, &route);
    }
    if (error != OK) {
        return error;
    }
    if (request->has_expectation && request_expects_unknown(request)) {
        return ERROR_EXPECTATION_UNKNOWN;
    }
    if (request->content_length > policy->body_max_bytes) {
        return ERROR_BODY_TOO_LARGE;
    }
    if (route != NULL && route->body == BODY_UPGRADE) {
        error = upgrade_judge(request, policy->cors);
        if (error != OK) {
            return error;
        }
    }
    if (route != NULL) {
        error = route->needs_token ? request_token(request, &token)
                                   : address_judge(exchange, policy, route);
    }
    if (error == OK) {
        exchange->route = route;
    }
    return error;
}

static enum error address_judge(struct exchange *exchange, const struct admission_policy *policy,
                                const struct route *route)
{
    struct ip_address peer;
    struct ip_address client;

    if (route->limit == LIMIT_NONE || !limits_apply(policy->limits, route->limit)) {
        return OK;
    }
    policy->peer_find(exchange, &peer);
    client_address_find(&peer, &exchange->request, policy->proxies, &client);
    enum error error = limits_judge_address(policy->limits, route->limit, &client, exchange);

    exchange->slows_client = error == ERROR_RATE_LIMITED &&
                             (route->limit == LIMIT_SIGNUP || route->limit == LIMIT_LOGIN);
    return error;
}

/* OPTIONS has no rows in the table: it finds no route, only whether there is one. */
static enum error path_judge(struct exchange *exchange, const struct admission_policy *policy,
                             const struct route **out_route)
{
    const struct request *request = &exchange->request;

    if (request->method == METHOD_OPTIONS) {
        return options_has_target(&policy->routes, request->path) ? OK : ERROR_ROUTE_NOT_FOUND;
    }
    return router_match(&policy->routes, request, &exchange->arena, out_route,
                        &exchange->route_parameter);
}

/* OPTIONS alone may ask about the whole server with "*" (RFC 9110, 9.3.7). */
static bool options_has_target(const struct route_table *routes, struct str path)
{
    return str_equal(path, STR("*")) || router_has_path(routes, path);
}

static void allow_add(struct exchange *exchange, const struct admission_policy *policy)
{
    struct buf allow;

    buf_init(&allow, ALLOW_MAX_BYTES);
    router_allow(&policy->routes, exchange->request.path, &allow);
    response_field(&exchange->response, STR("Allow"), buf_str(&allow));
    if (exchange->request.method == METHOD_OPTIONS) {
        cors_preflight_fields(policy->cors, &exchange->request, buf_str(&allow),
                              &exchange->response);
    }
    buf_release(&allow);
}

/* Who waits for an expectation to be met may send the body after the answer or never: nobody
 * could tell. */
static bool body_can_be_skipped(const struct request *request,
                                const struct admission_policy *policy)
{
    return !request->has_body || (!request->expects_continue &&
                                  !(request->has_expectation && request_expects_unknown(request)) &&
                                  request->content_length <= policy->body_max_bytes);
}
