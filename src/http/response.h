/* response.h - one HTTP response as plain data, and its bytes.
 *
 * A handler sets the status, adds fields and appends to `body`. A response that does not fit in
 * one page sets `has_more`: the connection writes what is there as a chunk and, when the socket
 * has drained, lends the exchange again to its route's last step for the next page.
 *
 * Uses:    base, http/request.
 * Used by: api (fills it), net (writes it).
 * Thread:  whoever holds the exchange.
 */
#ifndef MIGCHAT_HTTP_RESPONSE_H
#define MIGCHAT_HTTP_RESPONSE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"

struct exchange;

/* A page of a streamed body; the body buffer never exceeds it, whatever the list is. */
#define RESPONSE_PAGE_BYTES (64u * 1024u)
/* The extra fields of one response together; a Link repeats the request's target. */
#define RESPONSE_FIELDS_MAX_BYTES (12u * 1024u)

/* With CONTENT_OWN the response's own fields say Content-Type and Cache-Control; all others are
 * no-store. */
enum content_type {
    CONTENT_NONE,
    CONTENT_JSON,
    CONTENT_TEXT,
    CONTENT_PROBLEM,
    CONTENT_EVENTS,
    CONTENT_OWN
};

struct response {
    int status; /* 0 until answered */
    enum content_type type;
    enum error error;  /* what the body tells, OK otherwise; for the log */
    struct buf fields; /* "Name: value\r\n" lines beyond those response_write_head adds */
    struct buf body;   /* at most RESPONSE_PAGE_BYTES, unless borrowed (buf_borrow) */
    bool has_more;     /* a streamed body goes on after this page */
    bool failed;       /* a stream that cannot go on: close without the last chunk */
    bool closes;       /* the connection ends after this response */
};

void response_init(struct response *response);
void response_release(struct response *response);
void response_clear(struct response *response);

/* Adds a field line. The value must not contain CR or LF (REQUIRE: values are ours). A line that
 * does not fit any more is left out whole and `fields` has overflowed. */
void response_field(struct response *response, struct str name, struct str value);

/* Turns the exchange's response into the error's: status, JSON body
 * {"error","code","status","request_id"} (RFC 9457 form when Accept asks for
 * application/problem+json), WWW-Authenticate on 401, Retry-After on 429 and 503. Whatever the
 * response held is dropped. OVERLOADED and the like close nothing; framing errors set `closes`
 * in the connection, not here. */
void response_error(struct exchange *exchange, enum error error);

/* Who may read answers from a browser; for response_write_head and preflights. */
struct cors_policy {
    const struct str *origins; /* exact origins */
    unsigned origin_count;
    bool allows_all; /* "*" */
};

/* Writes status line and all fields into `out`: Date, Content-Type, Cache-Control: no-store,
 * Content-Length or Transfer-Encoding, Connection, X-Request-Id, CORS and
 * X-Content-Type-Options: nosniff, then the response's own. `date` is an IMF-fixdate of 29
 * characters. A 204 or 304 has no Content-Length; to HEAD the lengths are those of the GET. */
void response_write_head(const struct exchange *exchange, const struct cors_policy *cors,
                         const char *date, struct buf *out);

/* Whether the connection ends after this response: the response or the client says so, or it is
 * the only end a streamed body has (HTTP/1.0). response_write_head announces just this. The same
 * from the head to the last page. */
bool response_ends_connection(const struct exchange *exchange);

/* What begins a chunk of `len` bytes: their number in hexadecimal, CRLF (RFC 9112, 7.1). */
void chunk_size_append(struct buf *out, size_t len);

/* "Not Found" for 404 and so on; "Status" for what is not listed. */
const char *status_phrase(int status);

#endif
