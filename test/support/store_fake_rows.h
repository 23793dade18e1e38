/* store_fake_rows.h - the inside of the fake store: its arrays of rows and the door to them.
 *
 * Uses:    store/store.h, base.
 * Used by: store_fake*.c only.
 * Memory:  the texts of rows live in the home's arena until it closes and are never changed, so
 *          an array is copied row by row without its texts.
 */
#ifndef MIGCHAT_TEST_STORE_FAKE_ROWS_H
#define MIGCHAT_TEST_STORE_FAKE_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "store/store.h"

struct fake_session {
    struct sha256 token_digest;
    struct session session;
};

struct fake_invite {
    struct sha256 code_digest;
    struct invite invite;
};

struct fake_entry {
    int64_t account_id;
    struct entry entry;
};

struct fake_conversation {
    int64_t account_id;
    struct conversation conversation;
};

struct fake_block {
    int64_t account_id;
    struct block block;
    struct block_untold untold;
};

struct fake_withheld {
    int64_t account_id;
    int64_t message_id;
};

struct fake_sent_key {
    int64_t account_id;
    struct str key;
    struct sent_key sent;
};

struct fake_bundle {
    int64_t account_id;
    struct key_bundle bundle;
    int64_t updated_at_ms;
};

struct fake_prekey {
    int64_t account_id;
    struct str key;
};

struct fake_claimed {
    int64_t account_id;
    struct sha256 digest;
};

struct fake_table {
    void *rows;
    size_t row_bytes;
    size_t count;
    size_t capacity;
};

/* Row `i` of a table whose rows are of this type. */
#define FAKE_ROW(table, type, i) ((type *)(table).rows + (i))

struct fake_rows {
    struct fake_table accounts; /* struct account */
    struct fake_table names;    /* struct name_row */
    struct fake_table sessions;
    struct fake_table entries; /* of all accounts, in the order of appending */
    struct fake_table conversations;
    struct fake_table sent_keys;
    struct fake_table bundles;
    struct fake_table prekeys;
    struct fake_table claimed;
    struct fake_table chores; /* struct chore */
    struct fake_table invites;
    struct fake_table blocks;
    struct fake_table withheld;
    int64_t next_account_id;
    int64_t next_session_id;
    int64_t next_chore_id;
    int64_t next_invite_id;
    int64_t names_count;
    unsigned password_cost;
};

void fake_rows_init(struct fake_rows *rows);
void fake_rows_release(struct fake_rows *rows);
/* `to` is not initialised. */
void fake_rows_copy(struct fake_rows *to, const struct fake_rows *from);

void fake_table_add(struct fake_table *table, const void *row);
/* Keeps the order of the others. */
void fake_table_remove(struct fake_table *table, size_t i);

struct store_home {
    struct arena texts; /* of all rows there ever were */
    struct fake_rows rows;
    int64_t next_message_id; /* not among the rows: an undone unit gives none back */
    char epoch[EPOCH_LEN + 1];
    bool disk_is_low;
    unsigned rest_count;
};

struct store {
    struct store_home *home;
    enum store_access access;
    bool owns_home;
    bool in_snapshot;
    bool in_batch;
    bool in_unit;
    enum unit_form unit_form;
    bool unit_has_written;
    bool batch_is_lost;
    struct fake_rows before_batch; /* while in a batch that is not lost */
    struct fake_rows before_unit;  /* while in a unit */
    bool is_walking;
    bool walks_upwards;       /* through every entry above walk.after_seq, which moves up */
    struct message_walk walk; /* before_seq moves down with each step */
    char *walk_text;          /* of the last step; on the heap, so that a late look is found out */
    size_t calls_until_failure;
    size_t calls_until_next_failure; /* from the first on; 0: none */
    enum error failure;
    bool failure_loses_batch;
    unsigned failures;
    unsigned loses_at_failure; /* 0: none */
};

/* Every call comes through one of these: the second where it writes. They return the error that a
 * test asked for. */
MUST_CHECK enum error fake_enter(struct store *store);
MUST_CHECK enum error fake_enter_write(struct store *store);

/* A copy for a row; NULL stays NULL. */
struct str fake_text_keep(struct store *store, struct str text);
/* A copy for the caller; NULL stays NULL. */
struct str fake_text_give(struct str text, struct arena *arena);

#endif
