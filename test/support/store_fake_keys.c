/* store_fake_keys.c - key bundles, one-time prekeys, chores, and what a deleted account left. */
#include <string.h>

#include "support/store_fake_rows.h"

static bool was_claimed(const struct store *store, int64_t account_id, const struct sha256 *digest);
static bool prekey_is_stored(const struct store *store, int64_t account_id, struct str key);
static struct fake_bundle *bundle_row(struct store *store, int64_t account_id);
static struct chore *chore_row(struct store *store, int64_t chore_id, size_t *out_index);
static bool remove_log(struct fake_table *entries, int64_t account_id,
                       const struct slice_limits *limits, size_t *out_removed);
static size_t remove_of_account(struct fake_table *table, size_t account_id_offset,
                                int64_t account_id, size_t max);

/* ---- keys ------------------------------------------------------------------------------------ */

enum error store_key_bundle_set(struct store *store, int64_t account_id,
                                const struct key_bundle *bundle, int64_t updated_at_ms)
{
    enum error error = fake_enter_write(store);

    if (error != OK) {
        return error;
    }
    struct fake_bundle added = {
        .account_id = account_id,
        .bundle =
            {
                .identity_key = fake_text_keep(store, bundle->identity_key),
                .signed_prekey = fake_text_keep(store, bundle->signed_prekey),
                .signed_prekey_signature = fake_text_keep(store, bundle->signed_prekey_signature),
            },
        .updated_at_ms = updated_at_ms,
    };
    struct fake_bundle *row = bundle_row(store, account_id);

    if (row != NULL) {
        *row = added;
    } else {
        fake_table_add(&store->home->rows.bundles, &added);
    }
    return OK;
}

enum error store_key_bundle_find(struct store *store, int64_t account_id, struct arena *arena,
                                 bool *out_found, struct key_bundle *out_bundle)
{
    enum error error = fake_enter(store);

    if (error != OK) {
        return error;
    }
    const struct fake_bundle *row = bundle_row(store, account_id);

    *out_found = row != NULL;
    if (row != NULL) {
        *out_bundle = (struct key_bundle){
            .identity_key = fake_text_give(row->bundle.identity_key, arena),
            .signed_prekey = fake_text_give(row->bundle.signed_prekey, arena),
            .signed_prekey_signature = fake_text_give(row->bundle.signed_prekey_signature, arena),
        };
    }
    return OK;
}

static struct fake_bundle *bundle_row(struct store *store, int64_t account_id)
{
    struct fake_table *bundles = &store->home->rows.bundles;

    for (size_t i = 0; i < bundles->count; i++) {
        struct fake_bundle *row = FAKE_ROW(*bundles, struct fake_bundle, i);

        if (row->account_id == account_id) {
            return row;
        }
    }
    return NULL;
}

enum error store_prekeys_replace(struct store *store, int64_t account_id, const struct str *keys,
                                 size_t count)
{
    struct fake_table *prekeys = &store->home->rows.prekeys;
    enum error error = fake_enter_write(store);

    if (error != OK) {
        return error;
    }
    (void)remove_of_account(prekeys, offsetof(struct fake_prekey, account_id), account_id,
                            SIZE_MAX);
    for (size_t i = 0; i < count; i++) {
        struct sha256 digest;

        sha256_of(keys[i], &digest);
        if (!was_claimed(store, account_id, &digest) &&
            !prekey_is_stored(store, account_id, keys[i])) {
            struct fake_prekey row = {account_id, fake_text_keep(store, keys[i])};

            fake_table_add(prekeys, &row);
        }
    }
    return OK;
}

static bool was_claimed(const struct store *store, int64_t account_id, const struct sha256 *digest)
{
    const struct fake_table *claimed = &store->home->rows.claimed;

    for (size_t i = 0; i < claimed->count; i++) {
        const struct fake_claimed *row = FAKE_ROW(*claimed, struct fake_claimed, i);

        if (row->account_id == account_id &&
            memcmp(row->digest.bytes, digest->bytes, SHA256_LEN) == 0) {
            return true;
        }
    }
    return false;
}

static bool prekey_is_stored(const struct store *store, int64_t account_id, struct str key)
{
    const struct fake_table *prekeys = &store->home->rows.prekeys;

    for (size_t i = 0; i < prekeys->count; i++) {
        const struct fake_prekey *row = FAKE_ROW(*prekeys, struct fake_prekey, i);

        if (row->account_id == account_id && str_equal(row->key, key)) {
            return true;
        }
    }
    return false;
}

enum error store_prekey_take(struct store *store, int64_t account_id, struct arena *arena,
                             bool *out_found, struct str *out_key)
{
    struct fake_rows *rows = &store->home->rows;
    enum error error = fake_enter_write(store);

    if (error != OK) {
        return error;
    }
    *out_found = false;
    for (size_t i = 0; i < rows->prekeys.count; i++) {
        const struct fake_prekey *row = FAKE_ROW(rows->prekeys, struct fake_prekey, i);
        struct fake_claimed claimed = {.account_id = account_id};

        if (row->account_id == account_id) {
            *out_found = true;
            *out_key = fake_text_give(row->key, arena);
            sha256_of(row->key, &claimed.digest);
            fake_table_add(&rows->claimed, &claimed);
            fake_table_remove(&rows->prekeys, i);
            return OK;
        }
    }
    return OK;
}

enum error store_prekey_count(struct store *store, int64_t account_id, int64_t *out_count)
{
    const struct fake_table *prekeys = &store->home->rows.prekeys;
    enum error error = fake_enter(store);
    int64_t count = 0;

    if (error != OK) {
        return error;
    }
    for (size_t i = 0; i < prekeys->count; i++) {
        if (FAKE_ROW(*prekeys, struct fake_prekey, i)->account_id == account_id) {
            count++;
        }
    }
    *out_count = count;
    return OK;
}

/* ---- chores ---------------------------------------------------------------------------------- */

enum error store_chore_add(struct store *store, const struct chore *chore)
{
    struct chore row = *chore;
    enum error error = fake_enter_write(store);

    if (error == OK) {
        row.id = store->home->rows.next_chore_id++;
        row.text = fake_text_keep(store, chore->text);
        fake_table_add(&store->home->rows.chores, &row);
    }
    return error;
}

enum error store_chore_find(struct store *store, struct arena *arena, bool *out_found,
                            struct chore *out_chore)
{
    const struct fake_table *chores = &store->home->rows.chores;
    enum error error = fake_enter(store);

    if (error != OK) {
        return error;
    }
    *out_found = chores->count > 0;
    if (chores->count > 0) {
        *out_chore = *FAKE_ROW(*chores, struct chore, 0);
        out_chore->text = fake_text_give(out_chore->text, arena);
    }
    return OK;
}

enum error store_chore_set_cursor(struct store *store, int64_t chore_id, int64_t cursor)
{
    size_t index;
    enum error error = fake_enter_write(store);

    if (error != OK) {
        return error;
    }
    struct chore *row = chore_row(store, chore_id, &index);

    if (row != NULL) {
        row->cursor = cursor;
    }
    return OK;
}

enum error store_chore_delete(struct store *store, int64_t chore_id)
{
    size_t index;
    enum error error = fake_enter_write(store);

    if (error == OK && chore_row(store, chore_id, &index) != NULL) {
        fake_table_remove(&store->home->rows.chores, index);
    }
    return error;
}

static struct chore *chore_row(struct store *store, int64_t chore_id, size_t *out_index)
{
    struct fake_table *chores = &store->home->rows.chores;

    for (size_t i = 0; i < chores->count; i++) {
        struct chore *row = FAKE_ROW(*chores, struct chore, i);

        if (row->id == chore_id) {
            *out_index = i;
            return row;
        }
    }
    return NULL;
}

bool store_may_have_chores(const struct store *store)
{
    return store->home->rows.chores.count > 0;
}

enum error store_remains_delete(struct store *store, int64_t account_id,
                                const struct slice_limits *limits, size_t *out_removed,
                                bool *out_more)
{
    struct fake_rows *rows = &store->home->rows;
    size_t removed = 0;
    enum error error = fake_enter_write(store);

    if (error != OK) {
        return error;
    }
    struct {
        struct fake_table *table;
        size_t account_id_offset;
    } const remains[] = {
        {&rows->conversations, offsetof(struct fake_conversation, account_id)},
        {&rows->sent_keys, offsetof(struct fake_sent_key, account_id)},
        {&rows->prekeys, offsetof(struct fake_prekey, account_id)},
        {&rows->claimed, offsetof(struct fake_claimed, account_id)},
        {&rows->bundles, offsetof(struct fake_bundle, account_id)},
        {&rows->sessions, offsetof(struct fake_session, session.account_id)},
        {&rows->blocks, offsetof(struct fake_block, account_id)},
        {&rows->withheld, offsetof(struct fake_withheld, account_id)},
    };

    bool more = remove_log(&rows->entries, account_id, limits, &removed);

    for (size_t i = 0; !more && i < sizeof(remains) / sizeof(remains[0]); i++) {
        removed += remove_of_account(remains[i].table, remains[i].account_id_offset, account_id,
                                     limits->max_rows - removed);
        more = removed == limits->max_rows;
    }
    *out_removed = removed;
    *out_more = more;
    return OK;
}

static bool remove_log(struct fake_table *entries, int64_t account_id,
                       const struct slice_limits *limits, size_t *out_removed)
{
    size_t removed = 0;
    size_t text_bytes = 0;
    size_t i = 0;

    while (i < entries->count && removed < limits->max_rows &&
           text_bytes < limits->max_text_bytes) {
        const struct fake_entry *row = FAKE_ROW(*entries, struct fake_entry, i);

        if (row->account_id == account_id) {
            text_bytes += row->entry.text.len;
            fake_table_remove(entries, i);
            removed++;
        } else {
            i++;
        }
    }
    *out_removed = removed;
    return removed == limits->max_rows || text_bytes >= limits->max_text_bytes;
}

static size_t remove_of_account(struct fake_table *table, size_t account_id_offset,
                                int64_t account_id, size_t max)
{
    size_t removed = 0;
    size_t i = 0;

    while (i < table->count && removed < max) {
        int64_t row_account_id;

        memcpy(&row_account_id,
               (const char *)table->rows + i * table->row_bytes + account_id_offset,
               sizeof(row_account_id));
        if (row_account_id == account_id) {
            fake_table_remove(table, i);
            removed++;
        } else {
            i++;
        }
    }
    return removed;
}
