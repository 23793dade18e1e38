/* message_list.c - the caller's messages, newest first, page by page.
 *
 *   first page:  parameters -> moment (304?) -> where the walk starts
 *   every page:  walk on from the last row that is written whole, until the page is full
 *
 * 1. No transaction is held between pages: each continues by key, below the head of the first, so
 *    the list is the entries of one moment however slowly it is read.
 * 2. A row longer than a page is cut. Its text is looked up again for the next page and what was
 *    written is skipped; its names are kept meanwhile, since a rename would shift the rest.
 * 3. What a page takes from the arena is given back at its end, but for those names.
 * 4. Link goes out in the head: if the first page does not reach the end of what was asked for,
 *    the walk goes on from there without writing, at most LIMIT_MAX rows.
 */
#include "api/handlers.h"
#include "api/message_row.h"
#include "api/moment.h"
#include "api/params.h"
#include "api/services.h"
#include "api/work.h"
#include "base/log.h"
#include "base/require.h"
#include "domain/message.h"
#include "domain/name.h"

/* With a text of eighty bytes, as most have. A guess that is too low costs a copy. */
#define ROW_USUAL_BYTES 256u

/* One page while it is written. */
struct list_writer {
    struct exchange *exchange;
    struct name_memo memo;
    struct time_writer times;
    enum error error; /* of a row */
    bool needs_link;
    bool is_passing;       /* by rows that are not written, for the link alone */
    uint64_t rows_to_pass; /* of those asked for */
    int64_t last_seq;      /* of the last one asked for, as far as they were passed */
};

static enum error list_begin(struct exchange *exchange, struct services *services,
                             const struct page_params *params, int64_t other_id);
static enum error with_user_find(struct exchange *exchange, struct services *services,
                                 int64_t *out_other_id);
static enum error page_write(struct exchange *exchange, struct store *store);
static enum error rows_write(struct exchange *exchange, struct store *store);
static void page_reserve(struct buf *body, const struct message_list_work *work);
static bool on_entry(void *argument, const struct entry *entry);
static enum error row_names_find(struct exchange *exchange, struct name_memo *memo,
                                 struct message_row *row);
static enum list_row row_write(struct list_writer *writer, const struct message_row *row);
static bool page_end(struct list_writer *writer, uint64_t rows_to_pass, int64_t last_seq);
static bool row_pass(struct list_writer *writer, int64_t seq);

enum error api_message_list(struct exchange *exchange, struct services *services)
{
    if (exchange->page == 0) {
        struct page_params params;
        enum error error = page_params_read(exchange, &params);

        if (error == OK) {
            error = list_begin(exchange, services, &params, 0);
        }
        if (error != OK) {
            return error;
        }
    }
    return page_write(exchange, services->store);
}

enum error api_message_list_filtered(struct exchange *exchange, struct services *services)
{
    if (exchange->page == 0) {
        struct page_params params;
        int64_t other_id = 0;
        enum error error = page_params_read(exchange, &params);

        if (error == OK) {
            error = with_user_find(exchange, services, &other_id);
        }
        if (error == OK && other_id != 0 && params.before_seq != INT64_MAX) {
            error = message_check_seq(services->store, exchange->account_id, other_id,
                                      params.before_seq);
        }
        if (error == OK) {
            error = list_begin(exchange, services, &params, other_id);
        }
        if (error != OK) {
            return error;
        }
    }
    return page_write(exchange, services->store);
}

/* 0 when the parameter is absent: all conversations. */
static enum error with_user_find(struct exchange *exchange, struct services *services,
                                 int64_t *out_other_id)
{
    struct str with_user;
    bool is_given = false;

    enum error error = request_parameter(&exchange->request, STR("with_user"), &exchange->arena,
                                         &is_given, &with_user);
    if (error != OK || !is_given) {
        return error;
    }
    error = name_resolve(services->store, with_user, true, &exchange->arena, out_other_id);
    if (error != OK) {
        return error;
    }
    return *out_other_id == 0 ? ERROR_ACCOUNT_NOT_FOUND : OK;
}

static enum error list_begin(struct exchange *exchange, struct services *services,
                             const struct page_params *params, int64_t other_id)
{
    struct store_moment moment;
    bool is_known = false;

    enum error error = moment_answer(exchange, services->store, &moment, &is_known);
    if (error != OK || is_known) {
        return error;
    }
    exchange->response.status = 200;
    exchange->response.type = CONTENT_JSON;
    exchange->work = ARENA_NEW(&exchange->arena, struct api_work);
    struct message_list_work *work = &exchange->work->messages;
    *work = (struct message_list_work){
        .walk = {exchange->account_id, other_id, params->before_seq, params->after_seq},
        .head_seq = moment.head_seq,
        .is_paged = params->is_paged,
        .rows_left = params->limit,
        .mark = arena_mark(&exchange->arena),
    };
    return OK;
}

/* ---- one page --------------------------------------------------------------------------------*/

static enum error page_write(struct exchange *exchange, struct store *store)
{
    exchange->response.has_more = false;
    if (exchange->response.status == 304) {
        return OK;
    }
    enum error error = store_walk_begin(store, &exchange->work->messages.walk);
    if (error == OK) {
        error = rows_write(exchange, store);
        store_walk_end(store);
    }
    struct message_list_work *work = &exchange->work->messages;
    list_page_memory_end(&work->page, &exchange->arena, work->mark, work->cut_names, 2);
    return error;
}

static enum error rows_write(struct exchange *exchange, struct store *store)
{
    struct message_list_work *work = &exchange->work->messages;
    struct response *response = &exchange->response;
    struct list_writer writer = {
        .exchange = exchange,
        .needs_link = work->is_paged && exchange->page == 0,
    };

    REQUIRE(work->rows_left > 0);
    name_memo_init(&writer.memo, store, &exchange->arena);
    time_writer_init(&writer.times);
    page_reserve(&response->body, work);
    enum error error = store_walk_each(store, on_entry, &writer);
    if (error == OK) {
        error = writer.error;
    }
    if (error == OK && !response->has_more) {
        list_page_close(&work->page, &response->body);
    }
    return error;
}

/* At once: a page that grows by doubling is copied as often as it doubles. No more than the rows
 * that there may be, since small answers are made in the room of those before them; how many there
 * are of one conversation is not known. */
static void page_reserve(struct buf *body, const struct message_list_work *work)
{
    const struct message_walk *walk = &work->walk;
    int64_t last_seq = walk->before_seq <= work->head_seq ? walk->before_seq - 1 : work->head_seq;

    REQUIRE(body->len == 0);
    if (walk->other_id != 0 || last_seq <= walk->after_seq) {
        return;
    }
    uint64_t rows = (uint64_t)(last_seq - walk->after_seq);

    rows = rows < work->rows_left ? rows : work->rows_left;
    (void)buf_reserve(body, rows < RESPONSE_PAGE_BYTES / ROW_USUAL_BYTES
                                ? (size_t)rows * ROW_USUAL_BYTES
                                : RESPONSE_PAGE_BYTES);
}

static bool on_entry(void *argument, const struct entry *entry)
{
    struct list_writer *writer = argument;
    struct message_list_work *work = &writer->exchange->work->messages;
    struct message_row row = {.entry = *entry};

    if (entry->seq > work->head_seq) {
        return true; /* came while the list was read */
    }
    if (writer->is_passing) {
        return row_pass(writer, entry->seq);
    }
    writer->error = row_names_find(writer->exchange, &writer->memo, &row);
    if (writer->error != OK) {
        return false;
    }
    if (row_write(writer, &row) != LIST_ROW_WRITTEN) {
        writer->exchange->response.has_more = true;
        return page_end(writer, work->rows_left - 1, entry->seq);
    }
    work->rows_left--;
    work->walk.before_seq = entry->seq;
    return work->rows_left > 0 || page_end(writer, 0, entry->seq);
}

/* Those of the row that is cut are the ones it began with. */
static enum error row_names_find(struct exchange *exchange, struct name_memo *memo,
                                 struct message_row *row)
{
    const struct message_list_work *work = &exchange->work->messages;

    if (work->page.row_offset_bytes > 0) {
        if (row->entry.seq != work->cut_seq) {
            log_event(LOG_ERROR, "entry_vanished", LOG_INT("seq", work->cut_seq), LOG_END);
            return ERROR_STORE_FAILED;
        }
        row->from = work->cut_names[0];
        row->to = work->cut_names[1];
        return OK;
    }
    return message_row_find_names(row, exchange->account_id, memo);
}

static enum list_row row_write(struct list_writer *writer, const struct message_row *row)
{
    struct message_list_work *work = &writer->exchange->work->messages;
    struct buf *body = &writer->exchange->response.body;
    char *at = list_page_row_begin(&work->page, body, message_row_max_bytes(row));
    enum list_row written =
        list_page_row_end(&work->page, body, message_row_put(at, &writer->times, row));

    if (written == LIST_ROW_CUT) {
        work->cut_seq = row->entry.seq;
        work->cut_names[0] = row->from;
        work->cut_names[1] = row->to;
    }
    return written;
}

/* ---- behind the page -------------------------------------------------------------------------*/

/* Whether the walk goes on: over the rows that are still asked for, to see whether there is one
 * more. */
static bool page_end(struct list_writer *writer, uint64_t rows_to_pass, int64_t last_seq)
{
    writer->is_passing = true;
    writer->rows_to_pass = rows_to_pass;
    writer->last_seq = last_seq;
    return writer->needs_link;
}

static bool row_pass(struct list_writer *writer, int64_t seq)
{
    if (writer->rows_to_pass == 0) {
        next_link_add(writer->exchange, writer->last_seq);
        return false;
    }
    writer->rows_to_pass--;
    writer->last_seq = seq;
    return true;
}
