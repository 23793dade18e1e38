/* dispatch.h - runs batches of exchanges on a lane: transaction, token, step, outcome.
 *
 * Uses:    http/exchange, api, domain, store/store.h.
 * Used by: main, which hands these to the lanes (net/lane.h, struct work).
 * Thread:  the lane's, with its services.
 */
#ifndef MIGCHAT_API_DISPATCH_H
#define MIGCHAT_API_DISPATCH_H

#include <stdbool.h>

#include "base/error.h"
#include "base/list.h"
#include "http/batch_source.h"
#include "http/exchange.h"

struct services;

/* Runs one step of every exchange of the batch (linked by exchange->node; none is taken out):
 * the read lane in one snapshot opened now, the write lane in one transaction committed at the
 * end, before which nothing counts as answered. Before its commit the write lane takes in what
 * `source` has by then (NULL: has nothing). OUTCOME_UNKNOWN tells that the store must not be
 * used any more; all other failures are in the exchanges' responses. */
enum error dispatch_batch(struct services *services, struct list *batch,
                          struct batch_source *source);

/* One step of chores and checkpoints on the write lane. `is_idle`: nothing came for a while.
 * *out_more: call again soon. */
enum error dispatch_rest(struct services *services, bool is_idle, bool *out_more);

#endif
