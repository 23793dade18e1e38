/* docs.c - the contract, for machines and for people: files of the binary, answered on the loop.
 *
 * Bodies are shown where they lie and not copied. Both forms, plain and gzip, have been there since
 * the build, so a request costs a look at its fields.
 */
#include "api/asset.h"
#include "api/handlers.h"
#include "api/moment.h"
#include "http/accept.h"

static void asset_answer(struct exchange *exchange, const struct asset *asset,
                         struct str content_type);

enum error api_openapi(struct exchange *exchange, struct services *services)
{
    (void)services;
    asset_answer(exchange, &asset_openapi, STR("application/json"));
    return OK;
}

enum error api_docs(struct exchange *exchange, struct services *services)
{
    (void)services;
    asset_answer(exchange, &asset_docs, STR("text/html; charset=utf-8"));
    return OK;
}

static void asset_answer(struct exchange *exchange, const struct asset *asset,
                         struct str content_type)
{
    struct response *response = &exchange->response;
    bool takes_gzip = accept_names(&exchange->request, STR("Accept-Encoding"), STR("gzip"));
    const struct asset_form *form = takes_gzip ? &asset->gzip : &asset->plain;

    response->type = CONTENT_OWN;
    /* Another build may say something else: ask each time, which costs a 304. */
    response_field(response, STR("Cache-Control"), STR("no-cache"));
    response_field(response, STR("ETag"), form->tag);
    response_field(response, STR("Vary"), STR("Accept-Encoding"));
    if (if_none_match_has(&exchange->request, form->tag)) {
        response->status = 304;
        return;
    }
    response->status = 200;
    response_field(response, STR("Content-Type"), content_type);
    if (takes_gzip) {
        response_field(response, STR("Content-Encoding"), STR("gzip"));
    }
    if (asset->policy.ptr != NULL) {
        response_field(response, STR("Content-Security-Policy"), asset->policy);
        response_field(response, STR("Referrer-Policy"), STR("no-referrer"));
    }
    buf_borrow(&response->body, form->bytes);
}
