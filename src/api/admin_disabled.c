/* admin_disabled.c - an operator disables an account, and enables it again. */
#include "api/answer.h"
#include "api/handlers.h"
#include "api/services.h"
#include "domain/account.h"
#include "domain/name.h"

static enum error account_id_find(struct exchange *exchange, struct services *services,
                                  int64_t *out_account_id);

enum error admin_account_disable(struct exchange *exchange, struct services *services)
{
    int64_t account_id = 0;

    enum error error = account_id_find(exchange, services, &account_id);
    if (error == OK) {
        error = account_disable(services->store, account_id, services->now_ms, &exchange->arena);
    }
    if (error == OK) {
        answer_nothing(exchange);
    }
    return error;
}

enum error admin_account_enable(struct exchange *exchange, struct services *services)
{
    int64_t account_id = 0;

    enum error error = account_id_find(exchange, services, &account_id);
    if (error == OK) {
        error = account_enable(services->store, account_id, &exchange->arena);
    }
    if (error == OK) {
        answer_nothing(exchange);
    }
    return error;
}

/* Whom the path's {username} means. */
static enum error account_id_find(struct exchange *exchange, struct services *services,
                                  int64_t *out_account_id)
{
    enum error error = name_resolve(services->store, exchange->route_parameter, false,
                                    &exchange->arena, out_account_id);

    return error == OK && *out_account_id == 0 ? ERROR_ACCOUNT_NOT_FOUND : error;
}
