/* invite.c - an invite is found by the digest of its code and counts down; a revoked one is gone.
 *
 * One that is used up or has ended stays, for the operator to see, until it is revoked.
 */
#include "domain/invite.h"

#include "base/digest.h"
#include "base/random.h"

enum error invite_create(struct store *store, int64_t uses, int64_t life_s, int64_t now_ms,
                         struct arena *arena, struct invite *out_invite, struct str *out_code)
{
    struct sha256 digest;

    if (uses < 1 || uses > INVITE_USES_MAX || life_s < 1 || life_s > INVITE_LIFE_MAX_S) {
        return ERROR_INVITE_NOT_ALLOWED;
    }
    struct invite invite = {
        .uses_left = uses,
        .created_at_ms = now_ms,
        .expires_at_ms = now_ms + life_s * 1000,
    };
    char *text = arena_alloc(arena, INVITE_CODE_LEN + 1);
    arena->is_secret = true;
    random_alphanumeric(text, INVITE_CODE_LEN);
    struct str code = {text, INVITE_CODE_LEN};

    sha256_of(code, &digest);
    enum error error = store_invite_add(store, &digest, &invite, &invite.id);
    if (error == OK) {
        *out_invite = invite;
        *out_code = code;
    }
    return error;
}

enum error invite_check(struct store *store, struct str code, int64_t now_ms,
                        int64_t *out_invite_id)
{
    struct sha256 digest;
    struct invite invite;
    bool is_found;

    sha256_of(code, &digest);
    enum error error = store_invite_find(store, &digest, &is_found, &invite);
    if (error != OK) {
        return error;
    }
    if (!is_found || invite.uses_left < 1 || invite.expires_at_ms <= now_ms) {
        return ERROR_INVITE_INVALID;
    }
    *out_invite_id = invite.id;
    return OK;
}

enum error invite_revoke(struct store *store, int64_t invite_id)
{
    bool is_found;
    enum error error = store_invite_delete(store, invite_id, &is_found);

    return error == OK && !is_found ? ERROR_INVITE_NOT_FOUND : error;
}
