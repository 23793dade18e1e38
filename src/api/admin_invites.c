/* admin_invites.c - POST /invites makes one, GET /invites lists them, DELETE /invites/{id} revokes.
 *
 * A list answers the next LIST_ROWS behind `after`, which fit in one page of a response; who wants
 * all asks until none comes.
 */
#include "api/answer.h"
#include "api/body.h"
#include "api/handlers.h"
#include "api/services.h"
#include "domain/invite.h"

#define LIST_ROWS 100u
#define USES_DEFAULT 1
#define LIFE_DEFAULT_S (7LL * 24 * 60 * 60)

static const char *invite_state(const struct invite *invite, int64_t now_ms);
static void invite_write(struct json_writer *writer, const struct invite *invite);

enum error admin_invite_create(struct exchange *exchange, struct services *services)
{
    struct json_member members[] = {
        {.name = "uses", .form = JSON_INTEGER, .is_optional = true},
        {.name = "lasts_seconds", .form = JSON_INTEGER, .is_optional = true}};
    struct invite invite;
    struct str code;

    enum error error = body_read(exchange, members, 2);
    if (error == OK) {
        error = invite_create(services->store,
                              members[0].is_present ? members[0].integer : USES_DEFAULT,
                              members[1].is_present ? members[1].integer : LIFE_DEFAULT_S,
                              services->now_ms, &exchange->arena, &invite, &code);
    }
    if (error != OK) {
        return error;
    }
    struct json_writer writer = answer_object(exchange);
    exchange->response.body.is_secret = true;
    invite_write(&writer, &invite);
    json_name(&writer, "code");
    json_text(&writer, code);
    json_close(&writer, '}');
    return OK;
}

enum error admin_invite_list(struct exchange *exchange, struct services *services)
{
    struct str text;
    uint64_t after_id = 0;
    struct invite *invites;
    size_t count = 0;
    bool is_given = false;

    enum error error =
        request_parameter(&exchange->request, STR("after"), &exchange->arena, &is_given, &text);
    if (error == OK && is_given && !str_to_uint(text, (uint64_t)JSON_INTEGER_MAX, &after_id)) {
        error = ERROR_QUERY_MALFORMED;
    }
    if (error == OK) {
        error = store_invite_list(services->store, (int64_t)after_id, LIST_ROWS, &exchange->arena,
                                  &invites, &count);
    }
    if (error != OK) {
        return error;
    }
    struct json_writer writer;
    exchange->response.status = 200;
    exchange->response.type = CONTENT_JSON;
    json_writer_init(&writer, &exchange->response.body);
    json_open(&writer, '[');
    for (size_t i = 0; i < count; i++) {
        json_open(&writer, '{');
        invite_write(&writer, &invites[i]);
        json_name(&writer, "state");
        json_text(&writer, str_from(invite_state(&invites[i], services->now_ms)));
        json_close(&writer, '}');
    }
    json_close(&writer, ']');
    return OK;
}

static const char *invite_state(const struct invite *invite, int64_t now_ms)
{
    if (invite->expires_at_ms <= now_ms) {
        return "expired";
    }
    return invite->uses_left > 0 ? "valid" : "used up";
}

/* Its members, without the braces. */
static void invite_write(struct json_writer *writer, const struct invite *invite)
{
    json_name(writer, "id");
    json_int(writer, invite->id);
    json_name(writer, "uses_left");
    json_int(writer, invite->uses_left);
    json_name(writer, "created_at");
    json_time(writer, invite->created_at_ms);
    json_name(writer, "expires_at");
    json_time(writer, invite->expires_at_ms);
}

enum error admin_invite_revoke(struct exchange *exchange, struct services *services)
{
    uint64_t id = 0;

    if (!str_to_uint(exchange->route_parameter, (uint64_t)JSON_INTEGER_MAX, &id)) {
        return ERROR_INVITE_NOT_FOUND;
    }
    enum error error = invite_revoke(services->store, (int64_t)id);
    if (error == OK) {
        struct json_writer writer = answer_object(exchange);

        json_name(&writer, "id");
        json_int(&writer, (int64_t)id);
        json_close(&writer, '}');
    }
    return error;
}
