/* body.h - the request's body as the members a handler asks for.
 *
 * Uses:    http, api/json.h.
 * Used by: api.
 * Thread:  whoever holds the exchange.
 */
#ifndef MIGCHAT_API_BODY_H
#define MIGCHAT_API_BODY_H

#include <stddef.h>

#include "api/json.h"
#include "base/error.h"
#include "http/exchange.h"

/* Judges the body in the contract's order: media type and coding (TYPE_UNSUPPORTED,
 * ENCODING_UNSUPPORTED), whether there is one (BODY_MISSING, for routes that need it), syntax
 * (JSON_MALFORMED), shape (BODY_SHAPE). An empty body is none, whatever its type says; without
 * one, where it is optional, no member is present. Texts are in the exchange's arena. */
MUST_CHECK enum error body_read(struct exchange *exchange, struct json_member *members,
                                size_t count);

/* Whether a Content-Type value is application/json, in UTF-8 if it names a charset (RFC 9110
 * section 8.3.1). */
bool media_type_is_json(struct str value);

#endif
