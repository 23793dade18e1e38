/* authority.h - the grammar of uri-host [ ":" port ] (RFC 3986 section 3.2).
 *
 * Uses:    base/str, libc.
 * Used by: http/head (Host), http/target (absolute form).
 * Thread:  any.
 */
#ifndef MIGCHAT_HTTP_AUTHORITY_H
#define MIGCHAT_HTTP_AUTHORITY_H

#include <stdbool.h>

#include "base/str.h"

/* A registered name, an IPv4 address or an IPv6 address in brackets, not empty; then a port of
 * digits, which may be empty. No user information. A comma is refused although the grammar knows
 * it: it means a list of hosts. */
bool authority_is_valid(struct str authority);

#endif
