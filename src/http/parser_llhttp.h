/* parser_llhttp.h - what parser.c gives to llhttp, and what it does with what llhttp finds.
 *
 * Uses:    llhttp, base, http/parser.
 * Used by: http/parser.c only.
 * Thread:  the loop.
 */
#ifndef MIGCHAT_HTTP_PARSER_LLHTTP_H
#define MIGCHAT_HTTP_PARSER_LLHTTP_H

#include "base/attributes.h"
#include "http/parser.h"

enum parser_phase {
    PHASE_IDLE,
    PHASE_LINE,
    PHASE_FIELDS,
    PHASE_HEAD,
    PHASE_BODY,
    PHASE_DONE,
    PHASE_FAILED
};

/* What the callbacks need to know of the call of http_parser_feed they are in. */
struct feeding {
    struct http_parser *parser;
    const char *bytes; /* given to llhttp_execute */
    enum error error;  /* why a callback stopped llhttp with HPE_USER */
};

/* Makes llhttp ready for the fields behind the judged request line that request->head consists of.
 * REQUEST_MALFORMED for a target that llhttp does not take. */
MUST_CHECK enum error parser_pass_line(struct http_parser *parser);
/* HPE_PAUSED at the end of a head or a message leaves the bytes behind it; HPE_OK has taken all. */
llhttp_errno_t parser_execute(struct feeding *feeding, struct str bytes, size_t *out_taken);
/* What any other result of it means. */
enum error feeding_error(const struct feeding *feeding, llhttp_errno_t result);
/* Whether the content seen and what is announced of it, in all or in this chunk, is over the limit.
 */
bool parser_content_is_too_long(const struct http_parser *parser);

#endif
