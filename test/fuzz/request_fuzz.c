/* request_fuzz.c - the whole way of requests, from their bytes to their answers, on the fake store:
 * every request has one whole answer, and every body that says it is JSON is.
 *
 * The server has two accounts that wrote to each other; TOKEN_ANN and TOKEN_BOB stand in the seeds.
 * Each input meets the same store, so that a finding can be run again: where something was written,
 * it is made anew. Input: what one connection sends, requests one behind the other.
 */
#include <stdlib.h>
#include <string.h>

#include "api/dispatch.h"
#include "api/json_check.h"
#include "api/routes.h"
#include "api/services.h"
#include "base/digest.h"
#include "base/log.h"
#include "domain/message.h"
#include "fuzz/fuzz.h"
#include "http/admission.h"
#include "http/parser.h"
#include "http/upgrade.h"
#include "support/store_fake.h"

#define TOKEN_ANN STR("AnnAnnAnnAnnAnnAnnAnnAnnAnnAnn01")
#define TOKEN_BOB STR("BobBobBobBobBobBobBobBobBobBob02")
#define NOW_MS 1762171200000
#define BODY_MAX_BYTES (256u * 1024u)
#define ANSWER_MAX_BYTES (64u * 1024u * 1024u)
#define DATE "Mon, 03 Nov 2025 12:00:00 GMT"

static struct store *store;
static struct services services[LANE_COUNT];
static struct api_settings settings = {
    .message_max_bytes = 64u * 1024u, .password_cost = PASSWORD_COST_MIN, .password_min_bytes = 1};
static struct readiness readiness;
static const struct cors_policy cors = {.allows_all = true};

static bool store_is_written; /* since it was made */

static void services_make(void);
static void store_make(void);
static int64_t account_make(struct str name, struct str token);
static bool request_run(struct http_parser *parser, struct exchange *exchange, struct str *bytes);
static bool step(struct http_parser *parser, struct str *bytes, enum parser_step *out_step);
static bool answer(struct exchange *exchange);
static void lend(struct exchange *exchange);
static void pages_collect(struct exchange *exchange, struct buf *body);
static void answer_judge(const struct exchange *exchange, const struct buf *body);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str bytes = bytes_of(data, size);
    struct http_parser parser;
    bool goes_on = true;

    if (store == NULL) {
        log_setup(LOG_OFF, LOG_FORM_TEXT);
        services_make();
        store_make();
    }
    http_parser_init(&parser);
    while (goes_on && bytes.len > 0) {
        struct exchange *exchange = exchange_new();

        goes_on = request_run(&parser, exchange, &bytes);
        exchange_free(exchange);
    }
    if (store_is_written) {
        store_fake_free(store);
        store_make();
    }
    return 0;
}

/* ---- the server ------------------------------------------------------------------------------ */

static void services_make(void)
{
    for (unsigned lane = LANE_LOOP; lane < LANE_COUNT; lane++) {
        services[lane] = (struct services){
            .lane = (enum lane)lane,
            .scratch = lane == LANE_HASH ? password_scratch_new() : NULL,
            .settings = &settings,
            .readiness = &readiness,
        };
    }
}

static void store_make(void)
{
    struct arena arena;
    struct message_sent sent;
    struct message_draft draft = {.to_username = STR("bob"),
                                  .content = STR("hello"),
                                  .content_json = STR("hello"),
                                  .now_ms = NOW_MS};

    store = store_fake_new();
    services[LANE_READ].store = store;
    services[LANE_WRITE].store = store;
    arena_init(&arena);
    HOLDS(store_batch_begin(store) == OK);
    draft.sender_id = account_make(STR("ann"), TOKEN_ANN);
    (void)account_make(STR("bob"), TOKEN_BOB);
    HOLDS(message_send(store, &draft, &arena, &sent) == OK);
    HOLDS(store_batch_commit(store) == OK);
    arena_release(&arena);
    store_is_written = false;
}

static int64_t account_make(struct str name, struct str token)
{
    struct name_row named = {.name = name, .folded = name, .state = NAME_CURRENT};
    struct sha256 digest;
    int64_t session_id;

    HOLDS(store_account_add(store, name, STR("$2b$04$none"), NOW_MS, &named.account_id) == OK);
    HOLDS(store_name_set(store, &named) == OK);
    sha256_of(token, &digest);
    HOLDS(store_session_add(store, named.account_id, &digest, STR(""), NOW_MS, &session_id) == OK);
    return named.account_id;
}

/* ---- one request ----------------------------------------------------------------------------- */

/* False when the connection would end. */
static bool request_run(struct http_parser *parser, struct exchange *exchange, struct str *bytes)
{
    const struct admission_policy policy = {
        .routes = api_routes, .cors = &cors, .body_max_bytes = BODY_MAX_BYTES};
    enum parser_step done = PARSER_NEEDS_MORE;
    bool must_close = false;

    http_parser_begin(parser, &exchange->request);
    if (!step(parser, bytes, &done)) {
        return false;
    }
    bool is_answered = exchange_admit(exchange, &policy, &must_close) == ADMITTED_ANSWERED;

    exchange->is_done = is_answered;
    if (is_answered && (must_close || !answer(exchange))) {
        return false;
    }
    http_parser_expect_body(parser, BODY_MAX_BYTES, !is_answered);
    if (!step(parser, bytes, &done) || done != PARSER_MESSAGE) {
        return false;
    }
    return is_answered || answer(exchange);
}

static bool step(struct http_parser *parser, struct str *bytes, enum parser_step *out_step)
{
    enum error error = OK;
    size_t taken = 0;

    *out_step = http_parser_feed(parser, bytes->ptr, bytes->len, &taken, &error);
    if (*out_step == PARSER_FAILED) {
        HOLDS(error_status(error) >= 400);
        return false;
    }
    HOLDS(taken <= bytes->len);
    *bytes = (struct str){bytes->ptr + taken, bytes->len - taken};
    return *out_step != PARSER_NEEDS_MORE;
}

/* Runs what is left of it and judges the answer; false when the connection would end, or goes on as
 * a stream. */
static bool answer(struct exchange *exchange)
{
    struct buf body;

    while (!exchange->is_done || exchange->notes_use) {
        lend(exchange);
    }
    if (exchange->follow.kind != FOLLOW_NOTHING && exchange->follow.kind != FOLLOW_TELL) {
        return false;
    }
    buf_init(&body, ANSWER_MAX_BYTES);
    pages_collect(exchange, &body);
    answer_judge(exchange, &body);
    buf_release(&body);
    return !response_ends_connection(exchange);
}

static void lend(struct exchange *exchange)
{
    enum lane lane = exchange_lane(exchange);
    struct list batch;

    services[lane].now_ms = NOW_MS;
    if (lane == LANE_LOOP) {
        exchange_run_step(exchange, &services[LANE_LOOP]);
        return;
    }
    store_is_written = store_is_written || lane == LANE_WRITE;
    list_init(&batch);
    list_append(&batch, &exchange->node);
    HOLDS(dispatch_batch(&services[lane], &batch, NULL) == OK);
    list_remove(&exchange->node);
}

static void pages_collect(struct exchange *exchange, struct buf *body)
{
    buf_append_str(body, buf_str(&exchange->response.body));
    while (exchange->response.has_more && exchange->request.method != METHOD_HEAD) {
        exchange->page++;
        lend(exchange);
        HOLDS(!exchange->response.failed);
        buf_append_str(body, buf_str(&exchange->response.body));
    }
    HOLDS(!body->overflowed);
}

static void answer_judge(const struct exchange *exchange, const struct buf *body)
{
    const struct response *response = &exchange->response;
    struct buf head;

    HOLDS(response->status >= 101 && response->status <= 599);
    HOLDS((response->error == OK) == (response->status < 400));
    /* A fault of the store cannot be here: it fails never. */
    HOLDS(response->status < 500 || response->status == 501 || response->status == 503);
    if (response->status >= 400 ||
        (response->type == CONTENT_JSON && exchange->request.method != METHOD_HEAD)) {
        HOLDS(body->len > 0 || response->status < 400);
        if (body->len > 0 && body->len < JSON_VALUES_MAX) {
            HOLDS(json_check(buf_str(body)) == OK);
        }
    }
    buf_init(&head, ANSWER_MAX_BYTES);
    response_write_head(exchange, &cors, DATE, &head);
    HOLDS(!head.overflowed && head.len > 4);
    HOLDS(memcmp(head.ptr + head.len - 4, "\r\n\r\n", 4) == 0);
    /* No line of it was made by the client: each has a name, and nothing has a NUL. */
    HOLDS(memchr(head.ptr, '\0', head.len) == NULL);
    HOLDS(memmem(head.ptr, head.len - 2, "\r\n\r\n", 4) == NULL ||
          memmem(head.ptr, head.len - 2, "\r\n\r\n", 4) == head.ptr + head.len - 4);
    buf_release(&head);
}
