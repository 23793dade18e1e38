/* response.c - a response's storage, and its head as bytes. The body of an error is in problem.c.
 *
 * The head is put together from literals and a few numbers, in room reserved once: this runs once a
 * request on the loop.
 */
#include "http/response.h"

#include <string.h>

#include "base/clock.h"
#include "base/put.h"
#include "base/require.h"
#include "http/cors.h"
#include "http/exchange.h"

/* What a pooled response keeps; larger buffers go back. */
#define FIELDS_KEPT_BYTES 512u
#define BODY_KEPT_BYTES 2048u
/* The longest head without CORS and the response's own fields has 319 bytes. */
#define HEAD_OWN_MAX_BYTES 512u
/* A line of the head; written with the type, since only those with CONTENT_OWN may be cached. */
#define NO_STORE "Cache-Control: no-store\r\n"

static char *head_own_put(char *at, const struct exchange *exchange, const char *date);
static char *status_line_put(char *at, int status);
static char *type_put(char *at, enum content_type type);
static char *length_put(char *at, const struct exchange *exchange);
static char *connection_put(char *at, const struct exchange *exchange);
static inline char *field_put(char *at, struct str name, struct str value);

void response_init(struct response *response)
{
    memset(response, 0, sizeof *response);
    buf_init(&response->fields, RESPONSE_FIELDS_MAX_BYTES);
    buf_init(&response->body, RESPONSE_PAGE_BYTES);
}

void response_release(struct response *response)
{
    buf_release(&response->fields);
    buf_release(&response->body);
}

void response_clear(struct response *response)
{
    buf_clear(&response->fields);
    buf_clear(&response->body);
    if (response->fields.capacity > FIELDS_KEPT_BYTES) {
        buf_release(&response->fields);
    }
    if (response->body.capacity > BODY_KEPT_BYTES) {
        buf_release(&response->body);
    }
    response->status = 0;
    response->type = CONTENT_NONE;
    response->error = OK;
    response->has_more = false;
    response->failed = false;
    response->closes = false;
}

void response_field(struct response *response, struct str name, struct str value)
{
    static const char separators[] = ": \r\n";
    size_t line_len = name.len + value.len + sizeof separators - 1;

    REQUIRE(value.len == 0 || (memchr(value.ptr, '\r', value.len) == NULL &&
                               memchr(value.ptr, '\n', value.len) == NULL));
    /* The whole line or nothing of it: half a field line would swallow the next one. */
    char *at = buf_reserve(&response->fields, line_len);
    if (at != NULL) {
        field_put(at, name, value);
        buf_grow(&response->fields, line_len);
    }
}

bool response_ends_connection(const struct exchange *exchange)
{
    const struct request *request = &exchange->request;
    const struct response *response = &exchange->response;
    bool is_streamed = response->has_more || exchange->page > 0;
    bool ends_by_closing =
        is_streamed && request->version_minor == 0 && request->method != METHOD_HEAD;

    return response->closes || !request->keeps_alive || ends_by_closing;
}

void response_write_head(const struct exchange *exchange, const struct cors_policy *cors,
                         const char *date, struct buf *out)
{
    char *start = buf_reserve(out, HEAD_OWN_MAX_BYTES);

    if (start == NULL) {
        return;
    }
    buf_grow(out, (size_t)(head_own_put(start, exchange, date) - start));
    cors_answer_fields(cors, &exchange->request, out);
    buf_append_str(out, buf_str(&exchange->response.fields));
    buf_append_str(out, STR("\r\n"));
}

void chunk_size_append(struct buf *out, size_t len)
{
    char text[2 * sizeof len + 2];
    char *end = text + sizeof text;
    char *at = end;

    *--at = '\n';
    *--at = '\r';
    do {
        *--at = "0123456789abcdef"[len % 16];
        len /= 16;
    } while (len > 0);
    buf_append(out, at, (size_t)(end - at));
}

const char *status_phrase(int status)
{
    switch (status) {
    case 101:
        return "Switching Protocols";
    case 200:
        return "OK";
    case 204:
        return "No Content";
    case 304:
        return "Not Modified";
    case 400:
        return "Bad Request";
    case 401:
        return "Unauthorized";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 408:
        return "Request Timeout";
    case 409:
        return "Conflict";
    case 410:
        return "Gone";
    case 413:
        return "Content Too Large";
    case 414:
        return "URI Too Long";
    case 415:
        return "Unsupported Media Type";
    case 417:
        return "Expectation Failed";
    case 422:
        return "Unprocessable Content";
    case 426:
        return "Upgrade Required";
    case 429:
        return "Too Many Requests";
    case 431:
        return "Request Header Fields Too Large";
    case 500:
        return "Internal Server Error";
    case 501:
        return "Not Implemented";
    case 503:
        return "Service Unavailable";
    case 505:
        return "HTTP Version Not Supported";
    default:
        return "Status";
    }
}

static char *head_own_put(char *at, const struct exchange *exchange, const char *date)
{
    at = status_line_put(at, exchange->response.status);
    at = field_put(at, STR("Date"), (struct str){date, TIME_IMF_FIXDATE_LEN});
    at = type_put(at, exchange->response.type);
    at = length_put(at, exchange);
    at = connection_put(at, exchange);
    if (exchange->request_id[0] != '\0') {
        at = field_put(at, STR("X-Request-Id"), str_from(exchange->request_id));
    }
    return put_str(at, STR("X-Content-Type-Options: nosniff\r\n"));
}

static char *status_line_put(char *at, int status)
{
    if (status == 200) {
        return put_str(at, STR("HTTP/1.1 200 OK\r\n"));
    }
    at = put_str(at, STR("HTTP/1.1 "));
    at = put_int(at, status);
    at = put_str(at, STR(" "));
    at = put_str(at, str_from(status_phrase(status)));
    return put_str(at, STR("\r\n"));
}

static char *type_put(char *at, enum content_type type)
{
    switch (type) {
    case CONTENT_NONE:
        return put_str(at, STR(NO_STORE));
    case CONTENT_JSON:
        return put_str(at, STR("Content-Type: application/json\r\n" NO_STORE));
    case CONTENT_TEXT:
        return put_str(at, STR("Content-Type: text/plain; charset=utf-8\r\n" NO_STORE));
    case CONTENT_PROBLEM:
        return put_str(at, STR("Content-Type: application/problem+json\r\n" NO_STORE));
    case CONTENT_EVENTS:
        return put_str(at, STR("Content-Type: text/event-stream\r\n" NO_STORE));
    case CONTENT_OWN:
        break;
    }
    return at;
}

/* RFC 9112 section 6.3: how the client finds the body's end. */
static char *length_put(char *at, const struct exchange *exchange)
{
    const struct response *response = &exchange->response;

    if (response->status == 204 || response->status == 304 || response->status == 101) {
        return at;
    }
    if (!response->has_more) {
        at = put_str(at, STR("Content-Length: "));
        at = put_uint(at, response->body.len);
        return put_str(at, STR("\r\n"));
    }
    return exchange->request.version_minor == 1 ? put_str(at, STR("Transfer-Encoding: chunked\r\n"))
                                                : at;
}

static char *connection_put(char *at, const struct exchange *exchange)
{
    if (exchange->response.status == 101) {
        return at; /* its own field says Upgrade */
    }
    if (response_ends_connection(exchange)) {
        return put_str(at, STR("Connection: close\r\n"));
    }
    return exchange->request.version_minor == 0 ? put_str(at, STR("Connection: keep-alive\r\n"))
                                                : at;
}

static inline char *field_put(char *at, struct str name, struct str value)
{
    at = put_str(at, name);
    at = put_str(at, STR(": "));
    at = put_str(at, value);
    return put_str(at, STR("\r\n"));
}
