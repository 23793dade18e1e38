/* upgrade.c - extensions are offered to us in vain: none is named in the answer. */
#include "http/upgrade.h"

#include <netinet/in.h>
#include <resolv.h> /* b64_ntop */
#include <string.h>

#include "base/digest.h"
#include "base/require.h"
#include "http/cors.h"

/* RFC 6455 section 1.3. */
#define KEY_SUFFIX "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#define KEY_LEN 24u /* 16 bytes in base64 */
#define KEY_BYTES 16
#define ACCEPT_MAX_BYTES 32u /* 28 characters and a NUL */

static bool list_has(const struct request *request, struct str name, struct str wanted);
static bool key_is_valid(const struct request *request);
static bool origin_is_allowed(const struct request *request, const struct cors_policy *cors);

enum error upgrade_judge(const struct request *request, const struct cors_policy *cors)
{
    struct str version;

    if (request->method != METHOD_GET || request->version_minor == 0 ||
        !list_has(request, STR("Upgrade"), STR("websocket")) ||
        !list_has(request, STR("Connection"), STR("upgrade")) ||
        !request_field_find(request, STR("Sec-WebSocket-Version"), &version) ||
        !str_equal(version, STR("13"))) {
        return ERROR_UPGRADE_REQUIRED;
    }
    if (!key_is_valid(request) || request->has_body) {
        return ERROR_HANDSHAKE_MALFORMED;
    }
    return origin_is_allowed(request, cors) ? OK : ERROR_ORIGIN_NOT_ALLOWED;
}

void upgrade_required_fields(struct response *response)
{
    response_field(response, STR("Upgrade"), STR("websocket"));
    response_field(response, STR("Sec-WebSocket-Version"), STR("13"));
}

/* Case does not count. */
static bool list_has(const struct request *request, struct str name, struct str wanted)
{
    struct field_members members = {.request = request, .name = name};
    struct str member;

    while (field_member_next(&members, &member)) {
        if (str_equal_ascii_case(member, wanted)) {
            return true;
        }
    }
    return false;
}

static bool key_is_valid(const struct request *request)
{
    struct str key;
    char text[KEY_LEN + 1];
    unsigned char bytes[KEY_BYTES + 2];

    if (!request_field_find(request, STR("Sec-WebSocket-Key"), &key) ||
        request_field_count(request, STR("Sec-WebSocket-Key")) != 1 || key.len != KEY_LEN) {
        return false;
    }
    memcpy(text, key.ptr, KEY_LEN);
    text[KEY_LEN] = '\0';
    return b64_pton(text, bytes, sizeof bytes) == KEY_BYTES;
}

/* A page must be allowed to read answers, or come from the host it connects to. Programs name no
 * origin. */
static bool origin_is_allowed(const struct request *request, const struct cors_policy *cors)
{
    struct str origin;
    struct str host;

    if (!request_field_find(request, STR("Origin"), &origin) || cors_allows_origin(cors, origin)) {
        return true;
    }
    struct str rest = origin;
    (void)str_cut(&rest, ':');
    return rest.ptr != NULL && str_starts_with(rest, STR("//")) &&
           request_field_find(request, STR("Host"), &host) &&
           str_equal_ascii_case((struct str){rest.ptr + 2, rest.len - 2}, host);
}

bool upgrade_offers(const struct request *request, struct str prefix, struct str *out_rest)
{
    struct field_members members = {.request = request, .name = STR("Sec-WebSocket-Protocol")};
    struct str offered;

    while (field_member_next(&members, &offered)) {
        if (str_starts_with(offered, prefix)) {
            *out_rest = (struct str){offered.ptr + prefix.len, offered.len - prefix.len};
            return true;
        }
    }
    return false;
}

void upgrade_answer(struct exchange *exchange, struct str protocol)
{
    struct response *response = &exchange->response;
    const struct str suffix = STR(KEY_SUFFIX);
    struct str key = {NULL, 0};
    struct sha1 digest;
    char text[KEY_LEN + sizeof KEY_SUFFIX];
    char accept[ACCEPT_MAX_BYTES];

    REQUIRE(request_field_find(&exchange->request, STR("Sec-WebSocket-Key"), &key) &&
            key.len == KEY_LEN);
    memcpy(text, key.ptr, KEY_LEN);
    memcpy(text + KEY_LEN, suffix.ptr, suffix.len);
    sha1_of((struct str){text, KEY_LEN + suffix.len}, &digest);
    REQUIRE(b64_ntop(digest.bytes, sizeof digest.bytes, accept, sizeof accept) > 0);
    response->status = 101;
    response->type = CONTENT_NONE;
    response->has_more = true; /* frames follow */
    response_field(response, STR("Upgrade"), STR("websocket"));
    response_field(response, STR("Connection"), STR("Upgrade"));
    response_field(response, STR("Sec-WebSocket-Accept"), str_from(accept));
    if (protocol.ptr != NULL) {
        response_field(response, STR("Sec-WebSocket-Protocol"), protocol);
    }
}
