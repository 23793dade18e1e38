/* kept_request.h - a request put aside: what is needed of its head to run it again.
 *
 * An exchange is too large to wait for minutes with (its field table alone is 800 bytes), so a poll
 * that waits is kept as a short head, and takes the way of one that has just come when it goes on.
 *
 * Uses:    base, http.
 * Used by: net/conn_poll, net/streams.
 * Thread:  the loop.
 */
#ifndef MIGCHAT_HTTP_KEPT_REQUEST_H
#define MIGCHAT_HTTP_KEPT_REQUEST_H

#include "base/buf.h"
#include "http/exchange.h"

/* Appends a head that asks for the same: request line, the fields that decide about the answer, and
 * the request's id. `out` may overflow. */
void kept_request_append(const struct exchange *exchange, struct buf *out);

/* Wipes a kept copy of one, which holds a token, and frees it. NULL is nothing. */
void kept_head_free(char *head, size_t len);

#endif
