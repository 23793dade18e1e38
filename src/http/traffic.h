/* traffic.h - what came and went, counted by whoever sees it: for the metrics.
 *
 * Uses:    base, http/router.
 * Used by: net (counts), api/metrics (tells).
 * Thread:  the loop's, but what a lane's thread counts.
 * Memory:  the caller's; rows are on the heap until traffic_release.
 */
#ifndef MIGCHAT_HTTP_TRAFFIC_H
#define MIGCHAT_HTTP_TRAFFIC_H

#include <stddef.h>
#include <stdint.h>

#include "base/tally.h"
#include "http/router.h"

#define LISTENERS_MAX 3u
/* Different ones that a route can answer: all of error.h and those of success. */
#define STATUSES_MAX 32u

extern const char *const lane_names[LANE_COUNT];

/* Answers of one route. */
struct route_traffic {
    uint16_t statuses[STATUSES_MAX]; /* in order of their first answer; 0 ends them */
    struct tally by_status[STATUSES_MAX];
    struct histogram durations; /* first byte of the request to the last of the answer given away */
};

/* Why accepting paused. */
enum accept_pause { PAUSE_CONNECTIONS, PAUSE_DESCRIPTORS, PAUSE_COUNT };

struct listener_traffic {
    const char *for_whom; /* NULL: it is not open */
    struct route_table routes;
    struct route_traffic *rows; /* as routes, and one more for what found none */
    uint64_t connections_max;
    struct tally accepted; /* connections */
    struct tally closed;
    struct tally begun;    /* requests */
    struct tally given_up; /* of these, ended without an answer */
    struct tally received_bytes;
    struct tally sent_bytes;
    struct tally pauses[PAUSE_COUNT];
};

/* Written by one thread of a lane. */
struct lane_thread_traffic {
    struct histogram waits;       /* of exchanges, from lending to a thread */
    struct histogram batch_sizes; /* exchanges run in one go: by the writer, in one transaction */
    struct tally busy_ns;
    char apart[CACHE_LINE_BYTES]; /* from the next thread's */
};

struct lane_traffic {
    unsigned thread_count; /* 0: the lane is not open */
    struct lane_thread_traffic *threads;
    const unsigned *lent_count; /* exchanges on it, waiting or run */
    struct tally places;        /* what that can be; where runs take long, by the last ones */
    struct tally refused;       /* exchanges that were one too many */
};

/* How a client waits for what comes in an account's log. */
enum stream_kind { STREAM_POLL, STREAM_SSE, STREAM_WEBSOCKET, STREAM_KIND_COUNT };

struct stream_traffic {
    unsigned counts[STREAM_KIND_COUNT]; /* open ones */
    size_t held_bytes;                  /* all of them, and the accounts they follow */
};

struct traffic {
    struct listener_traffic listeners[LISTENERS_MAX];
    struct lane_traffic lanes[LANE_COUNT];
    struct tally recalled;        /* requests answered with what is kept (api/kept_answers.h) */
    struct tally bodies_refused;  /* requests that found no room in bodies_max_bytes */
    const size_t *held_bytes;     /* of requests that are not answered yet */
    size_t bodies_max_bytes;      /* what that can be */
    size_t connection_idle_bytes; /* what an open connection costs that does nothing */
    const struct stream_traffic *streams;
};

/* The listener with this place begins; before it counts. `for_whom` outlives it. */
void traffic_open(struct traffic *traffic, unsigned listener, const char *for_whom,
                  struct route_table routes);
/* The lane begins, with so many threads. */
void traffic_open_lane(struct traffic *traffic, enum lane lane, unsigned thread_count,
                       unsigned queue_max, const unsigned *lent_count);
/* After its threads ended. */
void traffic_close_lane(struct traffic *traffic, enum lane lane);
void traffic_release(struct traffic *traffic);
/* An answer of this route of the listener; NULL: it found none. */
void traffic_count(struct listener_traffic *listener, const struct route *route, int status,
                   uint64_t duration_ns);

/* How many requests are not answered yet. */
uint64_t traffic_in_flight(const struct listener_traffic *listener);

/* How many connections are open. */
static inline uint64_t traffic_connections(const struct listener_traffic *listener)
{
    return tally_read(&listener->accepted) - tally_read(&listener->closed);
}

#endif
