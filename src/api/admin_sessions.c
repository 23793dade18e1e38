/* admin_sessions.c - an operator looks at an account's sessions and ends them. */
#include "api/admin_account.h"
#include "api/body.h"
#include "api/handlers.h"
#include "domain/session.h"

/* As the account's own list, none of which is current here. */
enum error admin_session_list(struct exchange *exchange, struct services *services)
{
    struct account account;

    if (exchange->page == 0) {
        enum error error = admin_account_find(exchange, services, &account);

        if (error != OK) {
            return error;
        }
        exchange->account_id = account.id;
    }
    return api_session_list(exchange, services);
}

/* One, by its id, or without one all that there are. */
enum error admin_session_end(struct exchange *exchange, struct services *services)
{
    struct json_member member = {.name = "id", .form = JSON_INTEGER, .is_optional = true};
    struct account account;
    struct session *sessions;
    size_t ended = 1;

    enum error error = body_read(exchange, &member, 1);
    if (error == OK) {
        error = admin_account_find(exchange, services, &account);
    }
    if (error == OK && member.is_present) {
        error = session_end(services->store, account.id, member.integer, services->now_ms);
    } else if (error == OK) {
        error =
            store_session_list(services->store, account.id, &exchange->arena, &sessions, &ended);
        if (error == OK) {
            error = session_end_others(services->store, account.id, 0, services->now_ms,
                                       &exchange->arena);
        }
    }
    if (error != OK) {
        return error;
    }
    struct json_writer writer = admin_account_answer(exchange, account.id, account.name);
    json_name(&writer, "ended_sessions");
    json_int(&writer, (int64_t)ended);
    json_close(&writer, '}');
    return OK;
}
