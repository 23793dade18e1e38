/* messages.c - sending a message, and marking a conversation read. */
#include "api/answer.h"
#include "api/body.h"
#include "api/handlers.h"
#include "api/services.h"
#include "domain/message.h"
#include "domain/name.h"

static enum error key_read(const struct request *request, const struct json_member *client_id,
                           struct str *out_key);

/* ---- POST /api/messages/send -----------------------------------------------------------------*/

enum error api_message_send(struct exchange *exchange, struct services *services)
{
    struct json_member members[] = {{.name = "to_username", .form = JSON_TEXT},
                                    {.name = "content", .form = JSON_TEXT},
                                    {.name = "client_id", .form = JSON_TEXT, .is_optional = true}};
    struct message_sent sent;

    enum error error = body_read(exchange, members, 3);
    if (error != OK) {
        return error;
    }
    struct message_draft draft = {
        .sender_id = exchange->account_id,
        .to_username = members[0].text,
        .content = members[1].text,
        .now_ms = services->now_ms,
    };
    if (draft.content.len > services->settings->message_max_bytes) {
        return ERROR_CONTENT_TOO_LONG;
    }
    error = key_read(&exchange->request, &members[2], &draft.key);
    if (error != OK) {
        return error;
    }
    draft.content_json = json_escaped(draft.content, &exchange->arena);
    error = message_send(services->store, &draft, &exchange->arena, &sent);
    if (error != OK) {
        return error;
    }
    if (sent.is_replay) {
        response_field(&exchange->response, STR("Idempotent-Replay"), STR("true"));
    }
    struct json_writer writer = answer_object(exchange);
    json_name(&writer, "message_id");
    json_int(&writer, sent.message_id);
    json_name(&writer, "created_at");
    json_time(&writer, sent.created_at_ms);
    json_close(&writer, '}');
    return OK;
}

/* From the field or the body; both must say the same. Its characters are the domain's to judge. */
static enum error key_read(const struct request *request, const struct json_member *client_id,
                           struct str *out_key)
{
    struct str name = STR("Idempotency-Key");
    struct str field;

    if (!request_field_find(request, name, &field)) {
        *out_key = client_id->is_present ? client_id->text : (struct str){NULL, 0};
        return OK;
    }
    if (request_field_count(request, name) != 1 ||
        (client_id->is_present && !str_equal(client_id->text, field))) {
        return ERROR_KEY_NOT_ALLOWED;
    }
    *out_key = field;
    return OK;
}

/* ---- POST /api/messages/mark-read ------------------------------------------------------------*/

enum error api_message_mark_read(struct exchange *exchange, struct services *services)
{
    struct json_member up_to = {.name = "up_to", .form = JSON_INTEGER, .is_optional = true};
    struct str with_user;
    bool is_given = false;
    int64_t other_id = 0;
    int64_t marked = 0;

    enum error error = body_read(exchange, &up_to, 1);
    if (error != OK) {
        return error;
    }
    error = request_parameter(&exchange->request, STR("with_user"), &exchange->arena, &is_given,
                              &with_user);
    if (error != OK) {
        return error;
    }
    if (!is_given) {
        return ERROR_WITH_USER_MISSING;
    }
    if (up_to.is_present && up_to.integer == 0) {
        return ERROR_SEQ_NOT_ALLOWED;
    }
    error = name_resolve(services->store, with_user, true, &exchange->arena, &other_id);
    if (error != OK) {
        return error;
    }
    if (other_id == 0) {
        return ERROR_ACCOUNT_NOT_FOUND;
    }
    error = message_mark_read(services->store, exchange->account_id, other_id,
                              up_to.is_present ? up_to.integer : 0, services->now_ms,
                              &exchange->arena, &marked);
    if (error != OK) {
        return error;
    }
    struct json_writer writer = answer_object(exchange);
    json_name(&writer, "marked_read");
    json_int(&writer, marked);
    json_close(&writer, '}');
    return OK;
}
