/* client_address.c - from the left to the right, as the proxies came. */
#include "http/client_address.h"

#define V6_KEY_BYTES 8u

static bool is_trusted(const struct proxies *proxies, const struct ip_address *address);
static bool forwarded_find(const struct request *request, const struct proxies *proxies,
                           struct ip_address *out_address);
static bool member_read(struct str member, struct ip_address *out_address);

void client_address_find(const struct ip_address *peer, const struct request *request,
                         const struct proxies *proxies, struct ip_address *out_address)
{
    struct str value;

    *out_address = *peer;
    if (!is_trusted(proxies, peer)) {
        return;
    }
    if (proxies->field == PROXY_FORWARDED_FOR) {
        (void)forwarded_find(request, proxies, out_address);
    } else if (request_field_count(request, STR("Fly-Client-IP")) == 1 &&
               request_field_find(request, STR("Fly-Client-IP"), &value)) {
        (void)ip_address_read(value, out_address);
    }
}

static bool is_trusted(const struct proxies *proxies, const struct ip_address *address)
{
    for (unsigned i = 0; i < proxies->count; i++) {
        if (ip_network_has(&proxies->networks[i], address)) {
            return true;
        }
    }
    return false;
}

static bool forwarded_find(const struct request *request, const struct proxies *proxies,
                           struct ip_address *out_address)
{
    struct field_members members = {.request = request, .name = STR("X-Forwarded-For")};
    struct str member;
    struct ip_address found;
    bool is_found = false;

    while (field_member_next(&members, &member)) {
        struct ip_address address;

        if (!member_read(member, &address)) {
            is_found = false;
        } else if (!is_found || !is_trusted(proxies, &address)) {
            found = address;
            is_found = true;
        }
    }
    if (is_found) {
        *out_address = found;
    }
    return is_found;
}

/* Some proxies add the port: 192.0.2.1:4711, [2001:db8::1]:4711. */
static bool member_read(struct str member, struct ip_address *out_address)
{
    struct str rest = member;

    if (ip_address_read(member, out_address)) {
        return true;
    }
    if (member.len > 0 && member.ptr[0] == '[') {
        rest = (struct str){member.ptr + 1, member.len - 1};
        return ip_address_read(str_cut(&rest, ']'), out_address);
    }
    return ip_address_read(str_cut(&rest, ':'), out_address);
}

struct str client_address_key(const struct ip_address *address)
{
    if (ip_address_is_v4(address)) {
        return (struct str){(const char *)address->bytes + IP_V4_AT, IP_BYTES - IP_V4_AT};
    }
    return (struct str){(const char *)address->bytes, V6_KEY_BYTES};
}
