/* server_state.h - what a server is made of.
 *
 * Uses:    uv, net/connections, net/deadline.
 * Used by: net/server.c, net/server_accept.c.
 * Thread:  the loop.
 */
#ifndef MIGCHAT_NET_SERVER_STATE_H
#define MIGCHAT_NET_SERVER_STATE_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "net/connections.h"
#include "net/deadline.h"
#include "net/server.h"

struct listener {
    uv_poll_t poll;
    struct server *server;
    int socket;
    uint16_t port;
    struct deadline accept_pause;
    uint64_t pause_told_at_ms[PAUSE_COUNT]; /* of uv_now; 0: never */
    bool is_open;                           /* the socket is */
    bool is_polled;                         /* the handle is open */
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

/* Has the loop tell when somebody connects, unless it does or the server drains. */
void accept_go_on(struct listener *listener);
void accept_stop(struct listener *listener);

#endif
