/* loopback.c - what net does with an exchange, without its sockets and threads. */
#include "support/loopback.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/dispatch.h"
#include "api/routes.h"
#include "base/require.h"
#include "http/admission.h"
#include "http/parser.h"

#define BODY_MAX_BYTES (256u * 1024u)
#define ANSWER_MAX_BYTES (256u * 1024u * 1024u)
#define MEMBER_MAX_BYTES 4096u

static void parse(struct http_parser *parser, struct str *rest, enum parser_step wanted);
static void lend(struct loopback *loopback, struct exchange *exchange);
static void page_collect(const struct exchange *exchange, struct answer *answer);

void loopback_init(struct loopback *loopback, struct store *store)
{
    *loopback = (struct loopback){
        .store = store,
        .settings = {.message_max_bytes = 64u * 1024u,
                     .password_cost = PASSWORD_COST_MIN,
                     .password_min_bytes = 1},
    };
    for (unsigned lane = LANE_LOOP; lane < LANE_COUNT; lane++) {
        loopback->services[lane] = (struct services){
            .lane = (enum lane)lane,
            .store = lane == LANE_READ || lane == LANE_WRITE ? store : NULL,
            .scratch = lane == LANE_HASH ? password_scratch_new() : NULL,
            .settings = &loopback->settings,
            .readiness = &loopback->readiness,
        };
    }
}

void loopback_release(struct loopback *loopback)
{
    password_scratch_free(loopback->services[LANE_HASH].scratch);
}

struct exchange *loopback_admit(struct loopback *loopback, struct str request)
{
    const struct cors_policy cors = {.allows_all = true};
    const struct admission_policy policy = {
        .routes = api_routes, .cors = &cors, .body_max_bytes = BODY_MAX_BYTES};
    struct exchange *exchange = exchange_new();
    struct http_parser parser;
    bool must_close = false;

    (void)loopback;
    http_parser_init(&parser);
    http_parser_begin(&parser, &exchange->request);
    parse(&parser, &request, PARSER_HEAD);
    if (exchange_admit(exchange, &policy, &must_close) == ADMITTED_ANSWERED) {
        exchange->is_done = true;
        return exchange;
    }
    http_parser_expect_body(&parser, BODY_MAX_BYTES, true);
    parse(&parser, &request, PARSER_MESSAGE);
    REQUIRE(request.len == 0);
    return exchange;
}

static void parse(struct http_parser *parser, struct str *rest, enum parser_step wanted)
{
    size_t taken = 0;
    enum error error = OK;
    enum parser_step step = http_parser_feed(parser, rest->ptr, rest->len, &taken, &error);

    REQUIRE(step == wanted);
    *rest = (struct str){rest->ptr + taken, rest->len - taken};
}

enum error loopback_run(struct loopback *loopback, enum lane lane, struct list *batch)
{
    return dispatch_batch(&loopback->services[lane], batch, NULL);
}

static void lend(struct loopback *loopback, struct exchange *exchange)
{
    enum lane lane = exchange_lane(exchange);
    struct list batch;

    if (lane == LANE_LOOP) {
        exchange_run_step(exchange, &loopback->services[LANE_LOOP]);
        return;
    }
    if (lane == LANE_READ && loopback->uses_write_lane_only) {
        lane = LANE_WRITE;
    }
    list_init(&batch);
    list_append(&batch, &exchange->node);
    (void)loopback_run(loopback, lane, &batch);
    list_remove(&exchange->node);
}

void loopback_ask(struct loopback *loopback, struct str request, between_pages between,
                  struct answer *out_answer)
{
    struct exchange *exchange = loopback_admit(loopback, request);
    struct answer answer = {0};

    buf_init(&answer.fields, RESPONSE_FIELDS_MAX_BYTES);
    buf_init(&answer.body, ANSWER_MAX_BYTES);
    while (!exchange->is_done || exchange->notes_use) {
        lend(loopback, exchange);
    }
    answer.status = exchange->response.status;
    buf_append_str(&answer.fields, buf_str(&exchange->response.fields));
    page_collect(exchange, &answer);
    while (exchange->response.has_more && exchange->request.method != METHOD_HEAD) {
        if (between != NULL) {
            between(loopback, exchange->page);
        }
        exchange->page++;
        lend(loopback, exchange);
        if (exchange->response.failed) {
            answer.failed = true;
            break;
        }
        page_collect(exchange, &answer);
    }
    answer.error = exchange->response.error;
    /* A NUL behind it, not counted, so that tests can search it as a string. */
    buf_append_char(&answer.body, '\0');
    REQUIRE(!answer.body.overflowed);
    buf_truncate(&answer.body, answer.body.len - 1);
    exchange_free(exchange);
    *out_answer = answer;
}

static void page_collect(const struct exchange *exchange, struct answer *answer)
{
    size_t len = exchange->response.body.len;

    buf_append_str(&answer->body, buf_str(&exchange->response.body));
    answer->page_count++;
    answer->page_max_bytes = len > answer->page_max_bytes ? len : answer->page_max_bytes;
    if (exchange->arena.total_bytes > answer->arena_max_bytes) {
        answer->arena_max_bytes = exchange->arena.total_bytes;
    }
}

void loopback_request(struct loopback *loopback, const char *method, const char *target,
                      const char *token, const char *body, const char *fields,
                      struct answer *out_answer)
{
    struct buf request;

    buf_init(&request, ANSWER_MAX_BYTES);
    buf_append_format(&request, "%s %s HTTP/1.1\r\nHost: localhost\r\n", method, target);
    if (token != NULL) {
        buf_append_format(&request, "Authorization: Bearer %s\r\n", token);
    }
    if (fields != NULL) {
        buf_append_str(&request, str_from(fields));
    }
    if (body != NULL) {
        if (fields == NULL || strstr(fields, "Content-Type") == NULL) {
            buf_append_str(&request, STR("Content-Type: application/json\r\n"));
        }
        buf_append_format(&request, "Content-Length: %zu\r\n", strlen(body));
    }
    buf_append_str(&request, STR("\r\n"));
    if (body != NULL) {
        buf_append_str(&request, str_from(body));
    }
    loopback_ask(loopback, buf_str(&request), NULL, out_answer);
    buf_release(&request);
}

void loopback_expect(struct loopback *loopback, const char *method, const char *target,
                     const char *token, const char *body, int status, const char *code)
{
    struct answer answer;

    loopback_request(loopback, method, target, token, body, NULL, &answer);
    const char *answered = status >= 400 ? answer_member(&answer, "code") : "";
    if (answer.status != status || strcmp(answered, code != NULL ? code : "") != 0) {
        fprintf(stderr, "%s %s %s: %d %s instead of %d %s\n", method, target,
                body != NULL ? body : "", answer.status, answered, status,
                code != NULL ? code : "");
        abort();
    }
    answer_release(&answer);
}

void loopback_account(struct loopback *loopback, const char *name, char out_token[TOKEN_LEN + 1])
{
    struct answer answer;
    char body[256];

    snprintf(body, sizeof body, "{\"username\":\"%s\",\"password\":\"secret\"}", name);
    loopback_request(loopback, "POST", "/api/account/create", NULL, body, NULL, &answer);
    REQUIRE(answer.status == 200);
    const char *token = answer_member(&answer, "token");
    REQUIRE(strlen(token) == TOKEN_LEN);
    memcpy(out_token, token, TOKEN_LEN + 1);
    answer_release(&answer);
}

void answer_release(struct answer *answer)
{
    buf_release(&answer->fields);
    buf_release(&answer->body);
}

const char *answer_member(const struct answer *answer, const char *name)
{
    static char text[MEMBER_MAX_BYTES];
    char quoted[128];
    struct str body = buf_str(&answer->body);

    snprintf(quoted, sizeof quoted, "\"%s\":", name);
    const char *at = body.len == 0 ? NULL : memmem(body.ptr, body.len, quoted, strlen(quoted));
    if (at == NULL) {
        return "";
    }
    at += strlen(quoted);
    const char *ends = ",}]";
    if (*at == '"') {
        ends = "\"";
        at++;
    }
    size_t len = 0;
    while (at + len < body.ptr + body.len && strchr(ends, at[len]) == NULL &&
           len + 1 < sizeof text) {
        text[len] = at[len];
        len++;
    }
    text[len] = '\0';
    return text;
}

bool answer_has_field(const struct answer *answer, const char *line)
{
    struct str fields = buf_str(&answer->fields);

    return fields.len > 0 && memmem(fields.ptr, fields.len, line, strlen(line)) != NULL;
}
