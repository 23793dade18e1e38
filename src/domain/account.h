/* account.h - creating, renaming, deleting accounts, and changing passwords.
 *
 * Hashing happens elsewhere (domain/password.h, on the hash lane), between the check that reads
 * and the change that writes; a change goes ahead only if the hash that was checked is still the
 * account's (ACCOUNT_CHANGED else).
 *
 * Uses:    base, store/store.h, domain/name.h, domain/session.h.
 * Used by: api/accounts.c.
 * Thread:  write lane for what writes, read or write lane for the rest.
 */
#ifndef MIGCHAT_DOMAIN_ACCOUNT_H
#define MIGCHAT_DOMAIN_ACCOUNT_H

#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"
#include "store/store.h"

/* What a new session gives its owner, once. */
struct session_issued {
    int64_t session_id;
    int64_t account_id;
    struct str username; /* as it is today; in the arena */
    struct str token;    /* SESSION_TOKEN_LEN characters, in the arena; nowhere else in clear */
};

/* Adds the account and its name. USERNAME_EMPTY, USERNAME_NOT_ALLOWED, USERNAME_TAKEN. */
MUST_CHECK enum error account_add(struct store *store, struct str username,
                                  struct str password_hash, int64_t now_ms, struct arena *arena,
                                  int64_t *out_account_id);
/* The same with its first session, for one who signs up. USERNAME_EMPTY, USERNAME_NOT_ALLOWED,
 * USERNAME_TAKEN. */
MUST_CHECK enum error account_create(struct store *store, struct str username,
                                     struct str password_hash, int64_t now_ms, struct arena *arena,
                                     struct session_issued *out_issued);

/* OK when the account lives and its hash is still `checked_hash`, else ACCOUNT_CHANGED: for a
 * log-in, before session_issue. *out_account is as it is now. The changes below ask it
 * themselves. */
MUST_CHECK enum error account_check_hash(struct store *store, int64_t account_id,
                                         struct str checked_hash, struct arena *arena,
                                         struct account *out_account);

/* Renames. The old name is held for NAME_HOLD_MS, at most NAMES_HELD_MAX at once (NAMES_HELD);
 * another case of the same name holds nothing. Appends ACCOUNT_RENAMED to the own log, counts the
 * rename and leaves a chore that tells the contacts. The same name again changes nothing, also an
 * adopted one that is not allowed today. USERNAME_EMPTY, USERNAME_NOT_ALLOWED, USERNAME_TAKEN,
 * ACCOUNT_CHANGED when the account is gone. */
MUST_CHECK enum error account_rename(struct store *store, int64_t account_id,
                                     struct str new_username, int64_t now_ms, struct arena *arena);

/* Sets the new hash and ends every session but `session_id`. ACCOUNT_CHANGED when the account's
 * hash is not `checked_hash` any more. */
MUST_CHECK enum error account_set_password(struct store *store, int64_t account_id,
                                           int64_t session_id, struct str checked_hash,
                                           struct str new_hash, int64_t now_ms,
                                           struct arena *arena);

/* Deletes: sessions end at once, the name is held, the account is shown as deleted-<id>, the
 * contacts are told and its own log goes in slices (chores). ACCOUNT_CHANGED as above. */
MUST_CHECK enum error account_delete(struct store *store, int64_t account_id,
                                     struct str checked_hash, int64_t now_ms, struct arena *arena);

/* Bars its sessions and refuses log-ins until it is enabled; nothing of it is lost. Messages to it
 * are still taken. ACCOUNT_CHANGED when it is gone. */
MUST_CHECK enum error account_disable(struct store *store, int64_t account_id, int64_t now_ms,
                                      struct arena *arena);
MUST_CHECK enum error account_enable(struct store *store, int64_t account_id, struct arena *arena);

/* Replaces the hash when it is still `old_hash` (raised cost at log-in); else does nothing. */
MUST_CHECK enum error account_raise_hash(struct store *store, int64_t account_id,
                                         struct str old_hash, struct str new_hash,
                                         struct arena *arena);

#endif
