/* event_stream.c - a stream of Server-Sent Events is opened here; what follows is the loop's.
 *
 * The client says where it is by Last-Event-ID, which it sends when it comes back, or `since`; with
 * neither it begins now. A cursor that leads nowhere is told by an event, since a browser's
 * EventSource shows its page no status: `reset` carries the place the stream goes on from, so who
 * lists after it and follows on misses nothing.
 */
#include "api/cursor.h"
#include "api/event_params.h"
#include "api/handlers.h"
#include "api/services.h"
#include "http/sse.h"

static enum error place_read(struct exchange *exchange, struct str *out_place);
static void reset_write(struct exchange *exchange, struct str epoch, int64_t seq);

enum error api_event_stream(struct exchange *exchange, struct services *services)
{
    struct response *response = &exchange->response;
    struct str place = {NULL, 0};
    int64_t seq = 0;
    int64_t head_seq = 0;
    enum error error = place_read(exchange, &place);

    if (error != OK) {
        return error;
    }
    error = event_place_find(exchange, services->store, place, &seq, &head_seq);
    if (error != OK && error != ERROR_CURSOR_GONE) {
        return error;
    }
    response->status = 200;
    response->type = CONTENT_EVENTS;
    response->has_more = true;
    /* nginx gathers what it passes on, unless it is told not to. */
    response_field(response, STR("X-Accel-Buffering"), STR("no"));
    sse_opening_append(&response->body);
    if (error == ERROR_CURSOR_GONE) {
        error = event_place_find(exchange, services->store, (struct str){NULL, 0}, &seq, &head_seq);
        reset_write(exchange, store_epoch(services->store), seq);
    }
    exchange->follow =
        (struct follow){.kind = FOLLOW_EVENTS, .cursor_seq = seq, .is_behind = seq < head_seq};
    return error;
}

static enum error place_read(struct exchange *exchange, struct str *out_place)
{
    struct str last_id;
    enum error error = event_since_read(exchange, out_place);

    if (error == OK && request_field_find(&exchange->request, STR("Last-Event-ID"), &last_id) &&
        last_id.len > 0) {
        *out_place = last_id;
    }
    return error;
}

static void reset_write(struct exchange *exchange, struct str epoch, int64_t seq)
{
    char cursor[CURSOR_MAX_BYTES];
    int len = (int)(cursor_put(cursor, epoch, seq) - cursor);
    struct str text = event_reset_text(epoch, seq, &exchange->arena);

    buf_append_format(&exchange->response.body, "id: %.*s\ndata: %.*s\n\n", len, cursor,
                      STR_ARGS(text));
}
