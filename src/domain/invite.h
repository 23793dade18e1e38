/* invite.h - codes with which one may sign up where not everybody may.
 *
 * The code is told once, when it is made; only its digest is kept.
 *
 * Uses:    base, store/store.h.
 * Used by: api/accounts.c, api/admin_invites.c.
 * Thread:  write lane for what writes, read or write lane for the rest.
 */
#ifndef MIGCHAT_DOMAIN_INVITE_H
#define MIGCHAT_DOMAIN_INVITE_H

#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"
#include "store/store.h"

/* Characters of a code, [A-Za-z0-9] from the system generator: 119 bits, so none is guessed. */
#define INVITE_CODE_LEN 20u
#define INVITE_USES_MAX 100000
/* Ten years; an invite always ends. */
#define INVITE_LIFE_MAX_S (3650LL * 24 * 60 * 60)

/* Makes one for `uses` accounts (1 to INVITE_USES_MAX) that ends `life_s` seconds after `now_ms` (1
 * to INVITE_LIFE_MAX_S). INVITE_NOT_ALLOWED for other numbers. *out_code is in the arena. */
MUST_CHECK enum error invite_create(struct store *store, int64_t uses, int64_t life_s,
                                    int64_t now_ms, struct arena *arena, struct invite *out_invite,
                                    struct str *out_code);
/* Whether one may sign up with this code now. INVITE_INVALID does not tell an unknown one from one
 * that is used up, expired or revoked. *out_invite_id is for store_invite_use, in the same unit as
 * the account it is used for. */
MUST_CHECK enum error invite_check(struct store *store, struct str code, int64_t now_ms,
                                   int64_t *out_invite_id);
/* INVITE_NOT_FOUND. */
MUST_CHECK enum error invite_revoke(struct store *store, int64_t invite_id);

#endif
