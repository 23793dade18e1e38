/* client_address.h - whose request it is when proxies stand between: what the field of a proxy that
 * is trusted says, for rate limits.
 *
 * Uses: base, http/request. Used by: http/admission, serving. Thread: the loop. Memory: the
 * caller's.
 */
#ifndef MIGCHAT_HTTP_CLIENT_ADDRESS_H
#define MIGCHAT_HTTP_CLIENT_ADDRESS_H

#include "base/ip.h"
#include "http/request.h"

#define PROXY_NETWORKS_MAX 32u

/* Where proxies say for whom they ask; in the order of --client-address-field. */
enum proxy_field { PROXY_FORWARDED_FOR, PROXY_FLY };

struct proxies {
    struct ip_network networks[PROXY_NETWORKS_MAX]; /* who is believed */
    unsigned count;
    enum proxy_field field;
};

/* The client's address: the peer's, unless that is a trusted proxy. Then Fly-Client-IP as it is; or
 * the last of X-Forwarded-For that is no trusted proxy, each of which added whom it saw at the end.
 * Behind what cannot be read, nothing is believed: the proxy that passed it on counts. */
void client_address_find(const struct ip_address *peer, const struct request *request,
                         const struct proxies *proxies, struct ip_address *out_address);

/* What of it tells clients apart: all of an IPv4 address, the first 64 bits of an IPv6 one, since
 * one customer has them all (RFC 6177). Points into `address`. */
struct str client_address_key(const struct ip_address *address);

#endif
