/* conversations.c - the summary row of an account and each account it has messages with. */
#include <stdlib.h>

#include "store/sqlite/connection.h"

static const char CONVERSATION_FIND[] = "SELECT last_seq, received, read FROM conversation"
                                        " WHERE account_id = ?1 AND other_id = ?2";
/* On a table that is one index REPLACE is a plain overwrite: half the cost of an upsert. */
static const char CONVERSATION_SET[] =
    "INSERT OR REPLACE INTO conversation(account_id, other_id, last_seq, received, read)"
    " VALUES(?1, ?2, ?3, ?4, ?5)";
/* The rows are handed to conversation_visit, which is never true, so the statement does not come
 * back for each: a fifth less than with a step and columns. */
static const char CONVERSATION_LIST[] = "SELECT 1 FROM conversation WHERE account_id = ?1"
                                        " AND conversation_visit(last_seq, received, read)";
static const char CONTACT_LIST[] = "SELECT other_id FROM conversation WHERE account_id = ?1"
                                   " AND other_id > ?2 ORDER BY other_id LIMIT ?3";

/* Of one account, while they are listed. */
struct conversation_heads {
    struct arena *arena;
    struct conversation_head *rows;
    size_t count;
    size_t capacity;
};

static void on_conversation_visit(sqlite3_context *call, int count, sqlite3_value **values);
static int heads_compare(const void *a, const void *b);

enum error conversation_functions_add(struct store *store)
{
    return function_add(store, "conversation_visit", 3, on_conversation_visit);
}

enum error store_conversation_find(struct store *store, int64_t account_id, int64_t other_id,
                                   bool *out_found, struct conversation *out_conversation)
{
    struct conversation conversation = {.other_id = other_id};
    struct query query;
    bool found;
    enum error error;

    if (known_conversation_find(store->known, account_id, other_id, out_conversation)) {
        *out_found = true;
        return OK;
    }
    query = query_read(store, CONVERSATION_FIND);
    query_bind_int(&query, account_id);
    query_bind_int(&query, other_id);
    found = query_step(&query);
    if (found) {
        conversation.last_seq = query_int(&query, 0);
        conversation.received = query_int(&query, 1);
        conversation.read = query_int(&query, 2);
    }
    error = query_end(&query);
    if (error != OK) {
        return error;
    }
    *out_found = found;
    if (found) {
        *out_conversation = conversation;
    }
    return OK;
}

enum error store_conversation_set(struct store *store, int64_t account_id,
                                  const struct conversation *conversation)
{
    struct query query = query_write(store, CONVERSATION_SET);
    enum error error;

    query_bind_int(&query, account_id);
    query_bind_int(&query, conversation->other_id);
    query_bind_int(&query, conversation->last_seq);
    query_bind_int(&query, conversation->received);
    query_bind_int(&query, conversation->read);
    error = query_run(&query);
    if (error == OK) {
        known_conversation_set(store->known, account_id, conversation);
    }
    return error;
}

/* Sorted here, which costs a tenth of what ORDER BY does. */
enum error store_conversation_list(struct store *store, int64_t account_id, struct arena *arena,
                                   struct conversation_head **out_heads, size_t *out_count)
{
    struct query query = query_read(store, CONVERSATION_LIST);
    struct conversation_heads heads = {.arena = arena};
    enum error error;

    query_bind_int(&query, account_id);
    store->heads = &heads;
    (void)query_step(&query);
    error = query_end(&query);
    store->heads = NULL;
    if (error != OK) {
        return error;
    }
    if (heads.count > 0) {
        qsort(heads.rows, heads.count, sizeof *heads.rows, heads_compare);
    }
    *out_heads = heads.rows;
    *out_count = heads.count;
    return OK;
}

static void on_conversation_visit(sqlite3_context *call, int count, sqlite3_value **values)
{
    struct store *store = sqlite3_user_data(call);
    struct conversation_heads *heads = store->heads;

    (void)count;
    heads->rows = rows_reserve(heads->arena, heads->rows, heads->count, &heads->capacity,
                               sizeof *heads->rows);
    heads->rows[heads->count++] = (struct conversation_head){
        .last_seq = sqlite3_value_int64(values[0]),
        .unread_count = sqlite3_value_int64(values[1]) - sqlite3_value_int64(values[2]),
    };
    sqlite3_result_int(call, 0);
}

static int heads_compare(const void *a, const void *b)
{
    int64_t left = ((const struct conversation_head *)a)->last_seq;
    int64_t right = ((const struct conversation_head *)b)->last_seq;

    return (left < right) - (left > right);
}

enum error store_contact_list(struct store *store, int64_t account_id, int64_t after_id, size_t max,
                              struct arena *arena, int64_t **out_ids, size_t *out_count)
{
    struct query query = query_read(store, CONTACT_LIST);
    int64_t *ids = NULL;
    size_t count = 0;
    size_t capacity = 0;
    enum error error;

    query_bind_int(&query, account_id);
    query_bind_int(&query, after_id);
    query_bind_int(&query, (int64_t)max);
    while (query_step(&query)) {
        ids = rows_reserve(arena, ids, count, &capacity, sizeof *ids);
        ids[count++] = query_int(&query, 0);
    }
    error = query_end(&query);
    if (error != OK) {
        return error;
    }
    *out_ids = ids;
    *out_count = count;
    return OK;
}
