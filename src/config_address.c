/* config_address.c - options that are addresses, with and without a port. */
#include <string.h>

#include "base/require.h"
#include "config_option.h"

/* An IPv6 address may name its interface: fe80::1%eth0. */
bool is_address(struct str text)
{
    struct str zone = text;
    struct str address = str_cut(&zone, '%');
    struct ip_address parsed;

    if (!ip_address_read(address, &parsed)) {
        return false;
    }
    return zone.ptr == NULL || (zone.len > 0 && memchr(zone.ptr, '\0', zone.len) == NULL &&
                                memchr(address.ptr, ':', address.len) != NULL);
}

bool endpoint_read(struct str text, struct str *out_address, uint16_t *out_port)
{
    struct str address;
    struct str port;
    uint64_t number;

    if (text.len > 0 && text.ptr[0] == '[') {
        port = (struct str){text.ptr + 1, text.len - 1};
        address = str_cut(&port, ']');
        if (port.len == 0 || port.ptr[0] != ':' || memchr(address.ptr, ':', address.len) == NULL) {
            return false;
        }
        port = (struct str){port.ptr + 1, port.len - 1};
    } else {
        port = text;
        address = str_cut(&port, ':');
    }
    if (address.len >= CONFIG_ADDRESS_MAX_BYTES || !is_address(address) ||
        !str_to_uint(port, UINT16_MAX, &number)) {
        return false;
    }
    *out_address = address;
    *out_port = (uint16_t)number;
    return true;
}

bool networks_read(struct str text, struct ip_network out[CONFIG_NETWORKS_MAX], unsigned *out_count)
{
    unsigned count = 0;

    while (text.ptr != NULL) {
        if (count == CONFIG_NETWORKS_MAX ||
            !ip_network_read(str_trim(str_cut(&text, ',')), &out[count])) {
            return false;
        }
        count++;
    }
    *out_count = count;
    return true;
}

unsigned config_networks(const struct config *config, enum option option,
                         struct ip_network out[CONFIG_NETWORKS_MAX])
{
    struct str text = config_text(config, option);
    unsigned count = 0;

    if (!str_equal(text, STR("none"))) {
        REQUIRE(networks_read(text, out, &count));
    }
    return count;
}

bool config_endpoint(const struct config *config, enum option option,
                     char out[CONFIG_ADDRESS_MAX_BYTES], uint16_t *out_port)
{
    struct str text = config_text(config, option);
    struct str address;

    if (str_equal(text, STR("none"))) {
        return false;
    }
    REQUIRE(endpoint_read(text, &address, out_port));
    memcpy(out, address.ptr, address.len);
    out[address.len] = '\0';
    return true;
}
