/* request_line.h - the request line, as it comes (RFC 9112 section 3).
 *
 * llhttp takes lines that are none (two spaces, HTTP/0.9, RTSP, the HTTP/2 preface) and cannot say
 * which part of a bad line was bad, so the line is checked here before llhttp sees it. What is kept
 * between bytes is a state of one byte; a line that can no longer become well-formed is refused at
 * that byte.
 *
 * Uses:    http/request.
 * Used by: http/parser.
 * Thread:  the loop.
 */
#ifndef MIGCHAT_HTTP_REQUEST_LINE_H
#define MIGCHAT_HTTP_REQUEST_LINE_H

#include <stdint.h>

#include "base/attributes.h"
#include "base/error.h"
#include "http/request.h"

/* What comes next: method SP target SP "HTTP/" DIGIT "." DIGIT CR LF. */
enum request_line_state {
    LINE_METHOD_FIRST,
    LINE_METHOD,
    LINE_TARGET_FIRST,
    LINE_TARGET,
    LINE_VERSION_H,
    LINE_VERSION_T1,
    LINE_VERSION_T2,
    LINE_VERSION_P,
    LINE_VERSION_SLASH,
    LINE_VERSION_MAJOR,
    LINE_VERSION_DOT,
    LINE_VERSION_MINOR,
    LINE_CR,
    LINE_LF,
    LINE_COMPLETE,
    LINE_REFUSED
};

/* Reads on in a line that is neither complete nor refused, and returns how many bytes that took:
 * all of them, or those up to and with the one that completed the line or made it LINE_REFUSED. */
size_t request_line_take(enum request_line_state *state, struct str bytes);

/* Judges the complete, well-formed line that request->head consists of: sets method, version and
 * the place of the target. VERSION_UNKNOWN for all but 1.0 and 1.1, METHOD_UNKNOWN. */
MUST_CHECK enum error request_line_judge(struct request *request);

#endif
