/* conversations.c - the caller's conversations, the one with the latest message first.
 *
 * The first page takes the whole list as two numbers a row; last message and name are looked up
 * when a row is written. So the list is that of one moment, and its memory 16 bytes a row. A row
 * longer than a page is cut as in message_list.c: the name it began with is kept.
 */
#include "api/decimal.h"
#include "api/handlers.h"
#include "api/moment.h"
#include "api/name_memo.h"
#include "api/params.h"
#include "api/services.h"
#include "api/work.h"
#include "base/clock.h"
#include "base/log.h"

static enum error list_begin(struct exchange *exchange, struct services *services);
static enum error rows_take(struct exchange *exchange, struct store *store, uint64_t limit);
static enum error rows_write(struct exchange *exchange, struct store *store);
static enum error row_write(struct exchange *exchange, struct store *store, enum list_row *out_row);
static enum error last_message_find(struct exchange *exchange, struct store *store, int64_t seq,
                                    struct entry *out_entry);
static void row_memory_end(struct conversation_list_work *work, struct arena *arena,
                           struct str username);

enum error api_conversation_list(struct exchange *exchange, struct services *services)
{
    exchange->response.has_more = false;
    if (exchange->page == 0) {
        enum error error = list_begin(exchange, services);

        if (error != OK || exchange->response.status == 304) {
            return error;
        }
    }
    return rows_write(exchange, services->store);
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

/* The store's list is wider and goes back at once. */
static enum error rows_take(struct exchange *exchange, struct store *store, uint64_t limit)
{
    struct conversation *conversations;
    struct arena arena;
    size_t count = 0;

    exchange->work = ARENA_NEW(&exchange->arena, struct api_work);
    struct conversation_list_work *work = &exchange->work->conversations;
    arena_init(&arena);
    enum error error =
        store_conversation_list(store, exchange->account_id, &arena, &conversations, &count);
    if (error == OK) {
        work->count = count < limit ? count : (size_t)limit;
        work->rows = arena_alloc(&exchange->arena, work->count * sizeof *work->rows);
        for (size_t i = 0; i < work->count; i++) {
            work->rows[i] = (struct conversation_row){
                .last_seq = conversations[i].last_seq,
                .unread_count = conversations[i].received - conversations[i].read,
            };
        }
        work->mark = arena_mark(&exchange->arena);
    }
    arena_release(&arena);
    return error;
}

static enum error rows_write(struct exchange *exchange, struct store *store)
{
    struct conversation_list_work *work = &exchange->work->conversations;

    while (work->next < work->count) {
        enum list_row row = LIST_ROW_LATER;
        enum error error = row_write(exchange, store, &row);

        if (error != OK) {
            return error;
        }
        if (row != LIST_ROW_WRITTEN) {
            exchange->response.has_more = true;
            return OK;
        }
        work->next++;
    }
    list_page_close(&work->page, &exchange->response.body);
    return OK;
}

static enum error row_write(struct exchange *exchange, struct store *store, enum list_row *out_row)
{
    struct conversation_list_work *work = &exchange->work->conversations;
    const struct conversation_row *row = &work->rows[work->next];
    struct entry entry;
    struct str username = work->cut_username;
    char unread_text[DECIMAL_MAX_BYTES];
    char created_at[TIME_RFC3339_LEN + 1];

    enum error error = last_message_find(exchange, store, row->last_seq, &entry);
    if (error == OK && work->page.row_offset_bytes == 0) {
        error = name_escaped_find(store, entry.other_id, &exchange->arena, &username);
    }
    if (error != OK) {
        return error;
    }
    time_to_rfc3339(entry.created_at_ms, created_at);
    const struct str parts[] = {
        STR("{\"username\":\""),
        username,
        STR("\",\"last_message\":\""),
        entry.text,
        STR("\",\"last_message_time\":\""),
        {created_at, TIME_RFC3339_LEN},
        STR("\",\"unread_count\":"),
        decimal_text(row->unread_count, unread_text),
        STR("}"),
    };
    *out_row =
        list_page_add(&work->page, &exchange->response.body, parts, sizeof parts / sizeof parts[0]);
    row_memory_end(work, &exchange->arena, username);
    return OK;
}

static enum error last_message_find(struct exchange *exchange, struct store *store, int64_t seq,
                                    struct entry *out_entry)
{
    bool is_found = false;

    enum error error =
        store_entry_find(store, exchange->account_id, seq, &exchange->arena, &is_found, out_entry);
    if (error == OK && !is_found) {
        log_event(LOG_ERROR, "last_message_missing", LOG_INT("account_id", exchange->account_id),
                  LOG_INT("seq", seq), LOG_END);
        return ERROR_STORE_FAILED;
    }
    return error;
}

/* The name of a row that is cut is in what is given back, so it goes through the heap. */
static void row_memory_end(struct conversation_list_work *work, struct arena *arena,
                           struct str username)
{
    struct buf kept;
    bool is_cut = work->page.row_offset_bytes > 0;

    buf_init(&kept, username.len);
    if (is_cut) {
        buf_append_str(&kept, username);
    }
    arena_rewind(arena, work->mark);
    if (is_cut) {
        work->cut_username = arena_copy(arena, buf_str(&kept));
    }
    buf_release(&kept);
}
