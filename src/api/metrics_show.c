/* metrics_show.c - GET /metrics: made whole at once, so that its numbers belong together, then sent
 * in pages where it is longer than one.
 */
#include <string.h>

#include "api/handlers.h"
#include "api/metrics.h"
#include "api/services.h"
#include "api/work.h"
#include "http/accept.h"

/* Series are bounded by routes, statuses and lanes; this is some five times as much. */
#define METRICS_TEXT_MAX_BYTES ((size_t)1024 * 1024)

static enum metrics_form form_wanted(const struct request *request);
static void page_append(struct response *response, struct metrics_work *work);

enum error metrics_show(struct exchange *exchange, struct services *services)
{
    struct response *response = &exchange->response;

    if (exchange->page > 0) {
        page_append(response, &exchange->work->metrics);
        return OK;
    }
    enum metrics_form form = form_wanted(&exchange->request);
    struct buf text;

    buf_init(&text, METRICS_TEXT_MAX_BYTES);
    metrics_write(services, form, &text);
    if (text.overflowed) {
        buf_release(&text);
        return ERROR_INTERNAL;
    }
    exchange->work = ARENA_NEW(&exchange->arena, struct api_work);
    exchange->work->metrics.rest = arena_copy(&exchange->arena, buf_str(&text));
    buf_release(&text);
    response->status = 200;
    response->type = CONTENT_OWN;
    response_field(response, STR("Content-Type"),
                   form == METRICS_OPENMETRICS
                       ? STR("application/openmetrics-text; version=1.0.0; charset=utf-8")
                       : STR("text/plain; version=0.0.4; charset=utf-8"));
    response_field(response, STR("Cache-Control"), STR("no-store"));
    response_field(response, STR("Vary"), STR("Accept"));
    /* Places are few here, and who asks every 15 seconds needs none in between. */
    response->closes = true;
    page_append(response, &exchange->work->metrics);
    return OK;
}

/* Text for whoever does not ask for the other. */
static enum metrics_form form_wanted(const struct request *request)
{
    struct str accept = STR("Accept");
    unsigned openmetrics = accept_quality(request, accept, STR("application/openmetrics-text"));

    return openmetrics > 0 && openmetrics >= accept_quality(request, accept, STR("text/plain"))
               ? METRICS_OPENMETRICS
               : METRICS_PROMETHEUS;
}

static void page_append(struct response *response, struct metrics_work *work)
{
    size_t len = work->rest.len < RESPONSE_PAGE_BYTES ? work->rest.len : RESPONSE_PAGE_BYTES;

    buf_append(&response->body, work->rest.ptr, len);
    work->rest = (struct str){work->rest.ptr + len, work->rest.len - len};
    response->has_more = work->rest.len > 0;
}
