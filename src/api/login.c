/* login.c - name and password to a session, in the same time whether the name is known or not.
 *
 * 1. `read` never refuses a name: nobody's goes on with an empty hash, for which
 *    password_matches spends what a real one costs.
 * 2. `hash` refuses both with the same error, and makes a stronger hash when the account's is
 *    weaker than the setting.
 * 3. `write` issues the session only if the hash that was checked is still the account's. Only who
 *    knows the password is told here that the account is disabled.
 */
#include "api/body.h"
#include "api/handlers.h"
#include "api/issued.h"
#include "api/services.h"
#include "api/work.h"
#include "base/utf8.h"
#include "domain/account.h"
#include "domain/name.h"
#include "domain/session.h"

#define ACCOUNT_ID_FIRST 1

static enum error account_look_up(struct exchange *exchange, struct store *store);

enum error api_login_read(struct exchange *exchange, struct services *services)
{
    struct json_member members[] = {{.name = "username", .form = JSON_TEXT},
                                    {.name = "password", .form = JSON_TEXT},
                                    {.name = "label", .form = JSON_TEXT, .is_optional = true}};

    enum error error = body_read(exchange, members, 3);
    if (error != OK) {
        return error;
    }
    if (members[2].is_present && utf8_length(members[2].text) > SESSION_LABEL_MAX_CHARACTERS) {
        return ERROR_LABEL_TOO_LONG;
    }
    exchange->work = ARENA_NEW(&exchange->arena, struct api_work);
    exchange->work->account.username = members[0].text;
    exchange->work->account.password = members[1].text;
    if (members[2].is_present) {
        exchange->work->account.label = members[2].text;
    }
    return account_look_up(exchange, services->store);
}

/* Held names and deleted accounts resolve to nobody. For a name that nobody has the first account
 * is read, and forgotten: a microsecond that a patient client would see missing. */
static enum error account_look_up(struct exchange *exchange, struct store *store)
{
    struct account_work *work = &exchange->work->account;
    struct account account;
    bool is_found = false;

    work->checked_hash = STR("");
    enum error error = store_password_cost_find(store, &work->cost);
    if (error == OK) {
        error = name_resolve(store, work->username, false, &exchange->arena, &work->account_id);
    }
    if (error != OK) {
        return error;
    }
    bool is_known = work->account_id != 0;
    error = store_account_find(store, is_known ? work->account_id : ACCOUNT_ID_FIRST,
                               &exchange->arena, &is_found, &account);
    if (error != OK) {
        return error;
    }
    if (is_known && is_found && !account.is_deleted) {
        work->checked_hash = account.password_hash;
    }
    return OK;
}

enum error api_login_hash(struct exchange *exchange, struct services *services)
{
    struct account_work *work = &exchange->work->account;
    unsigned cost = services->settings->password_cost;
    unsigned wrong_cost = work->cost > cost ? work->cost : cost;

    if (!password_matches(services->scratch, work->password, work->checked_hash, wrong_cost)) {
        return ERROR_CREDENTIALS_WRONG;
    }
    if (password_hash_is_weak(work->checked_hash, cost) &&
        password_check(work->password, 0) == OK) {
        return password_hash(services->scratch, work->password, cost, &exchange->arena,
                             &work->new_hash);
    }
    return OK;
}

enum error api_login_write(struct exchange *exchange, struct services *services)
{
    const struct account_work *work = &exchange->work->account;
    struct session_issued issued;
    struct account account;

    enum error error = account_check_hash(services->store, work->account_id, work->checked_hash,
                                          &exchange->arena, &account);
    if (error == ERROR_ACCOUNT_CHANGED) {
        return exchange_begin_again(exchange);
    }
    if (error == OK && account.disabled_at_ms != 0) {
        error = ERROR_ACCOUNT_DISABLED;
    }
    if (error == OK && work->new_hash.ptr != NULL) {
        error = account_raise_hash(services->store, work->account_id, work->checked_hash,
                                   work->new_hash, &exchange->arena);
    }
    if (error == OK) {
        error = session_issue(services->store, work->account_id, account.name, work->label,
                              services->now_ms, &exchange->arena, &issued);
    }
    if (error == OK) {
        answer_issued(exchange, &issued);
    }
    return error;
}
