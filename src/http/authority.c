/* authority.c - host, then port. IPv4 addresses are registered names to the grammar. */
#include "http/authority.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "http/uri.h"

static bool is_ipv6_literal(struct str address);
static bool is_registered_name(struct str name);
static bool is_port(struct str port);

bool authority_is_valid(struct str authority)
{
    struct str rest = authority;

    if (authority.len > 0 && authority.ptr[0] == '[') {
        struct str address = str_cut(&rest, ']');
        address = (struct str){address.ptr + 1, address.len - 1};
        if (rest.ptr == NULL || !is_ipv6_literal(address)) {
            return false;
        }
        return rest.len == 0 ||
               (rest.ptr[0] == ':' && is_port((struct str){rest.ptr + 1, rest.len - 1}));
    }
    struct str host = str_cut(&rest, ':');
    return host.len > 0 && is_registered_name(host) && is_port(rest);
}

static bool is_ipv6_literal(struct str address)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr parsed;

    if (address.len >= sizeof text || memchr(address.ptr, '\0', address.len) != NULL) {
        return false;
    }
    memcpy(text, address.ptr, address.len);
    text[address.len] = '\0';
    return inet_pton(AF_INET6, text, &parsed) == 1;
}

static bool is_registered_name(struct str name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        if (c == '%') {
            if (!uri_escape_is_valid((struct str){name.ptr + i, name.len - i})) {
                return false;
            }
        } else if (c == ',' || !(uri_char_is(c, URI_UNRESERVED) || uri_char_is(c, URI_SUB_DELIM))) {
            return false;
        }
    }
    return true;
}

static bool is_port(struct str port)
{
    for (size_t i = 0; i < port.len; i++) {
        if (port.ptr[i] < '0' || port.ptr[i] > '9') {
            return false;
        }
    }
    return true;
}
