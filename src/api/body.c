/* body.c - media type, coding, presence, then the JSON. */
#include "api/body.h"

#include "http/request.h"

static enum error media_check(const struct request *request);
static bool codings_are_identity(const struct request *request);
static bool names_other_charset(struct str parameter);

enum error body_read(struct exchange *exchange, struct json_member *members, size_t count)
{
    struct str body = buf_str(&exchange->request.body);

    if (body.len == 0) {
        for (size_t i = 0; i < count; i++) {
            members[i].is_present = false;
        }
        return exchange->route->body == BODY_REQUIRED ? ERROR_BODY_MISSING : OK;
    }
    /* A WebSocket's command has no head: that it is text is said by its frame. */
    enum error error = exchange->request.head.len > 0 ? media_check(&exchange->request) : OK;
    if (error != OK) {
        return error;
    }
    return json_read(body, members, count, &exchange->arena);
}

static enum error media_check(const struct request *request)
{
    struct str type;

    if (!request_field_find(request, STR("Content-Type"), &type) || !media_type_is_json(type)) {
        return ERROR_TYPE_UNSUPPORTED;
    }
    return codings_are_identity(request) ? OK : ERROR_ENCODING_UNSUPPORTED;
}

/* "identity" stands for no coding, and an empty list has none (RFC 9110 section 8.4). */
static bool codings_are_identity(const struct request *request)
{
    struct field_members members = {.request = request, .name = STR("Content-Encoding")};
    struct str coding;

    while (field_member_next(&members, &coding)) {
        if (coding.len > 0 && !str_equal_ascii_case(coding, STR("identity"))) {
            return false;
        }
    }
    return true;
}

bool media_type_is_json(struct str value)
{
    struct str rest = value;
    struct str type = str_trim(str_cut(&rest, ';'));

    if (!str_equal_ascii_case(type, STR("application/json"))) {
        return false;
    }
    while (rest.ptr != NULL) {
        struct str parameter = str_trim(str_cut(&rest, ';'));

        if (names_other_charset(parameter)) {
            return false;
        }
    }
    return true;
}

/* JSON has no parameters and is UTF-8 (RFC 8259 sections 8.1 and 11): others say nothing, but one
 * that names another charset says that the body is none. */
static bool names_other_charset(struct str parameter)
{
    struct str value = parameter;
    struct str name = str_trim(str_cut(&value, '='));

    if (!str_equal_ascii_case(name, STR("charset"))) {
        return false;
    }
    return value.ptr == NULL || !(str_equal_ascii_case(value, STR("utf-8")) ||
                                  str_equal_ascii_case(value, STR("\"utf-8\"")) ||
                                  str_equal_ascii_case(value, STR("utf8")));
}
