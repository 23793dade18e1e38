/* conversations.c - the caller's conversations, the one with the latest message first.
 *
 * The first page takes the whole list as two numbers a row; last message and name are looked up
 * when a row is written. So the list is that of one moment, and its memory 16 bytes a row. The last
 * messages are met on one walk down the log, which skips what lies between them. A row longer than
 * a page is cut as in message_list.c: the name it began with is kept.
 */
#include <string.h>

#include "api/handlers.h"
#include "api/moment.h"
#include "api/name_memo.h"
#include "api/params.h"
#include "api/services.h"
#include "api/work.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/put.h"

struct row_writer {
    struct exchange *exchange;
    struct store *store;
    struct time_writer times;
    enum error error;
};

static enum error list_begin(struct exchange *exchange, struct services *services);
static enum error rows_take(struct exchange *exchange, struct store *store, uint64_t limit);
static enum error page_write(struct exchange *exchange, struct store *store);
static enum error rows_write(struct exchange *exchange, struct store *store);
static bool on_last_message(void *argument, const struct entry *entry);
static enum error last_message_missing(const struct exchange *exchange);
static enum list_row row_write(struct conversation_list_work *work, struct buf *body,
                               struct time_writer *times, const struct entry *entry,
                               struct str username);
static char *row_put(char *at, struct time_writer *times, const struct entry *entry,
                     struct str username, int64_t unread_count);

/* What a row has beside name and message: at most so much. */
#define ROW_REST_MAX_BYTES (96u + TIME_RFC3339_LEN + PUT_INT_MAX_BYTES)

enum error api_conversation_list(struct exchange *exchange, struct services *services)
{
    exchange->response.has_more = false;
    if (exchange->page == 0) {
        enum error error = list_begin(exchange, services);

        if (error != OK || exchange->response.status == 304) {
            return error;
        }
    }
    return page_write(exchange, services->store);
}

static enum error list_begin(struct exchange *exchange, struct services *services)
{
    struct store_moment moment;
    uint64_t limit = 0;
    bool is_known = false;

    enum error error = limit_read(exchange, &limit);
    if (error == OK) {
        error = moment_answer(exchange, services->store, &moment, &is_known);
    }
    if (error != OK || is_known) {
        return error;
    }
    exchange->response.status = 200;
    exchange->response.type = CONTENT_JSON;
    return rows_take(exchange, services->store, limit);
}

/* The store's list leaves smaller beginnings of itself behind, and goes back at once. */
static enum error rows_take(struct exchange *exchange, struct store *store, uint64_t limit)
{
    struct conversation_head *heads;
    struct arena arena;
    size_t count = 0;

    exchange->work = ARENA_NEW(&exchange->arena, struct api_work);
    struct conversation_list_work *work = &exchange->work->conversations;
    arena_init(&arena);
    enum error error = store_conversation_list(store, exchange->account_id, &arena, &heads, &count);
    if (error == OK) {
        work->count = count < limit ? count : (size_t)limit;
        work->rows = arena_alloc(&exchange->arena, work->count * sizeof *work->rows);
        if (work->count > 0) {
            memcpy(work->rows, heads, work->count * sizeof *work->rows);
        }
        work->mark = arena_mark(&exchange->arena);
    }
    arena_release(&arena);
    return error;
}

/* ---- one page --------------------------------------------------------------------------------*/

static enum error page_write(struct exchange *exchange, struct store *store)
{
    struct message_walk walk = {exchange->account_id, 0, INT64_MAX, 0};

    enum error error = store_walk_begin(store, &walk);
    if (error == OK) {
        error = rows_write(exchange, store);
        store_walk_end(store);
    }
    struct conversation_list_work *work = &exchange->work->conversations;
    list_page_memory_end(&work->page, &exchange->arena, work->mark, &work->cut_username, 1);
    return error;
}

static enum error rows_write(struct exchange *exchange, struct store *store)
{
    struct conversation_list_work *work = &exchange->work->conversations;
    struct response *response = &exchange->response;
    struct row_writer writer = {.exchange = exchange, .store = store};
    enum error error = OK;

    time_writer_init(&writer.times);
    if (work->next < work->count) {
        store_walk_skip(store, work->rows[work->next].last_seq + 1);
        error = store_walk_each(store, on_last_message, &writer);
    }
    if (error == OK) {
        error = writer.error;
    }
    if (error == OK && !response->has_more && work->next < work->count) {
        error = last_message_missing(exchange);
    }
    if (error == OK && !response->has_more) {
        list_page_close(&work->page, &response->body);
    }
    return error;
}

static bool on_last_message(void *argument, const struct entry *entry)
{
    struct row_writer *writer = argument;
    struct conversation_list_work *work = &writer->exchange->work->conversations;
    struct response *response = &writer->exchange->response;
    struct str username = work->cut_username;

    if (entry->seq != work->rows[work->next].last_seq) {
        return false;
    }
    if (work->page.row_offset_bytes == 0) {
        writer->error =
            name_escaped_find(writer->store, entry->other_id, &writer->exchange->arena, &username);
    }
    if (writer->error != OK) {
        return false;
    }
    if (row_write(work, &response->body, &writer->times, entry, username) != LIST_ROW_WRITTEN) {
        response->has_more = true;
        return false;
    }
    work->next++;
    if (work->next == work->count) {
        return false;
    }
    store_walk_skip(writer->store, work->rows[work->next].last_seq + 1);
    return true;
}

static enum error last_message_missing(const struct exchange *exchange)
{
    const struct conversation_list_work *work = &exchange->work->conversations;

    log_event(LOG_ERROR, "last_message_missing", LOG_INT("account_id", exchange->account_id),
              LOG_INT("seq", work->rows[work->next].last_seq), LOG_END);
    return ERROR_STORE_FAILED;
}

static enum list_row row_write(struct conversation_list_work *work, struct buf *body,
                               struct time_writer *times, const struct entry *entry,
                               struct str username)
{
    int64_t unread_count = work->rows[work->next].unread_count;
    size_t max_bytes = ROW_REST_MAX_BYTES + username.len + entry->text.len;
    char *at = list_page_row_begin(&work->page, body, max_bytes);

    enum list_row written =
        list_page_row_end(&work->page, body, row_put(at, times, entry, username, unread_count));
    if (written == LIST_ROW_CUT) {
        work->cut_username = username;
    }
    return written;
}

static char *row_put(char *at, struct time_writer *times, const struct entry *entry,
                     struct str username, int64_t unread_count)
{
    at = put_str(at, STR("{\"username\":\""));
    at = put_str(at, username);
    at = put_str(at, STR("\",\"last_message\":\""));
    at = put_str(at, entry->text);
    at = put_str(at, STR("\",\"last_message_time\":\""));
    at = put_str(at, time_write_rfc3339(times, entry->created_at_ms));
    at = put_str(at, STR("\",\"unread_count\":"));
    at = put_int(at, unread_count);
    return put_str(at, STR("}"));
}
