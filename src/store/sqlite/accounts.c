/* accounts.c - accounts, the cache of their shown names, and what a moment is.
 *
 * Lists ask for one name per entry. The cache answers them; it is valid while meta `names` is the
 * number it was filled at, which is looked at once per snapshot or batch.
 */
#include <string.h>

#include "base/require.h"
#include "store/sqlite/batch.h"
#include "store/sqlite/connection.h"

static const char ACCOUNT_ADD[] =
    "INSERT INTO account(id, name, password_hash, created_at_ms) VALUES(?1, ?2, ?3, ?4)";
static const char ACCOUNT_FIND[] = "SELECT name, password_hash, created_at_ms,"
                                   " deleted_at_ms IS NOT NULL, coalesce(disabled_at_ms, 0)"
                                   " FROM account WHERE id = ?1";
static const char ACCOUNT_NAME_FIND[] = "SELECT name FROM account WHERE id = ?1";
static const char ACCOUNT_SET_NAME[] = "UPDATE account SET name = ?2 WHERE id = ?1";
static const char ACCOUNT_SET_PASSWORD[] = "UPDATE account SET password_hash = ?2 WHERE id = ?1";
static const char ACCOUNT_SET_DELETED[] =
    "UPDATE account SET name = ?2, password_hash = '', deleted_at_ms = ?3 WHERE id = ?1";
static const char ACCOUNT_LIST[] =
    "SELECT id, name, created_at_ms,"
    " (SELECT count(*) FROM session WHERE session.account_id = account.id)"
    " FROM account WHERE id > ?1 AND deleted_at_ms IS NULL ORDER BY id LIMIT ?2";
static const char ACCOUNT_TOTALS[] =
    "SELECT count(*), coalesce(sum(received), 0),"
    " coalesce((SELECT max(seq) FROM log WHERE log.account_id = ?1), 0)"
    " FROM conversation WHERE account_id = ?1";
static const char TOTALS[] =
    "SELECT (SELECT count(*) FROM account WHERE deleted_at_ms IS NULL),"
    " (SELECT count(*) FROM session),"
    " (SELECT CAST(value AS INTEGER) - 1 FROM meta WHERE key = 'next_message_id')";
static const char ACCOUNT_SET_DISABLED[] =
    "UPDATE account SET disabled_at_ms = nullif(?2, 0) WHERE id = ?1";
static const char SESSION_SET_BARRED[] = "UPDATE session SET is_barred = ?2 WHERE account_id = ?1";
static const char HEAD_FIND[] =
    "SELECT seq FROM log WHERE account_id = ?1 ORDER BY seq DESC LIMIT 1";

static struct name_cache_slot *name_cache_slot_of(struct store *store, int64_t account_id);
static bool name_cache_slot_holds(const struct store *store, const struct name_cache_slot *slot,
                                  int64_t account_id);
static void name_cache_keep(struct store *store, int64_t account_id, struct str name);
static void name_cache_drop(struct store *store, int64_t account_id);

struct str store_epoch(const struct store *store)
{
    return (struct str){store->epoch, EPOCH_LEN};
}

enum error store_moment_find(struct store *store, int64_t account_id,
                             struct store_moment *out_moment)
{
    struct query query;
    int64_t head_seq = 0;
    enum error error = names_refresh(store);

    if (error != OK) {
        return error;
    }
    query = query_read(store, HEAD_FIND);
    query_bind_int(&query, account_id);
    error = query_run_int(&query, &head_seq);
    if (error != OK) {
        return error;
    }
    memcpy(out_moment->epoch, store->epoch, sizeof store->epoch);
    out_moment->head_seq = head_seq;
    out_moment->names = store->names;
    return OK;
}

enum error store_account_add(struct store *store, struct str name, struct str password_hash,
                             int64_t created_at_ms, int64_t *out_id)
{
    struct query query;
    int64_t id = 0;
    enum error error = counter_take(store, COUNTER_ACCOUNT, &id);

    if (error != OK) {
        return error;
    }
    query = query_write(store, ACCOUNT_ADD);
    query_bind_int(&query, id);
    query_bind_text(&query, name);
    query_bind_text(&query, password_hash);
    query_bind_int(&query, created_at_ms);
    error = query_run(&query);
    if (error != OK) {
        return error;
    }
    *out_id = id;
    return OK;
}

enum error store_account_find(struct store *store, int64_t account_id, struct arena *arena,
                              bool *out_found, struct account *out_account)
{
    struct query query = query_read(store, ACCOUNT_FIND);
    struct account account = {.id = account_id};
    bool found;
    enum error error;

    query_bind_int(&query, account_id);
    found = query_step(&query);
    if (found) {
        account.name = query_text_copy(&query, 0, arena);
        account.password_hash = query_text_copy(&query, 1, arena);
        account.created_at_ms = query_int(&query, 2);
        account.is_deleted = query_int(&query, 3) != 0;
        account.disabled_at_ms = query_int(&query, 4);
    }
    error = query_end(&query);
    if (error != OK) {
        return error;
    }
    *out_found = found;
    if (found) {
        *out_account = account;
    }
    return OK;
}

enum error store_account_set_name(struct store *store, int64_t account_id, struct str name)
{
    struct query query = query_write(store, ACCOUNT_SET_NAME);

    query_bind_int(&query, account_id);
    query_bind_text(&query, name);
    name_cache_drop(store, account_id);
    return query_run(&query);
}

enum error store_account_set_password(struct store *store, int64_t account_id,
                                      struct str password_hash)
{
    struct query query = query_write(store, ACCOUNT_SET_PASSWORD);

    query_bind_int(&query, account_id);
    query_bind_text(&query, password_hash);
    return query_run(&query);
}

enum error store_account_set_deleted(struct store *store, int64_t account_id, struct str name,
                                     int64_t deleted_at_ms)
{
    struct query query = query_write(store, ACCOUNT_SET_DELETED);

    query_bind_int(&query, account_id);
    query_bind_text(&query, name);
    query_bind_int(&query, deleted_at_ms);
    name_cache_drop(store, account_id);
    return query_run(&query);
}

/* ---- for the operator ------------------------------------------------------------------------*/

enum error store_account_list(struct store *store, int64_t after_id, size_t max,
                              struct arena *arena, struct account_line **out_lines,
                              size_t *out_count)
{
    struct query query = query_read(store, ACCOUNT_LIST);
    struct account_line *lines = NULL;
    size_t count = 0;
    size_t capacity = 0;
    enum error error;

    query_bind_int(&query, after_id);
    query_bind_int(&query, (int64_t)max);
    while (query_step(&query)) {
        lines = rows_reserve(arena, lines, count, &capacity, sizeof *lines);
        lines[count++] = (struct account_line){
            .id = query_int(&query, 0),
            .name = query_text_copy(&query, 1, arena),
            .created_at_ms = query_int(&query, 2),
            .session_count = query_int(&query, 3),
        };
    }
    error = query_end(&query);
    if (error != OK) {
        return error;
    }
    *out_lines = lines;
    *out_count = count;
    return OK;
}

enum error store_account_totals_find(struct store *store, int64_t account_id,
                                     struct account_totals *out_totals)
{
    struct query query = query_read(store, ACCOUNT_TOTALS);
    struct account_totals totals = {0};
    enum error error;

    query_bind_int(&query, account_id);
    if (query_step(&query)) {
        totals = (struct account_totals){
            .conversations = query_int(&query, 0),
            .messages_received = query_int(&query, 1),
            .log_entries = query_int(&query, 2),
        };
    }
    error = query_end(&query);
    if (error == OK) {
        *out_totals = totals;
    }
    return error;
}

enum error store_totals_find(struct store *store, struct store_totals *out_totals)
{
    struct query query = query_read(store, TOTALS);
    struct store_totals totals = {0};
    enum error error;

    if (query_step(&query)) {
        totals = (struct store_totals){
            .accounts = query_int(&query, 0),
            .sessions = query_int(&query, 1),
            .messages = query_int(&query, 2),
        };
    }
    error = query_end(&query);
    if (error == OK) {
        *out_totals = totals;
    }
    return error;
}

enum error store_account_set_disabled(struct store *store, int64_t account_id,
                                      int64_t disabled_at_ms)
{
    struct query query = query_write(store, ACCOUNT_SET_DISABLED);

    query_bind_int(&query, account_id);
    query_bind_int(&query, disabled_at_ms);
    enum error error = query_run(&query);
    if (error != OK) {
        return error;
    }
    query = query_write(store, SESSION_SET_BARRED);
    query_bind_int(&query, account_id);
    query_bind_int(&query, disabled_at_ms != 0);
    /* Rare, so the writer may ask for all it knew again. */
    known_forget(store->known);
    changed_note(store, account_id);
    return query_run(&query);
}

/* ---- names shown -----------------------------------------------------------------------------*/

enum error store_account_name_find(struct store *store, int64_t account_id, struct arena *arena,
                                   bool *out_found, struct str *out_name)
{
    const struct name_cache_slot *slot = name_cache_slot_of(store, account_id);
    struct query query;
    struct str name = {NULL, 0};
    bool found;
    enum error error = names_refresh(store);

    if (error != OK) {
        return error;
    }
    if (name_cache_slot_holds(store, slot, account_id)) {
        *out_found = true;
        *out_name = arena_copy(arena, (struct str){slot->text, slot->len});
        return OK;
    }
    query = query_read(store, ACCOUNT_NAME_FIND);
    query_bind_int(&query, account_id);
    found = query_step(&query);
    if (found) {
        name = query_text_copy(&query, 0, arena);
        name_cache_keep(store, account_id, name);
    }
    error = query_end(&query);
    if (error != OK) {
        return error;
    }
    *out_found = found;
    if (found) {
        *out_name = name;
    }
    return OK;
}

static struct name_cache_slot *name_cache_slot_of(struct store *store, int64_t account_id)
{
    return &store->name_cache.slots[(uint64_t)account_id % NAME_CACHE_SLOTS];
}

static bool name_cache_slot_holds(const struct store *store, const struct name_cache_slot *slot,
                                  int64_t account_id)
{
    return slot->account_id == account_id && slot->generation == store->name_cache.generation;
}

static void name_cache_keep(struct store *store, int64_t account_id, struct str name)
{
    struct name_cache_slot *slot = name_cache_slot_of(store, account_id);

    if (name.len > NAME_CACHE_TEXT_BYTES) {
        return;
    }
    slot->account_id = account_id;
    slot->generation = store->name_cache.generation;
    slot->len = (uint8_t)name.len;
    memcpy(slot->text, name.ptr, name.len);
}

static void name_cache_drop(struct store *store, int64_t account_id)
{
    name_cache_slot_of(store, account_id)->generation = 0;
}

void name_cache_clear(struct store *store)
{
    store->name_cache.generation++;
    if (store->name_cache.generation == 0) {
        memset(store->name_cache.slots, 0, sizeof store->name_cache.slots);
        store->name_cache.generation = 1;
    }
}
