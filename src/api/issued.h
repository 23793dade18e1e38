/* issued.h - the answer that gives a new session to its owner.
 *
 * Uses:    http, domain/account.h.
 * Used by: api/accounts.c, api/login.c.
 * Thread:  whoever holds the exchange.
 */
#ifndef MIGCHAT_API_ISSUED_H
#define MIGCHAT_API_ISSUED_H

#include "domain/account.h"
#include "http/exchange.h"

/* 200 {"token","user_id","username"}. */
void answer_issued(struct exchange *exchange, const struct session_issued *issued);

#endif
