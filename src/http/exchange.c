/* exchange.c - an exchange's storage, its name in the log, and its steps.
 *
 *   admitted -> step 0 -> ... -> last step -> is_done -> (has_more: last step again for each page)
 *                  \ an error: its response is made -> is_done
 */
#include "http/exchange.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "base/require.h"

#define REQUEST_ID_MADE_LEN 16u
/* The same byte eight times. */
#define EVERY_BYTE(byte) (UINT64_C(0x0101010101010101) * (byte))

static enum error query_judge(struct exchange *exchange);
static bool request_id_is_valid(struct str id);
static void request_id_make(char *out);
static uint64_t hex_digits(uint32_t number);
static uint64_t request_number_next(void);
static bool route_has_step(const struct route *route, unsigned step);
static unsigned last_step(const struct route *route);
static void page_run(struct exchange *exchange, struct services *services);

struct exchange *exchange_new(void)
{
    struct exchange *exchange = calloc(1, sizeof *exchange);

    REQUIRE(exchange != NULL);
    request_init(&exchange->request);
    response_init(&exchange->response);
    arena_init(&exchange->arena);
    return exchange;
}

void exchange_free(struct exchange *exchange)
{
    if (exchange == NULL) {
        return;
    }
    REQUIRE(!list_is_linked(&exchange->node));
    request_release(&exchange->request);
    response_release(&exchange->response);
    arena_release(&exchange->arena);
    free(exchange);
}

void exchange_clear(struct exchange *exchange)
{
    REQUIRE(!list_is_linked(&exchange->node));
    request_clear(&exchange->request);
    if (exchange->response.body.is_secret) {
        buf_wipe(&exchange->response.body);
    }
    response_clear(&exchange->response);
    arena_clear(&exchange->arena);
    exchange->route = NULL;
    exchange->route_parameter = (struct str){NULL, 0};
    exchange->step = 0;
    exchange->marked_step = 0;
    exchange->marked_begun_again = 0;
    exchange->begun_again = 0;
    exchange->page = 0;
    exchange->is_within_limit = false;
    exchange->slows_client = false;
    exchange->is_done = false;
    exchange->notes_use = false;
    exchange->request_id[0] = '\0';
    exchange->began_at_ns = 0;
    exchange->account_id = 0;
    exchange->session_id = 0;
    exchange->work = NULL;
    exchange->may_be_kept = false;
    exchange->change = 0;
    exchange->page_is_made = false;
    exchange->follow.kind = FOLLOW_NOTHING;
    exchange->is_resumed = false;
    exchange->polled_id = 0;
}

void exchange_name(struct exchange *exchange)
{
    struct str name = STR("X-Request-Id");
    struct str given;

    if (request_field_find(&exchange->request, name, &given) && request_id_is_valid(given) &&
        request_field_count(&exchange->request, name) == 1) {
        memcpy(exchange->request_id, given.ptr, given.len);
        exchange->request_id[given.len] = '\0';
        return;
    }
    request_id_make(exchange->request_id);
}

enum lane exchange_lane(const struct exchange *exchange)
{
    const struct route *route = exchange->route;

    if (exchange->notes_use) {
        return LANE_WRITE;
    }
    REQUIRE(route != NULL);
    if (exchange->page > 0) {
        return route->steps[last_step(route)].lane;
    }
    REQUIRE(!exchange->is_done && route_has_step(route, exchange->step));
    return route->steps[exchange->step].lane;
}

/* For routes that look at no parameter, too: a query is right or wrong whoever reads it. */
static enum error query_judge(struct exchange *exchange)
{
    return exchange->request.query.len == 0
               ? OK
               : request_judge_query(&exchange->request, &exchange->arena);
}

enum error exchange_begin_again(struct exchange *exchange)
{
    if (exchange->begun_again == EXCHANGE_BEGUN_AGAIN_MAX) {
        return ERROR_OVERLOADED;
    }
    exchange->begun_again++;
    return OK;
}

void exchange_run_step(struct exchange *exchange, struct services *services)
{
    const struct route *route = exchange->route;

    REQUIRE(route != NULL);
    if (exchange->page > 0) {
        page_run(exchange, services);
        return;
    }
    REQUIRE(!exchange->is_done && route_has_step(route, exchange->step));
    unsigned begun_again = exchange->begun_again;
    enum error error = exchange->step == 0 ? query_judge(exchange) : OK;
    if (error == OK) {
        error = route->steps[exchange->step].run(exchange, services);
    }
    if (error != OK) {
        response_error(exchange, error);
        exchange->is_done = true;
        return;
    }
    if (exchange->begun_again != begun_again) {
        exchange->step = 0;
        return;
    }
    exchange->step++;
    exchange->is_done = !route_has_step(route, exchange->step);
}

void exchange_run_again(struct exchange *exchange, unsigned wait_left_s)
{
    REQUIRE(exchange->page == 0);
    response_clear(&exchange->response);
    exchange->step = 0;
    exchange->is_done = false;
    exchange->notes_use = false;
    exchange->follow.kind = FOLLOW_NOTHING;
    exchange->is_resumed = true;
    exchange->wait_left_s = wait_left_s;
}

void exchange_mark(struct exchange *exchange)
{
    exchange->marked_step = exchange->step;
    exchange->marked_begun_again = exchange->begun_again;
}

void exchange_take_back(struct exchange *exchange)
{
    REQUIRE(exchange->page == 0);
    response_clear(&exchange->response);
    exchange->step = exchange->marked_step;
    exchange->begun_again = exchange->marked_begun_again;
    exchange->is_done = false;
    exchange->follow.kind = FOLLOW_NOTHING;
}

static bool request_id_is_valid(struct str id)
{
    if (id.len == 0 || id.len > REQUEST_ID_MAX_BYTES) {
        return false;
    }
    for (size_t i = 0; i < id.len; i++) {
        if (id.ptr[i] <= 0x20 || id.ptr[i] >= 0x7f) {
            return false;
        }
    }
    return true;
}

static void request_id_make(char *out)
{
    uint64_t number = request_number_next();
    const uint64_t digits[2] = {hex_digits((uint32_t)number), hex_digits((uint32_t)(number >> 32))};

    static_assert(sizeof digits == REQUEST_ID_MADE_LEN, "a byte is a digit");
    memcpy(out, digits, sizeof digits);
    out[REQUEST_ID_MADE_LEN] = '\0';
}

/* Eight characters at once, since this runs for every request; their order is the processor's. */
static uint64_t hex_digits(uint32_t number)
{
    uint64_t spread = number;

    spread = (spread | spread << 16) & UINT64_C(0x0000ffff0000ffff);
    spread = (spread | spread << 8) & UINT64_C(0x00ff00ff00ff00ff);
    spread = (spread | spread << 4) & EVERY_BYTE(0x0f);
    /* 1 in each byte of 10 or more: there 6 more carries into the upper half. */
    uint64_t is_letter = (spread + EVERY_BYTE(6)) >> 4 & EVERY_BYTE(1);
    return spread + EVERY_BYTE('0') + is_letter * ('a' - '0' - 10);
}

/* An id must be unique, not secret, and a system call for each request would be dear: a count from
 * a random start, mixed one to one (splitmix64) so that it tells nobody how many requests there
 * were. */
static uint64_t request_number_next(void)
{
    static _Thread_local uint64_t count;
    static _Thread_local bool has_start;

    if (!has_start) {
        random_fill(&count, sizeof count);
        has_start = true;
    }
    count += UINT64_C(0x9e3779b97f4a7c15);
    return number_mixed(count);
}

static bool route_has_step(const struct route *route, unsigned step)
{
    return step < ROUTE_STEPS_MAX && route->steps[step].run != NULL;
}

static unsigned last_step(const struct route *route)
{
    unsigned last = 0;

    while (route_has_step(route, last + 1)) {
        last++;
    }
    return last;
}

/* The handler says anew of each page whether there is another. */
static void page_run(struct exchange *exchange, struct services *services)
{
    const struct route *route = exchange->route;
    struct response *response = &exchange->response;

    buf_clear(&response->body);
    response->has_more = false;
    enum error error = route->steps[last_step(route)].run(exchange, services);
    if (error != OK) {
        response->error = error;
        response->failed = true;
        response->has_more = false;
    }
    exchange->is_done = true;
}
