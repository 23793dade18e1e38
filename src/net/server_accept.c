/* server_accept.c - from a socket that can be accepted from to connections.
 *
 * The listener is polled and accepted from by hand. libuv's own would accept and drop all that wait
 * when descriptors run out; so they wait, in the kernel's queue, until one is free.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/list.h"
#include "base/log.h"
#include "base/require.h"
#include "net/conn.h"
#include "net/server_state.h"

/* Accepted at one go, before what is connected gets its turn. */
#define ACCEPTS_PER_TURN_MAX 64
/* Every connection that goes lets one more in, so clients can make pauses as fast as they please.
 */
#define PAUSES_TOLD_EVERY_MS 1000u

static void on_connectable(uv_poll_t *poll, int status, int events);
static bool accept_next(struct listener *listener);
static bool pause_is_told(struct listener *listener, enum accept_pause reason);
static unsigned place_of(const struct listener *listener);

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
        if (pause_is_told(listener, PAUSE_CONNECTIONS)) {
            log_event(LOG_WARN, "accept_paused",
                      LOG_TEXT("for", server->settings.listeners[place].for_whom),
                      LOG_TEXT("reason", "connections_max"),
                      LOG_INT("connections", (int64_t)traffic_connections(traffic)), LOG_END);
        }
        accept_stop(listener);
        return false;
    }
    socket = accept4(listener->socket, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (socket >= 0) {
        tally_add(&traffic->accepted, 1);
        conn_open(&server->connections, socket, place);
        return true;
    }
    int code = errno;

    if (code == EAGAIN) {
        return false;
    }
    if (code == EMFILE || code == ENFILE || code == ENOBUFS || code == ENOMEM) {
        tally_add(&traffic->pauses[PAUSE_DESCRIPTORS], 1);
        if (pause_is_told(listener, PAUSE_DESCRIPTORS)) {
            log_event(LOG_WARN, "accept_paused", LOG_TEXT("reason", strerror(code)), LOG_END);
        }
        accept_stop(listener);
        deadline_set(&server->connections.deadlines, &listener->accept_pause, DEADLINE_ACCEPT);
        return false;
    }
    /* All others are about the connection that was to be accepted (accept(2)). */
    return true;
}

/* Whether it is to be told, too: all are counted. */
static bool pause_is_told(struct listener *listener, enum accept_pause reason)
{
    uint64_t now_ms = uv_now(listener->server->connections.loop);
    uint64_t *told_at_ms = &listener->pause_told_at_ms[reason];

    if (*told_at_ms != 0 && now_ms < *told_at_ms + PAUSES_TOLD_EVERY_MS) {
        return false;
    }
    *told_at_ms = now_ms;
    return true;
}

static unsigned place_of(const struct listener *listener)
{
    return (unsigned)(listener - listener->server->listeners);
}

void accept_go_on(struct listener *listener)
{
    if (!listener->is_polled || listener->is_accepting ||
        listener->server->connections.is_draining) {
        return;
    }
    deadline_clear(&listener->accept_pause);
    listener->is_accepting = true;
    REQUIRE(uv_poll_start(&listener->poll, UV_READABLE, on_connectable) == 0);
}

void accept_stop(struct listener *listener)
{
    listener->is_accepting = false;
    uv_poll_stop(&listener->poll);
}
