/* exchange.h - one request and its response, with the memory both live in.
 *
 * An exchange is plain data, owned by its connection and lent whole to one lane at a time. While
 * it is lent nobody else looks at it; each loan returns, exactly once.
 *
 * Uses:    base, http/request, http/response, http/router.
 * Used by: net, api.
 * Thread:  whoever holds it.
 * Memory:  heap; its arena ends with it. Connections pool them (exchange_clear).
 */
#ifndef MIGCHAT_HTTP_EXCHANGE_H
#define MIGCHAT_HTTP_EXCHANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/list.h"
#include "http/request.h"
#include "http/response.h"
#include "http/router.h"

struct event_reads;  /* http/event_reads.h */
struct server_probe; /* net/probe.h */
struct conn;         /* net/conn.h: only the loop follows it */
struct api_work;     /* api/work.h: what one route's steps hand on to each other; in the arena */

/* What the connection does once a handler has looked at the log and wants more of it. */
enum follow_kind {
    FOLLOW_NOTHING,
    FOLLOW_POLL,   /* there is nothing yet: put the request aside, run it again when there is */
    FOLLOW_EVENTS, /* the answer goes on with the events behind the cursor, as Server-Sent Events */
    FOLLOW_SOCKET, /* the same over the WebSocket that the answer opens */
    FOLLOW_TELL    /* nothing is followed: `text` is told to who follows account `told_id` */
};

struct follow {
    enum follow_kind kind;
    unsigned wait_s;    /* FOLLOW_POLL: at most so long, 1 to FOLLOW_WAIT_MAX_S */
    unsigned limit;     /* FOLLOW_POLL: so many events at most, below 2^16 */
    int64_t cursor_seq; /* the last entry the client knows */
    int64_t told_id;
    struct str text; /* JSON in the exchange's arena: an event to begin with, or to tell */
    bool is_behind;  /* there are entries above the cursor already */
    bool is_refused; /* FOLLOW_SOCKET: its token is nobody's, which a browser must be told so */
};
#define FOLLOW_WAIT_MAX_S 60u

/* What a poll's answer is, for others that wait at the same cursor. */
#define POLL_ENDED_MAX 4u
struct poll_found {
    bool
        is_all; /* everything above the cursor, in one page; of sessions that ended, all are here */
    unsigned event_count;
    unsigned ended_count;
    int64_t ended_ids[POLL_ENDED_MAX]; /* sessions whose end is among the events */
};

struct exchange {
    struct list node; /* in a lane's queue while lent */
    struct conn
        *owner; /* whose it is, NULL for those of streams and probes; the lanes never look */
    struct request request;
    struct response response;
    struct arena arena;
    const struct route *route;  /* NULL until admitted */
    struct str route_parameter; /* the decoded path segment in braces; a command's ref as JSON */
    unsigned step;              /* of route->steps, the next to run */
    unsigned marked_step;       /* what exchange_take_back goes back to */
    unsigned marked_begun_again;
    unsigned begun_again; /* how often exchange_begin_again sent it back to the first step */
    unsigned page;        /* of a streamed body: 0 for the first, counted by the connection */
    bool is_within_limit; /* it was counted already (http/limits.h) */
    bool is_done;         /* the last step ran or one failed: the response is to be written */
    bool notes_use;       /* set by dispatch on a read lane: before it is written, the write
                             lane notes that the session was used (once an hour a session) */
    char request_id[REQUEST_ID_MAX_BYTES + 1];
    uint64_t began_at_ns; /* monotonic, when its first byte was read; 0 until then and once
                             it is answered */
    uint64_t lent_at_ns;  /* the same clock, when it was lent last */

    unsigned retry_after_s; /* of RATE_LIMITED */
    bool slows_client;      /* so refused a log-in or sign-up: the answer waits for
                               REFUSED_WAIT_MS (net/conn.h) */

    /* Written by api/dispatch once the token is known to be good. */
    int64_t account_id;
    int64_t session_id;
    struct api_work *work;
    bool may_be_kept; /* the answer is right until something after commit `change` changes what
                         the account is shown (api/kept_answers.h) */
    uint64_t change;
    int64_t read_at_ms; /* the wall clock by which the session's use was judged then */
    bool page_is_made;  /* in the batch that is run */

    struct follow follow;       /* set by a handler, whole; until then only its kind is right */
    struct event_reads *reads;  /* of the streams, which such an exchange belongs to; else NULL */
    struct server_probe *probe; /* net/probe.h, whose exchange it is; NULL for requests */
    bool is_resumed;            /* a poll that was put aside and is run again: it has waited */
    unsigned wait_left_s;       /* so far that this is left; 0: it answers with what there is */
    int64_t polled_id; /* the account whose equal polls wait for it (net/polls.h); else 0 */
    struct poll_found poll_found; /* set by a poll's handler with its answer */
};

/* Never NULL. */
struct exchange *exchange_new(void);
void exchange_free(struct exchange *exchange);
/* Ready for the next request of the same owner; keeps a little memory. */
void exchange_clear(struct exchange *exchange);
/* Takes X-Request-Id from the request (given once, 1 to 64 visible ASCII characters) or makes one
 * (16 characters). exchange_admit and response_error do it when nobody has yet. */
void exchange_name(struct exchange *exchange);
/* The lane of the step to run next: the write lane when notes_use is set, for a stream's next page
 * (page > 0) the lane of the route's last step. REQUIREs that there is one. */
enum lane exchange_lane(const struct exchange *exchange);
/* For a step that found that what an earlier one checked has changed meanwhile: runs the route from
 * its first step again. Return its result from the step: OK, or OVERLOADED after
 * EXCHANGE_BEGUN_AGAIN_MAX times. The step must have written nothing. */
#define EXCHANGE_BEGUN_AGAIN_MAX 3u
MUST_CHECK enum error exchange_begin_again(struct exchange *exchange);
/* Runs the step on this thread and moves on: sets is_done after the last step or an error (whose
 * response it makes). For a page of a streamed body empties the response's body and runs the last
 * step again; an error there makes the response `failed`, since its head is out already. */
void exchange_run_step(struct exchange *exchange, struct services *services);
/* The whole route once more, for a poll that was put aside or had nothing to tell. */
void exchange_run_again(struct exchange *exchange, unsigned wait_left_s);
/* Before a step is run that may be undone; and as if it had not been run since: empties the
 * response. Not for pages. */
void exchange_mark(struct exchange *exchange);
void exchange_take_back(struct exchange *exchange);

#endif
