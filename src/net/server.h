/* server.h - listens, accepts, keeps the list of connections and their time limits, drains.
 *
 * Uses:    uv, base, http, net/conn, net/lane.
 * Used by: main.
 * Thread:  the loop.
 */
#ifndef MIGCHAT_NET_SERVER_H
#define MIGCHAT_NET_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/attributes.h"
#include "base/error.h"
#include "base/ip.h"
#include "http/traffic.h"
#include "net/lane.h"
#include "net/listener.h"
#include "net/probe.h"

struct server;

struct server_settings {
    /* The first is the one that must open, and that server_port tells of. */
    struct listener_settings listeners[LISTENERS_MAX];
    unsigned listener_count;
    unsigned head_timeout_ms;
    unsigned body_timeout_ms;
    unsigned idle_timeout_ms;
    unsigned write_timeout_ms;      /* no progress in writing an answer for so long: closed */
    unsigned drain_timeout_ms;      /* after SIGTERM, then connections are cut */
    size_t bodies_max_bytes;        /* all unfinished requests together */
    struct services *loop_services; /* for LANE_LOOP steps */
    struct readiness *readiness;
    struct traffic *traffic; /* empty; filled from server_start to server_finish */
    const struct work *work;
    struct changes *changes;           /* what the store marks; NULL: nothing is followed */
    const struct route *command_route; /* what a WebSocket's messages run through */
    const struct route *reads_route;   /* what streams read with (http/event_reads.h) */
};

/* Binds, listens and answers, without lanes: what needs one is told MIGRATING. Logs "opening" with
 * address and port. An address in use or not ours is logged and INTERNAL; all handles are closed
 * then, for which the loop is turned. SIGPIPE must be ignored: writing to a client that left is an
 * error like others. */
MUST_CHECK enum error server_start(uv_loop_t *loop, const struct server_settings *settings,
                                   struct server **out_server);
/* Starts the lanes; from now on everything is answered. Logs "listening". Once, and not when it
 * drains. After a failure it goes on without lanes. */
MUST_CHECK enum error server_open_lanes(struct server *server,
                                        const struct lane_plan plans[LANE_COUNT]);
/* Goes by other limits from now on: times, connections, bytes, CORS. Where it listens and for whom
 * stays; `settings` are those it was started with, but for those limits. Who waits waits by the new
 * times; a request whose head was judged already goes by what was then. */
void server_follow(struct server *server, const struct server_settings *settings);
/* Lends the probe to the write lane; its on_answered is called once a transaction of the lane's has
 * run it. Nothing happens while it is out, without lanes, or when they refuse. */
void server_probe_send(struct server *server, struct server_probe *probe);
/* For admission_policy: the address that the exchange's connection comes from. Behind a Unix socket
 * that is 127.0.0.1, since who asks there is on this machine; of a connection that was reset nobody
 * knows it any more, so all those are 100::, which nobody has (RFC 6666), and have one rate. */
void server_peer_find(const struct exchange *exchange, struct ip_address *out_address);
/* Open ones, of all listeners. */
unsigned server_connection_count(const struct server *server);
bool server_is_draining(const struct server *server);
/* The port the first listener is on. */
uint16_t server_port(const struct server *server);
/* Stops accepting, lets what is in flight finish, closes idle connections, and ends all handles;
 * uv_run returns then. Called twice it does nothing more. */
void server_drain(struct server *server);
/* After uv_run returned: whether the lanes reported a fatal store failure. Frees the server. */
bool server_finish(struct server *server);

#endif
