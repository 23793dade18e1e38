/* services.h - what the thread of one lane owns, and the settings handlers obey.
 *
 * Uses:    base, http, domain, store/store.h.
 * Used by: api, main.
 * Thread:  one `struct services` per thread; settings and readiness are shared.
 */
#ifndef MIGCHAT_API_SERVICES_H
#define MIGCHAT_API_SERVICES_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "domain/password.h"
#include "http/readiness.h"
#include "http/router.h"
#include "store/store.h"

/* Who may create an account; in the order of --signup. */
enum signup { SIGNUP_OPEN, SIGNUP_INVITE, SIGNUP_CLOSED };

struct api_settings {
    size_t message_max_bytes;
    unsigned password_cost;
    unsigned password_min_bytes;
    atomic_int signup; /* enum signup; a reload sets it */
};

struct limits;          /* http/limits.h */
struct kept_answers;    /* api/kept_answers.h */
struct backups;         /* api/backups.h */
struct metrics_sources; /* api/metrics.h */

struct services {
    enum lane lane;
    struct store *store;              /* NULL on the loop and the hash lane */
    struct password_scratch *scratch; /* hash lane only */
    const struct api_settings *settings;
    struct readiness *readiness;
    struct limits *limits;                 /* of accounts; NULL: none */
    const struct changes *changes;         /* what the store marks; NULL: nothing is kept */
    struct kept_answers *kept;             /* loop only */
    struct backups *backups;               /* loop only */
    const struct metrics_sources *metrics; /* what is no tally in it: loop only */
    int64_t now_ms;                        /* wall clock, taken once a batch */
    int64_t disk_seen_at_ms; /* write lane: when readiness->disk_is_low was last written */
};

#endif
