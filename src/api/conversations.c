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

static enum error list_begin(struct exchange *exchange, struct services *services);
static enum error rows_take(struct exchange *exchange, struct store *store, uint64_t limit);
static enum error page_write(struct exchange *exchange, struct store *store);
static enum error rows_write(struct exchange *exchange, struct store *store);
static enum error last_message_find(struct exchange *exchange, struct store *store,
                                    struct entry *out_entry);
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
    struct buf *body = &exchange->response.body;
    struct time_writer times;

    time_writer_init(&times);
    while (work->next < work->count) {
        struct entry entry;
        struct str username = work->cut_username;

        enum error error = last_message_find(exchange, store, &entry);
        if (error == OK && work->page.row_offset_bytes == 0) {
            error = name_escaped_find(store, entry.other_id, &exchange->arena, &username);
        }
        if (error != OK) {
            return error;
        }
        if (row_write(work, body, &times, &entry, username) != LIST_ROW_WRITTEN) {
            exchange->response.has_more = true;
            return OK;
        }
        work->next++;
    }
    list_page_close(&work->page, body);
    return OK;
}

static enum error last_message_find(struct exchange *exchange, struct store *store,
                                    struct entry *out_entry)
{
    const struct conversation_list_work *work = &exchange->work->conversations;
    int64_t seq = work->rows[work->next].last_seq;
    bool is_found = false;

    store_walk_skip(store, seq + 1);
    enum error error = store_walk_next(store, &is_found, out_entry);
    if (error == OK && (!is_found || out_entry->seq != seq)) {
        log_event(LOG_ERROR, "last_message_missing", LOG_INT("account_id", exchange->account_id),
                  LOG_INT("seq", seq), LOG_END);
        return ERROR_STORE_FAILED;
    }
    return error;
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
