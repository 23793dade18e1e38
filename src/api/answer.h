/* answer.h - how a handler begins its answer.
 *
 * Uses:    http, api/json_write.h.
 * Used by: api.
 * Thread:  whoever holds the exchange.
 */
#ifndef MIGCHAT_API_ANSWER_H
#define MIGCHAT_API_ANSWER_H

#include "api/json_write.h"
#include "http/exchange.h"

/* 200 with a JSON object, which is open already; the caller closes it. */
struct json_writer answer_object(struct exchange *exchange);
/* 204. */
void answer_nothing(struct exchange *exchange);

#endif
