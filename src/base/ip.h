/* ip.h - IP addresses and networks as data. An IPv4 address is the IPv6 one that stands for it
 * (RFC 4291 section 2.5.5.2), so there is one form.
 *
 * Uses: libc. Used by: http/client_address, net, config. Thread: any. Memory: the caller's.
 */
#ifndef MIGCHAT_BASE_IP_H
#define MIGCHAT_BASE_IP_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/str.h"

#define IP_BYTES 16u
#define IP_V4_AT 12u /* where an IPv4 address begins in it */

struct ip_address {
    uint8_t bytes[IP_BYTES];
};

struct ip_network {
    struct ip_address address;
    unsigned bits; /* of it that count, 0 to 128 */
};

/* An IPv4 or IPv6 literal, no zone. False when it is none. */
bool ip_address_read(struct str text, struct ip_address *out_address);
/* False when it is neither AF_INET nor AF_INET6. */
bool ip_address_of_socket(const struct sockaddr_storage *socket, struct ip_address *out_address);
bool ip_address_is_v4(const struct ip_address *address);

/* An address, or one with how many of its bits count: 10.0.0.0/8. False when it is none. */
bool ip_network_read(struct str text, struct ip_network *out_network);
bool ip_network_has(const struct ip_network *network, const struct ip_address *address);

#endif
