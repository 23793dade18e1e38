/* connections.h - what all connections of one server share: settings, lanes, time limits, the
 * buffer they read into, the pools of what an idle connection does not hold, the date.
 *
 * Uses:    uv, base, http/exchange, net/server.h, net/deadline, net/lane, net/streams.
 * Used by: net/server, net/conn*.
 * Thread:  the loop.
 * Memory:  embedded in the server; what is taken from a pool is given back or freed with it.
 */
#ifndef MIGCHAT_NET_CONNECTIONS_H
#define MIGCHAT_NET_CONNECTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/str.h"
#include "http/exchange.h"
#include "net/deadline.h"
#include "net/lane.h"
#include "net/server.h"
#include "net/streams.h"

/* One read takes at most this much, and a connection keeps at most this much unparsed. */
#define SLAB_BYTES (16u * 1024u)

/* The longest silence after the last answer before the connection is closed. */
#define LINGER_SILENCE_MS 2000u
/* DEADLINE_WRITE is this part of the write limit: see conn_write.c. */
#define WRITE_LOOKS 4u
/* What all answers hold together that their clients do not take: some 120 pages of lists. Above it
 * those that wait longest are closed, so that slow readers cannot take the machine's memory. */
#define WAITING_MAX_BYTES ((size_t)8 * 1024 * 1024)

/* Answers on their way to the socket. A connection has one while it has something to write. */
struct output {
    struct list node;         /* in the pool */
    struct buf gathered;      /* heads and small bodies, in order */
    size_t refusal_bytes;     /* at its end, which wait while the connection is slowed */
    struct buf body;          /* then one large body, taken over from its response */
    struct str tail;          /* then a constant: what ends a chunk */
    uv_write_t write;         /* the rest that did not go at once */
    bool is_writing;          /* `write` is pending: nothing may be appended */
    uint8_t looks;            /* at the write since it last moved */
    size_t unsent_bytes;      /* by us and by the kernel, at the last look that saw it shrink */
    struct list waiting_node; /* in connections->waiting, while `write` is pending */
    size_t waiting_bytes;     /* what it holds until then */
};

/* Bytes that were read but cannot be parsed yet. */
struct input {
    struct list node; /* in the pool */
    struct buf bytes;
    size_t at; /* where parsing goes on */
};

struct pool {
    struct list free;
    unsigned count;
};

struct connections {
    uv_loop_t *loop;
    const struct server_settings *settings;
    struct traffic *traffic; /* of the settings */
    struct lanes *lanes;     /* NULL until server_open_lanes */
    struct deadlines deadlines;
    struct list open;     /* every conn by its node */
    uv_check_t turn_end;  /* runs while there are resting ones, or too much waits */
    struct conn *resting; /* had their share of this turn; by next_resting */
    unsigned count;
    size_t held_bytes;    /* heads, bodies and unparsed input of unfinished requests */
    struct list waiting;  /* outputs that the socket did not take, oldest write first */
    size_t waiting_bytes; /* of these */
    bool is_draining;
    /* After one was freed that had come from this listener. */
    void (*on_gone)(struct connections *connections, unsigned listener);
    /* After a read of the streams came back. */
    void (*on_read_over)(struct connections *connections);
    struct streams streams;
    struct pool exchanges;
    struct pool outputs;
    struct pool inputs;
    uint64_t read_at_ns;     /* when the bytes that are parsed were read */
    int64_t date_read_at_ms; /* uv_now when the wall clock was last read */
    int64_t date_second;
    char date[TIME_IMF_FIXDATE_LEN + 1];
    bool is_read_secret; /* the slab has more than heads that were judged and found to hold no
                            token: it is wiped before the next read */
    char slab[SLAB_BYTES];
};

/* Sets up all but lanes, deadlines and on_gone. `settings` must outlive it. */
void connections_init(struct connections *connections, uv_loop_t *loop,
                      const struct server_settings *settings);
/* Frees the pools. */
void connections_release(struct connections *connections);

/* From the pool or new, empty. Never NULL. */
struct exchange *connections_take_exchange(struct connections *connections);
struct output *connections_take_output(struct connections *connections);
struct input *connections_take_input(struct connections *connections);
/* Gives back what *place points to and sets it to NULL; does nothing when it is NULL. */
void connections_give_exchange(struct connections *connections, struct exchange **place);
void connections_give_output(struct connections *connections, struct output **place);
void connections_give_input(struct connections *connections, struct input **place);

/* Now, as the Date field says it. */
const char *connections_date(struct connections *connections);

#endif
