/* params.h - the query parameters of lists, and the link to the next page.
 *
 * Uses:    http.
 * Used by: api.
 * Thread:  whoever holds the exchange.
 */
#ifndef MIGCHAT_API_PARAMS_H
#define MIGCHAT_API_PARAMS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "http/exchange.h"

#define LIMIT_MAX 1000u
/* When a page is asked for without saying how long. */
#define LIMIT_DEFAULT 100u

struct page_params {
    bool is_paged;      /* any of the three was given */
    uint64_t limit;     /* UINT64_MAX when the whole list is asked for */
    int64_t before_seq; /* exclusive; INT64_MAX when absent */
    int64_t after_seq;  /* exclusive; 0 when absent */
};

/* limit, before and after, of a query that was judged. LIMIT_NOT_ALLOWED, SEQ_NOT_ALLOWED. */
MUST_CHECK enum error page_params_read(struct exchange *exchange, struct page_params *out_params);
/* limit alone; UINT64_MAX without one. */
MUST_CHECK enum error limit_read(struct exchange *exchange, uint64_t *out_limit);

/* Adds `Link: <path?query&before=SEQ>; rel="next"`: the request's own target with another
 * `before`. */
void next_link_add(struct exchange *exchange, int64_t before_seq);

#endif
