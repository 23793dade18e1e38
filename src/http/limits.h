/* limits.h - the named rates: what a client may do how often.
 *
 * Each route names the bucket it takes from (router.h). Whoever has shown a token is an account,
 * whatever its address; others are an address. So nobody loses an allowance to a neighbour behind
 * the same router, but for signing up and logging in.
 *
 * Uses:    base/limiter, http.
 * Used by: http/admission (addresses), api (accounts), metrics, serving (sets the rates).
 * Thread:  any.
 * Memory:  one, heap.
 */
#ifndef MIGCHAT_HTTP_LIMITS_H
#define MIGCHAT_HTTP_LIMITS_H

#include <stdint.h>

#include "base/attributes.h"
#include "base/error.h"
#include "base/ip.h"
#include "http/exchange.h"

/* `count` at once, and as many again in each `seconds`, one by one; count 0: no limit. */
struct limit_rate {
    uint32_t count;
    uint32_t seconds;
};

struct limits;

/* `now_ns` is a clock that does not go back. No rate is set. Never NULL. */
struct limits *limits_new(int64_t (*now_ns)(void));
void limits_free(struct limits *limits);
/* From the next request on; what was taken stays taken. */
void limits_rate_set(struct limits *limits, enum limit limit, struct limit_rate rate);

/* Takes one for the exchange's account, which is known to be who asks; RATE_LIMITED when there is
 * none, and exchange->retry_after_s says when. Once an exchange: what is run again is not counted
 * again. `limits` may be NULL: none. */
MUST_CHECK enum error limits_judge_account(struct limits *limits, enum limit limit,
                                           struct exchange *exchange);
/* The same for an address, as a proxy's field says it. */
MUST_CHECK enum error limits_judge_address(struct limits *limits, enum limit limit,
                                           const struct ip_address *address,
                                           struct exchange *exchange);
/* Whether anything is to be judged. */
bool limits_apply(const struct limits *limits, enum limit limit);

/* How many were refused. */
uint64_t limits_refused(const struct limits *limits, enum limit limit);
size_t limits_bytes(struct limits *limits);

/* "signup" and so on. */
extern const char *const limit_names[LIMIT_COUNT];

#endif
