/* request.c - a request's storage, its fields and its method. Its target is in target.c, its query
 * in query.c, the judgement of its head in head.c.
 */
#include "http/request.h"

#include <stdlib.h>
#include <string.h>

#include "base/require.h"
#include "http/chars.h"

/* What a pooled request keeps; larger buffers go back. */
#define HEAD_KEPT_BYTES 2048u
#define BODY_KEPT_BYTES 2048u

static const char bearer_scheme[] = "Bearer";

static void body_clear(struct buf *body);
static struct str field_name(const struct request *request, const struct request_field *field);
static struct str field_value(const struct request *request, const struct request_field *field);

static const struct str method_names[METHOD_COUNT] = {
    [METHOD_UNKNOWN] = {"UNKNOWN", 7}, [METHOD_GET] = {"GET", 3},
    [METHOD_HEAD] = {"HEAD", 4},       [METHOD_POST] = {"POST", 4},
    [METHOD_PUT] = {"PUT", 3},         [METHOD_DELETE] = {"DELETE", 6},
    [METHOD_PATCH] = {"PATCH", 5},     [METHOD_OPTIONS] = {"OPTIONS", 7},
};

void request_init(struct request *request)
{
    memset(request, 0, sizeof *request);
    buf_init(&request->head, REQUEST_HEAD_MAX_BYTES);
    buf_init(&request->body, 0);
    request->head.is_secret = true; /* until it is judged */
    request->body.is_secret = true;
}

void request_release(struct request *request)
{
    buf_release(&request->head);
    buf_release(&request->body);
    free(request->fields);
    request->fields = NULL;
    request->fields_capacity = 0;
}

/* The fields beyond field_count are never looked at, so the table is left as it is. */
void request_clear(struct request *request)
{
    if (request->head.is_secret) {
        buf_wipe(&request->head);
    }
    buf_clear(&request->head);
    if (request->head.capacity > HEAD_KEPT_BYTES) {
        buf_release(&request->head);
    }
    request->head.is_secret = true;
    if (request->body.len > 0) {
        body_clear(&request->body);
    }
    buf_clear(&request->body);
    request->method = METHOD_UNKNOWN;
    request->version_minor = 0;
    request->has_body = false;
    request->is_chunked = false;
    request->keeps_alive = false;
    request->has_expectation = false;
    request->expects_continue = false;
    request->content_length = 0;
    request->target_at = 0;
    request->target_len = 0;
    request->field_count = 0;
    request->progress = (struct parser_progress){0};
    request->path = (struct str){NULL, 0};
    request->query = (struct str){NULL, 0};
}

/* Thousands of heads that never end should not have a table for the longest one each. */
bool request_fields_grow(struct request *request)
{
    size_t capacity = request->fields_capacity == 0 ? REQUEST_FIELDS_FIRST : REQUEST_FIELDS_MAX;

    if (request->fields_capacity == REQUEST_FIELDS_MAX) {
        return false;
    }
    struct request_field *larger = realloc(request->fields, capacity * sizeof *larger);
    REQUIRE(larger != NULL);
    request->fields = larger;
    request->fields_capacity = (uint16_t)capacity;
    return true;
}

static void body_clear(struct buf *body)
{
    buf_wipe(body);
    if (body->capacity > BODY_KEPT_BYTES) {
        buf_release(body);
    }
    body->is_secret = true;
}

struct str request_target(const struct request *request)
{
    if (request->target_len == 0) {
        return (struct str){NULL, 0};
    }
    return (struct str){request->head.ptr + request->target_at, request->target_len};
}

bool request_field_find(const struct request *request, struct str name, struct str *out_value)
{
    const struct request_field *fields = request->fields;

    for (unsigned i = 0, count = request->field_count; i < count; i++) {
        const struct request_field *field = &fields[i];
        if (str_equal_ascii_case(field_name(request, field), name)) {
            *out_value = field_value(request, field);
            return true;
        }
    }
    return false;
}

unsigned request_field_count(const struct request *request, struct str name)
{
    unsigned count = 0;

    for (unsigned i = 0; i < request->field_count; i++) {
        if (str_equal_ascii_case(field_name(request, &request->fields[i]), name)) {
            count++;
        }
    }
    return count;
}

bool field_member_next(struct field_members *members, struct str *out_member)
{
    const struct request *request = members->request;

    while (members->rest.ptr == NULL) {
        if (members->next_field == request->field_count) {
            return false;
        }
        const struct request_field *field = &request->fields[members->next_field++];
        if (str_equal_ascii_case(field_name(request, field), members->name)) {
            members->rest = field_value(request, field);
        }
    }
    *out_member = str_trim(str_cut(&members->rest, ','));
    return true;
}

struct str method_name(enum method method)
{
    return method_names[method < METHOD_COUNT ? method : METHOD_UNKNOWN];
}

enum method method_from(struct str name)
{
    /* Most are. A comparison of three known bytes is no call. */
    if (name.len == 3 && memcmp(name.ptr, "GET", 3) == 0) {
        return METHOD_GET;
    }
    for (enum method method = METHOD_GET; method < METHOD_COUNT; method++) {
        if (str_equal(name, method_names[method])) {
            return method;
        }
    }
    return METHOD_UNKNOWN;
}

enum error request_token(const struct request *request, struct str *out_token)
{
    struct str credentials;

    if (!request_field_find(request, STR("Authorization"), &credentials)) {
        return ERROR_TOKEN_MISSING;
    }
    struct str token = credentials;
    struct str scheme = str_cut(&token, ' ');
    if (!str_equal_ascii_case(scheme, str_from(bearer_scheme))) {
        return ERROR_TOKEN_MISSING;
    }
    token = str_trim(token);
    if (token.len != TOKEN_LEN) {
        return ERROR_TOKEN_INVALID;
    }
    for (size_t i = 0; i < token.len; i++) {
        if (!char_is(token.ptr[i], CHAR_ALPHANUMERIC)) {
            return ERROR_TOKEN_INVALID;
        }
    }
    *out_token = token;
    return OK;
}

static struct str field_name(const struct request *request, const struct request_field *field)
{
    return (struct str){request->head.ptr + field->name_at, field->name_len};
}

static struct str field_value(const struct request *request, const struct request_field *field)
{
    return (struct str){request->head.ptr + field->value_at, field->value_len};
}
