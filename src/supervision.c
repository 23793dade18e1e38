/* supervision.c - a pulse, at half the watchdog's time.
 *
 *   opening    each pulse feeds the watchdog and asks for more time: adopting takes minutes, and
 *              systemd would end a start that takes longer than TimeoutStartSec=
 *   ready      each pulse sends a probe through the write lane, and only when it comes back the
 *              watchdog is fed: a writer that hangs and a loop that hangs both end in a restart
 *   stopping   each pulse feeds it; how long that may take has its own limit
 */
#include "supervision.h"

#include <inttypes.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/require.h"

/* How often the status is looked at when there is no watchdog, or a slow one. */
#define PULSE_MAX_MS 10000u
/* Asked for at each pulse of a long opening: three of the longest. */
#define EXTENSION_US (3 * (uint64_t)PULSE_MAX_MS * 1000)

static void on_pulse(uv_timer_t *pulse);
static void on_answered(struct server_probe *probe);
static void status_send(struct supervision *supervision);
static void feed(struct supervision *supervision);

void supervision_start(struct supervision *supervision, uv_loop_t *loop)
{
    *supervision = (struct supervision){.began_at_ms = clock_monotonic_ms()};
    notify_open(&supervision->notify);
    server_probe_init(&supervision->probe, on_answered);
    REQUIRE(uv_timer_init(loop, &supervision->pulse) == 0);
    uv_unref((uv_handle_t *)&supervision->pulse);
    if (!notify_is_heard(&supervision->notify)) {
        return;
    }
    supervision->watchdog_half_ms = notify_watchdog_half_ms();
    uint64_t pulse_ms =
        supervision->watchdog_half_ms > 0 && supervision->watchdog_half_ms < PULSE_MAX_MS
            ? supervision->watchdog_half_ms
            : PULSE_MAX_MS;
    REQUIRE(uv_timer_start(&supervision->pulse, on_pulse, pulse_ms, pulse_ms) == 0);
}

void supervision_listens(struct supervision *supervision, struct server *server)
{
    supervision->server = server;
    notify_send(&supervision->notify, "STATUS=opening the database");
}

void supervision_ready(struct supervision *supervision)
{
    supervision->phase = PHASE_READY;
    notify_send(&supervision->notify, "READY=1\nSTATUS=ready");
}

void supervision_stopping(struct supervision *supervision)
{
    if (supervision->phase == PHASE_STOPPING) {
        return;
    }
    supervision->phase = PHASE_STOPPING;
    unsigned connections =
        supervision->server != NULL ? server_connection_count(supervision->server) : 0;
    notify_send(&supervision->notify, "STOPPING=1\nSTATUS=draining %u connections", connections);
}

void supervision_reloading(struct supervision *supervision)
{
    if (supervision->phase != PHASE_READY) {
        return;
    }
    notify_send(&supervision->notify,
                "RELOADING=1\nMONOTONIC_USEC=%" PRIu64 "\nSTATUS=reading the configuration",
                clock_monotonic_ns() / 1000);
}

void supervision_reloaded(struct supervision *supervision)
{
    if (supervision->phase == PHASE_READY) {
        supervision_ready(supervision);
    }
}

static void on_pulse(uv_timer_t *pulse)
{
    struct supervision *supervision = container_of(pulse, struct supervision, pulse);

    if (supervision->server != NULL && server_is_draining(supervision->server)) {
        /* Nobody asked: a lane found its store broken. */
        supervision_stopping(supervision);
    }
    switch (supervision->phase) {
    case PHASE_OPENING:
        notify_send(&supervision->notify,
                    "EXTEND_TIMEOUT_USEC=%" PRIu64 "\nSTATUS=preparing the database for %" PRId64
                    " s",
                    EXTENSION_US, (clock_monotonic_ms() - supervision->began_at_ms) / 1000);
        feed(supervision);
        break;
    case PHASE_READY:
        status_send(supervision);
        if (supervision->watchdog_half_ms > 0) {
            server_probe_send(supervision->server, &supervision->probe);
        }
        break;
    case PHASE_STOPPING:
        feed(supervision);
        break;
    }
}

static void on_answered(struct server_probe *probe)
{
    feed(container_of(probe, struct supervision, probe));
}

static void status_send(struct supervision *supervision)
{
    unsigned connections = server_connection_count(supervision->server);

    if (connections != supervision->told_connections) {
        supervision->told_connections = connections;
        notify_send(&supervision->notify, "STATUS=ready, %u connections", connections);
    }
}

static void feed(struct supervision *supervision)
{
    if (supervision->watchdog_half_ms > 0) {
        notify_send(&supervision->notify, "WATCHDOG=1");
    }
}

void supervision_end(struct supervision *supervision)
{
    supervision->server = NULL;
    uv_close((uv_handle_t *)&supervision->pulse, NULL);
    REQUIRE(!supervision->probe.is_out);
    notify_close(&supervision->notify);
}
