/* probe.c - the exchange of a probe and the route it is of. */
#include "net/probe.h"

#include "http/router.h"

static enum error probe_step(struct exchange *exchange, struct services *services);

static const struct route probe_route = {
    .method = METHOD_GET, .path = "(probe)", .steps = {{LANE_WRITE, probe_step}}};

void server_probe_init(struct server_probe *probe, void (*on_answered)(struct server_probe *probe))
{
    *probe = (struct server_probe){.on_answered = on_answered};
}

struct exchange *server_probe_exchange(struct server_probe *probe)
{
    struct exchange *exchange = exchange_new();

    exchange->route = &probe_route;
    exchange->probe = probe;
    return exchange;
}

/* That it runs is the answer. */
static enum error probe_step(struct exchange *exchange, struct services *services)
{
    (void)services;
    exchange->response.status = 204;
    return OK;
}
