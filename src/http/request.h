/* request.h - one HTTP request as plain data, and the questions asked of it (RFC 9110, RFC 9112).
 *
 * Uses:    base.
 * Used by: http, net, api.
 * Thread:  whoever holds the exchange.
 * Memory:  head, body and the table of fields are the request's; all views point into them or into
 * the exchange's arena and end with the exchange.
 */
#ifndef MIGCHAT_HTTP_REQUEST_H
#define MIGCHAT_HTTP_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"

/* The methods known here; all others are 501. */
enum method {
    METHOD_UNKNOWN,
    METHOD_GET,
    METHOD_HEAD,
    METHOD_POST,
    METHOD_PUT,
    METHOD_DELETE,
    METHOD_PATCH,
    METHOD_OPTIONS,
    METHOD_COUNT
};

#define REQUEST_FIELDS_MAX 100u
/* Room for so many is made with the first, for REQUEST_FIELDS_MAX with the next. */
#define REQUEST_FIELDS_FIRST 16u
#define REQUEST_LINE_MAX_BYTES (8u * 1024u)
#define REQUEST_HEAD_MAX_BYTES (16u * 1024u)
#define REQUEST_ID_MAX_BYTES 64u

/* One field line: places in `head`. Head is at most 16 KiB, so 16 bits hold them. */
struct request_field {
    uint16_t name_at;
    uint16_t name_len;
    uint16_t value_at;
    uint16_t value_len; /* without the white space around it */
};

/* How far the parser is; only http/parser looks at it. It is here and not in the parser because an
 * idle connection has a parser and no request. */
struct parser_progress {
    uint64_t content_max_bytes;
    uint64_t content_bytes; /* seen so far, kept or not */
    uint64_t framing_bytes; /* chunk sizes, extensions and trailers so far */
    uint16_t fields_seen;   /* their bytes may not be in the head yet */
    bool name_is_open;      /* the newest field's name may go on with the next bytes */
    bool is_in_trailers;
    bool keeps_body;
};

struct request {
    struct buf head; /* the bytes of the head as they came, request line first */
    struct buf body; /* what arrived of the content, without chunk framing */
    enum method method;
    uint8_t version_minor; /* 0 or 1; the major is 1 */
    bool has_body;         /* the framing announces content of one byte or more, or is chunked */
    bool is_chunked;
    bool keeps_alive;        /* the client allows another request on this connection */
    bool has_expectation;    /* an Expect field, whatever it says */
    bool expects_continue;   /* has_body, and Expect: 100-continue by HTTP/1.1 */
    uint64_t content_length; /* announced; 0 when chunked or none */
    uint16_t target_at;
    uint16_t target_len;
    uint16_t field_count; /* 0 until the head is complete */
    uint16_t fields_capacity;
    struct request_field *fields; /* room for fields_capacity */
    struct parser_progress progress;
    /* Set by request_split_target from the target. */
    struct str path;  /* origin form, still percent-encoded, without the query */
    struct str query; /* behind the '?', still encoded; ptr NULL when there is none */
};

/* Storage is the caller's. */
void request_init(struct request *request);
void request_release(struct request *request);
/* Ready for the next request; keeps small buffers. */
void request_clear(struct request *request);

/* Makes room for more fields than there is now; false when that is for REQUEST_FIELDS_MAX. */
MUST_CHECK bool request_fields_grow(struct request *request);
struct str request_target(const struct request *request);
/* The value of the first field of this name (ASCII case does not count); false when absent. */
bool request_field_find(const struct request *request, struct str name, struct str *out_value);
/* How many field lines have this name. */
unsigned request_field_count(const struct request *request, struct str name);
/* The members of a field that is a comma-separated list, over all of its lines (RFC 9110 section
 * 5.3): begin with {.request = …, .name = …}. Some may be empty. False after the last. */
struct field_members {
    const struct request *request;
    struct str name;
    unsigned next_field;
    struct str rest; /* of the line; ptr NULL at its end */
};
bool field_member_next(struct field_members *members, struct str *out_member);
/* The method's name, e.g. "GET". */
struct str method_name(enum method method);
/* METHOD_UNKNOWN when it is none of ours; methods are case-sensitive. */
enum method method_from(struct str name);

/* The whole request's policy once the head is complete: Host (RFC 9112 section 3.2), fields given
 * twice, transfer coding and length, Connection, Expect. Sets has_body, is_chunked,
 * content_length (UINT64_MAX for what 64 bits do not hold), keeps_alive, has_expectation,
 * expects_continue, and whether the head is secret. An unknown expectation is not judged here but
 * by admission, after the route.
 * HOST_MALFORMED, FIELD_DOUBLED, FRAMING_MALFORMED, CODING_UNKNOWN. */
MUST_CHECK enum error request_judge_head(struct request *request);
/* Whether Expect, by HTTP/1.1, names anything other than 100-continue. */
bool request_expects_unknown(const struct request *request);

/* The whole query, before anybody asks for a parameter: QUERY_MALFORMED for a bad escape, bad UTF-8
 * or U+0000 anywhere in it, or more than QUERY_PARAMETERS_MAX parameters; PARAMETER_DOUBLED when
 * any name stands twice. */
#define QUERY_PARAMETERS_MAX 64u
MUST_CHECK enum error request_judge_query(const struct request *request, struct arena *arena);
/* A parameter of a query that was judged or is ours, form-decoded ('+' is a space) into the arena.
 * *out_found is false when it is absent. QUERY_MALFORMED when its own value is. */
MUST_CHECK enum error request_parameter(const struct request *request, struct str name,
                                        struct arena *arena, bool *out_found,
                                        struct str *out_value);
/* Percent-decodes one path segment into the arena; '+' stays '+'. TARGET_MALFORMED for a bad
 * escape, bad UTF-8 or U+0000. */
MUST_CHECK enum error percent_decode_segment(struct str segment, struct arena *arena,
                                             struct str *out_text);

/* The bearer token of the Authorization field (RFC 6750 section 2.1; the scheme's case does not
 * count). TOKEN_MISSING without the field or with another scheme, TOKEN_INVALID when what
 * follows is not 32 characters of [A-Za-z0-9]. */
#define TOKEN_LEN 32u
MUST_CHECK enum error request_token(const struct request *request, struct str *out_token);

#endif
