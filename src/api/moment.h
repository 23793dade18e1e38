/* moment.h - the moment a list shows: its validator, its cursor, and not sending it again.
 *
 * Uses:    http, store/store.h.
 * Used by: api.
 * Thread:  a lane with a store.
 */
#ifndef MIGCHAT_API_MOMENT_H
#define MIGCHAT_API_MOMENT_H

#include <stdbool.h>

#include "base/error.h"
#include "http/exchange.h"
#include "store/store.h"

/* Finds the moment of the caller's log and adds ETag and MigChat-Cursor to the response. When the
 * client has this very list (If-None-Match), the answer is 304 and complete: *out_is_known. Such an
 * answer may be kept (api/kept_answers.h). */
MUST_CHECK enum error moment_answer(struct exchange *exchange, struct store *store,
                                    struct store_moment *out_moment, bool *out_is_known);

/* Whether If-None-Match names `tag` (an entity-tag with its quotes), by weak comparison (RFC 9110
 * section 13.1.2), in any of its field lines. */
bool if_none_match_has(const struct request *request, struct str tag);

#endif
