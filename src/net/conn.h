/* conn.h - one client's connection: bytes in, exchange out and back, bytes out.
 *
 * Uses:    uv, base, http, net/connections.
 * Used by: net.
 * Thread:  the loop.
 * Memory:  heap, listed in connections->open; frees itself once it is closing, its handle is
 *          closed and its exchange is not lent.
 */
#ifndef MIGCHAT_NET_CONN_H
#define MIGCHAT_NET_CONN_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/attributes.h"
#include "base/error.h"
#include "base/list.h"
#include "http/event_reads.h"
#include "http/exchange.h"
#include "http/parser.h"
#include "net/connections.h"
#include "net/deadline.h"
#include "net/websocket.h"

/* Who logs in or signs up too often is told so after this time, and nothing is read of it until
 * then: a client that does not wait as Retry-After says would else be refused as fast as it can
 * ask, tens of thousands of times a second, at the cost of all others. */
#define REFUSED_WAIT_MS 100u

/* What the connection is at; conn.c has the moves. */
enum conn_state {
    CONN_IDLE,      /* nothing of a request has come since accept or the last answer */
    CONN_HEAD,      /* a head is coming */
    CONN_BODY,      /* its body is coming */
    CONN_READY,     /* the request is here or its exchange came back: the next step is ours */
    CONN_LENT,      /* a lane has the exchange */
    CONN_STREAMING, /* a page of the answer is on its way, more follow */
    CONN_FOLLOWING, /* it waits for what comes in an account's log: `stream` is set */
    CONN_FINISHING, /* the last answer is on its way */
    CONN_LINGERING, /* it was sent and so was our end; what comes is thrown away */
    CONN_CLOSING,   /* the handle is closing or closed */
    CONN_STATE_COUNT
};

struct conn {
    uv_tcp_t tcp;
    struct http_parser parser;
    struct list node; /* in connections->open */
    struct deadline deadline;
    struct connections *connections;
    struct exchange *exchange; /* from the first byte of a request to the end of its answer */
    struct output *output;     /* while something is to be written */
    struct input *input;       /* while something read is not parsed; reading stops then */
    struct stream *stream;     /* CONN_FOLLOWING */
    struct conn *next_resting; /* in connections->resting */
    int64_t lingers_until_ms;
    uint32_t request_bytes; /* of the unfinished request, counted in connections->held_bytes */
    uint8_t state;          /* enum conn_state; set by conn_set_state only */
    uint8_t listener;       /* of the settings' listeners, the one it came from */
    bool is_state_new;      /* set with the state, cleared once the time limit follows it */
    bool is_handle_open;    /* until its close callback */
    bool is_lent;           /* as CONN_LENT, but also while closing */
    bool is_reading;        /* uv_read_start is in force */
    bool is_resting;        /* it filled the slab: the next read is the next turn's */
    bool is_slowed;         /* it was refused for asking too often: it waits for DEADLINE_SLOWED */
    bool is_judged;         /* the answer is ready, the body is only read away */
    bool has_ended;         /* the client sent its end */
    bool has_answered;      /* at least once: its first head is limited from accept on */
    bool closes_unread;     /* input was given up: no request can be read any more */
};

static_assert(sizeof(struct conn) <= 512, "an idle connection costs at most 512 bytes");

/* Takes over the socket that this listener accepted. */
void conn_open(struct connections *connections, int socket, unsigned listener);
/* Ends the connection now, whatever it does. It is freed later, in a callback. */
void conn_close(struct conn *conn);
/* The server drains: an idle connection is closed, others after their exchange. */
void conn_drain(struct conn *conn);
/* For connections->turn_end: those that are resting read on; too slow readers are let go. */
void conn_turn_ended(uv_check_t *turn_end);
/* For lanes_start: goes on with the connection of an exchange that came back. */
void conn_exchange_returned(struct exchange *exchange);
/* Its deadline of this kind passed. */
void conn_deadline_passed(struct conn *conn, enum deadline_kind kind);

/* A poll's account has news, or its time is over; the request is run again, and its exchange gets
 * this polled_id. True when a lane has it then. */
bool conn_resume_poll(struct conn *conn, int64_t polled_id);
/* The same, but its answer is what this exchange brought. */
void conn_answer_poll(struct conn *conn, const struct exchange *brought);
/* What was read for its stream, which is behind and between two writes; `has_more` may be above
 * it. */
void conn_take_events(struct conn *conn, const struct event_reads *reads,
                      const struct event_read *read, bool has_more);
/* An event that is no entry; nothing is being written. */
void conn_tell(struct conn *conn, struct str text);
/* The stream is over: as it should be, or cut. */
void conn_end_stream(struct conn *conn, bool is_cut);

/* The rest is for conn*.c. */

/* REQUIREs that the move is in the table. */
void conn_set_state(struct conn *conn, enum conn_state state);
/* Does all that can be done now: writes, takes next steps, parses kept input; then sees to
 * reading and the time limit. It may close the connection, so it is every event's last
 * statement. */
void conn_settle(struct conn *conn);

/* What is served where it came from. */
static inline const struct admission_policy *conn_policy(const struct conn *conn)
{
    return &conn->connections->settings->listeners[conn->listener].admission;
}

/* What is counted of where it came from. */
static inline struct listener_traffic *conn_traffic(const struct conn *conn)
{
    return &conn->connections->traffic->listeners[conn->listener];
}

/* Of what was read and not parsed. */
void conn_drop_input(struct conn *conn);

/* conn_request.c */

/* What is held of its unfinished request is so much now, in connections->held_bytes too. */
void conn_hold(struct conn *conn, size_t bytes);
/* Whether conn_parse would take anything. */
bool conn_can_parse(const struct conn *conn);
/* Parses as far as possible now; returns how many bytes were taken. */
size_t conn_parse(struct conn *conn, const char *bytes, size_t len);
/* CONN_READY: takes the exchange's next step, lends it or answers it. */
void conn_go_on(struct conn *conn);
/* Answers a request that has not come in full with this error, or with the answer it has; the
 * connection ends after it. */
void conn_refuse(struct conn *conn, enum error error);
/* Gives the exchange back to the pool; it must not be lent. */
void conn_drop_exchange(struct conn *conn);

/* conn_write.c */

/* Puts the exchange's answer (for a stream its first page) into the output. */
void conn_answer(struct conn *conn);
/* CONN_STREAMING, the page is written: asks for the next one. */
void conn_next_page(struct conn *conn);
/* CONN_READY, a later page came back: puts it into the output. */
void conn_add_page(struct conn *conn);
/* Tells the client to send the body it announced. */
void conn_say_continue(struct conn *conn);
/* Its place for what is to be written; no write may be pending. */
struct output *conn_output(struct conn *conn);
/* The exchange is answered: counts it, tells of it in the log, gives it back; the state is this
 * one then. */
void conn_end_exchange(struct conn *conn, enum conn_state state);
/* Whether so much is gathered that it must be written before more is. */
bool conn_is_gathered(const struct conn *conn);
/* Whether a write is pending. */
bool conn_is_writing(const struct conn *conn);
/* Writes what is gathered, but for a refusal that waits; true when that is done or goes on by
 * itself, false when the client is gone. */
MUST_CHECK bool conn_flush(struct conn *conn);
/* Closes those whose writes wait longest, until no more than WAITING_MAX_BYTES wait. */
void conn_let_slowest_go(struct connections *connections);
/* DEADLINE_WRITE passed: true while the client still takes something. */
MUST_CHECK bool conn_is_taking(struct conn *conn);

/* conn_poll.c and conn_stream.c */

/* CONN_READY, a step said that somebody follows. True when a poll was put aside or is run again, so
 * that there is no answer yet. */
NOT_INLINED bool conn_follows(struct conn *conn);
/* CONN_STREAMING, the first page of a stream is written: goes on with its events. */
void conn_follow(struct conn *conn);
/* CONN_FOLLOWING, nothing is to be written: sees to what comes next. False when that is an event.
 */
bool conn_follow_on(struct conn *conn);
/* DEADLINE_HEARTBEAT passed. */
void conn_beat(struct conn *conn);
/* The server drains, CONN_FOLLOWING. */
void conn_drain_stream(struct conn *conn);
/* A poll that waits is put aside, or run again when the log has grown meanwhile or it cannot wait.
 */
void conn_park(struct conn *conn);
/* CONN_FOLLOWING: the request that was put aside is run. */
void conn_poll_again(struct conn *conn);
/* Of a poll that was put aside. */
enum deadline_kind conn_poll_deadline(const struct conn *conn);
/* What is told on a stream, as its kind frames it. */
void conn_frame_append(const struct conn *conn, struct buf *out, struct str text);
/* The stream's last words, and its end; `code` for a WebSocket. */
void conn_finish_stream(struct conn *conn, enum websocket_code code);

/* conn_socket.c */

/* Bytes for a WebSocket: takes them up to the end of a message, whose command then runs, or none
 * while one does; returns how many. */
size_t conn_take_frames(struct conn *conn, const char *bytes, size_t len);
/* CONN_FOLLOWING, a WebSocket with nothing to be written: answers a command that came back, runs
 * the next, takes what was kept. False when there is nothing to do. */
bool conn_socket_on(struct conn *conn);

/* Frees the stream, if there is one. */
void conn_drop_stream(struct conn *conn);

#endif
