/* routes.c - THE table. Read it as the list of what the server answers, and where each part runs.
 *
 * What needs bcrypt goes through three lanes: what can be refused is refused on `read`, the hash
 * is made on `hash` without holding a database, and `write` goes ahead only if nothing changed.
 */
#include "api/routes.h"

#include "api/handlers.h"
#include "api/typing.h"

#define NO_TOKEN false
#define TOKEN true

static const struct route routes[] = {
    {METHOD_GET, "/health", NO_TOKEN, BODY_NONE, LIMIT_NONE, {{LANE_LOOP, api_health}}},
    {METHOD_GET, "/livez", NO_TOKEN, BODY_NONE, LIMIT_NONE, {{LANE_LOOP, api_livez}}},
    {METHOD_GET, "/readyz", NO_TOKEN, BODY_NONE, LIMIT_NONE, {{LANE_LOOP, api_readyz}}},

    {METHOD_POST,
     "/api/account/create",
     NO_TOKEN,
     BODY_REQUIRED,
     LIMIT_SIGNUP,
     {{LANE_READ, api_account_create_read},
      {LANE_HASH, api_account_create_hash},
      {LANE_WRITE, api_account_create_write}}},
    {METHOD_POST,
     "/api/account/login",
     NO_TOKEN,
     BODY_REQUIRED,
     LIMIT_LOGIN,
     {{LANE_READ, api_login_read}, {LANE_HASH, api_login_hash}, {LANE_WRITE, api_login_write}}},
    {METHOD_POST, "/api/account/logout", TOKEN, BODY_NONE, LIMIT_NONE, {{LANE_WRITE, api_logout}}},
    {METHOD_GET, "/api/account", TOKEN, BODY_NONE, LIMIT_READ, {{LANE_READ, api_account_find}}},
    {METHOD_POST,
     "/api/account/update-username",
     TOKEN,
     BODY_REQUIRED,
     LIMIT_SEND,
     {{LANE_WRITE, api_account_rename}}},
    {METHOD_POST,
     "/api/account/password",
     TOKEN,
     BODY_REQUIRED,
     LIMIT_LOGIN,
     {{LANE_READ, api_account_password_read},
      {LANE_HASH, api_account_password_hash},
      {LANE_WRITE, api_account_password_write}}},
    {METHOD_POST,
     "/api/account/delete",
     TOKEN,
     BODY_REQUIRED,
     LIMIT_LOGIN,
     {{LANE_READ, api_account_delete_read},
      {LANE_HASH, api_account_delete_hash},
      {LANE_WRITE, api_account_delete_write}}},
    {METHOD_GET, "/api/sessions", TOKEN, BODY_NONE, LIMIT_READ, {{LANE_READ, api_session_list}}},
    {METHOD_DELETE,
     "/api/sessions/{id}",
     TOKEN,
     BODY_NONE,
     LIMIT_NONE,
     {{LANE_WRITE, api_session_delete}}},

    {METHOD_POST,
     "/api/messages/send",
     TOKEN,
     BODY_REQUIRED,
     LIMIT_SEND,
     {{LANE_WRITE, api_message_send}}},
    {METHOD_GET, "/api/messages", TOKEN, BODY_NONE, LIMIT_READ, {{LANE_READ, api_message_list}}},
    {METHOD_GET,
     "/api/messages/filtered",
     TOKEN,
     BODY_NONE,
     LIMIT_READ,
     {{LANE_READ, api_message_list_filtered}}},
    {METHOD_POST,
     "/api/messages/mark-read",
     TOKEN,
     BODY_OPTIONAL,
     LIMIT_READ,
     {{LANE_WRITE, api_message_mark_read}}},
    {METHOD_GET,
     "/api/conversations",
     TOKEN,
     BODY_NONE,
     LIMIT_READ,
     {{LANE_READ, api_conversation_list}}},

    {METHOD_GET, "/api/events", TOKEN, BODY_NONE, LIMIT_READ, {{LANE_READ, api_event_list}}},
    {METHOD_GET,
     "/api/events/stream",
     TOKEN,
     BODY_NONE,
     LIMIT_READ,
     {{LANE_READ, api_event_stream}}},
    {METHOD_GET, "/api/ws", NO_TOKEN, BODY_UPGRADE, LIMIT_NONE, {{LANE_READ, api_websocket_open}}},
    {METHOD_POST, "/api/typing", TOKEN, BODY_NONE, LIMIT_TYPING, {{LANE_READ, api_typing}}},

    {METHOD_POST,
     "/api/keys/upload",
     TOKEN,
     BODY_REQUIRED,
     LIMIT_SEND,
     {{LANE_WRITE, api_key_upload}}},
    {METHOD_POST,
     "/api/keys/claim",
     TOKEN,
     BODY_REQUIRED,
     LIMIT_CLAIM,
     {{LANE_WRITE, api_key_claim}}},
    {METHOD_GET,
     "/api/keys/{username}",
     NO_TOKEN,
     BODY_NONE,
     LIMIT_READ,
     {{LANE_READ, api_key_find}}},
    {METHOD_GET, "/api/keys", TOKEN, BODY_NONE, LIMIT_READ, {{LANE_READ, api_key_count}}},

    {METHOD_GET, "/openapi.json", NO_TOKEN, BODY_NONE, LIMIT_NONE, {{LANE_LOOP, api_openapi}}},
    {METHOD_GET, "/docs", NO_TOKEN, BODY_NONE, LIMIT_NONE, {{LANE_LOOP, api_docs}}},
};

const struct route api_event_reads_route = {METHOD_GET, "-",        NO_TOKEN,
                                            BODY_NONE,  LIMIT_NONE, {{LANE_READ, api_event_reads}}};

const struct route api_websocket_command_route = {
    METHOD_POST, "-", NO_TOKEN, BODY_REQUIRED, LIMIT_NONE, {{LANE_WRITE, api_websocket_command}}};

const struct route_table api_routes = {routes, sizeof routes / sizeof routes[0]};
