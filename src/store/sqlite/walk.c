/* walk.c - messages of one log, newest first, at a cost of what is returned.
 *
 * All conversations: one range scan downwards. Where an entry is no message, its chain says where
 * the last message before it is: next door, and the scan goes on, or further, and it seeks there.
 * One conversation: from link to link of its chain, one look-up each.
 *
 * The text of the entry returned is borrowed from the statement, so the statement stays where it
 * is until the next step.
 */
#include "base/require.h"
#include "store/sqlite/connection.h"
#include "store/sqlite/entry.h"

static const char WALK_ALL[] = "SELECT " ENTRY_COLUMNS " FROM log WHERE account_id = ?1"
                               " AND seq < ?2 AND seq > ?3 ORDER BY seq DESC";
static const char WALK_ONE[] =
    "SELECT " ENTRY_COLUMNS " FROM log WHERE account_id = ?1 AND seq = ?2";
static const char CHAIN_FIND[] =
    "SELECT chain, kind, other_id FROM log WHERE account_id = ?1 AND seq = ?2";

static enum error chain_start_find(struct store *store, const struct message_walk *wanted,
                                   int64_t *out_seq);
static enum error walk_step_all(struct walk_state *walk, struct store *store, bool *out_found,
                                struct entry *out_entry);
static enum error walk_step_one(struct walk_state *walk, struct store *store, bool *out_found,
                                struct entry *out_entry);
static enum error walk_query_end(struct walk_state *walk);

enum error store_walk_begin(struct store *store, const struct message_walk *walk)
{
    int64_t first_seq = walk->before_seq;

    REQUIRE(!store->walk.is_open);
    if (walk->other_id != 0) {
        enum error error = chain_start_find(store, walk, &first_seq);

        if (error != OK) {
            return error;
        }
    }
    store->walk.is_open = true;
    store->walk.has_query = false;
    store->walk.wanted = *walk;
    store->walk.next_seq = first_seq;
    return OK;
}

static enum error chain_start_find(struct store *store, const struct message_walk *wanted,
                                   int64_t *out_seq)
{
    struct query query;
    int64_t seq = 0;
    enum error error;

    if (wanted->before_seq == INT64_MAX) {
        struct conversation conversation = {0};
        bool found = false;

        error = store_conversation_find(store, wanted->account_id, wanted->other_id, &found,
                                        &conversation);
        if (error == OK) {
            *out_seq = found ? conversation.last_seq : 0;
        }
        return error;
    }
    query = query_read(store, CHAIN_FIND);
    query_bind_int(&query, wanted->account_id);
    query_bind_int(&query, wanted->before_seq);
    if (query_step(&query) && entry_kind_is_message(query_int(&query, 1)) &&
        query_int(&query, 2) == wanted->other_id) {
        seq = query_int(&query, 0);
    }
    error = query_end(&query);
    if (error == OK) {
        *out_seq = seq;
    }
    return error;
}

enum error store_walk_next(struct store *store, bool *out_found, struct entry *out_entry)
{
    struct walk_state *walk = &store->walk;

    REQUIRE(walk->is_open);
    return walk->wanted.other_id == 0 ? walk_step_all(walk, store, out_found, out_entry)
                                      : walk_step_one(walk, store, out_found, out_entry);
}

static enum error walk_step_all(struct walk_state *walk, struct store *store, bool *out_found,
                                struct entry *out_entry)
{
    struct entry entry = {0};

    for (;;) {
        if (!walk->has_query) {
            walk->query = query_read(store, WALK_ALL);
            query_bind_int(&walk->query, walk->wanted.account_id);
            query_bind_int(&walk->query, walk->next_seq);
            query_bind_int(&walk->query, walk->wanted.after_seq);
            walk->has_query = true;
        }
        if (!query_step(&walk->query)) {
            enum error error = walk_query_end(walk);

            walk->next_seq = 0; /* a further step finds nothing either */
            if (error == OK) {
                *out_found = false;
            }
            return error;
        }
        entry_read(&walk->query, &entry);
        if (entry_kind_is_message(entry.kind)) {
            *out_found = true;
            *out_entry = entry;
            return OK;
        }
        if (entry.chain != entry.seq - 1) {
            enum error error = walk_query_end(walk);

            if (error != OK) {
                return error;
            }
            walk->next_seq = entry.chain + 1;
        }
    }
}

static enum error walk_step_one(struct walk_state *walk, struct store *store, bool *out_found,
                                struct entry *out_entry)
{
    enum error error = walk_query_end(walk);

    if (error != OK) {
        return error;
    }
    if (walk->next_seq <= walk->wanted.after_seq) {
        *out_found = false;
        return OK;
    }
    walk->query = query_read(store, WALK_ONE);
    query_bind_int(&walk->query, walk->wanted.account_id);
    query_bind_int(&walk->query, walk->next_seq);
    walk->has_query = true;
    if (!query_step(&walk->query)) {
        /* A log that is being removed loses its beginning first: the chain ends there. */
        walk->next_seq = 0;
        error = walk_query_end(walk);
        if (error == OK) {
            *out_found = false;
        }
        return error;
    }
    entry_read(&walk->query, out_entry);
    walk->next_seq = out_entry->chain;
    *out_found = true;
    return OK;
}

static enum error walk_query_end(struct walk_state *walk)
{
    if (!walk->has_query) {
        return OK;
    }
    walk->has_query = false;
    return query_end(&walk->query);
}

void store_walk_end(struct store *store)
{
    if (!store->walk.is_open) {
        return;
    }
    /* A failed step was told by the step. */
    (void)!walk_query_end(&store->walk);
    store->walk.is_open = false;
}
