/* store.h - everything the domain asks of storage, in the domain's words.
 *
 * A backend is a folder that implements this header, picked by the linker: store/sqlite, the fake
 * of the tests, later PostgreSQL. test/contract holds one suite for all of them.
 *
 * Uses:    base.
 * Used by: domain, api (batches; lists, which the domain would only forward), main (opening).
 * Thread:  a `struct store` belongs to one thread at a time; `struct store_home` is opened and
 *          closed by one at a time and shared read-only in between.
 * Memory:  strings given are borrowed for the call; strings returned live in the arena given, or,
 *          where it says so, until the next call on the same store.
 * Errors:  STORE_FAILED (the statement failed, nothing of it remains), DISK_FULL, OUTCOME_UNKNOWN
 *          (a commit whose fsync failed: fatal). Found or not is never an error but `*out_found`.
 *          Whenever a call fails inside a batch, ask store_batch_is_lost before the next call.
 */
#ifndef MIGCHAT_STORE_STORE_H
#define MIGCHAT_STORE_STORE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/changes.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/fingerprint.h"
#include "base/str.h"

struct store_measures; /* store/measures.h */
struct store;          /* one connection */
struct store_home;     /* the database, opened once per process */

/* ---- opening ------------------------------------------------------------------------------- */

struct store_settings {
    const char *path;        /* a file, or ":memory:" */
    bool syncs_every_commit; /* synchronous=FULL; false: NORMAL */
    bool leaves_checkpoints; /* another process makes all of them (store/copies.h) */
    unsigned writer_cache_kib;
    unsigned reader_cache_kib;
    uint64_t disk_floor_bytes;       /* less free space than this is "low" */
    atomic_bool *stops;              /* set by any thread: gives up opening; NULL: never */
    struct changes *changes;         /* marked after each commit, before it returns; may be NULL */
    struct store_measures *measures; /* what the writer counts; may be NULL */
    unsigned recent_keys_due;        /* store/sqlite/recent_keys.h; 0: as there. Tests set it */
};

/* Locks the database against other processes, adopts a Rust server's file, migrates. Everything
 * that goes wrong is logged with its reason. DRAINING: it was told to stop; what it had begun is
 * undone. `*out_in_memory` tells that there can be one store only. */
MUST_CHECK enum error store_home_open(const struct store_settings *settings,
                                      struct store_home **out_home, bool *out_in_memory);
/* The engine and its version, e.g. "SQLite 3.40.1". */
const char *store_library_version(void);
/* After all its stores are closed. NULL is allowed. */
void store_home_close(struct store_home *home);

enum store_access { STORE_READ_ONLY, STORE_READ_WRITE };
MUST_CHECK enum error store_open(struct store_home *home, enum store_access access,
                                 struct store **out_store);
/* The writer checkpoints; close it last. NULL is allowed. */
void store_close(struct store *store);

/* ---- batches -------------------------------------------------------------------------------
 * Readers work in a snapshot, the writer in a batch: one transaction, many units. A unit is one
 * request's work; unit_undo takes back what it wrote and nothing else. */

MUST_CHECK enum error store_snapshot_begin(struct store *store);
void store_snapshot_end(struct store *store);

MUST_CHECK enum error store_batch_begin(struct store *store);
/* OK: durable. OUTCOME_UNKNOWN: the disk may or may not have it, do not go on. Others: nothing
 * of the batch was done. In every case the batch is over. */
MUST_CHECK enum error store_batch_commit(struct store *store);
void store_batch_rollback(struct store *store);
/* After a failed call: the whole transaction is gone, all units of the batch so far included. */
bool store_batch_is_lost(const struct store *store);
/* BARE: nothing is put aside to undo the unit with, which is much cheaper. When it fails after it
 * has written, the batch can only be rolled back. */
enum unit_form { UNIT_BARE, UNIT_SAVED };
void store_unit_begin(struct store *store, enum unit_form form);
/* Whether the unit has written anything so far. */
bool store_unit_has_written(const struct store *store);
/* Keeps the unit's writes in the batch. */
MUST_CHECK enum error store_unit_keep(struct store *store);
/* Takes the unit's writes back; an error means the batch is lost. REQUIREs that a bare unit has not
 * written. */
MUST_CHECK enum error store_unit_undo(struct store *store);

/* Outside a batch: checkpoints when it is due, sooner when `is_idle`: nothing came for a while.
 * `*out_more`: there is more to do soon. */
MUST_CHECK enum error store_rest(struct store *store, bool is_idle, bool *out_more);
/* Whether that should come before the next batch, also when requests wait for it. */
bool store_rest_is_due(const struct store *store);
/* Whether the disk has less free space than the floor. From then on the WAL keeps to its share of
 * what there is. */
bool store_disk_is_low(struct store *store);

/* ---- the moment ---------------------------------------------------------------------------- */

#define EPOCH_LEN 16u

struct store_moment {
    char epoch[EPOCH_LEN + 1]; /* random id of this database, [A-Za-z0-9] */
    int64_t head_seq;          /* of the account's log; 0 when it is empty */
    int64_t names;             /* renames and deletions of the whole server so far */
};
/* The epoch alone; as long as the store is open. */
struct str store_epoch(const struct store *store);
MUST_CHECK enum error store_moment_find(struct store *store, int64_t account_id,
                                        struct store_moment *out_moment);

/* ---- accounts and names --------------------------------------------------------------------
 * A name row says who a name belongs to. Several rows may share a folded form only where they
 * were adopted; the domain keeps new ones unique. */

enum name_state {
    NAME_CURRENT = 1, /* resolves */
    NAME_HELD = 2,    /* kept for its owner until held_until_ms; does not resolve */
    NAME_DELETED = 3  /* "deleted-<id>": found by with_user, refused to senders */
};

struct name_row {
    struct str name;
    struct str folded; /* the name with ASCII letters in lower case */
    int64_t account_id;
    enum name_state state;
    int64_t held_until_ms; /* 0 unless held */
};

struct account {
    int64_t id;
    struct str name;
    struct str password_hash; /* bcrypt text; empty once deleted */
    int64_t created_at_ms;
    bool is_deleted;
    int64_t disabled_at_ms; /* 0 unless an operator has disabled it */
};

/* Gives the account the next id. The name row is the caller's to add. */
MUST_CHECK enum error store_account_add(struct store *store, struct str name,
                                        struct str password_hash, int64_t created_at_ms,
                                        int64_t *out_id);
MUST_CHECK enum error store_account_find(struct store *store, int64_t account_id,
                                         struct arena *arena, bool *out_found,
                                         struct account *out_account);
/* A living account as the operator's list shows it. */
struct account_line {
    int64_t id;
    struct str name;
    int64_t created_at_ms;
    int64_t session_count;
};
/* Those with an id above `after_id`, ascending, at most `max`. */
MUST_CHECK enum error store_account_list(struct store *store, int64_t after_id, size_t max,
                                         struct arena *arena, struct account_line **out_lines,
                                         size_t *out_count);
/* What an account has, for as much as its conversations take to read. */
struct account_totals {
    int64_t conversations;
    int64_t messages_received; /* of those it has a conversation with */
    int64_t log_entries;       /* messages sent and received, and everything else it was told */
};
MUST_CHECK enum error store_account_totals_find(struct store *store, int64_t account_id,
                                                struct account_totals *out_totals);
/* What the whole database has. Reads the table of accounts once: 10 ms for 100,000. */
struct store_totals {
    int64_t accounts; /* living ones */
    int64_t sessions;
    int64_t messages; /* ever sent: ids that were given out */
};
MUST_CHECK enum error store_totals_find(struct store *store, struct store_totals *out_totals);
/* The account's shown name only (also of deleted ones); may be answered from a cache. */
MUST_CHECK enum error store_account_name_find(struct store *store, int64_t account_id,
                                              struct arena *arena, bool *out_found,
                                              struct str *out_name);
MUST_CHECK enum error store_account_set_name(struct store *store, int64_t account_id,
                                             struct str name);
MUST_CHECK enum error store_account_set_password(struct store *store, int64_t account_id,
                                                 struct str password_hash);
/* Marks it deleted, takes its password hash away and gives it this name. */
MUST_CHECK enum error store_account_set_deleted(struct store *store, int64_t account_id,
                                                struct str name, int64_t deleted_at_ms);
/* Disables it and bars its sessions; `disabled_at_ms` 0 enables it and lets them again. */
MUST_CHECK enum error store_account_set_disabled(struct store *store, int64_t account_id,
                                                 int64_t disabled_at_ms);
/* The highest bcrypt cost of any password hash there ever was, 0 without one: what a log-in under
 * an unknown name must cost as well. */
MUST_CHECK enum error store_password_cost_find(struct store *store, unsigned *out_cost);
/* Raises it to `cost` when it is lower. */
MUST_CHECK enum error store_password_cost_raise(struct store *store, unsigned cost);
/* Counts one rename or deletion (struct store_moment.names). */
MUST_CHECK enum error store_names_count(struct store *store);

/* All rows with this folded form, in order of name. */
MUST_CHECK enum error store_name_list(struct store *store, struct str folded, struct arena *arena,
                                      struct name_row **out_rows, size_t *out_count);
/* All rows of this account. */
MUST_CHECK enum error store_name_list_of(struct store *store, int64_t account_id,
                                         struct arena *arena, struct name_row **out_rows,
                                         size_t *out_count);
/* Adds the row, or replaces the one with the same name. */
MUST_CHECK enum error store_name_set(struct store *store, const struct name_row *row);
MUST_CHECK enum error store_name_delete(struct store *store, struct str name);

/* ---- sessions ------------------------------------------------------------------------------ */

struct session {
    int64_t id;
    int64_t account_id;
    struct str label; /* ptr NULL without one */
    int64_t created_at_ms;
    int64_t last_used_at_ms;
    bool is_barred; /* its account is disabled */
};

MUST_CHECK enum error store_session_add(struct store *store, int64_t account_id,
                                        const struct sha256 *token_digest, struct str label,
                                        int64_t created_at_ms, int64_t *out_id);
/* By token. out_session->label is not filled. */
MUST_CHECK enum error store_session_find(struct store *store, const struct sha256 *token_digest,
                                         bool *out_found, struct session *out_session);
/* Whether it has not ended. */
MUST_CHECK enum error store_session_exists(struct store *store, int64_t account_id,
                                           int64_t session_id, bool *out_found);
/* The account's sessions, newest first. */
MUST_CHECK enum error store_session_list(struct store *store, int64_t account_id,
                                         struct arena *arena, struct session **out_sessions,
                                         size_t *out_count);
/* Looks first: without such a session nothing is written. */
MUST_CHECK enum error store_session_delete(struct store *store, int64_t account_id,
                                           int64_t session_id, bool *out_found);
MUST_CHECK enum error store_session_set_used(struct store *store, int64_t account_id,
                                             int64_t session_id, int64_t last_used_at_ms);

/* ---- invites ------------------------------------------------------------------------------- */

struct invite {
    int64_t id;
    int64_t uses_left;
    int64_t created_at_ms;
    int64_t expires_at_ms;
};

/* invite->id is ignored; the new one is never one that was given before. */
MUST_CHECK enum error store_invite_add(struct store *store, const struct sha256 *code_digest,
                                       const struct invite *invite, int64_t *out_id);
MUST_CHECK enum error store_invite_find(struct store *store, const struct sha256 *code_digest,
                                        bool *out_found, struct invite *out_invite);
/* Those with an id above `after_id`, ascending, at most `max`. */
MUST_CHECK enum error store_invite_list(struct store *store, int64_t after_id, size_t max,
                                        struct arena *arena, struct invite **out_invites,
                                        size_t *out_count);
/* One use less. */
MUST_CHECK enum error store_invite_use(struct store *store, int64_t invite_id);
/* Looks first: without such an invite nothing is written. */
MUST_CHECK enum error store_invite_delete(struct store *store, int64_t invite_id, bool *out_found);

/* ---- the log per account -------------------------------------------------------------------- */

enum entry_kind {
    ENTRY_MESSAGE_SENT = 1, /* also a message to oneself: other_id is the account itself */
    ENTRY_MESSAGE_RECEIVED = 2,
    ENTRY_READ_BY_ME = 3,      /* this account read what other_id sent, up to message `ref` */
    ENTRY_READ_BY_OTHER = 4,   /* other_id read what this account sent, up to message `ref` */
    ENTRY_ACCOUNT_RENAMED = 5, /* other_id (or oneself); text is JSON text: ["from","to"] */
    ENTRY_KEYS_CHANGED = 6,    /* other_id (or oneself) uploaded keys */
    ENTRY_SESSION_ENDED = 7,   /* session `ref` */
    ENTRY_KEYS_LOW = 8         /* `ref` one-time prekeys are left */
};

/* One log entry. `text` of a message is its content escaped for JSON, without the quotes. Appended
 * it is what store_content_add says; read it is there again. */
struct entry {
    int64_t seq;
    enum entry_kind kind;
    int64_t other_id; /* 0 where the kind has none */
    int64_t ref;      /* message id; see the kinds */
    int64_t received; /* messages only: how many the account had received from other_id by then */
    int64_t created_at_ms;
    struct str text;
    int64_t chain; /* messages: seq of the message before with other_id, others: seq of the last
                      message before; 0 for none. Set by store_entry_append. */
};

/* Before a message's entries are appended: its content, escaped for JSON, and how many there will
 * be. A long one is stored now, once, and `*out_text` is none (ptr NULL); else `*out_text` is the
 * content. Either way it is the `text` of those entries, which find the long one by their `ref`. */
MUST_CHECK enum error store_content_add(struct store *store, int64_t message_id, struct str content,
                                        int entries, struct str *out_text);
/* Appends to the account's log: gives it the next seq and sets its chain, for messages from
 * `previous_seq` (the conversation's last_seq), for others from the log. entry->seq and
 * entry->chain are ignored. */
MUST_CHECK enum error store_entry_append(struct store *store, int64_t account_id,
                                         const struct entry *entry, int64_t previous_seq,
                                         int64_t *out_seq);
/* Its text is in the arena; arena NULL: without it. */
MUST_CHECK enum error store_entry_find(struct store *store, int64_t account_id, int64_t seq,
                                       struct arena *arena, bool *out_found,
                                       struct entry *out_entry);

/* Messages only, newest first, `before_seq` and `after_seq` exclusive (INT64_MAX and 0: all).
 * other_id 0: all conversations; else only that one, and before_seq, unless INT64_MAX, is the seq
 * of a message with it (the chain starts there). */
struct message_walk {
    int64_t account_id;
    int64_t other_id;
    int64_t before_seq;
    int64_t after_seq;
};
/* Starts a walk. One at a time per store; other calls may come between its steps. */
MUST_CHECK enum error store_walk_begin(struct store *store, const struct message_walk *walk);
/* The next message, `received` and `chain` left 0: lists show neither. Its text is borrowed until
 * the next step or the end. */
MUST_CHECK enum error store_walk_next(struct store *store, bool *out_found,
                                      struct entry *out_entry);
/* Takes an entry as store_walk_next gives it, its text borrowed until the return; false: no further
 * one. May read what it likes and call store_walk_skip, but neither touch the walk otherwise nor
 * end the snapshot or batch. */
typedef bool store_visit(void *argument, const struct entry *entry);
/* The messages that are left of a walk from store_walk_begin, one after the other, until `visit`
 * wants no more. Through all conversations it costs three quarters of as many store_walk_next.
 * The walk can go on behind it. */
MUST_CHECK enum error store_walk_each(struct store *store, store_visit *visit, void *argument);
/* Starts a walk the other way: every entry above `after_seq`, of whatever kind, oldest first. A gap
 * means that the log is being removed (see chore.h). */
MUST_CHECK enum error store_walk_begin_upwards(struct store *store, int64_t account_id,
                                               int64_t after_seq);
/* From now on only messages below `before_seq`, at one look-up for whatever lies in between. For
 * walks through all conversations. */
void store_walk_skip(struct store *store, int64_t before_seq);
void store_walk_end(struct store *store);

/* The next message id: never given twice, also after a crash; a unit undone may leave a gap. */
MUST_CHECK enum error store_message_id_take(struct store *store, int64_t *out_id);

/* ---- conversations ------------------------------------------------------------------------- */

struct conversation {
    int64_t other_id;
    int64_t last_seq; /* of the last message with other_id, in this account's log */
    int64_t received; /* messages received from other_id so far */
    int64_t read;     /* how many of them were read; never more than received */
};

MUST_CHECK enum error store_conversation_find(struct store *store, int64_t account_id,
                                              int64_t other_id, bool *out_found,
                                              struct conversation *out_conversation);
MUST_CHECK enum error store_conversation_set(struct store *store, int64_t account_id,
                                             const struct conversation *conversation);
/* A conversation as lists need it. */
struct conversation_head {
    int64_t last_seq;
    int64_t unread_count; /* received, not read */
};
/* All of the account's, in descending order of last_seq. */
MUST_CHECK enum error store_conversation_list(struct store *store, int64_t account_id,
                                              struct arena *arena,
                                              struct conversation_head **out_heads,
                                              size_t *out_count);
/* Ids of accounts it has a conversation with, ascending, above `after_id`, at most `max`. */
MUST_CHECK enum error store_contact_list(struct store *store, int64_t account_id, int64_t after_id,
                                         size_t max, struct arena *arena, int64_t **out_ids,
                                         size_t *out_count);

/* ---- blocks ---------------------------------------------------------------------------------- */

struct block {
    int64_t other_id; /* who is blocked; may be deleted since */
    int64_t since_ms;
    int64_t withheld; /* messages of other_id that never came, so far */
};

/* Whether `account_id` blocks `other_id`. */
MUST_CHECK enum error store_block_find(struct store *store, int64_t account_id, int64_t other_id,
                                       bool *out_found);
/* One that is there stays as it is. */
MUST_CHECK enum error store_block_add(struct store *store, int64_t account_id, int64_t other_id,
                                      int64_t since_ms);
MUST_CHECK enum error store_block_delete(struct store *store, int64_t account_id, int64_t other_id);
/* Reads as many rows as it counts. */
MUST_CHECK enum error store_block_count(struct store *store, int64_t account_id,
                                        int64_t *out_count);
/* The account's, newest first. */
MUST_CHECK enum error store_block_list(struct store *store, int64_t account_id, struct arena *arena,
                                       struct block **out_blocks, size_t *out_count);
/* What a blocker was not told of whom it blocks. */
struct block_untold {
    struct str renamed; /* the text of the first such entry, or NULL */
    bool has_new_keys;
};

/* Notes in the block that this entry was not told: `keys_changed`, or a renaming with its text. */
MUST_CHECK enum error store_block_note_untold(struct store *store, int64_t account_id,
                                              int64_t other_id, bool keys_changed,
                                              struct str renamed);
/* Of a block that is there. */
MUST_CHECK enum error store_block_untold_find(struct store *store, int64_t account_id,
                                              int64_t other_id, struct arena *arena,
                                              struct block_untold *out_untold);
/* Notes that this message, which is in the log of its sender `account_id`, never reached its
 * recipient: once that account and its log are gone, nothing else tells. Counts it in the block. */
MUST_CHECK enum error store_withheld_add(struct store *store, int64_t account_id,
                                         int64_t recipient_id, int64_t message_id);

/* ---- exactly-once sends -------------------------------------------------------------------- */

struct sent_key {
    struct fingerprint fingerprint; /* of to_username and content as they were sent */
    bool has_digest;                /* an older row, which has `digest` instead */
    struct sha256 digest;           /* of the same */
    int64_t message_id;             /* which has this key alone */
    int64_t created_at_ms;
};

MUST_CHECK enum error store_sent_key_find(struct store *store, int64_t account_id, struct str key,
                                          bool *out_found, struct sent_key *out_sent);
/* With the fingerprint, whatever else it has. The account has no such key: the caller has looked.
 * Both by the writer only. */
MUST_CHECK enum error store_sent_key_add(struct store *store, int64_t account_id, struct str key,
                                         const struct sent_key *sent);

/* ---- keys (end-to-end encryption) ---------------------------------------------------------- */

struct key_bundle {
    struct str identity_key;
    struct str signed_prekey;
    struct str signed_prekey_signature;
};

MUST_CHECK enum error store_key_bundle_set(struct store *store, int64_t account_id,
                                           const struct key_bundle *bundle, int64_t updated_at_ms);
MUST_CHECK enum error store_key_bundle_find(struct store *store, int64_t account_id,
                                            struct arena *arena, bool *out_found,
                                            struct key_bundle *out_bundle);
/* Replaces the unclaimed one-time prekeys by these, in this order, without those that were ever
 * claimed from this account and without repeats. */
MUST_CHECK enum error store_prekeys_replace(struct store *store, int64_t account_id,
                                            const struct str *keys, size_t count);
/* Takes the first one out for good and remembers its digest. */
MUST_CHECK enum error store_prekey_take(struct store *store, int64_t account_id,
                                        struct arena *arena, bool *out_found, struct str *out_key);
MUST_CHECK enum error store_prekey_count(struct store *store, int64_t account_id,
                                         int64_t *out_count);

/* ---- chores: long work in slices, resumed after a crash -------------------------------------- */

enum chore_kind {
    CHORE_TELL_RENAMED = 1, /* append ACCOUNT_RENAMED to every contact's log */
    CHORE_TELL_KEYS = 2,    /* append KEYS_CHANGED likewise */
    CHORE_DELETE_LOG = 3    /* remove a deleted account's log, conversations, keys, sent keys */
};

struct chore {
    int64_t id;
    enum chore_kind kind;
    int64_t account_id;
    int64_t cursor;  /* contacts up to this id are told */
    struct str text; /* of the entries to append */
    int64_t created_at_ms;
};

MUST_CHECK enum error store_chore_add(struct store *store, const struct chore *chore);
/* The oldest one. */
MUST_CHECK enum error store_chore_find(struct store *store, struct arena *arena, bool *out_found,
                                       struct chore *out_chore);
MUST_CHECK enum error store_chore_set_cursor(struct store *store, int64_t chore_id, int64_t cursor);
MUST_CHECK enum error store_chore_delete(struct store *store, int64_t chore_id);
/* False when it is known without looking that there is no chore. */
bool store_may_have_chores(const struct store *store);

/* How much one slice may remove: rows, and text of log entries (it may be passed by one entry). */
struct slice_limits {
    size_t max_rows;
    size_t max_text_bytes;
};
/* Removes a slice of what a deleted account left: log entries, conversations, sent keys, key
 * bundle and prekeys, sessions, blocks, notes of withheld messages. Its name rows and account row
 * stay. */
MUST_CHECK enum error store_remains_delete(struct store *store, int64_t account_id,
                                           const struct slice_limits *limits, size_t *out_removed,
                                           bool *out_more);

#endif
