/* problem.c - the body of every answer of 400 and above: our own form, or RFC 9457 for those who
 * ask for it by name.
 */
#include "base/json_text.h"
#include "base/put.h"
#include "http/accept.h"
#include "http/exchange.h"
#include "http/response.h"

#define RETRY_AFTER_S "1" /* a full queue has places again with the next commit or hash */
#define RETRY_MAX_BYTES 24u

static void retry_field(struct response *response, unsigned seconds);
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
    if (accept_names(&exchange->request, STR("Accept"), STR("application/problem+json"))) {
        response->type = CONTENT_PROBLEM;
        problem_write(exchange, error, &response->body);
    } else {
        response->type = CONTENT_JSON;
        error_write(exchange, error, &response->body);
    }
    if (status == 401) {
        response_field(response, STR("WWW-Authenticate"), STR("Bearer"));
    }
    if (status == 503) {
        response_field(response, STR("Retry-After"), STR(RETRY_AFTER_S));
    } else if (status == 429) {
        retry_field(response, exchange->retry_after_s);
    }
}

static void retry_field(struct response *response, unsigned seconds)
{
    char text[RETRY_MAX_BYTES];

    response_field(response, STR("Retry-After"),
                   (struct str){text, (size_t)(put_uint(text, seconds) - text)});
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
