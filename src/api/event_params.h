/* event_params.h - where in the caller's log events begin.
 *
 * Uses:    http, api/cursor.h, store/store.h.
 * Used by: api.
 * Thread:  a lane with a store.
 */
#ifndef MIGCHAT_API_EVENT_PARAMS_H
#define MIGCHAT_API_EVENT_PARAMS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"
#include "http/exchange.h"
#include "store/store.h"

/* The parameter `since` of a query that was judged, ptr NULL without one. */
MUST_CHECK enum error event_since_read(struct exchange *exchange, struct str *out_since);
/* The place that `since` names, or now when its ptr is NULL, and the head of the caller's log.
 * CURSOR_NOT_ALLOWED, CURSOR_GONE, and what the store says. */
MUST_CHECK enum error event_place_find(const struct exchange *exchange, struct store *store,
                                       struct str since, int64_t *out_seq, int64_t *out_head_seq);

/* {"type":"reset","cursor":…}: the place from which a stream goes on whose cursor leads nowhere. */
struct str event_reset_text(struct str epoch, int64_t seq, struct arena *arena);

#endif
