/* kept_request.h - a request put aside: what is needed of its head to run it again.
 *
 * An exchange is too large to wait for minutes with (its field table alone is 800 bytes), so a poll
 * that waits is kept as a short head.
 *
 * Uses:    base, http.
 * Used by: net/conn_stream.
 * Thread:  the loop.
 */
#ifndef MIGCHAT_HTTP_KEPT_REQUEST_H
#define MIGCHAT_HTTP_KEPT_REQUEST_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/str.h"
#include "http/admission.h"
#include "http/exchange.h"

/* Appends a head that asks for the same: request line, the fields that decide about the answer, and
 * the request's id. `out` may overflow. */
void kept_request_append(const struct exchange *exchange, struct buf *out);
/* Fills an empty exchange from such a head and admits it; it is a request without a body. */
void kept_request_restore(struct exchange *exchange, struct str head,
                          const struct admission_policy *policy);

#endif
