/* parser.c - one message at a time, from bytes to struct request.
 *
 *        bytes           CRLF           blank line          last byte
 *   LINE -----> (LINE) -------> FIELDS -----------> HEAD ... BODY ------> DONE
 *     \____________\_______________\__________________________/
 *                                  v  anything refused
 *                               FAILED
 *
 * 1. LINE: blank lines are skipped, the request line is read (request_line.h) and copied to the
 *    head. When it is complete and ours, llhttp is made ready for the fields.
 * 2. FIELDS: llhttp reads the fields where they lie, in the caller's bytes. The callbacks only note
 *    places: a byte's place in the head is what the head held before plus its distance from the
 *    first byte of this feed. What llhttp has taken is then copied to the head, once.
 * 3. HEAD: llhttp is paused. The caller judges the request and calls http_parser_expect_body.
 * 4. BODY: llhttp strips the chunk framing; on_body counts and keeps. Pausing at the end leaves the
 *    bytes behind the message untouched. Where there is no content there is nothing to strip.
 *
 * Invariants
 * - What is said of a message depends on its bytes alone, never on how they were cut: nothing is
 *   read beyond the one byte that would break a limit, so a limit is seen at that byte.
 * - llhttp is started afresh for each message; nothing of one can leak into the next. Before the
 *   fields its state means nothing and is not even cleared.
 * - Nothing lenient is ever switched on.
 */
#include "http/parser.h"

#include <string.h>

#include "base/require.h"
#include "http/parser_llhttp.h"
#include "http/request_line.h"

#define FRAMING_BYTES_PER_CONTENT_BYTE 8u
/* The fields are read in parts, since what follows the head is not known to end it: many small
 * requests sent at once would each be looked through to the end of all. */
#define FIELDS_PART_MAX_BYTES 512u

static enum parser_step line_feed(struct http_parser *parser, struct str bytes, size_t *out_taken,
                                  enum error *out_error);
static enum error blank_line_take(struct http_parser *parser, char byte);
static size_t line_room(const struct http_parser *parser, enum request_line_state state,
                        size_t line_len);
static enum error line_finish(struct http_parser *parser);
static enum parser_step fields_feed(struct http_parser *parser, struct str bytes, size_t *out_taken,
                                    enum error *out_error);
static llhttp_errno_t fields_execute(struct feeding *feeding, struct str bytes, size_t *out_taken);
static enum parser_step head_finish(struct http_parser *parser);
static enum parser_step body_feed(struct http_parser *parser, struct str bytes, size_t *out_taken,
                                  enum error *out_error);
static uint64_t framing_max_bytes(const struct parser_progress *progress);
static enum parser_step parser_fail(struct http_parser *parser, enum error error,
                                    enum error *out_error);

void http_parser_init(struct http_parser *parser)
{
    parser->request = NULL;
    parser->head_bytes = 0;
    parser->phase = PHASE_IDLE;
    parser->line_state = LINE_METHOD_FIRST;
    parser->blank_line_is_open = false;
}

void http_parser_begin(struct http_parser *parser, struct request *request)
{
    http_parser_init(parser);
    parser->request = request;
    parser->phase = PHASE_LINE;
}

bool http_parser_has_begun(const struct http_parser *parser)
{
    return parser->phase > PHASE_LINE || parser->line_state != LINE_METHOD_FIRST;
}

void http_parser_expect_body(struct http_parser *parser, size_t body_max_bytes, bool keeps_body)
{
    REQUIRE(parser->phase == PHASE_HEAD || parser->phase == PHASE_BODY);
    struct request *request = parser->request;
    request->progress.content_max_bytes = body_max_bytes;
    request->progress.keeps_body = keeps_body;
    request->body.max_bytes = body_max_bytes;
    if (parser->phase == PHASE_HEAD) {
        llhttp_resume(&parser->llhttp);
        parser->phase = PHASE_BODY;
    }
}

enum parser_step http_parser_feed(struct http_parser *parser, const char *bytes, size_t len,
                                  size_t *out_taken, enum error *out_error)
{
    struct str left = {len > 0 ? bytes : "", len};
    enum parser_step step = PARSER_NEEDS_MORE;
    size_t taken = 0;

    REQUIRE(parser->phase == PHASE_LINE || parser->phase == PHASE_FIELDS ||
            parser->phase == PHASE_BODY);
    if (parser->phase == PHASE_LINE) {
        step = line_feed(parser, left, &taken, out_error);
        left = (struct str){left.ptr + taken, left.len - taken};
    }
    if (parser->phase == PHASE_FIELDS && left.len > 0) {
        size_t fields_taken = 0;
        step = fields_feed(parser, left, &fields_taken, out_error);
        taken += fields_taken;
    } else if (parser->phase == PHASE_BODY) {
        step = body_feed(parser, left, &taken, out_error);
    }
    *out_taken = taken;
    return step;
}

/* --- the request line ------------------------------------------------------------------------- */

static enum parser_step line_feed(struct http_parser *parser, struct str bytes, size_t *out_taken,
                                  enum error *out_error)
{
    struct request *request = parser->request;
    enum request_line_state state = parser->line_state;
    enum error error = OK;
    size_t at = 0;

    while (at < bytes.len && state == LINE_METHOD_FIRST &&
           (parser->blank_line_is_open || bytes.ptr[at] == '\r' || bytes.ptr[at] == '\n')) {
        error = blank_line_take(parser, bytes.ptr[at]);
        if (error != OK) {
            return parser_fail(parser, error, out_error);
        }
        at++;
    }
    size_t line_at = at;
    while (at < bytes.len && state != LINE_COMPLETE) {
        size_t room = line_room(parser, state, request->head.len + (at - line_at));
        struct str part = {bytes.ptr + at, bytes.len - at < room ? bytes.len - at : room};
        size_t part_taken = request_line_take(&state, part);
        if (state == LINE_REFUSED) {
            return parser_fail(parser, ERROR_REQUEST_MALFORMED, out_error);
        }
        at += part_taken;
        parser->head_bytes += (uint32_t)part_taken;
        /* The line's own length: its CR and LF do not count. */
        if (state < LINE_LF && request->head.len + (at - line_at) > REQUEST_LINE_MAX_BYTES) {
            return parser_fail(parser, ERROR_TARGET_TOO_LONG, out_error);
        }
        if (parser->head_bytes > REQUEST_HEAD_MAX_BYTES) {
            return parser_fail(parser, ERROR_HEAD_TOO_LARGE, out_error);
        }
    }
    parser->line_state = (uint8_t)state;
    buf_append(&request->head, bytes.ptr + line_at, at - line_at);
    *out_taken = at;
    if (state != LINE_COMPLETE) {
        return PARSER_NEEDS_MORE;
    }
    error = line_finish(parser);
    return error == OK ? PARSER_NEEDS_MORE : parser_fail(parser, error, out_error);
}

/* RFC 9112 section 2.2: empty lines before the request line are ignored; here they still end with
 * CRLF like every line. */
static enum error blank_line_take(struct http_parser *parser, char byte)
{
    if (byte != (parser->blank_line_is_open ? '\n' : '\r')) {
        return ERROR_REQUEST_MALFORMED;
    }
    if (++parser->head_bytes > REQUEST_HEAD_MAX_BYTES) {
        return ERROR_HEAD_TOO_LARGE;
    }
    parser->blank_line_is_open = !parser->blank_line_is_open;
    return OK;
}

/* How many bytes may be read at once: up to the first that can break a limit, and that one. */
static size_t line_room(const struct http_parser *parser, enum request_line_state state,
                        size_t line_len)
{
    size_t head_room = REQUEST_HEAD_MAX_BYTES + 1 - parser->head_bytes;
    size_t room = state < LINE_LF ? REQUEST_LINE_MAX_BYTES + 1 - line_len : 1;

    return room < head_room ? room : head_room;
}

static enum error line_finish(struct http_parser *parser)
{
    struct request *request = parser->request;
    enum error error = request_line_judge(request);

    if (error != OK) {
        return error;
    }
    error = parser_pass_line(parser);
    if (error != OK) {
        return error;
    }
    parser->phase = PHASE_FIELDS;
    return OK;
}

/* --- the fields ------------------------------------------------------------------------------- */

static enum parser_step fields_feed(struct http_parser *parser, struct str bytes, size_t *out_taken,
                                    enum error *out_error)
{
    struct request *request = parser->request;
    struct str left = bytes;

    while (left.len > 0 && parser->head_bytes < REQUEST_HEAD_MAX_BYTES) {
        size_t room = REQUEST_HEAD_MAX_BYTES - parser->head_bytes;
        size_t part_max_bytes = room < FIELDS_PART_MAX_BYTES ? room : FIELDS_PART_MAX_BYTES;
        struct str part = {left.ptr, left.len < part_max_bytes ? left.len : part_max_bytes};
        struct feeding feeding = {parser, part.ptr, OK};
        size_t taken = 0;
        llhttp_errno_t result = fields_execute(&feeding, part, &taken);
        if (result != HPE_OK && result != HPE_PAUSED) {
            return parser_fail(parser, feeding_error(&feeding, result), out_error);
        }
        buf_append(&request->head, part.ptr, taken);
        parser->head_bytes += (uint32_t)taken;
        left = (struct str){left.ptr + taken, left.len - taken};
        if (result == HPE_PAUSED) {
            *out_taken = bytes.len - left.len;
            return head_finish(parser);
        }
    }
    *out_taken = bytes.len - left.len;
    if (parser->head_bytes == REQUEST_HEAD_MAX_BYTES) {
        return parser_fail(parser, ERROR_HEAD_TOO_LARGE, out_error);
    }
    return PARSER_NEEDS_MORE;
}

/* llhttp 9.2.1 refuses a tab behind a length or a coding, where RFC 9110 section 5.5 has white
 * space excluded. It is given spaces, which are as wrong as tabs wherever these are wrong; the head
 * keeps what came. */
static llhttp_errno_t fields_execute(struct feeding *feeding, struct str bytes, size_t *out_taken)
{
    if (memchr(bytes.ptr, '\t', bytes.len) == NULL) {
        return parser_execute(feeding, bytes, out_taken);
    }
    char spaced[FIELDS_PART_MAX_BYTES];

    for (size_t i = 0; i < bytes.len; i++) {
        spaced[i] = bytes.ptr[i] == '\t' ? ' ' : bytes.ptr[i];
    }
    feeding->bytes = spaced;
    llhttp_errno_t result = parser_execute(feeding, (struct str){spaced, bytes.len}, out_taken);
    explicit_bzero(spaced, bytes.len);
    return result;
}

/* The white space around values could not be cut before their last byte was there. Only now the
 * request has fields: a head that fails half-way has none that anyone could ask for. */
static enum parser_step head_finish(struct http_parser *parser)
{
    struct request *request = parser->request;
    const char *head = request->head.ptr;

    request->field_count = request->progress.fields_seen;
    for (unsigned i = 0; i < request->field_count; i++) {
        struct request_field *field = &request->fields[i];
        struct str value = str_trim((struct str){head + field->value_at, field->value_len});
        field->value_at = (uint16_t)(value.ptr - head);
        field->value_len = (uint16_t)value.len;
    }
    parser->phase = PHASE_HEAD;
    return PARSER_HEAD;
}

/* --- the body --------------------------------------------------------------------------------- */

static enum parser_step body_feed(struct http_parser *parser, struct str bytes, size_t *out_taken,
                                  enum error *out_error)
{
    struct parser_progress *progress = &parser->request->progress;
    bool is_chunked = (parser->llhttp.flags & F_CHUNKED) != 0;
    bool is_coded = (parser->llhttp.flags & F_TRANSFER_ENCODING) != 0;
    llhttp_errno_t result = HPE_OK;
    size_t taken = 0;

    if (!is_coded && parser->llhttp.content_length == 0) {
        parser->phase = PHASE_DONE;
        *out_taken = 0;
        return PARSER_MESSAGE;
    }
    /* A chunk is judged when its size is complete (on_chunk). */
    if (!is_chunked && parser_content_is_too_long(parser)) {
        return parser_fail(parser, ERROR_BODY_TOO_LARGE, out_error);
    }
    do {
        struct str part = {bytes.ptr + taken, bytes.len - taken};
        uint64_t safe_bytes = framing_max_bytes(progress) - progress->framing_bytes + 1;
        if (is_chunked && part.len > safe_bytes) {
            part.len = (size_t)safe_bytes;
        }
        struct feeding feeding = {parser, part.ptr, OK};
        uint64_t content_before_bytes = progress->content_bytes;
        size_t part_taken = 0;
        result = parser_execute(&feeding, part, &part_taken);
        if (result != HPE_OK && result != HPE_PAUSED) {
            return parser_fail(parser, feeding_error(&feeding, result), out_error);
        }
        taken += part_taken;
        progress->framing_bytes += part_taken - (progress->content_bytes - content_before_bytes);
        if (result == HPE_OK && progress->framing_bytes > framing_max_bytes(progress)) {
            return parser_fail(
                parser, progress->is_in_trailers ? ERROR_HEAD_TOO_LARGE : ERROR_BODY_TOO_LARGE,
                out_error);
        }
    } while (result == HPE_OK && taken < bytes.len);
    *out_taken = taken;
    if (result == HPE_PAUSED) {
        parser->phase = PHASE_DONE;
        return PARSER_MESSAGE;
    }
    return PARSER_NEEDS_MORE;
}

static uint64_t framing_max_bytes(const struct parser_progress *progress)
{
    return BODY_FRAMING_MAX_BYTES + FRAMING_BYTES_PER_CONTENT_BYTE * progress->content_bytes;
}

static enum parser_step parser_fail(struct http_parser *parser, enum error error,
                                    enum error *out_error)
{
    parser->phase = PHASE_FAILED;
    *out_error = error;
    return PARSER_FAILED;
}
