/* accept.h - what the client's Accept fields name (RFC 9110 section 12.5).
 *
 * Uses:    base, http/request.
 * Used by: http, api.
 * Thread:  whoever holds the request.
 */
#ifndef MIGCHAT_HTTP_ACCEPT_H
#define MIGCHAT_HTTP_ACCEPT_H

#include <stdbool.h>

#include "base/str.h"
#include "http/request.h"

/* Whether the field (its first line) lists this very range or coding (ASCII case does not count)
 * with a quality above 0. Wildcards do not count: what is asked for here is optional. */
bool accept_names(const struct request *request, struct str field, struct str wanted);
/* That quality in thousandths, 1000 where none is given; 0 also for what is not listed. */
unsigned accept_quality(const struct request *request, struct str field, struct str wanted);

#endif
