/* key.c - bundles are stored as they come; a one-time prekey leaves exactly once.
 *
 * The store remembers what was claimed, so publishing an old prekey again does not bring it back.
 */
#include "domain/key.h"

#include "base/utf8.h"
#include "domain/name.h"

static bool key_is_allowed(struct str key);
static bool bundle_is_allowed(const struct key_bundle *bundle, const struct str *prekeys,
                              size_t prekey_count);
static enum error owner_find(struct store *store, struct str username, struct arena *arena,
                             int64_t *out_owner_id, struct key_bundle *out_bundle);
static enum error append_low(struct store *store, int64_t account_id, int64_t left, int64_t now_ms);

enum error key_publish(struct store *store, int64_t account_id, const struct key_bundle *bundle,
                       const struct str *prekeys, size_t prekey_count, int64_t now_ms)
{
    struct entry changed = {
        .kind = ENTRY_KEYS_CHANGED,
        .other_id = account_id,
        .created_at_ms = now_ms,
    };
    struct chore tell = {
        .kind = CHORE_TELL_KEYS,
        .account_id = account_id,
        .created_at_ms = now_ms,
    };
    int64_t seq;

    if (!bundle_is_allowed(bundle, prekeys, prekey_count)) {
        return ERROR_KEY_BUNDLE_NOT_ALLOWED;
    }
    enum error error = store_key_bundle_set(store, account_id, bundle, now_ms);
    if (error == OK) {
        error = store_prekeys_replace(store, account_id, prekeys, prekey_count);
    }
    if (error == OK) {
        error = store_entry_append(store, account_id, &changed, 0, &seq);
    }
    if (error == OK) {
        error = store_chore_add(store, &tell);
    }
    return error;
}

static bool bundle_is_allowed(const struct key_bundle *bundle, const struct str *prekeys,
                              size_t prekey_count)
{
    if (!key_is_allowed(bundle->identity_key) || !key_is_allowed(bundle->signed_prekey) ||
        !key_is_allowed(bundle->signed_prekey_signature) || prekey_count > PREKEYS_MAX) {
        return false;
    }
    for (size_t i = 0; i < prekey_count; i++) {
        if (!key_is_allowed(prekeys[i])) {
            return false;
        }
    }
    return true;
}

static bool key_is_allowed(struct str key)
{
    return key.len > 0 && utf8_length(key) <= KEY_MAX_CHARACTERS;
}

enum error key_find(struct store *store, struct str username, struct arena *arena,
                    struct key_bundle *out_bundle)
{
    int64_t owner_id;

    return owner_find(store, username, arena, &owner_id, out_bundle);
}

enum error key_claim(struct store *store, struct str username, int64_t now_ms, struct arena *arena,
                     struct key_bundle *out_bundle, struct str *out_prekey)
{
    struct key_bundle bundle;
    struct str prekey = {NULL, 0};
    int64_t owner_id;
    int64_t left = 0;
    bool is_found = false;
    enum error error = owner_find(store, username, arena, &owner_id, &bundle);

    if (error == OK) {
        error = store_prekey_take(store, owner_id, arena, &is_found, &prekey);
    }
    if (error == OK && is_found) {
        error = store_prekey_count(store, owner_id, &left);
        if (error == OK && (left == PREKEYS_LOW_AT || left == 0)) {
            error = append_low(store, owner_id, left, now_ms);
        }
    }
    if (error == OK) {
        *out_bundle = bundle;
        *out_prekey = is_found ? prekey : (struct str){NULL, 0};
    }
    return error;
}

static enum error owner_find(struct store *store, struct str username, struct arena *arena,
                             int64_t *out_owner_id, struct key_bundle *out_bundle)
{
    int64_t owner_id;
    bool is_found;
    enum error error = name_resolve(store, username, false, arena, &owner_id);

    if (error != OK) {
        return error;
    }
    if (owner_id == 0) {
        return ERROR_ACCOUNT_NOT_FOUND;
    }
    error = store_key_bundle_find(store, owner_id, arena, &is_found, out_bundle);
    if (error == OK && !is_found) {
        return ERROR_KEYS_NOT_FOUND;
    }
    if (error == OK) {
        *out_owner_id = owner_id;
    }
    return error;
}

static enum error append_low(struct store *store, int64_t account_id, int64_t left, int64_t now_ms)
{
    struct entry low = {
        .kind = ENTRY_KEYS_LOW,
        .ref = left,
        .created_at_ms = now_ms,
    };
    int64_t seq;

    return store_entry_append(store, account_id, &low, 0, &seq);
}
