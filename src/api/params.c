/* params.c - numbers are plain digits; the link repeats the client's own query as it came. */
#include "api/params.h"

#include "api/json.h"
#include "http/request.h"

static enum error seq_read(struct exchange *exchange, struct str name, int64_t least,
                           int64_t otherwise, int64_t *out_seq);
static bool is_named_before(struct str pair, struct arena *arena);

enum error page_params_read(struct exchange *exchange, struct page_params *out_params)
{
    struct page_params params;

    enum error error = limit_read(exchange, &params.limit);
    if (error != OK) {
        return error;
    }
    error = seq_read(exchange, STR("before"), 1, INT64_MAX, &params.before_seq);
    if (error != OK) {
        return error;
    }
    error = seq_read(exchange, STR("after"), 0, -1, &params.after_seq);
    if (error != OK) {
        return error;
    }
    bool has_seq = params.before_seq != INT64_MAX || params.after_seq != -1;
    if (params.after_seq == -1) {
        params.after_seq = 0;
    }
    if (params.limit == UINT64_MAX && has_seq) {
        params.limit = LIMIT_DEFAULT;
    }
    params.is_paged = params.limit != UINT64_MAX;
    *out_params = params;
    return OK;
}

enum error limit_read(struct exchange *exchange, uint64_t *out_limit)
{
    struct str text;
    uint64_t limit = UINT64_MAX;
    bool is_given = false;

    enum error error =
        request_parameter(&exchange->request, STR("limit"), &exchange->arena, &is_given, &text);
    if (error != OK) {
        return error;
    }
    if (is_given && (!str_to_uint(text, LIMIT_MAX, &limit) || limit == 0)) {
        return ERROR_LIMIT_NOT_ALLOWED;
    }
    *out_limit = limit;
    return OK;
}

static enum error seq_read(struct exchange *exchange, struct str name, int64_t least,
                           int64_t otherwise, int64_t *out_seq)
{
    struct str text;
    uint64_t seq = 0;
    bool is_given = false;

    enum error error =
        request_parameter(&exchange->request, name, &exchange->arena, &is_given, &text);
    if (error != OK) {
        return error;
    }
    if (!is_given) {
        *out_seq = otherwise;
        return OK;
    }
    if (!str_to_uint(text, (uint64_t)JSON_INTEGER_MAX, &seq) || (int64_t)seq < least) {
        return ERROR_SEQ_NOT_ALLOWED;
    }
    *out_seq = (int64_t)seq;
    return OK;
}

void next_link_add(struct exchange *exchange, int64_t before_seq)
{
    struct buf link;
    struct str rest = exchange->request.query;

    buf_init(&link, RESPONSE_FIELDS_MAX_BYTES);
    buf_append_char(&link, '<');
    buf_append_str(&link, exchange->request.path);
    buf_append_char(&link, '?');
    while (rest.ptr != NULL) {
        struct str pair = str_cut(&rest, '&');

        if (pair.len > 0 && !is_named_before(pair, &exchange->arena)) {
            buf_append_str(&link, pair);
            buf_append_char(&link, '&');
        }
    }
    buf_append_str(&link, STR("before="));
    buf_append_int(&link, before_seq);
    buf_append_str(&link, STR(">; rel=\"next\""));
    response_field(&exchange->response, STR("Link"), buf_str(&link));
    buf_release(&link);
}

/* The name may be percent-encoded; that it decodes was seen when the parameters were read. */
static bool is_named_before(struct str pair, struct arena *arena)
{
    struct str value = pair;
    struct str encoded = str_cut(&value, '=');
    struct str name;

    return percent_decode_segment(encoded, arena, &name) == OK && str_equal(name, STR("before"));
}
