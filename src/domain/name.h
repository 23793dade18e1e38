/* name.h - the rules for account names, and finding who a name belongs to.
 *
 * Uses:    base, store/store.h.
 * Used by: domain, api.
 * Thread:  a lane; calls may block on storage.
 */
#ifndef MIGCHAT_DOMAIN_NAME_H
#define MIGCHAT_DOMAIN_NAME_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"
#include "store/store.h"

#define NAME_MAX_CHARACTERS 64u
#define NAME_HOLD_MS (30LL * 24 * 60 * 60 * 1000)
#define NAMES_HELD_MAX 3u

/* A new name: 1-64 characters of valid UTF-8, no Cc or Cf, none of / \ ? # % & +, no white space
 * at either end, and not of the form deleted-<digits> (any case). USERNAME_EMPTY,
 * USERNAME_NOT_ALLOWED. */
MUST_CHECK enum error name_check(struct str name);

/* ASCII letters in lower case, in the arena. */
struct str name_fold(struct str name, struct arena *arena);

/* Who is meant: the exact name, else the only current one that differs in ASCII case. Names held
 * resolve to nobody. `includes_deleted` finds deleted-<id> as well. Where the exact name is known
 * it decides alone: one that is held, or deleted and not asked for, never falls through to an
 * adopted name that differs in case. *out_account_id is 0 for nobody. */
MUST_CHECK enum error name_resolve(struct store *store, struct str name, bool includes_deleted,
                                   struct arena *arena, int64_t *out_account_id);

/* Whether a name may be taken by `account_id` (0: a new account) at `now_ms`: OK, USERNAME_TAKEN,
 * or a store error. A name held for the account itself is free for it, as is another case of its
 * own current name. */
MUST_CHECK enum error name_check_free(struct store *store, struct str name, int64_t account_id,
                                      int64_t now_ms, struct arena *arena);

/* Removes the rows of this folded form whose hold has ended at `now_ms`: before the name is
 * taken. */
MUST_CHECK enum error name_release_expired(struct store *store, struct str name, int64_t now_ms,
                                           struct arena *arena);

#endif
