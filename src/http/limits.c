/* limits.c - a rate is one word, so that a reload changes it between two requests. */
#include "http/limits.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/fingerprint.h"
#include "base/limiter.h"
#include "base/random.h"
#include "base/require.h"
#include "http/client_address.h"

#define SECRET_BYTES 16u
#define COUNT_SHIFT 32
#define NS_PER_S INT64_C(1000000000)

const char *const limit_names[LIMIT_COUNT] = {"none",   "signup", "login", "claim",
                                              "typing", "send",   "read"};

struct limits {
    struct limiter *limiter;
    int64_t (*now_ns)(void);
    atomic_uint_least64_t rates[LIMIT_COUNT]; /* count and seconds; 0: no limit */
    atomic_uint_least64_t refused[LIMIT_COUNT];
    unsigned char secret[SECRET_BYTES];
};

static uint64_t rate_of(const struct limits *limits, enum limit limit);
static enum error judge(struct limits *limits, enum limit limit, struct str who,
                        struct exchange *exchange);
static uint64_t key_of(const struct limits *limits, enum limit limit, struct str who);

struct limits *limits_new(int64_t (*now_ns)(void))
{
    struct limits *limits = calloc(1, sizeof *limits);

    REQUIRE(limits != NULL);
    limits->limiter = limiter_new();
    limits->now_ns = now_ns;
    random_fill(limits->secret, sizeof limits->secret);
    return limits;
}

void limits_free(struct limits *limits)
{
    if (limits == NULL) {
        return;
    }
    limiter_free(limits->limiter);
    free(limits);
}

void limits_rate_set(struct limits *limits, enum limit limit, struct limit_rate rate)
{
    REQUIRE(limit > LIMIT_NONE && limit < LIMIT_COUNT && (rate.count == 0 || rate.seconds > 0));
    atomic_store(&limits->rates[limit],
                 rate.count == 0 ? 0 : (uint64_t)rate.count << COUNT_SHIFT | rate.seconds);
}

bool limits_apply(const struct limits *limits, enum limit limit)
{
    return rate_of(limits, limit) != 0;
}

/* 0: no limit. */
static uint64_t rate_of(const struct limits *limits, enum limit limit)
{
    return limits != NULL ? atomic_load_explicit(&limits->rates[limit], memory_order_relaxed) : 0;
}

enum error limits_judge_account(struct limits *limits, enum limit limit, struct exchange *exchange)
{
    const char *who = (const char *)&exchange->account_id;

    return judge(limits, limit, (struct str){who, sizeof exchange->account_id}, exchange);
}

enum error limits_judge_address(struct limits *limits, enum limit limit,
                                const struct ip_address *address, struct exchange *exchange)
{
    return judge(limits, limit, client_address_key(address), exchange);
}

static enum error judge(struct limits *limits, enum limit limit, struct str who,
                        struct exchange *exchange)
{
    uint64_t rate = rate_of(limits, limit);
    unsigned count = (unsigned)(rate >> COUNT_SHIFT);
    int64_t wait_ns = 0;

    if (rate == 0 || exchange->is_within_limit) {
        return OK;
    }
    int64_t interval_ns = (int64_t)(uint32_t)rate * NS_PER_S / count;
    exchange->is_within_limit = limiter_take(limits->limiter, key_of(limits, limit, who),
                                             limits->now_ns(), interval_ns, count, &wait_ns);
    if (exchange->is_within_limit) {
        return OK;
    }
    exchange->retry_after_s = (unsigned)((wait_ns + NS_PER_S - 1) / NS_PER_S);
    (void)atomic_fetch_add(&limits->refused[limit], 1);
    return ERROR_RATE_LIMITED;
}

/* An IPv4 address has 4 bytes, an IPv6 one 8 as an account has: these are never in one bucket of a
 * route, but in one limit they may be. */
static uint64_t key_of(const struct limits *limits, enum limit limit, struct str who)
{
    unsigned char seeding[SECRET_BYTES + 1];
    struct fingerprint fingerprint;
    uint64_t key;

    memcpy(seeding, limits->secret, SECRET_BYTES);
    seeding[SECRET_BYTES] = (unsigned char)limit;
    fingerprint_of_pair((struct str){(const char *)seeding, sizeof seeding}, who, &fingerprint);
    memcpy(&key, fingerprint.bytes, sizeof key);
    return key;
}

uint64_t limits_refused(const struct limits *limits, enum limit limit)
{
    return atomic_load(&limits->refused[limit]);
}

size_t limits_bytes(struct limits *limits)
{
    return limiter_bytes(limits->limiter);
}
