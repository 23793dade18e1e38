/* conversations.c - the summary row of an account and each account it has messages with. */
#include "store/sqlite/connection.h"

static const char CONVERSATION_FIND[] = "SELECT last_seq, received, read FROM conversation"
                                        " WHERE account_id = ?1 AND other_id = ?2";
/* On a table that is one index REPLACE is a plain overwrite: half the cost of an upsert. */
static const char CONVERSATION_SET[] =
    "INSERT OR REPLACE INTO conversation(account_id, other_id, last_seq, received, read)"
    " VALUES(?1, ?2, ?3, ?4, ?5)";
static const char CONVERSATION_LIST[] = "SELECT other_id, last_seq, received, read"
                                        " FROM conversation WHERE account_id = ?1"
                                        " ORDER BY last_seq DESC";
static const char CONTACT_LIST[] = "SELECT other_id FROM conversation WHERE account_id = ?1"
                                   " AND other_id > ?2 ORDER BY other_id LIMIT ?3";

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

enum error store_conversation_list(struct store *store, int64_t account_id, struct arena *arena,
                                   struct conversation **out_conversations, size_t *out_count)
{
    struct query query = query_read(store, CONVERSATION_LIST);
    struct conversation *rows = NULL;
    size_t count = 0;
    size_t capacity = 0;
    enum error error;

    query_bind_int(&query, account_id);
    while (query_step(&query)) {
        rows = rows_reserve(arena, rows, count, &capacity, sizeof *rows);
        rows[count++] = (struct conversation){
            .other_id = query_int(&query, 0),
            .last_seq = query_int(&query, 1),
            .received = query_int(&query, 2),
            .read = query_int(&query, 3),
        };
    }
    error = query_end(&query);
    if (error != OK) {
        return error;
    }
    *out_conversations = rows;
    *out_count = count;
    return OK;
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
