/* keys.c - key bundles and one-time prekeys.
 *
 * A one-time prekey leaves its table exactly once: it is deleted and its digest remembered in the
 * same transaction, and a digest that is remembered is never taken in again.
 */
#include "store/sqlite/connection.h"

static const char BUNDLE_SET[] =
    "INSERT OR REPLACE INTO key_bundle(account_id, identity_key, signed_prekey,"
    " signed_prekey_signature, updated_at_ms) VALUES(?1, ?2, ?3, ?4, ?5)";
static const char BUNDLE_FIND[] = "SELECT identity_key, signed_prekey, signed_prekey_signature"
                                  " FROM key_bundle WHERE account_id = ?1";
static const char PREKEYS_DELETE[] = "DELETE FROM one_time_prekey WHERE account_id = ?1";
static const char PREKEY_ADD[] =
    "INSERT INTO one_time_prekey(account_id, position, public_key) VALUES(?1, ?2, ?3)";
static const char PREKEY_FIRST[] = "SELECT position, public_key FROM one_time_prekey"
                                   " WHERE account_id = ?1 ORDER BY position LIMIT 1";
static const char PREKEY_DELETE[] =
    "DELETE FROM one_time_prekey WHERE account_id = ?1 AND position = ?2";
static const char PREKEY_COUNT[] = "SELECT count(*) FROM one_time_prekey WHERE account_id = ?1";
static const char CLAIMED_ADD[] =
    "INSERT OR IGNORE INTO claimed_prekey(account_id, digest) VALUES(?1, ?2)";
static const char CLAIMED_FIND[] =
    "SELECT 1 FROM claimed_prekey WHERE account_id = ?1 AND digest = ?2";

static bool key_is_among(struct str key, const struct str *keys, size_t count);
static enum error claimed_find(struct store *store, int64_t account_id, struct str key,
                               bool *out_found);
static enum error prekey_add(struct store *store, int64_t account_id, int64_t position,
                             struct str key);
static enum error prekey_first(struct store *store, int64_t account_id, struct arena *arena,
                               int64_t *out_position, struct str *out_key);

enum error store_key_bundle_set(struct store *store, int64_t account_id,
                                const struct key_bundle *bundle, int64_t updated_at_ms)
{
    struct query query = query_write(store, BUNDLE_SET);

    query_bind_int(&query, account_id);
    query_bind_text(&query, bundle->identity_key);
    query_bind_text(&query, bundle->signed_prekey);
    query_bind_text(&query, bundle->signed_prekey_signature);
    query_bind_int(&query, updated_at_ms);
    return query_run(&query);
}

enum error store_key_bundle_find(struct store *store, int64_t account_id, struct arena *arena,
                                 bool *out_found, struct key_bundle *out_bundle)
{
    struct query query = query_read(store, BUNDLE_FIND);
    struct key_bundle bundle = {{NULL, 0}, {NULL, 0}, {NULL, 0}};
    bool found;
    enum error error;

    query_bind_int(&query, account_id);
    found = query_step(&query);
    if (found) {
        bundle.identity_key = query_text_copy(&query, 0, arena);
        bundle.signed_prekey = query_text_copy(&query, 1, arena);
        bundle.signed_prekey_signature = query_text_copy(&query, 2, arena);
    }
    error = query_end(&query);
    if (error != OK) {
        return error;
    }
    *out_found = found;
    if (found) {
        *out_bundle = bundle;
    }
    return OK;
}

/* ---- one-time prekeys ------------------------------------------------------------------------*/

enum error store_prekeys_replace(struct store *store, int64_t account_id, const struct str *keys,
                                 size_t count)
{
    struct query query = query_write(store, PREKEYS_DELETE);
    int64_t position = 0;
    enum error error;

    query_bind_int(&query, account_id);
    error = query_run(&query);
    for (size_t i = 0; i < count && error == OK; i++) {
        bool is_claimed = false;

        if (key_is_among(keys[i], keys, i)) {
            continue;
        }
        error = claimed_find(store, account_id, keys[i], &is_claimed);
        if (error == OK && !is_claimed) {
            position++;
            error = prekey_add(store, account_id, position, keys[i]);
        }
    }
    return error;
}

/* At most 200 keys come at once: comparing all with all is cheaper than a set. */
static bool key_is_among(struct str key, const struct str *keys, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (str_equal(key, keys[i])) {
            return true;
        }
    }
    return false;
}

static enum error claimed_find(struct store *store, int64_t account_id, struct str key,
                               bool *out_found)
{
    struct query query = query_read(store, CLAIMED_FIND);
    struct sha256 digest;
    bool found;
    enum error error;

    sha256_of(key, &digest);
    query_bind_int(&query, account_id);
    query_bind_bytes(&query, digest.bytes, sizeof digest.bytes);
    found = query_step(&query);
    error = query_end(&query);
    if (error == OK) {
        *out_found = found;
    }
    return error;
}

static enum error prekey_add(struct store *store, int64_t account_id, int64_t position,
                             struct str key)
{
    struct query query = query_write(store, PREKEY_ADD);

    query_bind_int(&query, account_id);
    query_bind_int(&query, position);
    query_bind_text(&query, key);
    return query_run(&query);
}

enum error store_prekey_take(struct store *store, int64_t account_id, struct arena *arena,
                             bool *out_found, struct str *out_key)
{
    struct query query;
    struct sha256 digest;
    struct str key = {NULL, 0};
    int64_t position = 0;
    enum error error = prekey_first(store, account_id, arena, &position, &key);

    if (error != OK) {
        return error;
    }
    if (key.ptr == NULL) {
        *out_found = false;
        return OK;
    }
    query = query_write(store, PREKEY_DELETE);
    query_bind_int(&query, account_id);
    query_bind_int(&query, position);
    error = query_run(&query);
    if (error != OK) {
        return error;
    }
    sha256_of(key, &digest);
    query = query_write(store, CLAIMED_ADD);
    query_bind_int(&query, account_id);
    query_bind_bytes(&query, digest.bytes, sizeof digest.bytes);
    error = query_run(&query);
    if (error != OK) {
        return error;
    }
    *out_found = true;
    *out_key = key;
    return OK;
}

static enum error prekey_first(struct store *store, int64_t account_id, struct arena *arena,
                               int64_t *out_position, struct str *out_key)
{
    struct query query = query_read(store, PREKEY_FIRST);
    struct str key = {NULL, 0};
    int64_t position = 0;
    enum error error;

    query_bind_int(&query, account_id);
    if (query_step(&query)) {
        position = query_int(&query, 0);
        key = query_text_copy(&query, 1, arena);
    }
    error = query_end(&query);
    if (error != OK) {
        return error;
    }
    *out_position = position;
    *out_key = key;
    return OK;
}

enum error store_prekey_count(struct store *store, int64_t account_id, int64_t *out_count)
{
    struct query query = query_read(store, PREKEY_COUNT);

    query_bind_int(&query, account_id);
    return query_run_int(&query, out_count);
}
