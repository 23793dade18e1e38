/* server.c - from listen to the last handle closed.
 *
 *   server_start   binds, listens: for the API, and beside it for operators
 *   server_open_lanes  starts the lanes; until then what needs one is told 503
 *   on_connectable accepts; pauses at connections_max and when descriptors run out
 *   server_drain   stops accepting; idle connections close, others after what is in flight;
 *                  after drain_timeout_ms the rest is cut
 *   stop_if_done   with the last connection: stops the lanes, closes the timer; uv_run returns
 *
 * 1. The listener is polled and accepted from by hand. libuv's own would accept and drop all that
 *    wait when descriptors run out; so they wait, in the kernel's queue, until one is free.
 * 2. Lanes outlive connections: a lent exchange keeps its connection, and connections keep the
 *    lanes.
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

/* Accepted at one go, before what is connected gets its turn. */
#define ACCEPTS_PER_TURN_MAX 64
/* How soon accepting is tried again when descriptors ran out and none was closed. */
#define ACCEPT_PAUSE_MS 250u
/* For a client that connected just before the server drains to send what it connected for. */
#define FIRST_BYTE_MS 200u
/* Proxies close what is silent for a minute; and it is how a stream whose client is gone is found.
 */
#define HEARTBEAT_MS 15000u

struct listener {
    uv_poll_t poll;
    struct server *server;
    int socket;
    uint16_t port;
    struct deadline accept_pause;
    bool is_open;   /* the socket is */
    bool is_polled; /* the handle is open */
    bool is_accepting;
};

struct server {
    struct connections connections;
    struct server_settings settings;
    struct listener listeners[LISTENERS_MAX];
    struct deadline drain_limit;
    unsigned handles_open; /* listeners, the deadlines' timer and the turn's end */
    unsigned probes_out;   /* lent to the write lane */
    bool is_stopping;      /* the last connection is gone */
    bool has_failed;
};

static void traffic_start(struct server *server);
static enum error listeners_open(struct server *server);
static void listeners_give_up(struct server *server);
static enum error listeners_start(struct server *server, uv_loop_t *loop);
static void timer_start(struct server *server, uv_loop_t *loop);
static void timer_close(struct server *server);
static void listeners_close(struct server *server);
static void on_exchange_returned(struct exchange *exchange);
static void on_connectable(uv_poll_t *poll, int status, int events);
static bool accept_next(struct listener *listener);
static unsigned place_of(const struct listener *listener);
static void accept_go_on(struct listener *listener);
static void accept_stop(struct listener *listener);
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
    unsigned duration_ms[DEADLINE_KIND_COUNT] = {
        [DEADLINE_HEAD] = settings->head_timeout_ms,
        [DEADLINE_BODY] = settings->body_timeout_ms,
        [DEADLINE_IDLE] = settings->idle_timeout_ms,
        [DEADLINE_WRITE] = settings->write_timeout_ms / WRITE_LOOKS,
        [DEADLINE_LINGER] = LINGER_SILENCE_MS,
        [DEADLINE_HEARTBEAT] = HEARTBEAT_MS,
        [DEADLINE_ACCEPT] = ACCEPT_PAUSE_MS,
        [DEADLINE_DRAIN] = settings->drain_timeout_ms,
        [DEADLINE_FIRST] = FIRST_BYTE_MS,
    };

    for (unsigned i = 0; i < FOLLOW_WAIT_MAX_S; i++) {
        duration_ms[DEADLINE_POLL + i] = (i + 1) * 1000;
    }
    deadlines_init(&server->connections.deadlines, loop, duration_ms, on_deadline);
    REQUIRE(uv_check_init(loop, &server->connections.turn_end) == 0);
    streams_open(&server->connections.streams, &server->connections, settings->changes,
                 settings->reads_route);
    server->handles_open = 3;
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
    struct server_probe *probe = exchange->probe;

    if (probe == NULL) {
        conn_exchange_returned(exchange);
        return;
    }
    probe->is_out = false;
    probe->server->probes_out--;
    if (exchange->is_done) {
        probe->on_answered(probe);
    }
    stop_if_done(probe->server);
}

void server_probe_send(struct server *server, struct server_probe *probe)
{
    struct lanes *lanes = server->connections.lanes;

    if (lanes == NULL || probe->is_out || server->is_stopping) {
        return;
    }
    server_probe_load(probe);
    if (lanes_lend(lanes, probe->exchange)) {
        probe->is_out = true;
        probe->server = server;
        server->probes_out++;
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

static void on_connectable(uv_poll_t *poll, int status, int events)
{
    struct listener *listener = container_of(poll, struct listener, poll);

    (void)events;
    if (status < 0) {
        /* epoll told of an error; accept says which. */
        log_event(LOG_WARN, "listener_error", LOG_TEXT("reason", uv_strerror(status)), LOG_END);
    }
    for (int i = 0; i < ACCEPTS_PER_TURN_MAX && accept_next(listener); i++) {
    }
}

/* False when there is nothing more to accept now. */
static bool accept_next(struct listener *listener)
{
    struct server *server = listener->server;
    unsigned place = place_of(listener);
    struct listener_traffic *traffic = &server->settings.traffic->listeners[place];
    int socket;

    if (traffic_connections(traffic) >= traffic->connections_max) {
        tally_add(&traffic->pauses[PAUSE_CONNECTIONS], 1);
        log_event(LOG_WARN, "accept_paused",
                  LOG_TEXT("for", server->settings.listeners[place].for_whom),
                  LOG_TEXT("reason", "connections_max"),
                  LOG_INT("connections", (int64_t)traffic_connections(traffic)), LOG_END);
        accept_stop(listener);
        return false;
    }
    socket = accept4(listener->socket, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (socket >= 0) {
        tally_add(&traffic->accepted, 1);
        conn_open(&server->connections, socket, place);
        return true;
    }
    if (errno == EAGAIN) {
        return false;
    }
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        tally_add(&traffic->pauses[PAUSE_DESCRIPTORS], 1);
        log_event(LOG_WARN, "accept_paused", LOG_TEXT("reason", strerror(errno)), LOG_END);
        accept_stop(listener);
        deadline_set(&server->connections.deadlines, &listener->accept_pause, DEADLINE_ACCEPT);
        return false;
    }
    /* All others are about the connection that was to be accepted (accept(2)). */
    return true;
}

static unsigned place_of(const struct listener *listener)
{
    return (unsigned)(listener - listener->server->listeners);
}

static void accept_go_on(struct listener *listener)
{
    if (!listener->is_polled || listener->is_accepting ||
        listener->server->connections.is_draining) {
        return;
    }
    deadline_clear(&listener->accept_pause);
    listener->is_accepting = true;
    REQUIRE(uv_poll_start(&listener->poll, UV_READABLE, on_connectable) == 0);
}

static void accept_stop(struct listener *listener)
{
    listener->is_accepting = false;
    uv_poll_stop(&listener->poll);
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
