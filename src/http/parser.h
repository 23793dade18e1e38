/* parser.h - bytes to requests, by llhttp, which only files called parser* include.
 *
 * llhttp checks framing; the policy is ours: sizes, the request line's form, methods and versions,
 * the flood of chunk framing. The parser stops after each head and after each message, so bytes
 * behind a good request cannot spoil its answer, and it is started afresh for every message.
 *
 * Uses:    llhttp, base, http/request.
 * Used by: net/conn.
 * Thread:  the loop.
 * Memory:  no buffers of its own; head and body go into the request it is given.
 */
#ifndef MIGCHAT_HTTP_PARSER_H
#define MIGCHAT_HTTP_PARSER_H

#include <llhttp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "http/request.h"

/* Chunk sizes, extensions and trailers together may be this long, plus 8 bytes for every byte of
 * content (a one-byte chunk needs 5). */
#define BODY_FRAMING_MAX_BYTES (16u * 1024u)

enum parser_step {
    PARSER_NEEDS_MORE, /* everything given was taken, nothing is complete yet */
    PARSER_HEAD,       /* the head is complete; judge it, then go on with parser_feed */
    PARSER_MESSAGE,    /* the body is complete too */
    PARSER_FAILED      /* *out_error says what to answer; the connection ends after it */
};

struct http_parser {
    llhttp_t llhttp;
    struct request *request; /* being filled; NULL between requests: an idle parser is 112 bytes */
    uint32_t head_bytes;     /* of this head so far, blank lines before it too; private */
    uint8_t phase;           /* private to parser.c */
    uint8_t line_state;      /* enum request_line_state; private */
    bool blank_line_is_open; /* its CR came, its LF did not; private */
};

void http_parser_init(struct http_parser *parser);
/* Starts a message that fills `request` (initialised and empty). */
void http_parser_begin(struct http_parser *parser, struct request *request);
/* Whether bytes of a request have been taken since http_parser_begin (blank lines do not count). */
bool http_parser_has_begun(const struct http_parser *parser);

/* Feeds bytes. *out_taken says how many were used; what is left belongs to what comes next (it
 * means nothing after PARSER_FAILED).
 * After PARSER_HEAD the caller sets how much content it will take (`body_max_bytes`) and whether
 * it is kept or only counted and thrown away (`keeps_body`), then feeds on, also with len 0: a
 * request without content is complete then. Content over the limit is BODY_TOO_LARGE.
 * Errors: REQUEST_MALFORMED, TARGET_TOO_LONG, HEAD_TOO_LARGE, METHOD_UNKNOWN, VERSION_UNKNOWN,
 * FRAMING_MALFORMED, CODING_UNKNOWN, BODY_TOO_LARGE. */
enum parser_step http_parser_feed(struct http_parser *parser, const char *bytes, size_t len,
                                  size_t *out_taken, enum error *out_error);
/* Between PARSER_HEAD and PARSER_MESSAGE; must be called before more is fed, and may be called
 * again later. */
void http_parser_expect_body(struct http_parser *parser, size_t body_max_bytes, bool keeps_body);

/* "llhttp 9.2.1": what is linked. */
const char *parser_library_version(void);

#endif
