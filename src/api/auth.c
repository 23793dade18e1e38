/* auth.c - every step with a store asks again, so a token that ends in between ends the request. */
#include "api/auth.h"

#include "domain/session.h"

enum error auth_check(struct exchange *exchange, struct store *store, int64_t now_ms,
                      bool *out_is_stale)
{
    struct str token;
    struct session session;

    enum error error = request_token(&exchange->request, &token);
    if (error != OK) {
        return error;
    }
    error = session_find(store, token, &session);
    if (error != OK) {
        return error;
    }
    if (exchange->session_id != 0 && exchange->session_id != session.id) {
        return ERROR_TOKEN_INVALID;
    }
    exchange->account_id = session.account_id;
    exchange->session_id = session.id;
    *out_is_stale = session_is_stale(&session, now_ms);
    return OK;
}
