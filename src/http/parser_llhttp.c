/* parser_llhttp.c - llhttp's beginning, its runs and its callbacks.
 *
 * Of a line with a path as its target llhttp has nothing to tell: it takes every visible character
 * there. What it remembers of a line matters to it in CONNECT (not spoken here), in the preface of
 * HTTP/2 (refused before), and for what follows the message (it never sees that). So such a message
 * begins with a copy of the state that llhttp has behind any line. Other targets it reads itself.
 */
#include "http/parser_llhttp.h"

#include "base/require.h"

static const llhttp_t *llhttp_behind_line(void);
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

enum error parser_pass_line(struct http_parser *parser)
{
    struct request *request = parser->request;

    if (request_target(request).ptr[0] == '/') {
        parser->llhttp = *llhttp_behind_line();
        parser->llhttp.http_minor = request->version_minor;
        return OK;
    }
    struct feeding feeding = {parser, request->head.ptr, OK};
    size_t taken = 0;
    llhttp_init(&parser->llhttp, HTTP_REQUEST, &callbacks);
    return parser_execute(&feeding, buf_str(&request->head), &taken) == HPE_OK
               ? OK
               : ERROR_REQUEST_MALFORMED;
}

/* llhttp_t is plain data and points at nothing but the callbacks while no piece of text is open. */
static const llhttp_t *llhttp_behind_line(void)
{
    static const char line[] = "POST / HTTP/1.1\r\n";
    static _Thread_local llhttp_t behind_line;
    static _Thread_local bool is_made;

    if (!is_made) {
        llhttp_init(&behind_line, HTTP_REQUEST, &callbacks);
        REQUIRE(llhttp_execute(&behind_line, line, sizeof line - 1) == HPE_OK);
        is_made = true;
    }
    return &behind_line;
}

llhttp_errno_t parser_execute(struct feeding *feeding, struct str bytes, size_t *out_taken)
{
    llhttp_t *llhttp = &feeding->parser->llhttp;

    llhttp->data = feeding;
    llhttp_errno_t result = llhttp_execute(llhttp, bytes.ptr, bytes.len);
    llhttp->data = NULL;
    *out_taken =
        result == HPE_PAUSED ? (size_t)(llhttp_get_error_pos(llhttp) - bytes.ptr) : bytes.len;
    return result;
}

enum error feeding_error(const struct feeding *feeding, llhttp_errno_t result)
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

/* llhttp.content_length is what is still to come, of the whole body or of the current chunk. */
bool parser_content_is_too_long(const struct http_parser *parser)
{
    const struct parser_progress *progress = &parser->request->progress;

    return progress->content_bytes > progress->content_max_bytes ||
           parser->llhttp.content_length > progress->content_max_bytes - progress->content_bytes;
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
        if (request->progress.fields_seen <= request->fields_capacity ||
            request_fields_grow(request)) {
            request->fields[request->progress.fields_seen - 1] =
                (struct request_field){.name_at = (uint16_t)place_in_head(feeding, at)};
        }
    }
    if (request->progress.fields_seen <= request->fields_capacity) {
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
    return parser_content_is_too_long(feeding->parser) ? feeding_stop(feeding, ERROR_BODY_TOO_LARGE)
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
