/* keys.c - publishing key bundles, fetching them, claiming one-time prekeys. */
#include "api/answer.h"
#include "api/body.h"
#include "api/handlers.h"
#include "api/services.h"
#include "domain/key.h"

static void answer_bundle(struct exchange *exchange, const struct key_bundle *bundle,
                          struct str prekey);

/* ---- POST /api/keys/upload -------------------------------------------------------------------*/

enum error api_key_upload(struct exchange *exchange, struct services *services)
{
    enum { IDENTITY_KEY, SIGNED_PREKEY, SIGNATURE, PREKEYS, MEMBER_COUNT };
    struct json_member members[MEMBER_COUNT] = {
        [IDENTITY_KEY] = {.name = "identity_key", .form = JSON_TEXT},
        [SIGNED_PREKEY] = {.name = "signed_prekey", .form = JSON_TEXT},
        [SIGNATURE] = {.name = "signed_prekey_signature", .form = JSON_TEXT},
        [PREKEYS] = {.name = "one_time_prekeys", .form = JSON_TEXT_LIST},
    };
    struct json_member whole = {.name = "key_bundle",
                                .form = JSON_OBJECT,
                                .members = members,
                                .member_count = MEMBER_COUNT};

    enum error error = body_read(exchange, &whole, 1);
    if (error != OK) {
        return error;
    }
    struct key_bundle bundle = {
        .identity_key = members[IDENTITY_KEY].text,
        .signed_prekey = members[SIGNED_PREKEY].text,
        .signed_prekey_signature = members[SIGNATURE].text,
    };
    error = key_publish(services->store, exchange->account_id, &bundle, members[PREKEYS].texts,
                        members[PREKEYS].text_count, services->now_ms);
    if (error != OK) {
        return error;
    }
    struct json_writer writer = answer_object(exchange);
    json_name(&writer, "success");
    json_bool(&writer, true);
    json_close(&writer, '}');
    return OK;
}

/* ---- GET /api/keys/{username} ----------------------------------------------------------------*/

enum error api_key_find(struct exchange *exchange, struct services *services)
{
    struct key_bundle bundle;

    enum error error =
        key_find(services->store, exchange->route_parameter, &exchange->arena, &bundle);
    if (error == OK) {
        answer_bundle(exchange, &bundle, (struct str){NULL, 0});
    }
    return error;
}

/* ---- POST /api/keys/claim --------------------------------------------------------------------*/

enum error api_key_claim(struct exchange *exchange, struct services *services)
{
    struct json_member member = {.name = "username", .form = JSON_TEXT};
    struct key_bundle bundle;
    struct str prekey;

    enum error error = body_read(exchange, &member, 1);
    if (error != OK) {
        return error;
    }
    error = key_claim(services->store, member.text, services->now_ms, &exchange->arena, &bundle,
                      &prekey);
    if (error == OK) {
        answer_bundle(exchange, &bundle, prekey);
    }
    return error;
}

/* ---- GET /api/keys ---------------------------------------------------------------------------*/

enum error api_key_count(struct exchange *exchange, struct services *services)
{
    int64_t count = 0;

    enum error error = store_prekey_count(services->store, exchange->account_id, &count);
    if (error != OK) {
        return error;
    }
    struct json_writer writer = answer_object(exchange);
    json_name(&writer, "one_time_prekeys");
    json_int(&writer, count);
    json_close(&writer, '}');
    return OK;
}

/* `prekey` with ptr NULL: none. */
static void answer_bundle(struct exchange *exchange, const struct key_bundle *bundle,
                          struct str prekey)
{
    struct json_writer writer = answer_object(exchange);

    json_name(&writer, "key_bundle");
    json_open(&writer, '{');
    json_name(&writer, "identity_key");
    json_text(&writer, bundle->identity_key);
    json_name(&writer, "signed_prekey");
    json_text(&writer, bundle->signed_prekey);
    json_name(&writer, "signed_prekey_signature");
    json_text(&writer, bundle->signed_prekey_signature);
    json_name(&writer, "one_time_prekeys");
    json_open(&writer, '[');
    if (prekey.ptr != NULL) {
        json_text(&writer, prekey);
    }
    json_close(&writer, ']');
    json_close(&writer, '}');
    json_close(&writer, '}');
}
