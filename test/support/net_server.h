/* net_server.h - a server of net/ in this process, on a thread of its own, with routes made for
 * tests; and clients of it, on blocking sockets.
 *
 * Uses:    net/server, http, cmocka's assertions.
 * Used by: test/unit/net.
 * Thread:  the test's. Handlers run on the server's.
 *
 * The routes:
 *   GET  /loop     "loop", on the loop
 *   GET  /read     "read", on the read lane
 *   POST /write    the body, on the write lane
 *   POST /steps    "read,hash,write", one word by each lane
 *   POST /ignore   "ignored": takes no body
 *   GET  /closed   401 before the body without a token
 *   GET  /held     "held", on the read lane, once net_server_open_gate was called
 *   GET  /hold-write   the same on the write lane
 *   GET  /noted    "noted", after the write lane noted the use
 *   GET  /big      60,000 bytes in one answer
 *   GET  /none     204
 *   GET  /pages    PAGES_COUNT pages of letters, streamed from the read lane
 *   GET  /looped   the same from the loop
 *   GET  /endless  pages without end
 *   GET  /broken   fails after two pages
 *   GET  /fatal    the write lane reports WORK_FATAL
 */
#ifndef MIGCHAT_TEST_NET_SERVER_H
#define MIGCHAT_TEST_NET_SERVER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

#include "net/server.h"

#define PAGES_COUNT 5u
#define BIG_BODY_BYTES 60000u
#define HELD_BYTES (1u << 20)

struct gate {
    pthread_mutex_t lock;
    pthread_cond_t moved;
    bool is_open;
    unsigned waiting_count;
};

struct net_server {
    /* Set up by net_server_prepare, for the test to change before net_server_run. */
    struct server_settings settings;
    struct lane_plan plans[LANE_COUNT];
    bool is_without_lanes; /* until net_server_open_lanes */

    uv_loop_t loop;
    uv_async_t stop;
    uv_async_t open_lanes;
    uv_prepare_t turn;    /* of the loop */
    unsigned of_turn;     /* requests answered by the loop itself in this one */
    unsigned most_a_turn; /* so far; to be read when it is stopped */
    struct server *server;
    struct readiness readiness;
    struct traffic traffic;
    pthread_t thread;
    bool is_stopped;
    bool has_failed;
    struct gate gate;
    atomic_uint notes;   /* uses noted by the write lane */
    atomic_uint batches; /* that the lanes ran */
};

/* One server at a time. */
void net_server_prepare(struct net_server *net);
void net_server_run(struct net_server *net);
/* prepare and run. */
void net_server_start(struct net_server *net);
/* On its thread; returns at once. */
void net_server_open_lanes(struct net_server *net);
/* Asks it to drain, as a signal would. */
void net_server_drain(struct net_server *net);
/* Waits for its end, which must leave no handle; asks for it unless it comes by itself. */
void net_server_stop(struct net_server *net);
void net_server_wait(struct net_server *net);
/* Waits until `count` handlers wait in a held route. */
void net_server_await_held(struct net_server *net, unsigned count);
void net_server_open_gate(struct net_server *net);

struct client {
    int socket;
    char *bytes; /* read but not yet part of an answer */
    size_t len;
    size_t capacity;
    bool was_reset; /* the end was not an orderly one */
};

struct client_answer {
    int status;
    char head[8192];
    char *body; /* NUL-terminated, freed with client_answer_release */
    size_t body_len;
    bool is_chunked;
    bool is_complete; /* the last chunk came */
};

void client_connect(struct client *client, const struct net_server *net);
/* Its kernel holds about so many bytes that it did not read. */
void client_connect_little(struct client *client, const struct net_server *net, int bytes);
void client_close(struct client *client);
/* All bytes, or as many as the server takes before it resets. */
void client_send(struct client *client, const char *text);
void client_send_bytes(struct client *client, const char *bytes, size_t len);
/* As recv(2), which may be interrupted: libuv 1.50 makes an io_uring in the thread that makes a
 * loop, and the kernel disturbs that thread when it takes the ring down. */
ssize_t client_receive(struct client *client, char *bytes, size_t capacity, int flags);
/* Sends its end: nothing more will come. */
void client_end(struct client *client);
/* Reads the next answer; `to_head`: it has no body whatever its head says. */
void client_read_answer(struct client *client, bool to_head, struct client_answer *out_answer);
void client_answer_release(struct client_answer *answer);
/* Reads the next answer and checks it. */
void client_expect(struct client *client, int status, const char *body);
/* Nothing but the end comes. */
void client_expect_end(struct client *client);
/* connect, send, read, close. */
void client_ask_once(const struct net_server *net, const char *request, int status,
                     const char *body);
/* Milliseconds of the monotonic clock. */
int64_t test_now_ms(void);

#endif
