/* streams.h - who follows which account, and the reads of what they follow.
 *
 * A stream is a connection that wants what comes after a place in an account's log: a poll that
 * waits, or an open stream of events. It holds no events. When the log has grown (base/changes.h)
 * its streams are behind; equal polls are run again as one (net/polls.h), for the others one read
 * of the account is lent to the read lane, and what it brings goes to all of its streams that it
 * fits.
 *
 * Uses:    uv, base, http/event_reads.h, net/lane.h.
 * Used by: net.
 * Thread:  the loop.
 * Memory:  embedded in connections; accounts and streams are on the heap, a stream is its
 *          connection's.
 */
#ifndef MIGCHAT_NET_STREAMS_H
#define MIGCHAT_NET_STREAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/changes.h"
#include "base/list.h"
#include "http/exchange.h"
#include "http/traffic.h"
#include "net/websocket.h"

/* Reads lent at once: each may hold EVENT_BYTES_MAX, and there are as many read threads. */
#define READS_LENT_MAX 4u

struct conn;
struct connections;
struct followed; /* net/followed.h: an account with streams */

struct stream {
    struct list node; /* in its account's streams, the one to be read for next first */
    struct followed *account;
    struct conn *conn;
    int64_t cursor_seq;       /* the last entry the client has, or has the beginning of */
    int64_t session_id;       /* its end is the stream's */
    char *kept_head;          /* FOLLOW_POLL: the request put aside */
    uint32_t kept_bytes;      /* of it */
    bool is_chunked;          /* FOLLOW_EVENTS: HTTP/1.1 */
    bool is_behind;           /* there may be entries above the cursor */
    bool is_ending;           /* its session's end was the last event */
    uint8_t wait_s;           /* FOLLOW_POLL */
    uint8_t kind;             /* enum follow_kind */
    uint16_t limit;           /* FOLLOW_POLL: so many events at most */
    int64_t until_ms;         /* of uv_now. FOLLOW_POLL: when it is answered whatever there is;
                               * FOLLOW_SOCKET: when an incomplete message has taken too long */
    struct websocket *socket; /* FOLLOW_SOCKET: while a frame or message is incomplete */
    uint64_t began_at_ns;     /* FOLLOW_POLL: the exchange's; 0 once it goes on */
};

struct streams {
    struct connections *connections;
    struct changes *changes; /* NULL: nothing can be followed */
    const struct route *reads_route;
    struct followed **buckets; /* by account id; a power of two of them, or none */
    size_t bucket_count;
    size_t account_count;
    struct list due; /* accounts that want a read and have none lent */
    uv_idle_t turn;  /* runs once when accounts are due and reads may be lent */
    unsigned reads_lent;
    struct list pool;   /* of struct event_reads */
    struct buf scratch; /* frames of one write, for all */
    struct websocket_pool websockets;
    struct stream_traffic traffic;
};

/* `connections` has loop, settings and lanes. Its handle is closed by streams_close. */
void streams_open(struct streams *streams, struct connections *connections, struct changes *changes,
                  const struct route *reads_route);
/* Once there are no streams: closes the handle, which on_closed gets, and frees all else. */
void streams_close(struct streams *streams, uv_close_cb on_closed);

/* A stream of the exchange's account, from its follow.cursor_seq on. It is behind when the log has
 * grown since the exchange looked. */
struct stream *stream_new(struct streams *streams, struct conn *conn,
                          const struct exchange *exchange);
/* Whom it follows. */
int64_t stream_account_id(const struct stream *stream);
/* Ends and frees it. */
void stream_free(struct streams *streams, struct stream *stream);
/* It is behind and can take events now: a read is lent with the next turn's. */
void stream_want(struct streams *streams, struct stream *stream);

/* An event that is no entry: to those who follow the account and have nothing else to write. */
void streams_tell(struct streams *streams, int64_t account_id, struct str text);

/* After exchanges came back or a commit may have changed what is followed: tells the streams, lends
 * what could not be lent before. */
void streams_take_news(struct streams *streams);
/* A read came back. */
void streams_read_returned(struct streams *streams, struct exchange *exchange);

#endif
