/* session.h - tokens: whose they are, and their end.
 *
 * Uses:    base, store/store.h, domain/account.h (struct session_issued).
 * Used by: api/auth.c, api/sessions.c, api/accounts.c, domain/account.c.
 */
#ifndef MIGCHAT_DOMAIN_SESSION_H
#define MIGCHAT_DOMAIN_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/str.h"
#include "domain/account.h"
#include "store/store.h"

/* Characters of a token, [A-Za-z0-9] from the system generator: 190 bits. */
#define SESSION_TOKEN_LEN 32u
#define SESSION_LABEL_MAX_CHARACTERS 64u
/* `last_used_at` is kept to the hour and written at most once an hour. */
#define SESSION_USED_GRAIN_MS (60LL * 60 * 1000)

/* Makes a token and a session for it. `label` may have ptr NULL. LABEL_TOO_LONG. Whether the
 * account lives and its password was right is asked before (account_check_hash). */
MUST_CHECK enum error session_issue(struct store *store, int64_t account_id, struct str username,
                                    struct str label, int64_t now_ms, struct arena *arena,
                                    struct session_issued *out_issued);

/* Whose token this is. TOKEN_INVALID when it is nobody's, ACCOUNT_DISABLED. */
MUST_CHECK enum error session_find(struct store *store, struct str token,
                                   struct session *out_session);

/* Whether last_used_at should be written again, and writing it. */
bool session_is_stale(const struct session *session, int64_t now_ms);
MUST_CHECK enum error session_set_used(struct store *store, int64_t account_id, int64_t session_id,
                                       int64_t now_ms);

/* Ends one session of the account and appends SESSION_ENDED. SESSION_NOT_FOUND. */
MUST_CHECK enum error session_end(struct store *store, int64_t account_id, int64_t session_id,
                                  int64_t now_ms);
/* Ends all but `kept_session_id` (0: all). */
MUST_CHECK enum error session_end_others(struct store *store, int64_t account_id,
                                         int64_t kept_session_id, int64_t now_ms,
                                         struct arena *arena);

#endif
