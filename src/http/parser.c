/* parser.c - one message at a time, from bytes to struct request.
 *
 *        bytes           CRLF           blank line          last byte
 *   LINE -----> (LINE) -------> FIELDS -----------> HEAD ... BODY ------> DONE
 *     \____________\_______________\__________________________/
 *                                  v  anything refused
 *                               FAILED
 *
 * 1. LINE: blank lines are skipped, the request line is checked byte by byte (request_line.h) and
 *    copied to the head. When it is complete and ours, llhttp gets it.
 * 2. FIELDS: llhttp reads the fields where they lie, in the caller's bytes. The callbacks only note
 *    places: a byte's place in the head is what the head held before plus its distance from the
 *    first byte of this feed. What llhttp has taken is then copied to the head, once.
 * 3. HEAD: llhttp is paused. The caller judges the request and calls http_parser_expect_body.
 * 4. BODY: llhttp strips the chunk framing; on_body counts and keeps. Pausing at the end leaves the
 *    bytes behind the message untouched.
 *
 * Invariants
 * - What is said of a message depends on its bytes alone, never on how they were cut: llhttp is
 * never given more than the one byte that would break a limit, so a limit is seen at that byte.
 * - llhttp is started afresh for each message; nothing of one can leak into the next.
 * - Nothing lenient is ever switched on.
 */
#include "http/parser.h"

#include <string.h>

#include "base/require.h"
#include "http/request_line.h"

#define FRAMING_BYTES_PER_CONTENT_BYTE 8u

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

static enum parser_step line_feed(struct http_parser *parser, struct str bytes, size_t *out_taken,
                                  enum error *out_error);
static enum error blank_line_take(struct http_parser *parser, char byte);
static enum error line_finish(struct http_parser *parser);
static enum parser_step fields_feed(struct http_parser *parser, struct str bytes, size_t *out_taken,
                                    enum error *out_error);
static llhttp_errno_t fields_execute(struct feeding *feeding, struct str bytes, size_t *out_taken);
static enum parser_step head_finish(struct http_parser *parser);
static enum parser_step body_feed(struct http_parser *parser, struct str bytes, size_t *out_taken,
                                  enum error *out_error);
static bool content_is_too_long(const struct http_parser *parser);
static uint64_t framing_max_bytes(const struct parser_progress *progress);
static llhttp_errno_t bytes_execute(struct feeding *feeding, struct str bytes, size_t *out_taken);
static enum error feeding_error(const struct feeding *feeding, llhttp_errno_t result);
static enum parser_step parser_fail(struct http_parser *parser, enum error error,
                                    enum error *out_error);

static int on_name(llhttp_t *llhttp, const char *at, size_t len);
static int on_name_end(llhttp_t *llhttp);
static int on_value(llhttp_t *llhttp, const char *at, size_t len);
static int on_head_end(llhttp_t *llhttp);
static int on_chunk(llhttp_t *llhttp);
static int on_content(llhttp_t *llhttp, const char *at, size_t len);
static int on_message_end(llhttp_t *llhttp);
static int feeding_stop(struct feeding *feeding, enum error error);
static size_t place_in_head(const struct feeding *feeding, const char *at);

static const llhttp_settings_t callbacks = {
    .on_header_field = on_name,
    .on_header_field_complete = on_name_end,
    .on_header_value = on_value,
    .on_headers_complete = on_head_end,
    .on_chunk_header = on_chunk,
    .on_body = on_content,
    .on_message_complete = on_message_end,
};

void http_parser_init(struct http_parser *parser)
{
    memset(parser, 0, sizeof *parser);
    parser->phase = PHASE_IDLE;
}

void http_parser_begin(struct http_parser *parser, struct request *request)
{
    http_parser_init(parser);
    llhttp_init(&parser->llhttp, HTTP_REQUEST, &callbacks);
    parser->request = request;
    parser->phase = PHASE_LINE;
    parser->line_state = LINE_METHOD_FIRST;
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
        state = request_line_next(state, (unsigned char)bytes.ptr[at]);
        if (state == LINE_REFUSED) {
            return parser_fail(parser, ERROR_REQUEST_MALFORMED, out_error);
        }
        at++;
        /* The line's own length: its CR and LF do not count. */
        if (state < LINE_LF && request->head.len + (at - line_at) > REQUEST_LINE_MAX_BYTES) {
            return parser_fail(parser, ERROR_TARGET_TOO_LONG, out_error);
        }
        if (++parser->head_bytes > REQUEST_HEAD_MAX_BYTES) {
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

static enum error line_finish(struct http_parser *parser)
{
    struct request *request = parser->request;
    enum error error = request_line_judge(request);

    if (error != OK) {
        return error;
    }
    struct feeding feeding = {parser, request->head.ptr, OK};
    size_t taken = 0;
    if (bytes_execute(&feeding, buf_str(&request->head), &taken) != HPE_OK) {
        return ERROR_REQUEST_MALFORMED;
    }
    parser->phase = PHASE_FIELDS;
    return OK;
}

/* --- the fields ------------------------------------------------------------------------------- */

static enum parser_step fields_feed(struct http_parser *parser, struct str bytes, size_t *out_taken,
                                    enum error *out_error)
{
    struct request *request = parser->request;
    size_t left_bytes = REQUEST_HEAD_MAX_BYTES - parser->head_bytes;
    size_t taken = 0;

    struct str within = {bytes.ptr, bytes.len < left_bytes ? bytes.len : left_bytes};
    struct feeding feeding = {parser, within.ptr, OK};
    llhttp_errno_t result = fields_execute(&feeding, within, &taken);
    if (result != HPE_OK && result != HPE_PAUSED) {
        return parser_fail(parser, feeding_error(&feeding, result), out_error);
    }
    buf_append(&request->head, bytes.ptr, taken);
    parser->head_bytes += (uint32_t)taken;
    *out_taken = taken;
    if (result == HPE_PAUSED) {
        return head_finish(parser);
    }
    if (parser->head_bytes == REQUEST_HEAD_MAX_BYTES) {
        return parser_fail(parser, ERROR_HEAD_TOO_LARGE, out_error);
    }
    return PARSER_NEEDS_MORE;
}

/* llhttp 9.2.1 refuses a tab behind a length or a coding, where RFC 9110 section 5.5 has white
 * space excluded. It is given spaces, which are as wrong as tabs wherever these are wrong; the head
 * keeps what came. The copy is declared only where it is needed: it is cleared at that point. */
static llhttp_errno_t fields_execute(struct feeding *feeding, struct str bytes, size_t *out_taken)
{
    if (memchr(bytes.ptr, '\t', bytes.len) == NULL) {
        return bytes_execute(feeding, bytes, out_taken);
    }
    char spaced[REQUEST_HEAD_MAX_BYTES];

    for (size_t i = 0; i < bytes.len; i++) {
        spaced[i] = bytes.ptr[i] == '\t' ? ' ' : bytes.ptr[i];
    }
    feeding->bytes = spaced;
    return bytes_execute(feeding, (struct str){spaced, bytes.len}, out_taken);
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
    llhttp_errno_t result = HPE_OK;
    size_t taken = 0;

    /* A chunk is judged when its size is complete (on_chunk). */
    if (!is_chunked && content_is_too_long(parser)) {
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
        result = bytes_execute(&feeding, part, &part_taken);
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

/* llhttp.content_length is what is still to come, of the whole body or of the current chunk. */
static bool content_is_too_long(const struct http_parser *parser)
{
    const struct parser_progress *progress = &parser->request->progress;

    return progress->content_bytes > progress->content_max_bytes ||
           parser->llhttp.content_length > progress->content_max_bytes - progress->content_bytes;
}

static uint64_t framing_max_bytes(const struct parser_progress *progress)
{
    return BODY_FRAMING_MAX_BYTES + FRAMING_BYTES_PER_CONTENT_BYTE * progress->content_bytes;
}

/* --- llhttp ----------------------------------------------------------------------------------- */

/* HPE_PAUSED leaves the bytes behind the pause; HPE_OK has taken all. */
static llhttp_errno_t bytes_execute(struct feeding *feeding, struct str bytes, size_t *out_taken)
{
    llhttp_t *llhttp = &feeding->parser->llhttp;

    llhttp->data = feeding;
    llhttp_errno_t result = llhttp_execute(llhttp, bytes.ptr, bytes.len);
    llhttp->data = NULL;
    *out_taken =
        result == HPE_PAUSED ? (size_t)(llhttp_get_error_pos(llhttp) - bytes.ptr) : bytes.len;
    return result;
}

static enum error feeding_error(const struct feeding *feeding, llhttp_errno_t result)
{
    if (feeding->error != OK) {
        return feeding->error;
    }
    switch (result) {
    case HPE_UNEXPECTED_CONTENT_LENGTH:
    case HPE_INVALID_CONTENT_LENGTH:
    case HPE_INVALID_TRANSFER_ENCODING:
        return ERROR_FRAMING_MALFORMED;
    default:
        return feeding->parser->phase == PHASE_BODY ? ERROR_FRAMING_MALFORMED
                                                    : ERROR_REQUEST_MALFORMED;
    }
}

static enum parser_step parser_fail(struct http_parser *parser, enum error error,
                                    enum error *out_error)
{
    parser->phase = PHASE_FAILED;
    *out_error = error;
    return PARSER_FAILED;
}

/* --- callbacks -------------------------------------------------------------------------------- */

/* Names and values come in pieces when they were cut; trailers come here too and are dropped. */
static int on_name(llhttp_t *llhttp, const char *at, size_t len)
{
    struct feeding *feeding = llhttp->data;
    struct request *request = feeding->parser->request;

    if (feeding->parser->phase != PHASE_FIELDS) {
        return HPE_OK;
    }
    if (!request->progress.name_is_open) {
        request->progress.name_is_open = true;
        request->progress.fields_seen++;
        if (request->progress.fields_seen <= REQUEST_FIELDS_MAX) {
            request->fields[request->progress.fields_seen - 1] =
                (struct request_field){.name_at = (uint16_t)place_in_head(feeding, at)};
        }
    }
    if (request->progress.fields_seen <= REQUEST_FIELDS_MAX) {
        struct request_field *field = &request->fields[request->progress.fields_seen - 1];
        field->name_len = (uint16_t)(field->name_len + len);
    }
    return HPE_OK;
}

/* One field too many is refused at its colon: a bad name is a bad name first, cut or not. */
static int on_name_end(llhttp_t *llhttp)
{
    struct feeding *feeding = llhttp->data;
    struct parser_progress *progress = &feeding->parser->request->progress;

    progress->name_is_open = false;
    return progress->fields_seen > REQUEST_FIELDS_MAX ? feeding_stop(feeding, ERROR_HEAD_TOO_LARGE)
                                                      : HPE_OK;
}

static int on_value(llhttp_t *llhttp, const char *at, size_t len)
{
    struct feeding *feeding = llhttp->data;
    struct request *request = feeding->parser->request;

    if (feeding->parser->phase != PHASE_FIELDS || len == 0) {
        return HPE_OK;
    }
    struct request_field *field = &request->fields[request->progress.fields_seen - 1];
    size_t place = place_in_head(feeding, at);
    if (field->value_len == 0) {
        field->value_at = (uint16_t)place;
    } else if (place != (size_t)field->value_at + field->value_len) {
        return feeding_stop(feeding, ERROR_REQUEST_MALFORMED); /* a folded line */
    }
    field->value_len = (uint16_t)(field->value_len + len);
    return HPE_OK;
}

static int on_head_end(llhttp_t *llhttp)
{
    /* An Upgrade is an ordinary request to the framing: it may have content (RFC 9110 section 7.8).
     */
    llhttp->upgrade = 0;
    return HPE_PAUSED;
}

static int on_chunk(llhttp_t *llhttp)
{
    struct feeding *feeding = llhttp->data;

    if (llhttp->content_length == 0) {
        feeding->parser->request->progress.is_in_trailers = true;
    }
    return content_is_too_long(feeding->parser) ? feeding_stop(feeding, ERROR_BODY_TOO_LARGE)
                                                : HPE_OK;
}

static int on_content(llhttp_t *llhttp, const char *at, size_t len)
{
    struct feeding *feeding = llhttp->data;
    struct request *request = feeding->parser->request;

    request->progress.content_bytes += len;
    if (request->progress.content_bytes > request->progress.content_max_bytes) {
        return feeding_stop(feeding, ERROR_BODY_TOO_LARGE);
    }
    if (request->progress.keeps_body) {
        buf_append(&request->body, at, len);
    }
    return HPE_OK;
}

static int on_message_end(llhttp_t *llhttp)
{
    (void)llhttp;
    return HPE_PAUSED;
}

static int feeding_stop(struct feeding *feeding, enum error error)
{
    feeding->error = error;
    return HPE_USER;
}

static size_t place_in_head(const struct feeding *feeding, const char *at)
{
    return feeding->parser->request->head.len + (size_t)(at - feeding->bytes);
}

#define TEXT_OF_VALUE(value) #value
#define TEXT_OF(macro) TEXT_OF_VALUE(macro)

const char *parser_library_version(void)
{
    return "llhttp " TEXT_OF(LLHTTP_VERSION_MAJOR) "." TEXT_OF(LLHTTP_VERSION_MINOR) "." TEXT_OF(
        LLHTTP_VERSION_PATCH);
}
