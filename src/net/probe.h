/* probe.h - a question to the write lane that nobody sent: does it still answer?
 *
 * It is an exchange of a route of its own, which goes through the lane's queue, transaction and
 * commit as a request does, and changes nothing.
 *
 * Uses:    base, http/exchange.
 * Used by: net/server, net/lane (never refused by a full queue), supervision.
 * Thread:  the loop.
 * Memory:  embedded in its owner; each question is an exchange of its own.
 */
#ifndef MIGCHAT_NET_PROBE_H
#define MIGCHAT_NET_PROBE_H

#include <stdbool.h>

#include "http/exchange.h"

struct server;

struct server_probe {
    struct server *server; /* while it is out */
    bool is_out;           /* a lane has it */
    void (*on_answered)(struct server_probe *probe);
};

void server_probe_init(struct server_probe *probe, void (*on_answered)(struct server_probe *probe));
/* A question, to be lent for its one step; whoever gets it back frees it. */
struct exchange *server_probe_exchange(struct server_probe *probe);

#endif
