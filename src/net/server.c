/* server.c - from listen to the last handle closed.
 *
 *   server_start   binds, listens: for the API, and beside it for operators
 *   server_open_lanes  starts the lanes; until then what needs one is told 503
 *   server_accept.c accepts; pauses at connections_max and when descriptors run out
 *   server_drain   stops accepting; idle connections close, others after what is in flight;
 *                  after drain_timeout_ms the rest is cut
 *   stop_if_done   with the last connection: stops the lanes, closes the timer; uv_run returns
 *
 * Lanes outlive connections: a lent exchange keeps its connection, and connections keep the
 * lanes.
 */
#include "net/server.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/require.h"
#include "net/conn.h"
#include "net/connections.h"
#include "net/deadline.h"
#include "net/server_state.h"

/* How soon accepting is tried again when descriptors ran out and none was closed. */
#define ACCEPT_PAUSE_MS 250u
/* For a request that is on its way when the server drains. */
#define FIRST_BYTE_MS 200u
/* Proxies close what is silent for a minute; and it is how a stream whose client is gone is found.
 */
#define HEARTBEAT_MS 15000u

static void traffic_start(struct server *server);
static enum error listeners_open(struct server *server);
static void listeners_give_up(struct server *server);
static enum error listeners_start(struct server *server, uv_loop_t *loop);
static void timer_start(struct server *server, uv_loop_t *loop);
static void durations_list(const struct server_settings *settings,
                           unsigned out_ms[DEADLINE_KIND_COUNT]);
static void timer_close(struct server *server);
static void listeners_close(struct server *server);
static void on_exchange_returned(struct exchange *exchange);
static void probe_returned(struct exchange *exchange);
static void on_connection_gone(struct connections *connections, unsigned place);
static void on_read_over(struct connections *connections);
static void on_deadline(struct deadlines *deadlines, struct deadline *deadline);
static void on_lanes_woken(struct server *server);
static void on_lanes_failed(struct server *server);
static void cut(struct server *server);
static void stop_if_done(struct server *server);
static void on_handle_closed(uv_handle_t *handle);

enum error server_start(uv_loop_t *loop, const struct server_settings *settings,
                        struct server **out_server)
{
    struct server *server = calloc(1, sizeof(*server));
    enum error error;

    REQUIRE(server != NULL);
    server->settings = *settings;
    connections_init(&server->connections, loop, &server->settings);
    traffic_start(server);
    server->connections.on_gone = on_connection_gone;
    server->connections.on_read_over = on_read_over;
    deadline_init(&server->drain_limit);
    error = listeners_open(server);
    if (error != OK) {
        goto give_up;
    }
    timer_start(server, loop);
    error = listeners_start(server, loop);
    if (error != OK) {
        goto close_handles;
    }
    atomic_store(&settings->readiness->is_migrating, true);
    log_event(LOG_INFO, "opening", LOG_TEXT("address", settings->listeners[0].address),
              LOG_INT("port", server->listeners[0].port), LOG_END);
    *out_server = server;
    return OK;

close_handles:
    timer_close(server);
    for (unsigned i = 0; i < settings->listener_count; i++) {
        if (server->listeners[i].is_polled) {
            uv_close((uv_handle_t *)&server->listeners[i].poll, on_handle_closed);
        }
    }
    while (server->handles_open > 0) {
        uv_run(loop, UV_RUN_NOWAIT);
    }
give_up:
    listeners_give_up(server);
    traffic_release(settings->traffic);
    free(server);
    return error;
}

static void traffic_start(struct server *server)
{
    struct traffic *traffic = server->settings.traffic;

    traffic->held_bytes = &server->connections.held_bytes;
    traffic->bodies_max_bytes = server->settings.bodies_max_bytes;
    traffic->connection_idle_bytes = sizeof(struct conn);
    traffic->streams = &server->connections.streams.traffic;
}

static enum error listeners_open(struct server *server)
{
    const struct server_settings *settings = &server->settings;

    for (unsigned i = 0; i < settings->listener_count; i++) {
        struct listener *listener = &server->listeners[i];
        enum error error =
            listener_open(&settings->listeners[i], &listener->socket, &listener->port);

        listener->is_open = error == OK;
        if (listener->is_open) {
            listener_limit_unacked(listener->socket, settings->write_timeout_ms);
            traffic_open(settings->traffic, i, settings->listeners[i].for_whom,
                         settings->listeners[i].admission.routes);
            settings->traffic->listeners[i].connections_max =
                settings->listeners[i].connections_max;
        }
        if (error != OK && !settings->listeners[i].is_optional) {
            return error;
        }
    }
    return OK;
}

/* The sockets of a start that failed. */
static void listeners_give_up(struct server *server)
{
    for (unsigned i = 0; i < server->settings.listener_count; i++) {
        if (server->listeners[i].is_open) {
            listener_close(&server->settings.listeners[i], server->listeners[i].socket);
        }
    }
}

static enum error listeners_start(struct server *server, uv_loop_t *loop)
{
    for (unsigned i = 0; i < server->settings.listener_count; i++) {
        struct listener *listener = &server->listeners[i];

        listener->server = server;
        deadline_init(&listener->accept_pause);
        if (!listener->is_open) {
            continue;
        }
        if (uv_poll_init(loop, &listener->poll, listener->socket) != 0) {
            log_event(LOG_ERROR, "listen_failed", LOG_TEXT("reason", "not pollable"), LOG_END);
            return ERROR_INTERNAL;
        }
        listener->is_polled = true;
        server->handles_open++;
        if (i > 0) {
            /* The first one's are in "opening" and "listening"; a socket is where it always is. */
            log_event(server->settings.listeners[i].is_unix ? LOG_DEBUG : LOG_INFO,
                      "listening_also", LOG_TEXT("for", server->settings.listeners[i].for_whom),
                      LOG_TEXT("address", server->settings.listeners[i].address),
                      LOG_INT("port", listener->port), LOG_END);
        }
        accept_go_on(listener);
    }
    return OK;
}

static void timer_start(struct server *server, uv_loop_t *loop)
{
    const struct server_settings *settings = &server->settings;
    unsigned duration_ms[DEADLINE_KIND_COUNT];

    durations_list(settings, duration_ms);
    deadlines_init(&server->connections.deadlines, loop, duration_ms, on_deadline);
    REQUIRE(uv_check_init(loop, &server->connections.turn_end) == 0);
    streams_open(&server->connections.streams, &server->connections, settings->changes,
                 settings->reads_route);
    server->handles_open = 3;
}
static void durations_list(const struct server_settings *settings,
                           unsigned out_ms[DEADLINE_KIND_COUNT])
{
    const unsigned duration_ms[DEADLINE_KIND_COUNT] = {
        [DEADLINE_HEAD] = settings->head_timeout_ms,
        [DEADLINE_BODY] = settings->body_timeout_ms,
        [DEADLINE_IDLE] = settings->idle_timeout_ms,
        [DEADLINE_WRITE] = settings->write_timeout_ms / WRITE_LOOKS,
        [DEADLINE_LINGER] = LINGER_SILENCE_MS,
        [DEADLINE_HEARTBEAT] = HEARTBEAT_MS,
        [DEADLINE_ACCEPT] = ACCEPT_PAUSE_MS,
        [DEADLINE_DRAIN] = settings->drain_timeout_ms,
        [DEADLINE_FIRST] = FIRST_BYTE_MS,
        [DEADLINE_SLOWED] = REFUSED_WAIT_MS,
    };

    memcpy(out_ms, duration_ms, sizeof duration_ms);
    for (unsigned i = 0; i < FOLLOW_WAIT_MAX_S; i++) {
        out_ms[DEADLINE_POLL + i] = (i + 1) * 1000;
    }
}

void server_follow(struct server *server, const struct server_settings *settings)
{
    unsigned duration_ms[DEADLINE_KIND_COUNT];

    REQUIRE(settings->listener_count == server->settings.listener_count);
    server->settings = *settings;
    durations_list(settings, duration_ms);
    deadlines_change(&server->connections.deadlines, duration_ms);
    for (unsigned i = 0; i < settings->listener_count; i++) {
        settings->traffic->listeners[i].connections_max = settings->listeners[i].connections_max;
        if (server->listeners[i].is_open) {
            listener_limit_unacked(server->listeners[i].socket, settings->write_timeout_ms);
        }
        accept_go_on(&server->listeners[i]);
    }
}

enum error server_open_lanes(struct server *server, const struct lane_plan plans[LANE_COUNT])
{
    const struct server_settings *settings = &server->settings;
    struct connections *connections = &server->connections;

    REQUIRE(connections->lanes == NULL && !connections->is_draining);
    enum error error = lanes_start(connections->loop, settings->work, plans, settings->readiness,
                                   settings->traffic, on_exchange_returned, on_lanes_woken,
                                   on_lanes_failed, server, &connections->lanes);
    if (error == OK) {
        atomic_store(&settings->readiness->is_migrating, false);
        log_event(LOG_INFO, "listening", LOG_TEXT("address", settings->listeners[0].address),
                  LOG_INT("port", server->listeners[0].port), LOG_END);
    }
    return error;
}

static void on_exchange_returned(struct exchange *exchange)
{
    if (exchange->owner != NULL) {
        conn_exchange_returned(exchange);
    } else if (exchange->reads != NULL) {
        streams_read_returned(exchange->reads->streams, exchange);
    } else {
        probe_returned(exchange);
    }
}

static void probe_returned(struct exchange *exchange)
{
    struct server_probe *probe = exchange->probe;

    probe->is_out = false;
    probe->server->probes_out--;
    if (exchange->is_done) {
        probe->on_answered(probe);
    }
    exchange_free(exchange);
    stop_if_done(probe->server);
}

void server_probe_send(struct server *server, struct server_probe *probe)
{
    struct lanes *lanes = server->connections.lanes;

    if (lanes == NULL || probe->is_out || server->is_stopping) {
        return;
    }
    struct exchange *question = server_probe_exchange(probe);
    if (!lanes_lend(lanes, question)) {
        exchange_free(question);
    } else {
        probe->is_out = true;
        probe->server = server;
        server->probes_out++;
    }
}

void server_peer_find(const struct exchange *exchange, struct ip_address *out_address)
{
    struct sockaddr_storage peer;
    int len = sizeof peer;

    if (uv_tcp_getpeername(&exchange->owner->tcp, (struct sockaddr *)&peer, &len) != 0) {
        REQUIRE(ip_address_read(STR("100::"), out_address));
    } else if (!ip_address_of_socket(&peer, out_address)) {
        REQUIRE(ip_address_read(STR("127.0.0.1"), out_address));
    }
}

unsigned server_connection_count(const struct server *server)
{
    return server->connections.count;
}

bool server_is_draining(const struct server *server)
{
    return server->connections.is_draining;
}

uint16_t server_port(const struct server *server)
{
    return server->listeners[0].port;
}

/* A descriptor that became free serves whichever listener waits for one. */
static void on_connection_gone(struct connections *connections, unsigned place)
{
    struct server *server = container_of(connections, struct server, connections);

    tally_add(&server->settings.traffic->listeners[place].closed, 1);
    for (unsigned i = 0; i < server->settings.listener_count; i++) {
        accept_go_on(&server->listeners[i]);
    }
    stop_if_done(server);
}

static void on_read_over(struct connections *connections)
{
    stop_if_done(container_of(connections, struct server, connections));
}

static void on_lanes_woken(struct server *server)
{
    streams_take_news(&server->connections.streams);
}

static void on_deadline(struct deadlines *deadlines, struct deadline *deadline)
{
    struct connections *connections = container_of(deadlines, struct connections, deadlines);
    struct server *server = container_of(connections, struct server, connections);

    if (deadline->kind == DEADLINE_ACCEPT) {
        accept_go_on(container_of(deadline, struct listener, accept_pause));
    } else if (deadline->kind == DEADLINE_DRAIN) {
        cut(server);
    } else {
        conn_deadline_passed(container_of(deadline, struct conn, deadline), deadline->kind);
    }
}

static void on_lanes_failed(struct server *server)
{
    server->has_failed = true;
    server_drain(server);
}

void server_drain(struct server *server)
{
    struct connections *connections = &server->connections;

    if (connections->is_draining) {
        return;
    }
    connections->is_draining = true;
    atomic_store(&server->settings.readiness->is_draining, true);
    log_event(LOG_INFO, "draining", LOG_INT("connections", connections->count), LOG_END);
    listeners_close(server);
    deadline_set(&connections->deadlines, &server->drain_limit, DEADLINE_DRAIN);
    for (struct list *node = connections->open.next; node != &connections->open;
         node = node->next) {
        conn_drain(container_of(node, struct conn, node));
    }
    stop_if_done(server);
}

static void listeners_close(struct server *server)
{
    for (unsigned i = 0; i < server->settings.listener_count; i++) {
        struct listener *listener = &server->listeners[i];

        deadline_clear(&listener->accept_pause);
        listener->is_accepting = false;
        if (listener->is_polled) {
            uv_close((uv_handle_t *)&listener->poll, on_handle_closed);
            listener_close(&server->settings.listeners[i], listener->socket);
        }
    }
}

static void cut(struct server *server)
{
    struct connections *connections = &server->connections;

    log_event(LOG_WARN, "drain_cut", LOG_INT("connections", connections->count), LOG_END);
    if (connections->lanes != NULL) {
        lanes_refuse(connections->lanes);
    }
    for (struct list *node = connections->open.next; node != &connections->open;
         node = node->next) {
        conn_close(container_of(node, struct conn, node));
    }
}

static void stop_if_done(struct server *server)
{
    struct connections *connections = &server->connections;

    if (!connections->is_draining || server->is_stopping || connections->count > 0 ||
        connections->streams.reads_lent > 0 || server->probes_out > 0) {
        return;
    }
    server->is_stopping = true;
    if (connections->lanes != NULL) {
        lanes_stop(connections->lanes);
    }
    timer_close(server);
}

static void timer_close(struct server *server)
{
    deadlines_close(&server->connections.deadlines, on_handle_closed);
    uv_close((uv_handle_t *)&server->connections.turn_end, on_handle_closed);
    streams_close(&server->connections.streams, on_handle_closed);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct server *server = NULL;

    if (handle->type == UV_POLL) {
        server = container_of(handle, struct listener, poll)->server;
    } else if (handle->type == UV_CHECK) {
        server = container_of(handle, struct server, connections.turn_end);
    } else if (handle->type == UV_IDLE) {
        server = container_of(handle, struct server, connections.streams.turn);
    } else {
        server = container_of(handle, struct server, connections.deadlines.timer);
    }
    server->handles_open--;
}

bool server_finish(struct server *server)
{
    bool has_failed = server->has_failed;

    REQUIRE(server->is_stopping && server->handles_open == 0);
    connections_release(&server->connections);
    traffic_release(server->settings.traffic);
    free(server);
    return has_failed;
}
