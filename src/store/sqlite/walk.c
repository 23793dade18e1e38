/* walk.c - messages of one log, newest first, at a cost of what is returned.
 *
 * All conversations: one range scan downwards. What is not asked for (an entry that is no message,
 * a message passed over by store_walk_skip) is stepped over while it is little; a longer stretch is
 * jumped over with one seek. The end of a run of other entries is told by the chain of any of them.
 * One conversation: from link to link of its chain, one look-up each.
 *
 * Upwards: one range scan of everything, since streams leave nothing out.
 *
 * A long message's text stands in table content. A walk begins without that table and goes on with
 * it from the first such message, read again: short ones pay nothing for it.
 *
 * An entry's numbers are not fetched column by column: the row hands them all to an SQL function of
 * ours, log_entry, for half the price. The text is borrowed from the statement, so the statement
 * stays where it is until the next step.
 *
 * Many rows are cheaper still when the statement does not come back for each: log_visit, in its
 * WHERE, hands the row to the visitor and is true only where the scan has to end.
 */
#include "base/require.h"
#include "store/sqlite/connection.h"
#include "store/sqlite/content.h"

/* A row stepped over costs a third of a seek. */
#define WALK_STEPPED_OVER_MAX 3

/* Two forms of each statement: with the contents that stand beside the logs, and without. */
#define ENTRY_SQL "SELECT log_entry(seq, kind, other_id, ref, created_at_ms), "
#define TEXT_IN_LOG "text"
#define TEXT_OF_EITHER "coalesce(log.text, content.text)"
#define LOG_ALONE " FROM log"
/* An entry with its own text has no key to look for. */
#define LOG_AND_CONTENT                                                                            \
    " FROM log LEFT JOIN content"                                                                  \
    " ON message_id = CASE WHEN log.text IS NULL AND kind IN (1, 2) THEN ref END"

#define WALK_ALL(text, tables)                                                                     \
    ENTRY_SQL text tables " WHERE account_id = ?1 AND seq < ?2 ORDER BY seq DESC"
/* No row is sorted, so log_visit has them in the order asked for. */
#define WALK_EACH(text, tables)                                                                    \
    "SELECT 1" tables " WHERE account_id = ?1 AND seq < ?2"                                        \
    " AND log_visit(seq, kind, other_id, ref, created_at_ms, " text ") ORDER BY seq DESC"
#define WALK_UPWARDS(text, tables)                                                                 \
    ENTRY_SQL text tables " WHERE account_id = ?1 AND seq > ?2 ORDER BY seq"
#define WALK_ONE(text, tables) ENTRY_SQL text ", chain" tables " WHERE account_id = ?1 AND seq = ?2"

static const char *const walk_all[] = {WALK_ALL(TEXT_IN_LOG, LOG_ALONE),
                                       WALK_ALL(TEXT_OF_EITHER, LOG_AND_CONTENT)};
static const char *const walk_each[] = {WALK_EACH(TEXT_IN_LOG, LOG_ALONE),
                                        WALK_EACH(TEXT_OF_EITHER, LOG_AND_CONTENT)};
static const char *const walk_upwards[] = {WALK_UPWARDS(TEXT_IN_LOG, LOG_ALONE),
                                           WALK_UPWARDS(TEXT_OF_EITHER, LOG_AND_CONTENT)};
static const char *const walk_one[] = {WALK_ONE(TEXT_IN_LOG, LOG_ALONE),
                                       WALK_ONE(TEXT_OF_EITHER, LOG_AND_CONTENT)};
static const char CHAIN_FIND[] =
    "SELECT chain, kind, other_id FROM log WHERE account_id = ?1 AND seq = ?2";

static void on_log_entry(sqlite3_context *call, int count, sqlite3_value **values);
static void on_log_visit(sqlite3_context *call, int count, sqlite3_value **values);
static void row_read(struct walk_state *walk, sqlite3_value **values);
static enum walk_halt row_visit(struct walk_state *walk, struct store *store);
static enum error chain_start_find(struct store *store, const struct message_walk *wanted,
                                   int64_t *out_seq);
static enum error scan_each(struct walk_state *walk, struct store *store);
static enum error chain_each(struct store *store, store_visit *visit, void *argument);
static enum error walk_step_all(struct walk_state *walk, struct store *store, bool *out_found,
                                struct entry *out_entry);
static enum error run_step_over(struct walk_state *walk, struct store *store);
static bool next_is_far(const struct walk_state *walk);
static enum error walk_step_one(struct walk_state *walk, struct store *store, bool *out_found,
                                struct entry *out_entry);
static enum error walk_step_upwards(struct walk_state *walk, struct store *store, bool *out_found,
                                    struct entry *out_entry);
static bool row_wants_content(struct walk_state *walk);
static enum error row_give(struct walk_state *walk, bool *out_found, struct entry *out_entry);
static enum error walk_query_end(struct walk_state *walk);

enum error walk_functions_add(struct store *store)
{
    enum error error = function_add(store, "log_entry", 5, on_log_entry);

    return error == OK ? function_add(store, "log_visit", 6, on_log_visit) : error;
}

/* Its result is NULL; what it is called for is the row of the walk. */
static void on_log_entry(sqlite3_context *call, int count, sqlite3_value **values)
{
    struct store *store = sqlite3_user_data(call);

    (void)count;
    row_read(&store->walk, values);
}

static void on_log_visit(sqlite3_context *call, int count, sqlite3_value **values)
{
    struct store *store = sqlite3_user_data(call);
    struct walk_state *walk = &store->walk;

    (void)count;
    row_read(walk, values);
    walk->row.text = (struct str){(const char *)sqlite3_value_text(values[5]),
                                  (size_t)sqlite3_value_bytes(values[5])};
    walk->halt = row_visit(walk, store);
    sqlite3_result_int(call, walk->halt != WALK_HALT_NONE);
}

static void row_read(struct walk_state *walk, sqlite3_value **values)
{
    walk->row.seq = sqlite3_value_int64(values[0]);
    walk->row.kind = (enum entry_kind)sqlite3_value_int(values[1]);
    walk->row.other_id = sqlite3_value_int64(values[2]);
    walk->row.ref = sqlite3_value_int64(values[3]);
    walk->row.created_at_ms = sqlite3_value_int64(values[4]);
}

/* next_seq follows the rows that are done with, so a further scan begins behind them. */
static enum walk_halt row_visit(struct walk_state *walk, struct store *store)
{
    if (walk->row.seq <= walk->wanted.after_seq) {
        return WALK_HALT_BOUND;
    }
    if (walk->row.seq >= walk->next_seq) {
        return WALK_HALT_NONE;
    }
    if (entry_is_without_its_text(&walk->row)) {
        if (!walk->joins_content) {
            walk->joins_content = true;
            return WALK_HALT_AGAIN;
        }
        walk->error = content_missing(walk->row.ref);
        return WALK_HALT_ERROR;
    }
    walk->next_seq = walk->row.seq;
    if (entry_kind_is_message(walk->row.kind)) {
        walk->stepped_over = 0;
        if (!walk->visit(walk->visit_argument, &walk->row)) {
            return WALK_HALT_VISITOR;
        }
        return next_is_far(walk) ? WALK_HALT_AGAIN : WALK_HALT_NONE;
    }
    walk->stepped_over++;
    if (walk->stepped_over < WALK_STEPPED_OVER_MAX) {
        return WALK_HALT_NONE;
    }
    walk->stepped_over = 0;
    walk->error = run_step_over(walk, store);
    if (walk->error != OK) {
        return WALK_HALT_ERROR;
    }
    return next_is_far(walk) ? WALK_HALT_AGAIN : WALK_HALT_NONE;
}

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
    store->walk.joins_content = false;
    store->walk.is_upwards = false;
    store->walk.wanted = *walk;
    store->walk.next_seq = first_seq;
    store->walk.row = (struct entry){0};
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

enum error store_walk_begin_upwards(struct store *store, int64_t account_id, int64_t after_seq)
{
    REQUIRE(!store->walk.is_open);
    store->walk.is_open = true;
    store->walk.has_query = false;
    store->walk.joins_content = false;
    store->walk.is_upwards = true;
    store->walk.wanted = (struct message_walk){.account_id = account_id, .after_seq = after_seq};
    store->walk.row = (struct entry){0};
    return OK;
}

enum error store_walk_next(struct store *store, bool *out_found, struct entry *out_entry)
{
    struct walk_state *walk = &store->walk;

    REQUIRE(walk->is_open && walk->visit == NULL);
    if (walk->is_upwards) {
        return walk_step_upwards(walk, store, out_found, out_entry);
    }
    return walk->wanted.other_id == 0 ? walk_step_all(walk, store, out_found, out_entry)
                                      : walk_step_one(walk, store, out_found, out_entry);
}

enum error store_walk_each(struct store *store, store_visit *visit, void *argument)
{
    struct walk_state *walk = &store->walk;

    REQUIRE(walk->is_open && !walk->is_upwards && walk->visit == NULL);
    if (walk->wanted.other_id != 0) {
        return chain_each(store, visit, argument);
    }
    enum error error = walk_query_end(walk);

    if (error == OK) {
        walk->visit = visit;
        walk->visit_argument = argument;
        do {
            error = scan_each(walk, store);
        } while (error == OK && walk->halt == WALK_HALT_AGAIN);
        walk->visit = NULL;
    }
    return error;
}

/* Hands over the messages below next_seq until log_visit halts. */
static enum error scan_each(struct walk_state *walk, struct store *store)
{
    struct query query = query_read(store, walk_each[walk->joins_content]);

    query_bind_int(&query, walk->wanted.account_id);
    query_bind_int(&query, walk->next_seq);
    walk->halt = WALK_HALT_NONE;
    walk->stepped_over = 0;
    (void)query_step(&query);
    enum error error = query_end(&query);
    if (error != OK) {
        return error;
    }
    if (walk->halt == WALK_HALT_NONE || walk->halt == WALK_HALT_BOUND) {
        walk->next_seq = 0; /* a further step finds nothing either */
    }
    return walk->halt == WALK_HALT_ERROR ? walk->error : OK;
}

/* Along a chain each message is one look-up, however it is handed over. */
static enum error chain_each(struct store *store, store_visit *visit, void *argument)
{
    struct entry entry;
    bool is_found = true;

    for (;;) {
        enum error error = store_walk_next(store, &is_found, &entry);

        if (error != OK || !is_found || !visit(argument, &entry)) {
            return error;
        }
    }
}

void store_walk_skip(struct store *store, int64_t before_seq)
{
    struct walk_state *walk = &store->walk;

    REQUIRE(walk->is_open && !walk->is_upwards && walk->wanted.other_id == 0);
    if (before_seq < walk->next_seq) {
        walk->next_seq = before_seq;
    }
}

static enum error walk_step_all(struct walk_state *walk, struct store *store, bool *out_found,
                                struct entry *out_entry)
{
    int stepped_over = 0;

    for (;;) {
        enum error error = OK;

        if (walk->has_query && next_is_far(walk)) {
            error = walk_query_end(walk);
            if (error != OK) {
                return error;
            }
        }
        if (!walk->has_query) {
            walk->query = query_read(store, walk_all[walk->joins_content]);
            query_bind_int(&walk->query, walk->wanted.account_id);
            query_bind_int(&walk->query, walk->next_seq);
            walk->has_query = true;
        }
        if (!query_step(&walk->query) || walk->row.seq <= walk->wanted.after_seq) {
            error = walk_query_end(walk);
            walk->next_seq = 0; /* a further step finds nothing either */
            if (error == OK) {
                *out_found = false;
            }
            return error;
        }
        if (walk->row.seq >= walk->next_seq) {
            continue;
        }
        if (row_wants_content(walk)) {
            error = walk_query_end(walk);
            if (error != OK) {
                return error;
            }
            walk->next_seq = walk->row.seq + 1;
            continue;
        }
        walk->next_seq = walk->row.seq;
        if (entry_kind_is_message(walk->row.kind)) {
            return row_give(walk, out_found, out_entry);
        }
        stepped_over++;
        if (stepped_over == WALK_STEPPED_OVER_MAX) {
            stepped_over = 0;
            error = run_step_over(walk, store);
            if (error != OK) {
                return error;
            }
        }
    }
}

/* From an entry that is no message to the last message before it; never up, whatever a damaged
 * file says. */
static enum error run_step_over(struct walk_state *walk, struct store *store)
{
    struct query query = query_read(store, CHAIN_FIND);

    query_bind_int(&query, walk->wanted.account_id);
    query_bind_int(&query, walk->row.seq);
    if (query_step(&query)) {
        int64_t chain = query_int(&query, 0);

        walk->next_seq = chain < walk->next_seq ? chain + 1 : walk->next_seq;
    }
    return query_end(&query);
}

/* Whether a seek is cheaper than steps. A log is dense, so this is how many rows lie between. */
static bool next_is_far(const struct walk_state *walk)
{
    return walk->row.seq - walk->next_seq > WALK_STEPPED_OVER_MAX;
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
    walk->query = query_read(store, walk_one[walk->joins_content]);
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
    if (row_wants_content(walk)) {
        return walk_step_one(walk, store, out_found, out_entry);
    }
    walk->next_seq = query_int(&walk->query, 2);
    return row_give(walk, out_found, out_entry);
}

static enum error walk_step_upwards(struct walk_state *walk, struct store *store, bool *out_found,
                                    struct entry *out_entry)
{
    if (!walk->has_query) {
        walk->query = query_read(store, walk_upwards[walk->joins_content]);
        query_bind_int(&walk->query, walk->wanted.account_id);
        query_bind_int(&walk->query, walk->wanted.after_seq);
        walk->has_query = true;
    }
    if (!query_step(&walk->query)) {
        enum error error = walk_query_end(walk);

        if (error == OK) {
            *out_found = false;
        }
        return error;
    }
    if (row_wants_content(walk)) {
        enum error error = walk_query_end(walk);

        return error == OK ? walk_step_upwards(walk, store, out_found, out_entry) : error;
    }
    /* Where a query begun again after its end goes on. */
    walk->wanted.after_seq = walk->row.seq;
    return row_give(walk, out_found, out_entry);
}

/* Whether the row must be read again, with the contents: for the first long one of a walk. */
static bool row_wants_content(struct walk_state *walk)
{
    walk->row.text = query_text(&walk->query, 1);
    if (walk->joins_content || !entry_is_without_its_text(&walk->row)) {
        return false;
    }
    walk->joins_content = true;
    return true;
}

static enum error row_give(struct walk_state *walk, bool *out_found, struct entry *out_entry)
{
    if (entry_is_without_its_text(&walk->row)) {
        return content_missing(walk->row.ref);
    }
    *out_found = true;
    *out_entry = walk->row;
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
    REQUIRE(store->walk.visit == NULL);
    /* A failed step was told by the step. */
    (void)!walk_query_end(&store->walk);
    store->walk.is_open = false;
}
