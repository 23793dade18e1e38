/* admin_disabled.c - an operator disables an account, and enables it again. */
#include "api/admin_account.h"
#include "api/handlers.h"
#include "domain/account.h"

static enum error answer(enum error error, struct exchange *exchange,
                         const struct account *account);

enum error admin_account_disable(struct exchange *exchange, struct services *services)
{
    struct account account;

    enum error error = admin_account_find(exchange, services, &account);
    if (error == OK) {
        error = account_disable(services->store, account.id, services->now_ms, &exchange->arena);
    }
    return answer(error, exchange, &account);
}

enum error admin_account_enable(struct exchange *exchange, struct services *services)
{
    struct account account;

    enum error error = admin_account_find(exchange, services, &account);
    if (error == OK) {
        error = account_enable(services->store, account.id, &exchange->arena);
    }
    return answer(error, exchange, &account);
}

static enum error answer(enum error error, struct exchange *exchange, const struct account *account)
{
    if (error == OK) {
        struct json_writer writer = admin_account_answer(exchange, account->id, account->name);

        json_close(&writer, '}');
    }
    return error;
}
