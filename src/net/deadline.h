/* deadline.h - time limits, thousands of them on one timer.
 *
 * Every kind of limit has one duration, so a list to which new limits are appended stays in
 * order and only its first one has to be looked at. A connection has one limit at a time.
 *
 * Uses:    uv, base.
 * Used by: net.
 * Thread:  the loop.
 * Memory:  a deadline is embedded in what it limits; `deadlines` owns one uv_timer_t.
 */
#ifndef MIGCHAT_NET_DEADLINE_H
#define MIGCHAT_NET_DEADLINE_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/list.h"
#include "http/exchange.h"

enum deadline_kind {
    DEADLINE_HEAD,      /* a head, from accept or from its first byte */
    DEADLINE_BODY,      /* a body, from the end of its head */
    DEADLINE_IDLE,      /* the next request, from the end of the last answer */
    DEADLINE_WRITE,     /* a part of the write limit: see conn_write.c */
    DEADLINE_LINGER,    /* the client's end, after the last answer */
    DEADLINE_HEARTBEAT, /* a stream that has nothing to say */
    DEADLINE_ACCEPT,    /* accepting paused because descriptors ran out */
    DEADLINE_DRAIN,     /* what is in flight when the server drains */
    DEADLINE_FIRST,     /* a request's first byte when the server drains */
    DEADLINE_SLOWED,    /* a client that was refused for asking too often */
    DEADLINE_POLL,      /* a poll that waits for one second; the next ones for two, and so on */
    DEADLINE_KIND_COUNT = DEADLINE_POLL + FOLLOW_WAIT_MAX_S
};

struct deadline {
    struct list node; /* in the list of its kind while set */
    int64_t at_ms;    /* of uv_now */
    enum deadline_kind kind;
};

struct deadlines;

/* Called when a deadline passed; it is no longer set. It may set and clear any deadline. */
typedef void (*deadline_passed)(struct deadlines *deadlines, struct deadline *deadline);

struct deadlines {
    uv_timer_t timer;
    deadline_passed on_passed;
    int64_t fires_at_ms; /* what the timer is set to; INT64_MAX when it is not */
    int64_t duration_ms[DEADLINE_KIND_COUNT];
    struct list pending[DEADLINE_KIND_COUNT];
};

/* Durations are at least 1 ms (0 counts as 1). */
void deadlines_init(struct deadlines *deadlines, uv_loop_t *loop,
                    const unsigned duration_ms[DEADLINE_KIND_COUNT], deadline_passed on_passed);
/* Other durations, as at deadlines_init; what is set already moves by the difference. */
void deadlines_change(struct deadlines *deadlines, const unsigned duration_ms[DEADLINE_KIND_COUNT]);
/* Closes the timer; `on_closed` gets its handle. Set deadlines are forgotten. */
void deadlines_close(struct deadlines *deadlines, uv_close_cb on_closed);

void deadline_init(struct deadline *deadline);
/* Sets it from now; one that was set, of any kind, is moved. */
void deadline_set(struct deadlines *deadlines, struct deadline *deadline, enum deadline_kind kind);
/* Clears it; does nothing when it is not set. */
void deadline_clear(struct deadline *deadline);
bool deadline_is_set(const struct deadline *deadline, enum deadline_kind kind);

#endif
