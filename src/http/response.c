/* response.c - a response's storage, and its head as bytes. The body of an error is in problem.c.
 *
 * The head is put together from literals and a few numbers: this runs once a request on the loop.
 */
#include "http/response.h"

#include <string.h>

#include "base/clock.h"
#include "base/require.h"
#include "http/cors.h"
#include "http/exchange.h"

/* What a pooled response keeps; larger buffers go back. */
#define FIELDS_KEPT_BYTES 512u
#define BODY_KEPT_BYTES 2048u

static void status_line_write(int status, struct buf *out);
static void type_write(enum content_type type, struct buf *out);
static void length_write(const struct exchange *exchange, struct buf *out);
static void connection_write(const struct exchange *exchange, struct buf *out);
static void field_write(struct str name, struct str value, struct buf *out);

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
    if (buf_reserve(&response->fields, line_len) != NULL) {
        field_write(name, value, &response->fields);
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
    const struct response *response = &exchange->response;

    status_line_write(response->status, out);
    field_write(STR("Date"), (struct str){date, TIME_IMF_FIXDATE_LEN}, out);
    type_write(response->type, out);
    length_write(exchange, out);
    connection_write(exchange, out);
    if (exchange->request_id[0] != '\0') {
        field_write(STR("X-Request-Id"), str_from(exchange->request_id), out);
    }
    buf_append_str(out, STR("Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"));
    cors_answer_fields(cors, &exchange->request, out);
    buf_append(out, response->fields.ptr, response->fields.len);
    buf_append_str(out, STR("\r\n"));
}

const char *status_phrase(int status)
{
    switch (status) {
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

static void status_line_write(int status, struct buf *out)
{
    if (status == 200) {
        buf_append_str(out, STR("HTTP/1.1 200 OK\r\n"));
        return;
    }
    buf_append_str(out, STR("HTTP/1.1 "));
    buf_append_int(out, status);
    buf_append_char(out, ' ');
    buf_append_str(out, str_from(status_phrase(status)));
    buf_append_str(out, STR("\r\n"));
}

static void type_write(enum content_type type, struct buf *out)
{
    switch (type) {
    case CONTENT_NONE:
        return;
    case CONTENT_JSON:
        buf_append_str(out, STR("Content-Type: application/json\r\n"));
        return;
    case CONTENT_TEXT:
        buf_append_str(out, STR("Content-Type: text/plain; charset=utf-8\r\n"));
        return;
    case CONTENT_PROBLEM:
        buf_append_str(out, STR("Content-Type: application/problem+json\r\n"));
        return;
    }
}

/* RFC 9112 section 6.3: how the client finds the body's end. */
static void length_write(const struct exchange *exchange, struct buf *out)
{
    const struct response *response = &exchange->response;

    if (response->status == 204 || response->status == 304) {
        return;
    }
    if (!response->has_more) {
        buf_append_str(out, STR("Content-Length: "));
        buf_append_int(out, (int64_t)response->body.len);
        buf_append_str(out, STR("\r\n"));
    } else if (exchange->request.version_minor == 1) {
        buf_append_str(out, STR("Transfer-Encoding: chunked\r\n"));
    }
}

static void connection_write(const struct exchange *exchange, struct buf *out)
{
    if (response_ends_connection(exchange)) {
        buf_append_str(out, STR("Connection: close\r\n"));
    } else if (exchange->request.version_minor == 0) {
        buf_append_str(out, STR("Connection: keep-alive\r\n"));
    }
}

static void field_write(struct str name, struct str value, struct buf *out)
{
    buf_append_str(out, name);
    buf_append_str(out, STR(": "));
    buf_append_str(out, value);
    buf_append_str(out, STR("\r\n"));
}
