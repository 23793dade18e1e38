/* work.h - what the steps and pages of one exchange hand on to each other.
 *
 * Uses:    base, http/router.h, store/store.h, api/list_page.h.
 * Used by: api. net and http see only the pointer in struct exchange.
 * Thread:  whoever holds the exchange.
 * Memory:  in the exchange's arena, with everything it points to.
 */
#ifndef MIGCHAT_API_WORK_H
#define MIGCHAT_API_WORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/list_page.h"
#include "base/arena.h"
#include "base/str.h"
#include "http/router.h"
#include "store/store.h"

/* Creating an account, logging in, changing the password, deleting: read, hash, write. */
struct account_work {
    struct str username;
    struct str password; /* the one to check, or a new account's */
    struct str new_password;
    struct str label;  /* ptr NULL without one */
    struct str invite; /* empty without one */
    bool needs_invite;
    int64_t account_id;
    unsigned cost;           /* what a wrong password must take */
    struct str checked_hash; /* the account's when it was read; empty for nobody */
    struct str new_hash;     /* ptr NULL when it stays */
};

/* A message list; see message_list.c. */
struct message_list_work {
    struct message_walk walk; /* before_seq: the last row written whole */
    int64_t head_seq;         /* the moment the list shows */
    bool is_paged;            /* a Link tells when there is more */
    uint64_t rows_left;
    struct list_page page;
    int64_t cut_seq;         /* the row that is cut, while page.row_offset_bytes > 0 */
    struct str cut_names[2]; /* from, to */
    struct arena_mark mark;  /* what is behind it lasts one page */
};

struct conversation_list_work {
    struct conversation_head *rows;
    size_t count;
    size_t next;
    struct list_page page;
    struct str cut_username; /* the row that is cut, while page.row_offset_bytes > 0 */
    struct arena_mark mark;  /* what is behind it lasts one page */
};

/* Events of a long poll; see event_list.c. */
struct event_list_work {
    int64_t last_seq;   /* of the last event written whole */
    uint64_t rows_left; /* of the limit */
    bool has_more;      /* there are entries above the limit */
    bool is_closed;     /* the array is; what follows it may be on the next page */
    struct list_page page;
    struct str cut_names[2];
    struct arena_mark mark; /* what is behind it lasts one page */
};

/* The operator's; see admin_account_list.c. */
struct account_list_work {
    struct account_line *lines; /* of the slice that is being written */
    size_t count;
    size_t next;
    int64_t after_id;   /* of the last line written whole */
    uint64_t rows_left; /* of the limit */
    struct list_page page;
    struct arena_mark mark; /* what is behind it lasts one slice */
};

/* Of the operator's numbers those that the loop knows; see admin_stats.c. */
struct stats_work {
    uint64_t connections;
    uint64_t connections_max;
    uint64_t in_flight;
    uint64_t lane_depths[LANE_COUNT];
};

struct session_list_work {
    struct session *sessions;
    size_t count;
    size_t next;
    struct list_page page;
};

struct block_list_work {
    struct block *blocks;
    size_t count;
    size_t next;
    struct list_page page;
    struct str cut_username;
    struct arena_mark mark; /* what is behind it lasts one page */
};

/* What of the text is still to be sent. */
struct metrics_work {
    struct str rest;
};

/* Which one is in use is the route's to know. */
struct api_work {
    union {
        struct account_work account;
        struct message_list_work messages;
        struct conversation_list_work conversations;
        struct event_list_work events;
        struct account_list_work account_lines;
        struct session_list_work sessions;
        struct block_list_work blocks;
        struct stats_work stats;
        struct metrics_work metrics;
    };
};

#endif
