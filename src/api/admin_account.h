/* admin_account.h - the account that an operator names.
 *
 * Uses:    http, domain/name.h, store/store.h.
 * Used by: api/admin_*.c.
 * Thread:  a lane.
 */
#ifndef MIGCHAT_API_ADMIN_ACCOUNT_H
#define MIGCHAT_API_ADMIN_ACCOUNT_H

#include "api/json_write.h"
#include "api/services.h"
#include "base/error.h"
#include "http/exchange.h"
#include "store/store.h"

/* Whom the path's {username} means, found as for the public routes. ACCOUNT_NOT_FOUND. */
MUST_CHECK enum error admin_account_find(struct exchange *exchange, struct services *services,
                                         struct account *out_account);
/* Begins an answer about it: 200, and an open object with `user_id` and `username`. */
struct json_writer admin_account_answer(struct exchange *exchange, int64_t account_id,
                                        struct str username);

#endif
