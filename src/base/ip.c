/* ip.c - reading is libc's (inet_pton). */
#include "base/ip.h"

#include <arpa/inet.h>
#include <string.h>

#define V4_BITS 32u
#define V6_BITS 128u
#define BYTE_BITS 8u

static const uint8_t v4_prefix[IP_V4_AT] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool ip_address_read(struct str text, struct ip_address *out_address)
{
    char terminated[INET6_ADDRSTRLEN];
    struct ip_address address;

    if (text.len == 0 || text.len >= sizeof terminated || memchr(text.ptr, '\0', text.len)) {
        return false;
    }
    memcpy(terminated, text.ptr, text.len);
    terminated[text.len] = '\0';
    memcpy(address.bytes, v4_prefix, IP_V4_AT);
    if (inet_pton(AF_INET, terminated, address.bytes + IP_V4_AT) != 1 &&
        inet_pton(AF_INET6, terminated, address.bytes) != 1) {
        return false;
    }
    *out_address = address;
    return true;
}

bool ip_address_of_socket(const struct sockaddr_storage *socket, struct ip_address *out_address)
{
    if (socket->ss_family == AF_INET) {
        struct sockaddr_in v4;

        memcpy(&v4, socket, sizeof v4);
        memcpy(out_address->bytes, v4_prefix, IP_V4_AT);
        memcpy(out_address->bytes + IP_V4_AT, &v4.sin_addr, sizeof v4.sin_addr);
        return true;
    }
    if (socket->ss_family == AF_INET6) {
        struct sockaddr_in6 v6;

        memcpy(&v6, socket, sizeof v6);
        memcpy(out_address->bytes, &v6.sin6_addr, IP_BYTES);
        return true;
    }
    return false;
}

bool ip_address_is_v4(const struct ip_address *address)
{
    return memcmp(address->bytes, v4_prefix, IP_V4_AT) == 0;
}

bool ip_network_read(struct str text, struct ip_network *out_network)
{
    struct str length = text;
    struct str literal = str_cut(&length, '/');
    struct ip_address address;
    uint64_t bits;

    if (!ip_address_read(literal, &address)) {
        return false;
    }
    bool is_v4 = memchr(literal.ptr, ':', literal.len) == NULL;
    unsigned most = is_v4 ? V4_BITS : V6_BITS;
    if (length.ptr == NULL) {
        bits = most;
    } else if (!str_to_uint(length, most, &bits)) {
        return false;
    }
    *out_network =
        (struct ip_network){.address = address, .bits = (unsigned)bits + (V6_BITS - most)};
    return true;
}

bool ip_network_has(const struct ip_network *network, const struct ip_address *address)
{
    unsigned whole = network->bits / BYTE_BITS;
    unsigned rest = network->bits % BYTE_BITS;

    if (memcmp(network->address.bytes, address->bytes, whole) != 0) {
        return false;
    }
    return rest == 0 ||
           (network->address.bytes[whole] ^ address->bytes[whole]) >> (BYTE_BITS - rest) == 0;
}
