/* admin_accounts.c - an operator makes an account, deletes it, gives it another password.
 *
 * Who can open the admin socket may do everything, so no password of the account's is asked for.
 * Otherwise it is what its owner's own routes do (accounts.c), through the same domain. A password
 * that is not given is made up, and told in this one answer.
 */
#include "domain/account.h"

#include "api/admin_account.h"
#include "api/answer.h"
#include "api/body.h"
#include "api/handlers.h"
#include "api/work.h"
#include "base/random.h"
#include "domain/name.h"
#include "domain/password.h"
#include "domain/session.h"

/* Of [A-Za-z0-9]: 119 bits. */
#define MADE_PASSWORD_LEN 20u

static enum error password_settle(struct exchange *exchange, const struct services *services,
                                  const struct json_member *given);
static void password_tell(struct json_writer *writer, const struct account_work *work);

/* ---- POST /accounts --------------------------------------------------------------------------*/

enum error admin_account_add_read(struct exchange *exchange, struct services *services)
{
    struct json_member members[] = {{.name = "username", .form = JSON_TEXT},
                                    {.name = "password", .form = JSON_TEXT, .is_optional = true}};

    enum error error = body_read(exchange, members, 2);
    if (error == OK) {
        error = name_check(members[0].text);
    }
    if (error == OK) {
        error = password_settle(exchange, services, &members[1]);
    }
    if (error != OK) {
        return error;
    }
    exchange->work->account.username = members[0].text;
    return name_check_free(services->store, members[0].text, 0, services->now_ms, &exchange->arena);
}

enum error admin_account_add_write(struct exchange *exchange, struct services *services)
{
    const struct account_work *work = &exchange->work->account;
    int64_t account_id = 0;

    enum error error = account_add(services->store, work->username, work->new_hash,
                                   services->now_ms, &exchange->arena, &account_id);
    if (error != OK) {
        return error;
    }
    struct json_writer writer = admin_account_answer(exchange, account_id, work->username);
    password_tell(&writer, work);
    json_close(&writer, '}');
    return OK;
}

/* ---- DELETE /accounts/{username} -------------------------------------------------------------*/

enum error admin_account_delete(struct exchange *exchange, struct services *services)
{
    struct account account;

    enum error error = admin_account_find(exchange, services, &account);
    if (error == OK) {
        error = account_delete(services->store, account.id, account.password_hash, services->now_ms,
                               &exchange->arena);
    }
    if (error != OK) {
        return error;
    }
    struct json_writer writer = admin_account_answer(exchange, account.id, account.name);
    json_close(&writer, '}');
    return OK;
}

/* ---- POST /accounts/{username}/password ------------------------------------------------------*/

/* Looks the account up for its own sake: a name that is nobody's costs no hash. */
enum error admin_password_read(struct exchange *exchange, struct services *services)
{
    struct json_member member = {.name = "password", .form = JSON_TEXT, .is_optional = true};
    struct account account;

    enum error error = body_read(exchange, &member, 1);
    if (error == OK) {
        error = admin_account_find(exchange, services, &account);
    }
    return error == OK ? password_settle(exchange, services, &member) : error;
}

enum error admin_password_write(struct exchange *exchange, struct services *services)
{
    const struct account_work *work = &exchange->work->account;
    struct account account;
    struct session *sessions;
    size_t session_count = 0;

    enum error error = admin_account_find(exchange, services, &account);
    if (error == OK) {
        error = store_session_list(services->store, account.id, &exchange->arena, &sessions,
                                   &session_count);
    }
    if (error == OK) {
        error = account_set_password(services->store, account.id, 0, account.password_hash,
                                     work->new_hash, services->now_ms, &exchange->arena);
    }
    if (error != OK) {
        return error;
    }
    struct json_writer writer = admin_account_answer(exchange, account.id, account.name);
    json_name(&writer, "ended_sessions");
    json_int(&writer, (int64_t)session_count);
    password_tell(&writer, work);
    json_close(&writer, '}');
    return OK;
}

/* ---- shared ----------------------------------------------------------------------------------*/

enum error admin_account_find(struct exchange *exchange, struct services *services,
                              struct account *out_account)
{
    int64_t account_id = 0;
    bool is_found = false;

    enum error error = name_resolve(services->store, exchange->route_parameter, false,
                                    &exchange->arena, &account_id);
    if (error == OK && account_id != 0) {
        error = store_account_find(services->store, account_id, &exchange->arena, &is_found,
                                   out_account);
    }
    if (error != OK) {
        return error;
    }
    return is_found && !out_account->is_deleted ? OK : ERROR_ACCOUNT_NOT_FOUND;
}

struct json_writer admin_account_answer(struct exchange *exchange, int64_t account_id,
                                        struct str username)
{
    struct json_writer writer = answer_object(exchange);

    json_name(&writer, "user_id");
    json_int(&writer, account_id);
    json_name(&writer, "username");
    json_text(&writer, username);
    return writer;
}

/* Makes the work, with the password given or one made up: long enough for what the setting asks. */
static enum error password_settle(struct exchange *exchange, const struct services *services,
                                  const struct json_member *given)
{
    size_t len = services->settings->password_min_bytes > MADE_PASSWORD_LEN
                     ? services->settings->password_min_bytes
                     : MADE_PASSWORD_LEN;

    exchange->work = ARENA_NEW(&exchange->arena, struct api_work);
    struct account_work *work = &exchange->work->account;
    if (given->is_present) {
        work->password = given->text;
        return password_check(given->text, services->settings->password_min_bytes);
    }
    char *made = arena_alloc(&exchange->arena, len + 1);
    exchange->arena.is_secret = true;
    random_alphanumeric(made, len);
    work->password = (struct str){made, len};
    work->new_password = work->password;
    return OK;
}

static void password_tell(struct json_writer *writer, const struct account_work *work)
{
    if (work->new_password.ptr != NULL) {
        writer->out->is_secret = true;
        json_name(writer, "password");
        json_text(writer, work->new_password);
    }
}
