/* accounts.c - creating, looking up, renaming, changing the password, deleting.
 *
 * What needs a hash goes read, hash, write. `read` judges what the client sent and keeps it in the
 * work; `hash` has no database; `write` is refused by the domain when the hash that was checked is
 * not the account's any more.
 */
#include "api/answer.h"
#include "api/body.h"
#include "api/handlers.h"
#include "api/issued.h"
#include "api/services.h"
#include "api/work.h"
#include "domain/account.h"
#include "domain/invite.h"
#include "domain/name.h"

static enum error signup_check(const struct services *services, bool needs_invite,
                               struct str invite, int64_t *out_invite_id);
static enum error own_hash_find(struct exchange *exchange, struct store *store);
static enum error own_password_check(struct exchange *exchange, struct services *services);

/* ---- POST /api/account/create ----------------------------------------------------------------*/

enum error api_account_create_read(struct exchange *exchange, struct services *services)
{
    struct json_member members[] = {{.name = "username", .form = JSON_TEXT},
                                    {.name = "password", .form = JSON_TEXT},
                                    {.name = "invite", .form = JSON_TEXT, .is_optional = true}};
    int64_t invite_id = 0;
    /* Once for all steps: a reload may come between them. */
    enum signup signup = (enum signup)atomic_load(&services->settings->signup);

    if (signup == SIGNUP_CLOSED) {
        return ERROR_SIGNUP_CLOSED;
    }
    enum error error = body_read(exchange, members, 3);
    if (error != OK) {
        return error;
    }
    /* First, so that who has none learns nothing about names, and costs no hash. */
    struct str invite = members[2].is_present ? members[2].text : STR("");
    error = signup_check(services, signup == SIGNUP_INVITE, invite, &invite_id);
    if (error != OK) {
        return error;
    }
    error = name_check(members[0].text);
    if (error != OK) {
        return error;
    }
    error = password_check(members[1].text, services->settings->password_min_bytes);
    if (error != OK) {
        return error;
    }
    exchange->work = ARENA_NEW(&exchange->arena, struct api_work);
    exchange->work->account.username = members[0].text;
    exchange->work->account.password = members[1].text;
    exchange->work->account.invite = invite;
    exchange->work->account.needs_invite = signup == SIGNUP_INVITE;
    return name_check_free(services->store, members[0].text, 0, services->now_ms, &exchange->arena);
}

enum error api_account_create_hash(struct exchange *exchange, struct services *services)
{
    struct account_work *work = &exchange->work->account;

    return password_hash(services->scratch, work->password, services->settings->password_cost,
                         &exchange->arena, &work->new_hash);
}

enum error api_account_create_write(struct exchange *exchange, struct services *services)
{
    const struct account_work *work = &exchange->work->account;
    struct session_issued issued;
    int64_t invite_id = 0;

    /* Again: since it was read, others may have used it up. */
    enum error error = signup_check(services, work->needs_invite, work->invite, &invite_id);
    if (error == OK) {
        error = account_create(services->store, work->username, work->new_hash, services->now_ms,
                               &exchange->arena, &issued);
    }
    if (error == OK && invite_id != 0) {
        error = store_invite_use(services->store, invite_id);
    }
    if (error == OK) {
        answer_issued(exchange, &issued);
    }
    return error;
}

/* Where all may sign up, *out_invite_id is 0: an invite is not looked at, nor used. */
static enum error signup_check(const struct services *services, bool needs_invite,
                               struct str invite, int64_t *out_invite_id)
{
    *out_invite_id = 0;
    return needs_invite ? invite_check(services->store, invite, services->now_ms, out_invite_id)
                        : OK;
}

/* ---- GET /api/account ------------------------------------------------------------------------*/

enum error api_account_find(struct exchange *exchange, struct services *services)
{
    struct account account;
    bool is_found = false;

    enum error error = store_account_find(services->store, exchange->account_id, &exchange->arena,
                                          &is_found, &account);
    if (error != OK) {
        return error;
    }
    if (!is_found) {
        return ERROR_TOKEN_INVALID;
    }
    struct json_writer writer = answer_object(exchange);
    json_name(&writer, "user_id");
    json_int(&writer, account.id);
    json_name(&writer, "username");
    json_text(&writer, account.name);
    json_name(&writer, "created_at");
    json_time(&writer, account.created_at_ms);
    json_close(&writer, '}');
    return OK;
}

/* ---- POST /api/account/update-username -------------------------------------------------------*/

enum error api_account_rename(struct exchange *exchange, struct services *services)
{
    struct json_member member = {.name = "new_username", .form = JSON_TEXT};

    enum error error = body_read(exchange, &member, 1);
    if (error != OK) {
        return error;
    }
    error = account_rename(services->store, exchange->account_id, member.text, services->now_ms,
                           &exchange->arena);
    if (error != OK) {
        return error;
    }
    struct json_writer writer = answer_object(exchange);
    json_name(&writer, "username");
    json_text(&writer, member.text);
    json_name(&writer, "updated_at");
    json_time(&writer, services->now_ms);
    json_close(&writer, '}');
    return OK;
}

/* ---- POST /api/account/password --------------------------------------------------------------*/

enum error api_account_password_read(struct exchange *exchange, struct services *services)
{
    struct json_member members[] = {{.name = "current_password", .form = JSON_TEXT},
                                    {.name = "new_password", .form = JSON_TEXT}};

    enum error error = body_read(exchange, members, 2);
    if (error != OK) {
        return error;
    }
    error = password_check(members[1].text, services->settings->password_min_bytes);
    if (error != OK) {
        return error;
    }
    exchange->work = ARENA_NEW(&exchange->arena, struct api_work);
    exchange->work->account.password = members[0].text;
    exchange->work->account.new_password = members[1].text;
    return own_hash_find(exchange, services->store);
}

enum error api_account_password_hash(struct exchange *exchange, struct services *services)
{
    struct account_work *work = &exchange->work->account;

    enum error error = own_password_check(exchange, services);
    if (error != OK) {
        return error;
    }
    return password_hash(services->scratch, work->new_password, services->settings->password_cost,
                         &exchange->arena, &work->new_hash);
}

enum error api_account_password_write(struct exchange *exchange, struct services *services)
{
    const struct account_work *work = &exchange->work->account;

    enum error error = account_set_password(services->store, exchange->account_id,
                                            exchange->session_id, work->checked_hash,
                                            work->new_hash, services->now_ms, &exchange->arena);
    if (error == ERROR_ACCOUNT_CHANGED) {
        return exchange_begin_again(exchange);
    }
    if (error == OK) {
        answer_nothing(exchange);
    }
    return error;
}

/* ---- POST /api/account/delete ----------------------------------------------------------------*/

enum error api_account_delete_read(struct exchange *exchange, struct services *services)
{
    struct json_member member = {.name = "password", .form = JSON_TEXT};

    enum error error = body_read(exchange, &member, 1);
    if (error != OK) {
        return error;
    }
    exchange->work = ARENA_NEW(&exchange->arena, struct api_work);
    exchange->work->account.password = member.text;
    return own_hash_find(exchange, services->store);
}

enum error api_account_delete_hash(struct exchange *exchange, struct services *services)
{
    return own_password_check(exchange, services);
}

enum error api_account_delete_write(struct exchange *exchange, struct services *services)
{
    enum error error =
        account_delete(services->store, exchange->account_id, exchange->work->account.checked_hash,
                       services->now_ms, &exchange->arena);
    if (error == ERROR_ACCOUNT_CHANGED) {
        return exchange_begin_again(exchange);
    }
    if (error == OK) {
        answer_nothing(exchange);
    }
    return error;
}

/* ---- shared by the two above -----------------------------------------------------------------*/

static enum error own_hash_find(struct exchange *exchange, struct store *store)
{
    struct account account;
    bool is_found = false;

    enum error error =
        store_account_find(store, exchange->account_id, &exchange->arena, &is_found, &account);
    if (error != OK) {
        return error;
    }
    if (!is_found || account.is_deleted) {
        return ERROR_TOKEN_INVALID;
    }
    exchange->work->account.checked_hash = account.password_hash;
    return OK;
}

static enum error own_password_check(struct exchange *exchange, struct services *services)
{
    const struct account_work *work = &exchange->work->account;

    /* The caller is known: there is no name to hide by taking longer. */
    return password_matches(services->scratch, work->password, work->checked_hash,
                            PASSWORD_COST_MIN)
               ? OK
               : ERROR_PASSWORD_WRONG;
}
