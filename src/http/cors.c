/* cors.c - two kinds of policy: every origin, or a list of exact ones.
 *
 * With a list every answer varies with Origin, also to requests without one: else a cache could
 * give a page the answer that was made for nobody.
 */
#include "http/cors.h"

#define CORS_ALLOWED_FIELDS                                                                        \
    "Authorization, Content-Type, Idempotency-Key, If-None-Match, Last-Event-ID, X-Request-Id"
#define CORS_EXPOSED_FIELDS                                                                        \
    "ETag, Link, MigChat-Cursor, Idempotent-Replay, Retry-After, X-Request-Id"
#define CORS_MAX_AGE_S "7200" /* the longest that browsers keep to */

static bool origin_is_allowed(const struct cors_policy *cors, const struct request *request,
                              struct str *out_origin);

void cors_answer_fields(const struct cors_policy *cors, const struct request *request,
                        struct buf *out)
{
    struct str origin;

    if (!cors->allows_all) {
        buf_append_str(out, STR("Vary: Origin\r\n"));
    }
    if (!origin_is_allowed(cors, request, &origin)) {
        return;
    }
    buf_append_str(out, STR("Access-Control-Allow-Origin: "));
    buf_append_str(out, cors->allows_all ? STR("*") : origin);
    buf_append_str(out, STR("\r\nAccess-Control-Expose-Headers: " CORS_EXPOSED_FIELDS "\r\n"));
}

void cors_preflight_fields(const struct cors_policy *cors, const struct request *request,
                           struct str methods, struct response *response)
{
    struct str origin, asked_method;

    if (!request_field_find(request, STR("Access-Control-Request-Method"), &asked_method) ||
        !origin_is_allowed(cors, request, &origin)) {
        return;
    }
    response_field(response, STR("Access-Control-Allow-Methods"), methods);
    response_field(response, STR("Access-Control-Allow-Headers"), STR(CORS_ALLOWED_FIELDS));
    response_field(response, STR("Access-Control-Max-Age"), STR(CORS_MAX_AGE_S));
}

static bool origin_is_allowed(const struct cors_policy *cors, const struct request *request,
                              struct str *out_origin)
{
    struct str origin;

    if (!request_field_find(request, STR("Origin"), &origin) || !cors_allows_origin(cors, origin)) {
        return false;
    }
    *out_origin = origin;
    return true;
}

bool cors_allows_origin(const struct cors_policy *cors, struct str origin)
{
    bool is_allowed = cors->allows_all;

    for (unsigned i = 0; i < cors->origin_count && !is_allowed; i++) {
        is_allowed = str_equal(cors->origins[i], origin);
    }
    return is_allowed;
}
