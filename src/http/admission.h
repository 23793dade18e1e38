/* admission.h - what is judged of a request before its body is read, in the contract's order:
 * head, method and path, expectation, body length, form of the token, rate of an address.
 *
 * Uses:    base, http.
 * Used by: net/conn.
 * Thread:  the loop.
 */
#ifndef MIGCHAT_HTTP_ADMISSION_H
#define MIGCHAT_HTTP_ADMISSION_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "http/client_address.h"
#include "http/exchange.h"
#include "http/limits.h"
#include "http/response.h"

struct admission_policy {
    struct route_table routes;
    const struct cors_policy *cors;
    size_t body_max_bytes;
    struct limits *limits; /* of addresses; NULL: none */
    const struct proxies *proxies;
    /* Who is at the other end, or which address stands for them. Not asked without limits. */
    void (*peer_find)(const struct exchange *exchange, struct ip_address *out_address);
};

/* What the connection does next with the request whose head is complete. */
enum admission {
    ADMITTED,         /* read the body (if any), then run the route's steps */
    ADMITTED_ANSWERED /* the response is ready (an error, or OPTIONS): see *out_must_close */
};

/* Judges the exchange's head. On ADMITTED exchange->route is set. On ADMITTED_ANSWERED the
 * response is ready; *out_must_close tells that the connection must not be used again (framing
 * in doubt, a body too long to read away, or a client waiting for 100 Continue); otherwise the
 * body, if there is one, is read and thrown away first. */
enum admission exchange_admit(struct exchange *exchange, const struct admission_policy *policy,
                              bool *out_must_close);

/* Answers OPTIONS: 204 with Allow, and the preflight fields when it is one (Fetch standard,
 * CORS-preflight request). For "*" and for every path that exists. */
void exchange_answer_options(struct exchange *exchange, const struct admission_policy *policy);

#endif
