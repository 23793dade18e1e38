/* websocket.c - GET /api/ws, and the commands that come through it.
 *
 * A browser cannot set fields of a handshake, so the token may come as a subprotocol, bearer.TOKEN.
 * Nor does it see the status of one that is refused: such a token is told by a close code (4401)
 * after the 101, while a bad token in the field is a 401 before it.
 *
 * A command is a text message with the members of a route's body. It runs through that route's
 * handler, so what holds there holds here; the answer is the loop's to wrap (net/websocket.c).
 */
#include "api/answer.h"
#include "api/cursor.h"
#include "api/event_params.h"
#include "api/handlers.h"
#include "api/json.h"
#include "api/services.h"
#include "api/typing.h"
#include "domain/session.h"
#include "http/limits.h"
#include "http/upgrade.h"
#include "http/uri.h"

#define PROTOCOL "migchat.v1"
#define TOKEN_PROTOCOL_PREFIX "bearer."
#define REF_MAX_BYTES 64u

static enum error token_read(struct exchange *exchange, struct str *out_token,
                             bool *out_is_of_protocol);
static enum error place_answer(struct exchange *exchange, struct store *store);
static enum error command_read(struct exchange *exchange, size_t *out_command,
                               struct str *out_with_user);
static struct str ref_json(const struct json_member *ref, struct arena *arena);
static void query_set(struct exchange *exchange, struct str with_user);

/* As the routes of the same handlers. */
static const struct {
    const char *type;
    bool takes_query; /* with_user, where the route has it in its query */
    enum limit limit;
    route_handler run;
} commands[] = {
    {"send", false, LIMIT_SEND, api_message_send},
    {"mark_read", true, LIMIT_READ, api_message_mark_read},
    {"typing", true, LIMIT_TYPING, api_typing},
};

#define COMMAND_COUNT (sizeof commands / sizeof commands[0])

/* ---- GET /api/ws -----------------------------------------------------------------------------*/

enum error api_websocket_open(struct exchange *exchange, struct services *services)
{
    struct session session;
    struct str token;
    struct str rest;
    bool is_of_protocol = false;
    bool offers_ours = upgrade_offers(&exchange->request, STR(PROTOCOL), &rest) && rest.len == 0;
    enum error error = token_read(exchange, &token, &is_of_protocol);

    if (error == OK) {
        error = session_find(services->store, token, &session);
    }
    if (error == OK && session.is_barred) {
        error = ERROR_ACCOUNT_DISABLED;
    }
    exchange->follow = (struct follow){.kind = FOLLOW_SOCKET};
    if (error == ERROR_TOKEN_INVALID && is_of_protocol) {
        exchange->follow.is_refused = true;
        error = OK;
    } else if (error == OK) {
        exchange->account_id = session.account_id;
        exchange->session_id = session.id;
        error = limits_judge_account(services->limits, LIMIT_READ, exchange);
    }
    if (error == OK && !exchange->follow.is_refused) {
        error = place_answer(exchange, services->store);
    }
    if (error != OK) {
        exchange->follow.kind = FOLLOW_NOTHING;
        return error;
    }
    upgrade_answer(exchange, offers_ours ? STR(PROTOCOL) : (struct str){NULL, 0});
    return OK;
}

static enum error token_read(struct exchange *exchange, struct str *out_token,
                             bool *out_is_of_protocol)
{
    enum error error = request_token(&exchange->request, out_token);

    if (error == ERROR_TOKEN_MISSING &&
        upgrade_offers(&exchange->request, STR(TOKEN_PROTOCOL_PREFIX), out_token)) {
        *out_is_of_protocol = true;
        return OK;
    }
    return error;
}

static enum error place_answer(struct exchange *exchange, struct store *store)
{
    struct str since = {NULL, 0};
    int64_t seq = 0;
    int64_t head_seq = 0;
    enum error error = event_since_read(exchange, &since);

    if (error == OK) {
        error = event_place_find(exchange, store, since, &seq, &head_seq);
    }
    if (error == ERROR_CURSOR_GONE) {
        error = event_place_find(exchange, store, (struct str){NULL, 0}, &seq, &head_seq);
        exchange->follow.text = event_reset_text(store_epoch(store), seq, &exchange->arena);
    }
    exchange->follow.cursor_seq = seq;
    exchange->follow.is_behind = seq < head_seq;
    return error;
}

/* ---- commands --------------------------------------------------------------------------------*/

enum error api_websocket_command(struct exchange *exchange, struct services *services)
{
    struct str with_user = {NULL, 0};
    size_t command = COMMAND_COUNT;
    bool is_found = false;

    enum error fault = command_read(exchange, &command, &with_user);
    enum error error = store_session_exists(services->store, exchange->account_id,
                                            exchange->session_id, &is_found);
    if (error != OK) {
        return error;
    }
    if (!is_found) {
        return ERROR_TOKEN_INVALID;
    }
    /* As over HTTP, the rate comes before the body: what is no command is counted as well. */
    enum limit limit = command < COMMAND_COUNT ? commands[command].limit : LIMIT_READ;
    error = limits_judge_account(services->limits, limit, exchange);
    if (error == OK) {
        error = fault;
    }
    if (error != OK) {
        return error;
    }
    if (commands[command].takes_query) {
        query_set(exchange, with_user);
    }
    return commands[command].run(exchange, services);
}

/* `ref` is the client's: a text or a whole number, repeated in the result. *out_command stays as it
 * is when there is none of that type. */
static enum error command_read(struct exchange *exchange, size_t *out_command,
                               struct str *out_with_user)
{
    struct json_member members[] = {
        {.name = "type", .form = JSON_TEXT},
        {.name = "with_user", .form = JSON_TEXT, .is_optional = true},
        {.name = "ref", .form = JSON_TEXT, .is_optional = true},
    };
    struct str body = buf_str(&exchange->request.body);

    exchange->route_parameter = STR("null");
    enum error error = json_read(body, members, 3, &exchange->arena);
    if (error == ERROR_BODY_SHAPE) {
        members[2].form = JSON_INTEGER;
        error = json_read(body, members, 3, &exchange->arena);
    }
    if (error != OK) {
        return error;
    }
    if (members[2].is_present) {
        struct str ref = ref_json(&members[2], &exchange->arena);

        if (ref.len > REF_MAX_BYTES) {
            return ERROR_BODY_SHAPE;
        }
        exchange->route_parameter = ref;
    }
    if (members[1].is_present) {
        *out_with_user = members[1].text;
    }
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (str_equal(members[0].text, str_from(commands[i].type))) {
            *out_command = i;
            return OK;
        }
    }
    return ERROR_BODY_SHAPE;
}

static struct str ref_json(const struct json_member *ref, struct arena *arena)
{
    struct json_writer writer;
    struct buf text;

    buf_init(&text, REF_MAX_BYTES + 1);
    json_writer_init(&writer, &text);
    if (ref->form == JSON_TEXT) {
        json_text(&writer, ref->text);
    } else {
        json_int(&writer, ref->integer);
    }
    struct str copy = {NULL, REF_MAX_BYTES + 1};
    if (!text.overflowed) {
        copy = arena_copy(arena, buf_str(&text));
    }
    buf_release(&text);
    return copy;
}

/* As the route's handler reads it. */
static void query_set(struct exchange *exchange, struct str with_user)
{
    struct buf query;

    exchange->request.query = (struct str){NULL, 0};
    if (with_user.ptr == NULL) {
        return;
    }
    buf_init(&query, with_user.len * 3 + sizeof "with_user=");
    buf_append_str(&query, STR("with_user="));
    for (size_t i = 0; i < with_user.len; i++) {
        buf_append_format(&query, "%%%02X", (unsigned)(unsigned char)with_user.ptr[i]);
    }
    exchange->request.query = arena_copy(&exchange->arena, buf_str(&query));
    buf_release(&query);
}
