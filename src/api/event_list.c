/* event_list.c - events as a long poll gets them: {"events":[…],"cursor":…,"more":…}.
 *
 *   nothing above the cursor, and the client waits -> follow.kind = FOLLOW_POLL: the connection
 *       puts the request aside and runs it again when the account's log has changed
 *   else page by page like a message list, in bounded memory whatever was asked for
 *
 * 1. Without `since` the answer is where the log ends now: what a client that has listed nothing
 *    begins with.
 * 2. Later pages go on above the last event written whole. Entries that came meanwhile follow in
 *    order, so they may as well be in the answer.
 * 3. A log is dense. Where it is not, it is being removed with its account: CURSOR_GONE.
 */
#include "api/cursor.h"
#include "api/event.h"
#include "api/event_params.h"
#include "api/handlers.h"
#include "api/params.h"
#include "api/services.h"
#include "api/work.h"

/* "],"cursor":"…","more":false}" */
#define TAIL_MAX_BYTES (32u + CURSOR_MAX_BYTES)

static enum error list_begin(struct exchange *exchange, struct services *services);
static enum error wait_read(struct exchange *exchange, unsigned *out_wait_s);
static enum error page_write(struct exchange *exchange, struct store *store);
static enum error rows_write(struct exchange *exchange, struct store *store);
static void found_note(struct poll_found *found, const struct entry *entry);
static enum error event_of_row(struct event_list_work *work, struct event_writer *writer,
                               const struct entry *entry, struct event *out_event);
static enum list_row row_write(struct event_list_work *work, struct buf *body,
                               struct event_writer *writer, const struct event *event);
static void tail_write(struct exchange *exchange, struct store *store);

enum error api_event_list(struct exchange *exchange, struct services *services)
{
    exchange->response.has_more = false;
    if (exchange->page == 0) {
        enum error error = list_begin(exchange, services);

        if (error != OK || exchange->follow.kind != FOLLOW_NOTHING) {
            return error;
        }
    }
    return page_write(exchange, services->store);
}

static enum error list_begin(struct exchange *exchange, struct services *services)
{
    struct str since;
    uint64_t limit = 0;
    unsigned wait_s = 0;
    int64_t seq = 0;
    int64_t head_seq = 0;

    enum error error = limit_read(exchange, &limit);
    if (error == OK) {
        error = wait_read(exchange, &wait_s);
    }
    if (error == OK) {
        error = event_since_read(exchange, &since);
    }
    if (error == OK) {
        error = event_place_find(exchange, services->store, since, &seq, &head_seq);
    }
    if (error != OK) {
        return error;
    }
    /* HEAD asks for what there is, not for what comes. */
    if (since.ptr != NULL && seq == head_seq && wait_s > 0 &&
        exchange->request.method == METHOD_GET) {
        exchange->follow =
            (struct follow){.kind = FOLLOW_POLL,
                            .cursor_seq = seq,
                            .wait_s = wait_s,
                            .limit = (unsigned)(limit == UINT64_MAX ? LIMIT_DEFAULT : limit)};
        return OK;
    }
    exchange->poll_found = (struct poll_found){0};
    exchange->response.status = 200;
    exchange->response.type = CONTENT_JSON;
    exchange->work = ARENA_NEW(&exchange->arena, struct api_work);
    exchange->work->events = (struct event_list_work){
        .last_seq = seq,
        .rows_left = limit == UINT64_MAX ? LIMIT_DEFAULT : limit,
        .mark = arena_mark(&exchange->arena),
    };
    buf_append_str(&exchange->response.body, STR("{\"events\":"));
    return OK;
}

static enum error wait_read(struct exchange *exchange, unsigned *out_wait_s)
{
    struct str text;
    uint64_t wait_s = 0;
    bool is_given = false;
    enum error error =
        request_parameter(&exchange->request, STR("wait"), &exchange->arena, &is_given, &text);

    if (error != OK) {
        return error;
    }
    if (is_given && !str_to_uint(text, FOLLOW_WAIT_MAX_S, &wait_s)) {
        return ERROR_WAIT_NOT_ALLOWED;
    }
    *out_wait_s = exchange->is_resumed ? exchange->wait_left_s : (unsigned)wait_s;
    return OK;
}

/* ---- one page --------------------------------------------------------------------------------*/

static enum error page_write(struct exchange *exchange, struct store *store)
{
    struct event_list_work *work = &exchange->work->events;
    enum error error = OK;

    if (!work->is_closed) {
        error = store_walk_begin_upwards(store, exchange->account_id, work->last_seq);
        if (error == OK) {
            error = rows_write(exchange, store);
            store_walk_end(store);
        }
        list_page_memory_end(&work->page, &exchange->arena, work->mark, work->cut_names, 2);
    }
    if (error == OK && work->is_closed) {
        tail_write(exchange, store);
    }
    return error;
}

static enum error rows_write(struct exchange *exchange, struct store *store)
{
    struct event_list_work *work = &exchange->work->events;
    struct buf *body = &exchange->response.body;
    struct event_writer writer;

    event_writer_init(&writer, store, exchange->account_id, &exchange->arena);
    for (;;) {
        struct entry entry;
        struct event event;
        bool is_found = false;
        enum error error = store_walk_next(store, &is_found, &entry);

        if (error != OK) {
            return error;
        }
        if (!is_found) {
            break;
        }
        if (entry.seq != work->last_seq + 1) {
            return ERROR_CURSOR_GONE;
        }
        if (work->rows_left == 0) {
            work->has_more = true;
            break;
        }
        error = event_of_row(work, &writer, &entry, &event);
        if (error != OK) {
            return error;
        }
        if (row_write(work, body, &writer, &event) != LIST_ROW_WRITTEN) {
            exchange->response.has_more = true;
            return OK;
        }
        work->rows_left--;
        work->last_seq = entry.seq;
        found_note(&exchange->poll_found, &entry);
    }
    list_page_close(&work->page, body);
    work->is_closed = true;
    return OK;
}

/* For polls that wait at the same cursor. */
static void found_note(struct poll_found *found, const struct entry *entry)
{
    found->event_count++;
    if (entry->kind == ENTRY_SESSION_ENDED) {
        if (found->ended_count < POLL_ENDED_MAX) {
            found->ended_ids[found->ended_count] = entry->ref;
        }
        found->ended_count++;
    }
}

/* The names of a row that is cut are the ones it began with. */
static enum error event_of_row(struct event_list_work *work, struct event_writer *writer,
                               const struct entry *entry, struct event *out_event)
{
    if (work->page.row_offset_bytes > 0) {
        *out_event = (struct event){{*entry, work->cut_names[0], work->cut_names[1]}};
        return OK;
    }
    return event_find(writer, entry, out_event);
}

static enum list_row row_write(struct event_list_work *work, struct buf *body,
                               struct event_writer *writer, const struct event *event)
{
    char *at = list_page_row_begin(&work->page, body, event_max_bytes(event));
    enum list_row written = list_page_row_end(&work->page, body, event_put(at, writer, event));

    if (written == LIST_ROW_CUT) {
        work->cut_names[0] = event->row.from;
        work->cut_names[1] = event->row.to;
    }
    return written;
}

static void tail_write(struct exchange *exchange, struct store *store)
{
    const struct event_list_work *work = &exchange->work->events;
    struct buf *body = &exchange->response.body;
    char cursor[CURSOR_MAX_BYTES];

    if (body->len + TAIL_MAX_BYTES > RESPONSE_PAGE_BYTES) {
        exchange->response.has_more = true;
        return;
    }
    size_t len = (size_t)(cursor_put(cursor, store_epoch(store), work->last_seq) - cursor);
    buf_append_str(body, STR(",\"cursor\":\""));
    buf_append(body, cursor, len);
    exchange->poll_found.is_all = exchange->page == 0 && !work->has_more &&
                                  exchange->poll_found.ended_count <= POLL_ENDED_MAX;
    buf_append_str(body, work->has_more ? STR("\",\"more\":true}") : STR("\",\"more\":false}"));
}
