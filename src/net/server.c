/* server.c - from listen to the last handle closed.
 *
 *   server_start   binds, listens
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
#include <netinet/in.h>
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

/* Connections the kernel finishes while the loop is busy. */
#define LISTEN_BACKLOG 1024
/* Accepted at one go, before what is connected gets its turn. */
#define ACCEPTS_PER_TURN_MAX 64
/* How soon accepting is tried again when descriptors ran out and none was closed. */
#define ACCEPT_PAUSE_MS 250u

struct server {
    struct connections connections;
    struct server_settings settings;
    uv_poll_t listener;
    int socket;
    uint16_t port;
    struct deadline accept_pause;
    struct deadline drain_limit;
    unsigned handles_open; /* listener, the deadlines' timer and the turn's end */
    bool is_accepting;
    bool is_stopping; /* the last connection is gone */
    bool has_failed;
};

static enum error listener_open(struct server *server);
static enum error address_read(const struct server_settings *settings,
                               struct sockaddr_storage *out_address, socklen_t *out_len);
static void timer_start(struct server *server, uv_loop_t *loop);
static void timer_close(struct server *server);
static void listener_close(struct server *server);
static void on_connectable(uv_poll_t *listener, int status, int events);
static bool accept_next(struct server *server);
static void accept_go_on(struct server *server);
static void accept_stop(struct server *server);
static void on_connection_gone(struct connections *connections);
static void on_deadline(struct deadlines *deadlines, struct deadline *deadline);
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
    server->connections.on_gone = on_connection_gone;
    deadline_init(&server->accept_pause);
    deadline_init(&server->drain_limit);
    error = listener_open(server);
    if (error != OK) {
        goto free_server;
    }
    timer_start(server, loop);
    if (uv_poll_init(loop, &server->listener, server->socket) != 0) {
        log_event(LOG_ERROR, "listen_failed", LOG_TEXT("reason", "not pollable"), LOG_END);
        error = ERROR_INTERNAL;
        goto close_timer;
    }
    server->handles_open++;
    atomic_store(&settings->readiness->is_migrating, true);
    accept_go_on(server);
    log_event(LOG_INFO, "opening", LOG_TEXT("address", settings->listen_address),
              LOG_INT("port", server->port), LOG_END);
    *out_server = server;
    return OK;

close_timer:
    timer_close(server);
    while (server->handles_open > 0) {
        uv_run(loop, UV_RUN_NOWAIT);
    }
    close(server->socket);
free_server:
    free(server);
    return error;
}

static enum error listener_open(struct server *server)
{
    const struct server_settings *settings = &server->settings;
    struct sockaddr_storage address;
    socklen_t len = 0;
    const int on = 1;
    const char *failed = NULL;

    if (address_read(settings, &address, &len) != OK) {
        log_event(LOG_ERROR, "listen_failed", LOG_TEXT("address", settings->listen_address),
                  LOG_TEXT("reason", "not an IPv4 or IPv6 address"), LOG_END);
        return ERROR_INTERNAL;
    }
    server->socket = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (server->socket < 0) {
        failed = "socket";
    } else if (setsockopt(server->socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0) {
        failed = "setsockopt";
    } else if (bind(server->socket, (const struct sockaddr *)&address, len) != 0) {
        failed = "bind";
    } else if (listen(server->socket, LISTEN_BACKLOG) != 0) {
        failed = "listen";
    } else {
        len = sizeof(address);
        failed = getsockname(server->socket, (struct sockaddr *)&address, &len) != 0 ? "getsockname"
                                                                                     : NULL;
    }
    if (failed != NULL) {
        log_event(LOG_ERROR, "listen_failed", LOG_TEXT("address", settings->listen_address),
                  LOG_INT("port", settings->port), LOG_TEXT("call", failed),
                  LOG_TEXT("reason", strerror(errno)), LOG_END);
        if (server->socket >= 0) {
            close(server->socket);
        }
        return ERROR_INTERNAL;
    }
    server->port =
        ntohs(address.ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)&address)->sin6_port
                                            : ((const struct sockaddr_in *)&address)->sin_port);
    return OK;
}

static enum error address_read(const struct server_settings *settings,
                               struct sockaddr_storage *out_address, socklen_t *out_len)
{
    memset(out_address, 0, sizeof(*out_address));
    if (uv_ip4_addr(settings->listen_address, settings->port, (struct sockaddr_in *)out_address) ==
        0) {
        *out_len = sizeof(struct sockaddr_in);
        return OK;
    }
    if (uv_ip6_addr(settings->listen_address, settings->port, (struct sockaddr_in6 *)out_address) ==
        0) {
        *out_len = sizeof(struct sockaddr_in6);
        return OK;
    }
    return ERROR_INTERNAL;
}

static void timer_start(struct server *server, uv_loop_t *loop)
{
    const struct server_settings *settings = &server->settings;
    const unsigned duration_ms[DEADLINE_KIND_COUNT] = {
        [DEADLINE_HEAD] = settings->head_timeout_ms,
        [DEADLINE_BODY] = settings->body_timeout_ms,
        [DEADLINE_IDLE] = settings->idle_timeout_ms,
        [DEADLINE_WRITE] = settings->write_timeout_ms / WRITE_LOOKS,
        [DEADLINE_LINGER] = LINGER_SILENCE_MS,
        [DEADLINE_ACCEPT] = ACCEPT_PAUSE_MS,
        [DEADLINE_DRAIN] = settings->drain_timeout_ms,
    };

    deadlines_init(&server->connections.deadlines, loop, duration_ms, on_deadline);
    REQUIRE(uv_check_init(loop, &server->connections.turn_end) == 0);
    server->handles_open = 2;
}

enum error server_open_lanes(struct server *server, const struct lane_plan plans[LANE_COUNT])
{
    const struct server_settings *settings = &server->settings;
    struct connections *connections = &server->connections;

    REQUIRE(connections->lanes == NULL && !connections->is_draining);
    enum error error =
        lanes_start(connections->loop, settings->work, plans, settings->readiness,
                    conn_exchange_returned, on_lanes_failed, server, &connections->lanes);
    if (error == OK) {
        atomic_store(&settings->readiness->is_migrating, false);
        log_event(LOG_INFO, "listening", LOG_TEXT("address", settings->listen_address),
                  LOG_INT("port", server->port), LOG_END);
    }
    return error;
}

uint16_t server_port(const struct server *server)
{
    return server->port;
}

static void on_connectable(uv_poll_t *listener, int status, int events)
{
    struct server *server = container_of(listener, struct server, listener);

    (void)events;
    if (status < 0) {
        /* epoll told of an error; accept says which. */
        log_event(LOG_WARN, "listener_error", LOG_TEXT("reason", uv_strerror(status)), LOG_END);
    }
    for (int i = 0; i < ACCEPTS_PER_TURN_MAX && accept_next(server); i++) {
    }
}

/* False when there is nothing more to accept now. */
static bool accept_next(struct server *server)
{
    int socket;

    if (server->connections.count >= server->settings.connections_max) {
        log_event(LOG_WARN, "accept_paused", LOG_TEXT("reason", "connections_max"),
                  LOG_INT("connections", server->connections.count), LOG_END);
        accept_stop(server);
        return false;
    }
    socket = accept4(server->socket, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (socket >= 0) {
        conn_open(&server->connections, socket);
        return true;
    }
    if (errno == EAGAIN) {
        return false;
    }
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        log_event(LOG_WARN, "accept_paused", LOG_TEXT("reason", strerror(errno)), LOG_END);
        accept_stop(server);
        deadline_set(&server->connections.deadlines, &server->accept_pause, DEADLINE_ACCEPT);
        return false;
    }
    /* All others are about the connection that was to be accepted (accept(2)). */
    return true;
}

static void accept_go_on(struct server *server)
{
    if (server->is_accepting || server->connections.is_draining) {
        return;
    }
    deadline_clear(&server->accept_pause);
    server->is_accepting = true;
    REQUIRE(uv_poll_start(&server->listener, UV_READABLE, on_connectable) == 0);
}

static void accept_stop(struct server *server)
{
    server->is_accepting = false;
    uv_poll_stop(&server->listener);
}

static void on_connection_gone(struct connections *connections)
{
    struct server *server = container_of(connections, struct server, connections);

    accept_go_on(server);
    stop_if_done(server);
}

static void on_deadline(struct deadlines *deadlines, struct deadline *deadline)
{
    struct connections *connections = container_of(deadlines, struct connections, deadlines);
    struct server *server = container_of(connections, struct server, connections);

    if (deadline->kind == DEADLINE_ACCEPT) {
        accept_go_on(server);
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
    listener_close(server);
    deadline_clear(&server->accept_pause);
    deadline_set(&connections->deadlines, &server->drain_limit, DEADLINE_DRAIN);
    for (struct list *node = connections->open.next; node != &connections->open;
         node = node->next) {
        conn_drain(container_of(node, struct conn, node));
    }
    stop_if_done(server);
}

static void listener_close(struct server *server)
{
    server->is_accepting = false;
    uv_close((uv_handle_t *)&server->listener, on_handle_closed);
    close(server->socket);
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

    if (!connections->is_draining || server->is_stopping || connections->count > 0) {
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
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct server *server = NULL;

    if (handle->type == UV_POLL) {
        server = container_of(handle, struct server, listener);
    } else if (handle->type == UV_CHECK) {
        server = container_of(handle, struct server, connections.turn_end);
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
    free(server);
    return has_failed;
}
