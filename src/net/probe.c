/* probe.c - the exchange of a probe and the route it is of. */
#include "net/probe.h"

#include "base/require.h"
#include "http/router.h"

static enum error probe_step(struct exchange *exchange, struct services *services);

static const struct route probe_route = {
    .method = METHOD_GET, .path = "(probe)", .steps = {{LANE_WRITE, probe_step}}};

void server_probe_init(struct server_probe *probe, void (*on_answered)(struct server_probe *probe))
{
    *probe = (struct server_probe){.on_answered = on_answered};
}

void server_probe_load(struct server_probe *probe)
{
    REQUIRE(!probe->is_out);
    if (probe->exchange == NULL) {
        probe->exchange = exchange_new();
    } else {
        exchange_clear(probe->exchange);
    }
    probe->exchange->route = &probe_route;
    probe->exchange->probe = probe;
}

/* That it runs is the answer. */
static enum error probe_step(struct exchange *exchange, struct services *services)
{
    (void)services;
    exchange->response.status = 204;
    return OK;
}

void server_probe_release(struct server_probe *probe)
{
    REQUIRE(!probe->is_out);
    if (probe->exchange != NULL) {
        exchange_free(probe->exchange);
        probe->exchange = NULL;
    }
}
