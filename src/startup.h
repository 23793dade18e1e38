/* startup.h - what the lanes' threads own, opened in order and closed in reverse; and the small
 * things a start does before.
 *
 * Uses:    config, store/store.h, domain/password.h, api/services.h, net/lane.h.
 * Used by: main, opening.
 * Thread:  main, but crew_open: opening's, before the lanes start.
 */
#ifndef MIGCHAT_STARTUP_H
#define MIGCHAT_STARTUP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "api/metrics.h"
#include "api/services.h"
#include "base/attributes.h"
#include "base/error.h"
#include "config.h"
#include "http/readiness.h"
#include "http/traffic.h"
#include "net/lane.h"
#include "store/measures.h"
#include "store/store.h"

/* One database, and one `struct services` per thread. */
struct crew {
    struct store_home *home;
    bool is_in_memory; /* there can be one store only: nobody reads beside the writer */
    struct api_settings settings;
    struct limits *limits;          /* everybody's */
    struct changes *changes;        /* marked by the writer, asked by readers and the loop */
    struct kept_answers *kept;      /* the loop's */
    struct backups *backups;        /* the loop's */
    struct traffic traffic;         /* the loop's */
    struct store_measures measures; /* the writer's */
    struct metrics_sources metrics;
    struct services loop;
    struct services *members[LANE_COUNT]; /* `plans[lane].thread_count` of each lane */
    struct lane_plan plans[LANE_COUNT];
};

/* What needs no database: settings, and the services of the loop. */
void crew_prepare(const struct config *config, struct readiness *readiness, struct crew *out_crew);
/* Opens the database and every thread's store or password scratch. What goes wrong is logged;
 * DRAINING when `*stops` was set in time. The crew is to be closed all the same. */
MUST_CHECK enum error crew_open(const struct config *config, atomic_bool *stops, struct crew *crew);
/* After the lanes' threads ended, or of a crew that was only prepared. The writer's store is closed
 * last: it checkpoints. */
void crew_close(struct crew *crew);

/* Whether the libraries that are loaded can do what is configured; else `why` gets one line. */
MUST_CHECK bool libraries_suffice(const struct config *config, struct buf *why);
/* How many connections the hard limit of descriptors allows. */
uint64_t descriptors_allow(void);
/* Raises the soft limit of descriptors to the hard one; returns how many connections fit. */
unsigned descriptors_raise(uint64_t connections_wanted);
/* No core dump by default: it would have SQLite's pages and what is being answered. The hard limit
 * stays, so `prlimit --core=unlimited --pid PID` asks for one. */
void core_dumps_stop(void);
/* Sets malloc up for a small machine; before any thread starts. */
void malloc_tune(void);
/* Three lines for the person at the terminal, if stdout is one: where it serves, what to do. */
void welcome_print(const struct config *config, uint16_t port);

#endif
