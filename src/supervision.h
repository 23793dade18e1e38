/* supervision.h - what systemd is told: ready, reloading, stopping, alive, and a line of status.
 *
 * Uses:    uv, notify, net/server.
 * Used by: serving.
 * Thread:  the loop.
 * Memory:  embedded in its owner, until the loop has turned after supervision_end.
 */
#ifndef MIGCHAT_SUPERVISION_H
#define MIGCHAT_SUPERVISION_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "net/server.h"
#include "notify.h"

enum supervision_phase { PHASE_OPENING, PHASE_READY, PHASE_STOPPING };

struct supervision {
    struct notify notify;
    uv_timer_t pulse;
    struct server *server;
    struct server_probe probe;
    enum supervision_phase phase;
    uint64_t watchdog_half_ms; /* 0: no watchdog */
    int64_t began_at_ms;
    unsigned told_connections; /* in the last status */
};

/* Before the server starts. When nobody asks for notifications nothing here does anything. Does not
 * keep the loop alive. */
void supervision_start(struct supervision *supervision, uv_loop_t *loop);
/* It listens, and its database is being opened. */
void supervision_listens(struct supervision *supervision, struct server *server);
/* The lanes are open: everything is answered. */
void supervision_ready(struct supervision *supervision);
void supervision_stopping(struct supervision *supervision);
/* Around a reload (sd_notify(3), RELOADING=1); ready again whatever came of it. Before it is ready
 * for the first time, and when it stops, nothing of it is told. */
void supervision_reloading(struct supervision *supervision);
void supervision_reloaded(struct supervision *supervision);
/* After uv_run returned. */
void supervision_end(struct supervision *supervision);

#endif
