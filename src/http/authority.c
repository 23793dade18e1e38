/* authority.c - host, then port. IPv4 addresses are registered names to the grammar. */
#include "http/authority.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "http/chars.h"
#include "http/uri.h"

static bool is_ipv6_literal(struct str address);
static size_t registered_name_len(struct str s);
static bool is_colon_and_port(struct str s);

bool authority_is_valid(struct str authority)
{
    struct str rest = authority;

    if (authority.len > 0 && authority.ptr[0] == '[') {
        struct str address = str_cut(&rest, ']');
        address = (struct str){address.ptr + 1, address.len - 1};
        if (rest.ptr == NULL || !is_ipv6_literal(address)) {
            return false;
        }
        return rest.len == 0 || is_colon_and_port(rest);
    }
    size_t host_len = registered_name_len(authority);
    rest = (struct str){authority.ptr + host_len, authority.len - host_len};
    return host_len > 0 && (rest.len == 0 || is_colon_and_port(rest));
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

/* Of the longest one that `s` begins with. */
static size_t registered_name_len(struct str s)
{
    size_t len = 0;

    while (len < s.len && (char_is(s.ptr[len], CHAR_HOST) ||
                           uri_escape_is_valid((struct str){s.ptr + len, s.len - len}))) {
        len++;
    }
    return len;
}

static bool is_colon_and_port(struct str s)
{
    for (size_t i = 1; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9') {
            return false;
        }
    }
    return s.ptr[0] == ':';
}
