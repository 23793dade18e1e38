/* problem.c - the body of every answer of 400 and above: our own form, or RFC 9457 for those who
 * ask for it by name.
 */
#include "base/json_text.h"
#include "http/exchange.h"
#include "http/response.h"

#define RETRY_AFTER_S "1" /* queues drain in well under a second */

static bool accepts_problem(const struct request *request);
static bool quality_is_zero(struct str parameters);
static void error_write(const struct exchange *exchange, enum error error, struct buf *out);
static void problem_write(const struct exchange *exchange, enum error error, struct buf *out);
static void member_write(struct str name, const char *text, struct buf *out);

void response_error(struct exchange *exchange, enum error error)
{
    struct response *response = &exchange->response;
    int status = error_status(error);

    if (exchange->request_id[0] == '\0') {
        exchange_name(exchange);
    }
    response_clear(response);
    response->status = status;
    response->error = error;
    if (accepts_problem(&exchange->request)) {
        response->type = CONTENT_PROBLEM;
        problem_write(exchange, error, &response->body);
    } else {
        response->type = CONTENT_JSON;
        error_write(exchange, error, &response->body);
    }
    if (status == 401) {
        response_field(response, STR("WWW-Authenticate"), STR("Bearer"));
    }
    if (status == 429 || status == 503) {
        response_field(response, STR("Retry-After"), STR(RETRY_AFTER_S));
    }
}

static bool accepts_problem(const struct request *request)
{
    struct str rest;

    if (!request_field_find(request, STR("Accept"), &rest)) {
        return false;
    }
    while (rest.ptr != NULL) {
        struct str parameters = str_cut(&rest, ',');
        struct str range = str_trim(str_cut(&parameters, ';'));
        if (str_equal_ascii_case(range, STR("application/problem+json"))) {
            return !quality_is_zero(parameters);
        }
    }
    return false;
}

/* q=0, q=0.0 and so on: "not this one" (RFC 9110 section 12.4.2). */
static bool quality_is_zero(struct str parameters)
{
    while (parameters.ptr != NULL) {
        struct str value = str_cut(&parameters, ';');
        struct str name = str_trim(str_cut(&value, '='));
        if (!str_equal_ascii_case(name, STR("q"))) {
            continue;
        }
        value = str_trim(value);
        for (size_t i = 0; i < value.len; i++) {
            if (value.ptr[i] != '0' && value.ptr[i] != '.') {
                return false;
            }
        }
        return value.len > 0;
    }
    return false;
}

static void error_write(const struct exchange *exchange, enum error error, struct buf *out)
{
    buf_append_char(out, '{');
    member_write(STR("error"), error_text(error), out);
    buf_append_char(out, ',');
    member_write(STR("code"), error_code(error), out);
    buf_append_str(out, STR(",\"status\":"));
    buf_append_int(out, error_status(error));
    buf_append_char(out, ',');
    member_write(STR("request_id"), exchange->request_id, out);
    buf_append_char(out, '}');
}

static void problem_write(const struct exchange *exchange, enum error error, struct buf *out)
{
    buf_append_str(out, STR("{\"type\":\"about:blank\","));
    member_write(STR("title"), status_phrase(error_status(error)), out);
    buf_append_str(out, STR(",\"status\":"));
    buf_append_int(out, error_status(error));
    buf_append_char(out, ',');
    member_write(STR("detail"), error_text(error), out);
    buf_append_char(out, ',');
    member_write(STR("code"), error_code(error), out);
    buf_append_char(out, ',');
    member_write(STR("request_id"), exchange->request_id, out);
    buf_append_char(out, '}');
}

static void member_write(struct str name, const char *text, struct buf *out)
{
    buf_append_char(out, '"');
    buf_append_str(out, name);
    buf_append_str(out, STR("\":\""));
    json_escape(str_from(text), out);
    buf_append_char(out, '"');
}
