/* auth.h - the bearer token of a request, and whose it is.
 *
 * Uses:    http, domain/session.h.
 * Used by: api/dispatch.c.
 * Thread:  a lane with a store.
 */
#ifndef MIGCHAT_API_AUTH_H
#define MIGCHAT_API_AUTH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "http/exchange.h"
#include "store/store.h"

/* Sets account_id and session_id from the token. On a later step, or a later page of a stream,
 * the token must still be the same session's. *out_is_stale: its last use is to be written down
 * (session_set_used). TOKEN_MISSING, TOKEN_INVALID, or a store error. */
MUST_CHECK enum error auth_check(struct exchange *exchange, struct store *store, int64_t now_ms,
                                 bool *out_is_stale);

#endif
