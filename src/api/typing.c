/* typing.c - an event that is no entry: told to whoever follows the account now, and forgotten. */
#include "api/typing.h"

#include "api/answer.h"
#include "api/name_memo.h"
#include "api/services.h"
#include "domain/name.h"

#define EVENT_REST_BYTES 40u

enum error api_typing(struct exchange *exchange, struct services *services)
{
    struct str with_user;
    struct str from;
    struct buf text;
    bool is_given = false;
    bool is_blocked = false;
    int64_t other_id = 0;

    enum error error = request_parameter(&exchange->request, STR("with_user"), &exchange->arena,
                                         &is_given, &with_user);
    if (error != OK) {
        return error;
    }
    if (!is_given) {
        return ERROR_WITH_USER_MISSING;
    }
    error = name_resolve(services->store, with_user, false, &exchange->arena, &other_id);
    if (error == OK && other_id == 0) {
        error = ERROR_ACCOUNT_NOT_FOUND;
    }
    if (error == OK) {
        error = name_escaped_find(services->store, exchange->account_id, &exchange->arena, &from);
    }
    if (error == OK) {
        error = store_block_find(services->store, other_id, exchange->account_id, &is_blocked);
    }
    if (error != OK) {
        return error;
    }
    answer_nothing(exchange);
    if (is_blocked) {
        return OK;
    }
    buf_init(&text, from.len + EVENT_REST_BYTES);
    buf_append_str(&text, STR("{\"type\":\"typing\",\"from\":\""));
    buf_append_str(&text, from);
    buf_append_str(&text, STR("\"}"));
    exchange->follow = (struct follow){.kind = FOLLOW_TELL,
                                       .told_id = other_id,
                                       .text = arena_copy(&exchange->arena, buf_str(&text))};
    buf_release(&text);
    return OK;
}
