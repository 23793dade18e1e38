/* net_server.c - the server and its handlers; net_client.c has the clients. */
#include "support/net_server.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/services.h"
#include "base/log.h"
#include "base/require.h"

static enum error loop_run(struct exchange *exchange, struct services *services);
static enum error read_run(struct exchange *exchange, struct services *services);
static enum error write_run(struct exchange *exchange, struct services *services);
static enum error step_read_run(struct exchange *exchange, struct services *services);
static enum error step_hash_run(struct exchange *exchange, struct services *services);
static enum error step_write_run(struct exchange *exchange, struct services *services);
static enum error ignore_run(struct exchange *exchange, struct services *services);
static enum error held_run(struct exchange *exchange, struct services *services);
static enum error noted_run(struct exchange *exchange, struct services *services);
static enum error big_run(struct exchange *exchange, struct services *services);
static enum error none_run(struct exchange *exchange, struct services *services);
static enum error pages_run(struct exchange *exchange, struct services *services);
static enum error endless_run(struct exchange *exchange, struct services *services);
static enum error holding_run(struct exchange *exchange, struct services *services);
static enum error broken_run(struct exchange *exchange, struct services *services);
static enum error fatal_run(struct exchange *exchange, struct services *services);

static const struct route routes[] = {
    {METHOD_GET, "/loop", false, BODY_NONE, LIMIT_NONE, {{LANE_LOOP, loop_run}}},
    {METHOD_GET, "/read", false, BODY_NONE, LIMIT_NONE, {{LANE_READ, read_run}}},
    {METHOD_POST, "/write", false, BODY_OPTIONAL, LIMIT_NONE, {{LANE_WRITE, write_run}}},
    {METHOD_POST,
     "/steps",
     false,
     BODY_OPTIONAL,
     LIMIT_NONE,
     {{LANE_READ, step_read_run}, {LANE_HASH, step_hash_run}, {LANE_WRITE, step_write_run}}},
    {METHOD_POST, "/ignore", false, BODY_NONE, LIMIT_NONE, {{LANE_LOOP, ignore_run}}},
    {METHOD_POST, "/closed", true, BODY_OPTIONAL, LIMIT_NONE, {{LANE_WRITE, write_run}}},
    {METHOD_GET, "/held", false, BODY_NONE, LIMIT_NONE, {{LANE_READ, held_run}}},
    {METHOD_GET, "/hold-write", false, BODY_NONE, LIMIT_NONE, {{LANE_WRITE, held_run}}},
    {METHOD_GET, "/noted", false, BODY_NONE, LIMIT_NONE, {{LANE_READ, noted_run}}},
    {METHOD_GET, "/big", false, BODY_NONE, LIMIT_NONE, {{LANE_READ, big_run}}},
    {METHOD_GET, "/none", false, BODY_NONE, LIMIT_NONE, {{LANE_LOOP, none_run}}},
    {METHOD_GET, "/pages", false, BODY_NONE, LIMIT_NONE, {{LANE_READ, pages_run}}},
    {METHOD_GET, "/looped", false, BODY_NONE, LIMIT_NONE, {{LANE_LOOP, pages_run}}},
    {METHOD_GET, "/endless", false, BODY_NONE, LIMIT_NONE, {{LANE_READ, endless_run}}},
    {METHOD_GET, "/holding", false, BODY_NONE, LIMIT_NONE, {{LANE_READ, holding_run}}},
    {METHOD_GET, "/broken", false, BODY_NONE, LIMIT_NONE, {{LANE_READ, broken_run}}},
    {METHOD_GET, "/fatal", false, BODY_NONE, LIMIT_NONE, {{LANE_WRITE, fatal_run}}},
};

/* The handlers' only way to their server. */
static struct net_server *serving;
static struct services threads[LANE_COUNT][2];

static enum work_verdict batch_run(struct services *services, struct list *batch,
                                   struct batch_source *source);
static void *server_thread(void *argument);
static void on_turn(uv_prepare_t *turn);
static void on_stop(uv_async_t *stop);
static void on_open_lanes(uv_async_t *open_lanes);

void net_server_prepare(struct net_server *net)
{
    static const struct cors_policy cors = {.allows_all = true};
    static const struct work work = {.run = batch_run, .rest = NULL};
    static struct services *owners[LANE_COUNT][2];

    memset(net, 0, sizeof(*net));
    signal(SIGPIPE, SIG_IGN);
    log_setup(LOG_OFF, LOG_FORM_JSON);
    pthread_mutex_init(&net->gate.lock, NULL);
    pthread_cond_init(&net->gate.moved, NULL);
    for (int lane = 0; lane < LANE_COUNT; lane++) {
        for (int i = 0; i < 2; i++) {
            threads[lane][i].lane = (enum lane)lane;
            owners[lane][i] = &threads[lane][i];
        }
        net->plans[lane] = (struct lane_plan){
            .services = owners[lane], .thread_count = 1, .queue_max = 1000, .batch_max = 64};
    }
    net->plans[LANE_READ].thread_count = 2;
    net->plans[LANE_READ].batch_max = 1;
    net->settings = (struct server_settings){
        .listeners = {{.for_whom = "public",
                       .address = "127.0.0.1",
                       .admission = {.routes = {routes, sizeof(routes) / sizeof(routes[0])},
                                     .cors = &cors,
                                     .body_max_bytes = (size_t)256 * 1024},
                       .connections_max = 1000}},
        .listener_count = 1,
        .head_timeout_ms = 100000,
        .body_timeout_ms = 100000,
        .idle_timeout_ms = 100000,
        .write_timeout_ms = 100000,
        .drain_timeout_ms = 10000,
        .bodies_max_bytes = (size_t)32 * 1024 * 1024,
        .loop_services = &threads[LANE_LOOP][0],
        .readiness = &net->readiness,
        .traffic = &net->traffic,
        .work = &work};
}

void net_server_run(struct net_server *net)
{
    serving = net;
    assert_int_equal(uv_loop_init(&net->loop), 0);
    assert_int_equal(uv_async_init(&net->loop, &net->stop, on_stop), 0);
    uv_unref((uv_handle_t *)&net->stop);
    assert_int_equal(uv_async_init(&net->loop, &net->open_lanes, on_open_lanes), 0);
    uv_unref((uv_handle_t *)&net->open_lanes);
    assert_int_equal(uv_prepare_init(&net->loop, &net->turn), 0);
    assert_int_equal(uv_prepare_start(&net->turn, on_turn), 0);
    uv_unref((uv_handle_t *)&net->turn);
    assert_int_equal(server_start(&net->loop, &net->settings, &net->server), OK);
    if (!net->is_without_lanes) {
        assert_int_equal(server_open_lanes(net->server, net->plans), OK);
    }
    assert_int_equal(pthread_create(&net->thread, NULL, server_thread, net), 0);
}

void net_server_start(struct net_server *net)
{
    net_server_prepare(net);
    net_server_run(net);
}

static void *server_thread(void *argument)
{
    struct net_server *net = argument;

    uv_run(&net->loop, UV_RUN_DEFAULT);
    net->has_failed = server_finish(net->server);
    return NULL;
}

static void on_turn(uv_prepare_t *turn)
{
    container_of(turn, struct net_server, turn)->of_turn = 0;
}

static void on_stop(uv_async_t *stop)
{
    struct net_server *net = container_of(stop, struct net_server, stop);

    server_drain(net->server);
}

static void on_open_lanes(uv_async_t *open_lanes)
{
    struct net_server *net = container_of(open_lanes, struct net_server, open_lanes);

    REQUIRE(server_open_lanes(net->server, net->plans) == OK);
}

void net_server_open_lanes(struct net_server *net)
{
    uv_async_send(&net->open_lanes);
}

void net_server_drain(struct net_server *net)
{
    uv_async_send(&net->stop);
}

void net_server_stop(struct net_server *net)
{
    net_server_open_gate(net);
    net_server_drain(net);
    net_server_wait(net);
}

void net_server_wait(struct net_server *net)
{
    pthread_join(net->thread, NULL);
    uv_close((uv_handle_t *)&net->stop, NULL);
    uv_close((uv_handle_t *)&net->open_lanes, NULL);
    uv_close((uv_handle_t *)&net->turn, NULL);
    uv_run(&net->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&net->loop), 0);
    pthread_mutex_destroy(&net->gate.lock);
    pthread_cond_destroy(&net->gate.moved);
    serving = NULL;
}

void net_server_await_held(struct net_server *net, unsigned count)
{
    pthread_mutex_lock(&net->gate.lock);
    while (net->gate.waiting_count < count) {
        pthread_cond_wait(&net->gate.moved, &net->gate.lock);
    }
    pthread_mutex_unlock(&net->gate.lock);
}

void net_server_open_gate(struct net_server *net)
{
    pthread_mutex_lock(&net->gate.lock);
    net->gate.is_open = true;
    pthread_cond_broadcast(&net->gate.moved);
    pthread_mutex_unlock(&net->gate.lock);
}

/* --- the lanes' work ------------------------------------------------------------------------- */

static enum work_verdict batch_run(struct services *services, struct list *batch,
                                   struct batch_source *source)
{
    (void)source;
    enum work_verdict verdict = WORK_DONE;

    atomic_fetch_add(&serving->batches, 1);
    for (struct list *node = batch->next; node != batch; node = node->next) {
        struct exchange *exchange = container_of(node, struct exchange, node);

        if (exchange->notes_use && services->lane == LANE_WRITE) {
            atomic_fetch_add(&serving->notes, 1);
            exchange->notes_use = false;
            continue;
        }
        exchange_run_step(exchange, services);
        if (exchange->response.error == ERROR_OUTCOME_UNKNOWN) {
            verdict = WORK_FATAL;
        }
    }
    return verdict;
}

static enum error text_answer(struct exchange *exchange, const char *text)
{
    exchange->response.status = 200;
    exchange->response.type = CONTENT_TEXT;
    buf_append_str(&exchange->response.body, str_from(text));
    return OK;
}

static enum error lane_answer(struct exchange *exchange, const struct services *services,
                              enum lane lane, const char *text)
{
    REQUIRE(services->lane == lane);
    return text_answer(exchange, text);
}

static enum error loop_run(struct exchange *exchange, struct services *services)
{
    serving->of_turn++;
    if (serving->of_turn > serving->most_a_turn) {
        serving->most_a_turn = serving->of_turn;
    }
    return lane_answer(exchange, services, LANE_LOOP, "loop");
}

static enum error read_run(struct exchange *exchange, struct services *services)
{
    return lane_answer(exchange, services, LANE_READ, "read");
}

static enum error write_run(struct exchange *exchange, struct services *services)
{
    REQUIRE(services->lane == LANE_WRITE);
    exchange->response.status = 200;
    exchange->response.type = CONTENT_TEXT;
    buf_append_str(&exchange->response.body, buf_str(&exchange->request.body));
    return OK;
}

static enum error step_read_run(struct exchange *exchange, struct services *services)
{
    return lane_answer(exchange, services, LANE_READ, "read,");
}

static enum error step_hash_run(struct exchange *exchange, struct services *services)
{
    return lane_answer(exchange, services, LANE_HASH, "hash,");
}

static enum error step_write_run(struct exchange *exchange, struct services *services)
{
    return lane_answer(exchange, services, LANE_WRITE, "write");
}

static enum error ignore_run(struct exchange *exchange, struct services *services)
{
    REQUIRE(exchange->request.body.len == 0);
    return lane_answer(exchange, services, LANE_LOOP, "ignored");
}

static enum error held_run(struct exchange *exchange, struct services *services)
{
    struct gate *gate = &serving->gate;

    (void)services;
    pthread_mutex_lock(&gate->lock);
    gate->waiting_count++;
    pthread_cond_broadcast(&gate->moved);
    while (!gate->is_open) {
        pthread_cond_wait(&gate->moved, &gate->lock);
    }
    gate->waiting_count--;
    pthread_mutex_unlock(&gate->lock);
    return text_answer(exchange, "held");
}

static enum error noted_run(struct exchange *exchange, struct services *services)
{
    exchange->notes_use = true;
    return lane_answer(exchange, services, LANE_READ, "noted");
}

static void letters_append(struct exchange *exchange, char letter, size_t count)
{
    char *room = buf_reserve(&exchange->response.body, count);

    REQUIRE(room != NULL);
    memset(room, letter, count);
    buf_grow(&exchange->response.body, count);
    exchange->response.status = 200;
    exchange->response.type = CONTENT_TEXT;
}

static enum error big_run(struct exchange *exchange, struct services *services)
{
    (void)services;
    letters_append(exchange, 'b', BIG_BODY_BYTES);
    return OK;
}

static enum error none_run(struct exchange *exchange, struct services *services)
{
    (void)services;
    exchange->response.status = 204;
    return OK;
}

/* Page 2 is empty, page 3 short, the others full. */
static enum error pages_run(struct exchange *exchange, struct services *services)
{
    static const size_t lengths[PAGES_COUNT] = {RESPONSE_PAGE_BYTES, RESPONSE_PAGE_BYTES, 0, 10,
                                                RESPONSE_PAGE_BYTES};

    (void)services;
    letters_append(exchange, (char)('a' + (int)exchange->page), lengths[exchange->page]);
    exchange->response.has_more = exchange->page + 1 < PAGES_COUNT;
    return OK;
}

static enum error endless_run(struct exchange *exchange, struct services *services)
{
    (void)services;
    letters_append(exchange, 'e', RESPONSE_PAGE_BYTES);
    exchange->response.has_more = true;
    return OK;
}

static enum error holding_run(struct exchange *exchange, struct services *services)
{
    if (exchange->page == 0) {
        (void)arena_alloc(&exchange->arena, HELD_BYTES);
    }
    return endless_run(exchange, services);
}

static enum error broken_run(struct exchange *exchange, struct services *services)
{
    if (exchange->page == 2) {
        return ERROR_STORE_FAILED;
    }
    return endless_run(exchange, services);
}

static enum error fatal_run(struct exchange *exchange, struct services *services)
{
    (void)exchange;
    (void)services;
    return ERROR_OUTCOME_UNKNOWN;
}
