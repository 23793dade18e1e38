/* upgrade.h - the WebSocket handshake (RFC 6455 section 4.2).
 *
 * Uses:    base, http/cors, http/request, http/response.
 * Used by: http/admission (judges), api (answers).
 * Thread:  whoever holds the exchange.
 */
#ifndef MIGCHAT_HTTP_UPGRADE_H
#define MIGCHAT_HTTP_UPGRADE_H

#include <stdbool.h>

#include "base/error.h"
#include "base/str.h"
#include "http/exchange.h"
#include "http/response.h"

/* Whether the request is a handshake that may be answered: GET by HTTP/1.1 with Upgrade and
 * Connection, Sec-WebSocket-Key and version 13, from a page that may read answers or one of the
 * host itself. UPGRADE_REQUIRED, HANDSHAKE_MALFORMED, ORIGIN_NOT_ALLOWED. */
MUST_CHECK enum error upgrade_judge(const struct request *request, const struct cors_policy *cors);
/* What the answer UPGRADE_REQUIRED has beside its body. */
void upgrade_required_fields(struct response *response);
/* The subprotocol that begins with `prefix`, without the prefix; false when none is offered. */
bool upgrade_offers(const struct request *request, struct str prefix, struct str *out_rest);
/* 101, of a handshake that was judged; `protocol` is the one chosen, ptr NULL for none. */
void upgrade_answer(struct exchange *exchange, struct str protocol);

#endif
