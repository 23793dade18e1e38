/* connection.h - one SQLite connection with its statements: what `struct store` is here.
 *
 * A query is a statement in use, from query_read or query_write to query_end. Errors gather in it:
 * after one, binding and stepping do nothing, and query_end tells. The first write of a unit opens
 * its savepoint, so a unit that only checks costs nothing.
 *
 * Uses:    sqlite3, base, store/store.h.
 * Used by: store/sqlite only.
 * Thread:  one at a time; the connection has no mutex of its own.
 */
#ifndef MIGCHAT_STORE_SQLITE_CONNECTION_H
#define MIGCHAT_STORE_SQLITE_CONNECTION_H

#include <sqlite3.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"
#include "store/sqlite/failure.h"
#include "store/sqlite/home.h"
#include "store/sqlite/known.h"
#include "store/sqlite/recent_keys.h"
#include "store/store.h"

/* ---- the pieces of a store -------------------------------------------------------------------*/

/* 12 and 125 MiB: so much is in the WAL before a checkpoint comes also while requests wait. */
#define WAL_DUE_FIRST_FRAMES 3000
#define WAL_DUE_MAX_FRAMES 32000
/* How long a statement waits for a lock: only recovery and a checkpoint that waits for readers. */
#define LOCK_WAIT_MS 250

enum store_phase { STORE_IDLE, STORE_IN_SNAPSHOT, STORE_IN_BATCH };

/* Numbers given out one by one; each is a meta row, written once a batch. */
enum counter_name {
    COUNTER_ACCOUNT,
    COUNTER_SESSION,
    COUNTER_MESSAGE,
    COUNTER_CHORE,
    COUNTER_INVITE,
    COUNTER_COUNT
};

struct counter {
    int64_t next;
    bool is_known; /* else `next` must be read from meta first */
    bool is_dirty; /* meta must be written before the commit */
};

/* A power of two, well above the number of SQL texts in this folder. */
#define STATEMENT_SLOTS 256u

/* Keyed by the address of the SQL text, which is a constant. */
struct statement_slot {
    const char *sql;
    sqlite3_stmt *statement;
};

/* Direct-mapped by account id. Longer names than fit are not kept. */
#define NAME_CACHE_SLOTS 1024u
#define NAME_CACHE_TEXT_BYTES 75u

struct name_cache_slot {
    int64_t account_id;
    uint32_t generation; /* valid while it is the cache's */
    uint8_t len;
    char text[NAME_CACHE_TEXT_BYTES];
};

struct name_cache {
    uint32_t generation; /* never 0 */
    int64_t names;       /* meta `names` when it was filled */
    struct name_cache_slot slots[NAME_CACHE_SLOTS];
};

/* A query in use. Lives on the stack of one function; the walk's lives in the store. */
struct query {
    struct store *store;
    sqlite3_stmt *statement; /* NULL when it could not be had */
    const char *sql;
    int bound; /* parameters bound so far */
    enum error error;
};

/* Whether and why a scan that hands its rows to a visitor halts. */
enum walk_halt {
    WALK_HALT_NONE, /* it does not */
    WALK_HALT_BOUND,
    WALK_HALT_VISITOR,
    WALK_HALT_AGAIN, /* another goes on below next_seq */
    WALK_HALT_ERROR  /* in `error` */
};

/* struct message_walk of store.h and where it stands. */
struct walk_state {
    bool is_open;
    bool has_query;  /* `query` is between two steps and must be ended */
    bool is_upwards; /* `wanted` holds account_id and after_seq, the rest is not used */
    struct message_walk wanted;
    int64_t next_seq; /* all conversations: exclusive bound of what is to come; one: the entry */
    struct query query;
    struct entry row;   /* where the statement is */
    bool joins_content; /* it has met a long message */

    store_visit *visit; /* while store_walk_each scans; else NULL */
    void *visit_argument;
    enum walk_halt halt;
    enum error error;
    int stepped_over; /* entries that are no messages, since the last that is */
};

struct conversation_heads;

struct store {
    sqlite3 *database;
    struct store_home *home;
    enum store_access access;
    char epoch[EPOCH_LEN + 1];

    enum store_phase phase;
    enum error lost_error; /* of the open batch; OK while its transaction lives */
    bool is_broken;        /* an fsync failed: nothing goes on after that */
    bool unit_is_open;
    enum unit_form unit_form;
    bool unit_has_written; /* a saved one's savepoint is open */
    int64_t *changed_ids;  /* accounts written in this batch, each once in a row */
    size_t changed_count;
    size_t changed_capacity;
    bool names_have_changed; /* in this batch */
    bool knows_no_chore;     /* looked, found none, and added none since */

    struct counter counters[COUNTER_COUNT];
    bool names_is_known; /* in this snapshot or batch */
    int64_t names;

    int64_t page_bytes;
    int wal_frames;          /* in the WAL file after the last commit */
    int wal_frames_copied;   /* of these, in the database file as well */
    int wal_frames_tried_at; /* when a forced checkpoint last met a reader */
    int wal_frames_most;     /* since the file was cut: its size */
    int wal_frames_due;      /* so many are copied even under load, by how long that took */
    int wal_frames_fit;      /* or these, by the room on the disk */

    struct walk_state walk;
    struct conversation_heads *heads; /* conversations.c: while it lists them; else NULL */
    struct statement_slot statements[STATEMENT_SLOTS];
    struct name_cache name_cache;
    struct known *known;             /* the writer's; else NULL */
    struct recent_keys *recent_keys; /* the same */
};

/* ---- connections -----------------------------------------------------------------------------*/

/* Once per process, before the first use of SQLite: no mutexes of its own around connections that
 * never leave a thread, no counting of memory under a lock. */
void connection_configure_library(void);
/* Opens a file (or ":memory:") with our limits and safety settings, nothing that depends on its
 * content. `flags` as for sqlite3_open_v2. */
MUST_CHECK enum error connection_open(const char *path, int flags, sqlite3 **out_database);
/* Another process checkpoints: closing it does not, and it waits for that one's locks. */
void connection_leave_checkpoints(sqlite3 *database);
/* From now on statements end with DRAINING soon after `*stops` (NULL: never) became true. The
 * transaction may be gone then. What is short (BEGIN, COMMIT, ROLLBACK) runs to its end. */
void connection_stop_when(sqlite3 *database, atomic_bool *stops);
/* Runs constant SQL without results. */
MUST_CHECK enum error connection_exec(sqlite3 *database, const char *sql);
/* The first column of the first row; `*out_value` 0 without a row. */
MUST_CHECK enum error connection_int(sqlite3 *database, const char *sql, int64_t *out_value);

/* A store around a connection whose transaction the caller has begun, for adoption: it is in a
 * batch, which only the caller ends. Releasing it leaves the connection open. */
struct store *store_around_new(sqlite3 *database);
void store_around_free(struct store *store);

/* ---- queries ---------------------------------------------------------------------------------*/

/* `sql` is a constant: its address is the key of the statement cache. */
struct query query_read(struct store *store, const char *sql);
/* The same for a statement that writes: inside a batch only. */
struct query query_write(struct store *store, const char *sql);
/* Bind the parameters in order. Bytes are borrowed until query_end. */
void query_bind_int(struct query *query, int64_t value);
/* ptr NULL binds NULL. */
void query_bind_text(struct query *query, struct str text);
void query_bind_bytes(struct query *query, const void *bytes, size_t len);
/* True when there is a row. */
bool query_step(struct query *query);
/* Columns count from 0. Text is borrowed until the next step. NULL has ptr NULL. */
int64_t query_int(const struct query *query, int column);
struct str query_text(const struct query *query, int column);
struct str query_text_copy(const struct query *query, int column, struct arena *arena);
/* Gives the statement back. */
MUST_CHECK enum error query_end(struct query *query);
/* Steps once, expects no row, and ends. */
MUST_CHECK enum error query_run(struct query *query);
/* Steps once and ends: the row's first column, 0 without a row. */
MUST_CHECK enum error query_run_int(struct query *query, int64_t *out_value);

/* When the connection closes. */
void statements_finalize(struct store *store);

/* Room for one more in an array in the arena: the array itself, or a larger copy of it. */
void *rows_reserve(struct arena *arena, void *rows, size_t count, size_t *capacity,
                   size_t row_size);

/* ---- what the parts tell each other ----------------------------------------------------------*/

/* After an SQLite error: translates it and notes whether the batch went with it. */
MUST_CHECK enum error store_note_failure(struct store *store, int code, enum failure_moment moment,
                                         const char *doing);
/* Gives out the next number of a counter. */
MUST_CHECK enum error counter_take(struct store *store, enum counter_name name, int64_t *out_id);
/* meta `names`, read once per snapshot or batch; empties the name cache when it changed. */
MUST_CHECK enum error names_refresh(struct store *store);
void name_cache_clear(struct store *store);
/* An SQL function that only we can call, with the store as its user data. */
MUST_CHECK enum error function_add(struct store *store, const char *name, int argument_count,
                                   void (*run)(sqlite3_context *, int, sqlite3_value **));
/* Add the SQL functions of walk.c and conversations.c to a new connection. */
MUST_CHECK enum error walk_functions_add(struct store *store);
MUST_CHECK enum error conversation_functions_add(struct store *store);

/* For binding: an empty text is still a text, not NULL. */
static inline struct str text_of(const struct buf *buf)
{
    return buf->len == 0 ? STR("") : buf_str(buf);
}

static inline bool entry_kind_is_message(int64_t kind)
{
    return kind == ENTRY_MESSAGE_SENT || kind == ENTRY_MESSAGE_RECEIVED;
}

#endif
