/* cors.h - what a browser needs before it hands an answer to a page of another origin (Fetch
 * standard, section 3.2). Credentials are never granted: the token is a field of the page's own.
 *
 * Uses:    http/request, http/response.
 * Used by: http/response, http/admission.
 * Thread:  whoever holds the exchange.
 */
#ifndef MIGCHAT_HTTP_CORS_H
#define MIGCHAT_HTTP_CORS_H

#include "base/buf.h"
#include "base/str.h"
#include "http/request.h"
#include "http/response.h"

/* Whether pages of this origin may read answers. */
bool cors_allows_origin(const struct cors_policy *cors, struct str origin);
/* The field lines for any answer to this request, errors too. */
void cors_answer_fields(const struct cors_policy *cors, const struct request *request,
                        struct buf *out);
/* The further fields of the answer to a preflight; nothing when the request is none, or comes from
 * an origin that is not allowed. `methods` is what Allow says. */
void cors_preflight_fields(const struct cors_policy *cors, const struct request *request,
                           struct str methods, struct response *response);

#endif
