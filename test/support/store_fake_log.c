/* store_fake_log.c - the log, its walks, conversations and sent keys of the fake store.
 *
 * A walk goes by scanning, not by the chain: so a chain that a test finds broken in a real backend
 * is not broken here in the same way.
 */
#include <stdlib.h>
#include <string.h>

#include "base/require.h"
#include "support/store_fake_rows.h"

static bool is_message(const struct entry *entry);
static const struct entry *last_entry(const struct store *store, int64_t account_id);
static const struct entry *entry_row(const struct store *store, int64_t account_id, int64_t seq);
static bool walk_can_start(const struct store *store, const struct message_walk *walk);
static bool walk_meets(const struct store *store, const struct fake_entry *row);
static struct fake_conversation *conversation_row(struct store *store, int64_t account_id,
                                                  int64_t other_id);
static int compare_heads(const void *a, const void *b);
static int compare_ids(const void *a, const void *b);
static const struct fake_sent_key *sent_key_row(const struct store *store, int64_t account_id,
                                                struct str key);

/* ---- entries --------------------------------------------------------------------------------- */

/* Here a long one stands with its entries, like any other. */
enum error store_content_add(struct store *store, int64_t message_id, struct str content,
                             int entries, struct str *out_text)
{
    enum error error = fake_enter_write(store);

    (void)message_id;
    (void)entries;
    if (error == OK) {
        *out_text = content;
    }
    return error;
}

enum error store_entry_append(struct store *store, int64_t account_id, const struct entry *entry,
                              int64_t previous_seq, int64_t *out_seq)
{
    struct fake_entry row = {account_id, *entry};
    enum error error = fake_enter_write(store);

    if (error != OK) {
        return error;
    }
    const struct entry *last = last_entry(store, account_id);

    row.entry.seq = last == NULL ? 1 : last->seq + 1;
    if (is_message(entry)) {
        row.entry.chain = previous_seq;
    } else if (last == NULL) {
        row.entry.chain = 0;
    } else {
        row.entry.chain = is_message(last) ? last->seq : last->chain;
    }
    row.entry.text = fake_text_keep(store, entry->text);
    fake_table_add(&store->home->rows.entries, &row);
    *out_seq = row.entry.seq;
    return OK;
}

static bool is_message(const struct entry *entry)
{
    return entry->kind == ENTRY_MESSAGE_SENT || entry->kind == ENTRY_MESSAGE_RECEIVED;
}

static const struct entry *last_entry(const struct store *store, int64_t account_id)
{
    const struct fake_table *entries = &store->home->rows.entries;

    for (size_t i = entries->count; i > 0; i--) {
        const struct fake_entry *row = FAKE_ROW(*entries, struct fake_entry, i - 1);

        if (row->account_id == account_id) {
            return &row->entry;
        }
    }
    return NULL;
}

enum error store_entry_find(struct store *store, int64_t account_id, int64_t seq,
                            struct arena *arena, bool *out_found, struct entry *out_entry)
{
    enum error error = fake_enter(store);

    if (error != OK) {
        return error;
    }
    const struct entry *entry = entry_row(store, account_id, seq);

    *out_found = entry != NULL;
    if (entry != NULL) {
        *out_entry = *entry;
        out_entry->text =
            arena == NULL ? (struct str){NULL, 0} : fake_text_give(entry->text, arena);
    }
    return OK;
}

static const struct entry *entry_row(const struct store *store, int64_t account_id, int64_t seq)
{
    const struct fake_table *entries = &store->home->rows.entries;

    for (size_t i = 0; i < entries->count; i++) {
        const struct fake_entry *row = FAKE_ROW(*entries, struct fake_entry, i);

        if (row->account_id == account_id && row->entry.seq == seq) {
            return &row->entry;
        }
    }
    return NULL;
}

/* ---- walks ----------------------------------------------------------------------------------- */

enum error store_walk_begin(struct store *store, const struct message_walk *walk)
{
    enum error error;

    REQUIRE(!store->is_walking);
    error = fake_enter(store);
    if (error == OK) {
        store->walk = *walk;
        store->is_walking = true;
        store->walks_upwards = false;
        if (walk->other_id != 0 && walk->before_seq != INT64_MAX && !walk_can_start(store, walk)) {
            store->walk.before_seq = 0;
        }
    }
    return error;
}

/* The chain starts at before_seq: where there is no message with other_id, nothing is found. */
static bool walk_can_start(const struct store *store, const struct message_walk *walk)
{
    const struct entry *entry = entry_row(store, walk->account_id, walk->before_seq);

    return entry != NULL && is_message(entry) && entry->other_id == walk->other_id;
}

enum error store_walk_begin_upwards(struct store *store, int64_t account_id, int64_t after_seq)
{
    REQUIRE(!store->is_walking);
    enum error error = fake_enter(store);

    if (error == OK) {
        store->walk = (struct message_walk){.account_id = account_id, .after_seq = after_seq};
        store->is_walking = true;
        store->walks_upwards = true;
    }
    return error;
}

enum error store_walk_next(struct store *store, bool *out_found, struct entry *out_entry)
{
    const struct entry *next = NULL;
    enum error error;

    REQUIRE(store->is_walking);
    error = fake_enter(store);
    if (error != OK) {
        return error;
    }
    const struct fake_table *entries = &store->home->rows.entries;

    for (size_t i = 0; i < entries->count; i++) {
        const struct fake_entry *row = FAKE_ROW(*entries, struct fake_entry, i);

        if (walk_meets(store, row) &&
            (next == NULL || (row->entry.seq < next->seq) == store->walks_upwards)) {
            next = &row->entry;
        }
    }
    free(store->walk_text);
    store->walk_text = NULL;
    *out_found = next != NULL;
    if (next != NULL) {
        store->walk.before_seq = next->seq;
        store->walk.after_seq = store->walks_upwards ? next->seq : store->walk.after_seq;
        store->walk_text = malloc(next->text.len + 1);
        REQUIRE(store->walk_text != NULL);
        if (next->text.len > 0) {
            memcpy(store->walk_text, next->text.ptr, next->text.len);
        }
        *out_entry = *next;
        out_entry->text.ptr = store->walk_text;
        out_entry->received = 0;
        out_entry->chain = 0;
    }
    return OK;
}

enum error store_walk_each(struct store *store, store_visit *visit, void *argument)
{
    struct entry entry;
    bool found = true;
    enum error error = OK;

    REQUIRE(!store->walks_upwards);
    while (error == OK && found) {
        error = store_walk_next(store, &found, &entry);
        if (error == OK && found && !visit(argument, &entry)) {
            break;
        }
    }
    return error;
}

static bool walk_meets(const struct store *store, const struct fake_entry *row)
{
    const struct message_walk *walk = &store->walk;

    if (row->account_id != walk->account_id || row->entry.seq <= walk->after_seq) {
        return false;
    }
    return store->walks_upwards || (is_message(&row->entry) && row->entry.seq < walk->before_seq &&
                                    (walk->other_id == 0 || row->entry.other_id == walk->other_id));
}

void store_walk_skip(struct store *store, int64_t before_seq)
{
    REQUIRE(store->is_walking && !store->walks_upwards && store->walk.other_id == 0);
    if (before_seq < store->walk.before_seq) {
        store->walk.before_seq = before_seq;
    }
}

void store_walk_end(struct store *store)
{
    free(store->walk_text);
    store->walk_text = NULL;
    store->is_walking = false;
}

enum error store_message_id_take(struct store *store, int64_t *out_id)
{
    enum error error = fake_enter_write(store);

    if (error == OK) {
        *out_id = store->home->next_message_id++;
    }
    return error;
}

/* ---- conversations --------------------------------------------------------------------------- */

enum error store_conversation_find(struct store *store, int64_t account_id, int64_t other_id,
                                   bool *out_found, struct conversation *out_conversation)
{
    enum error error = fake_enter(store);

    if (error != OK) {
        return error;
    }
    const struct fake_conversation *row = conversation_row(store, account_id, other_id);

    *out_found = row != NULL;
    if (row != NULL) {
        *out_conversation = row->conversation;
    }
    return OK;
}

enum error store_conversation_set(struct store *store, int64_t account_id,
                                  const struct conversation *conversation)
{
    struct fake_conversation added = {account_id, *conversation};
    enum error error = fake_enter_write(store);

    if (error != OK) {
        return error;
    }
    REQUIRE(conversation->read <= conversation->received);
    struct fake_conversation *row = conversation_row(store, account_id, conversation->other_id);

    if (row != NULL) {
        *row = added;
    } else {
        fake_table_add(&store->home->rows.conversations, &added);
    }
    return OK;
}

static struct fake_conversation *conversation_row(struct store *store, int64_t account_id,
                                                  int64_t other_id)
{
    struct fake_table *conversations = &store->home->rows.conversations;

    for (size_t i = 0; i < conversations->count; i++) {
        struct fake_conversation *row = FAKE_ROW(*conversations, struct fake_conversation, i);

        if (row->account_id == account_id && row->conversation.other_id == other_id) {
            return row;
        }
    }
    return NULL;
}

enum error store_conversation_list(struct store *store, int64_t account_id, struct arena *arena,
                                   struct conversation_head **out_heads, size_t *out_count)
{
    enum error error = fake_enter(store);

    if (error != OK) {
        return error;
    }
    const struct fake_table *conversations = &store->home->rows.conversations;
    struct conversation_head *found = arena_alloc(arena, conversations->count * sizeof(*found));
    size_t count = 0;

    for (size_t i = 0; i < conversations->count; i++) {
        const struct fake_conversation *row = FAKE_ROW(*conversations, struct fake_conversation, i);

        if (row->account_id == account_id) {
            found[count++] = (struct conversation_head){
                .last_seq = row->conversation.last_seq,
                .unread_count = row->conversation.received - row->conversation.read,
            };
        }
    }
    if (count > 0) {
        qsort(found, count, sizeof(*found), compare_heads);
    }
    *out_heads = found;
    *out_count = count;
    return OK;
}

static int compare_heads(const void *a, const void *b)
{
    int64_t left = ((const struct conversation_head *)a)->last_seq;
    int64_t right = ((const struct conversation_head *)b)->last_seq;

    return (left < right) - (left > right);
}

enum error store_contact_list(struct store *store, int64_t account_id, int64_t after_id, size_t max,
                              struct arena *arena, int64_t **out_ids, size_t *out_count)
{
    enum error error = fake_enter(store);

    if (error != OK) {
        return error;
    }
    const struct fake_table *conversations = &store->home->rows.conversations;
    int64_t *ids = arena_alloc(arena, conversations->count * sizeof(*ids));
    size_t count = 0;

    for (size_t i = 0; i < conversations->count; i++) {
        const struct fake_conversation *row = FAKE_ROW(*conversations, struct fake_conversation, i);

        if (row->account_id == account_id && row->conversation.other_id > after_id) {
            ids[count++] = row->conversation.other_id;
        }
    }
    if (count > 0) {
        qsort(ids, count, sizeof(*ids), compare_ids);
    }
    *out_ids = ids;
    *out_count = count < max ? count : max;
    return OK;
}

static int compare_ids(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a;
    int64_t right = *(const int64_t *)b;

    return (left > right) - (left < right);
}

/* ---- sent keys ------------------------------------------------------------------------------- */

enum error store_sent_key_find(struct store *store, int64_t account_id, struct str key,
                               bool *out_found, struct sent_key *out_sent)
{
    enum error error = fake_enter(store);

    if (error != OK) {
        return error;
    }
    const struct fake_sent_key *row = sent_key_row(store, account_id, key);

    *out_found = row != NULL;
    if (row != NULL) {
        *out_sent = row->sent;
    }
    return OK;
}

enum error store_sent_key_add(struct store *store, int64_t account_id, struct str key,
                              const struct sent_key *sent)
{
    struct fake_sent_key row = {account_id, {NULL, 0}, *sent};
    enum error error = fake_enter_write(store);

    if (error == OK && sent_key_row(store, account_id, key) != NULL) {
        return ERROR_STORE_FAILED;
    }
    if (error == OK) {
        row.key = fake_text_keep(store, key);
        fake_table_add(&store->home->rows.sent_keys, &row);
    }
    return error;
}

static const struct fake_sent_key *sent_key_row(const struct store *store, int64_t account_id,
                                                struct str key)
{
    const struct fake_table *sent_keys = &store->home->rows.sent_keys;

    for (size_t i = 0; i < sent_keys->count; i++) {
        const struct fake_sent_key *row = FAKE_ROW(*sent_keys, struct fake_sent_key, i);

        if (row->account_id == account_id && str_equal(row->key, key)) {
            return row;
        }
    }
    return NULL;
}
