/* admin_account_list.c - GET /accounts and GET /accounts/{username}, for the operator.
 *
 * The list goes by id and is taken from the store in slices, so its memory is that of a slice
 * whatever it lists; who signs up meanwhile comes at its end, who is deleted is left out. A slice
 * stays until it is written, so a line that is cut goes on as it began.
 */
#include "api/admin_account.h"
#include "api/handlers.h"
#include "api/json.h"
#include "api/params.h"
#include "api/work.h"

#define SLICE_LINES 100u
/* Beside the name, and for each byte of it when it is escaped. */
#define LINE_REST_MAX_BYTES 256u
#define ESCAPED_BYTES_MAX 6u

static enum error list_begin(struct exchange *exchange);
static enum error slice_take(struct exchange *exchange, struct store *store);
static enum list_row line_write(struct account_list_work *work, struct buf *body);

enum error admin_account_list(struct exchange *exchange, struct services *services)
{
    struct response *response = &exchange->response;
    enum error error = exchange->page == 0 ? list_begin(exchange) : OK;

    if (error != OK) {
        return error;
    }
    struct account_list_work *work = &exchange->work->account_lines;
    response->has_more = false;
    while (work->rows_left > 0) {
        if (work->next == work->count) {
            error = slice_take(exchange, services->store);
        }
        if (error != OK) {
            return error;
        }
        if (work->count == 0) {
            break;
        }
        if (line_write(work, &response->body) != LIST_ROW_WRITTEN) {
            response->has_more = true;
            return OK;
        }
        work->after_id = work->lines[work->next++].id;
        work->rows_left--;
    }
    list_page_close(&work->page, &response->body);
    return OK;
}

static enum error list_begin(struct exchange *exchange)
{
    struct str text;
    uint64_t after_id = 0;
    uint64_t limit = 0;
    bool is_given = false;

    enum error error = limit_read(exchange, &limit);
    if (error == OK) {
        error =
            request_parameter(&exchange->request, STR("after"), &exchange->arena, &is_given, &text);
    }
    if (error == OK && is_given && !str_to_uint(text, (uint64_t)JSON_INTEGER_MAX, &after_id)) {
        error = ERROR_QUERY_MALFORMED;
    }
    if (error != OK) {
        return error;
    }
    exchange->work = ARENA_NEW(&exchange->arena, struct api_work);
    struct account_list_work *work = &exchange->work->account_lines;
    work->after_id = (int64_t)after_id;
    work->rows_left = limit;
    work->mark = arena_mark(&exchange->arena);
    exchange->response.status = 200;
    exchange->response.type = CONTENT_JSON;
    return OK;
}

/* An empty one is the end. */
static enum error slice_take(struct exchange *exchange, struct store *store)
{
    struct account_list_work *work = &exchange->work->account_lines;
    size_t max = work->rows_left < SLICE_LINES ? (size_t)work->rows_left : SLICE_LINES;

    arena_rewind(&exchange->arena, work->mark);
    work->next = 0;
    work->count = 0;
    return store_account_list(store, work->after_id, max, &exchange->arena, &work->lines,
                              &work->count);
}

static enum list_row line_write(struct account_list_work *work, struct buf *body)
{
    const struct account_line *line = &work->lines[work->next];
    struct json_writer writer;
    struct buf row;

    buf_init(&row, line->name.len * ESCAPED_BYTES_MAX + LINE_REST_MAX_BYTES);
    json_writer_init(&writer, &row);
    json_open(&writer, '{');
    json_name(&writer, "user_id");
    json_int(&writer, line->id);
    json_name(&writer, "username");
    json_text(&writer, line->name);
    json_name(&writer, "created_at");
    json_time(&writer, line->created_at_ms);
    json_name(&writer, "sessions");
    json_int(&writer, line->session_count);
    json_close(&writer, '}');
    enum list_row written = list_page_add(&work->page, body, buf_str(&row));
    buf_release(&row);
    return written;
}

/* ---- one account -----------------------------------------------------------------------------*/

enum error admin_account_show(struct exchange *exchange, struct services *services)
{
    struct store *store = services->store;
    struct account account;
    struct account_totals totals;
    struct session *sessions;
    struct key_bundle bundle;
    size_t session_count = 0;
    int64_t prekeys = 0;
    int64_t last_used_at_ms = 0;
    bool has_keys = false;

    enum error error = admin_account_find(exchange, services, &account);
    if (error == OK) {
        error = store_account_totals_find(store, account.id, &totals);
    }
    if (error == OK) {
        error = store_session_list(store, account.id, &exchange->arena, &sessions, &session_count);
    }
    if (error == OK) {
        error = store_key_bundle_find(store, account.id, &exchange->arena, &has_keys, &bundle);
    }
    if (error == OK) {
        error = store_prekey_count(store, account.id, &prekeys);
    }
    if (error != OK) {
        return error;
    }
    for (size_t i = 0; i < session_count; i++) {
        if (sessions[i].last_used_at_ms > last_used_at_ms) {
            last_used_at_ms = sessions[i].last_used_at_ms;
        }
    }
    struct json_writer writer = admin_account_answer(exchange, account.id, account.name);
    json_name(&writer, "created_at");
    json_time(&writer, account.created_at_ms);
    json_name(&writer, "disabled_at");
    if (account.disabled_at_ms != 0) {
        json_time(&writer, account.disabled_at_ms);
    } else {
        json_null(&writer);
    }
    json_name(&writer, "sessions");
    json_int(&writer, (int64_t)session_count);
    json_name(&writer, "last_used_at");
    if (session_count > 0) {
        json_time(&writer, last_used_at_ms);
    } else {
        json_null(&writer);
    }
    json_name(&writer, "conversations");
    json_int(&writer, totals.conversations);
    json_name(&writer, "messages_received");
    json_int(&writer, totals.messages_received);
    json_name(&writer, "log_entries");
    json_int(&writer, totals.log_entries);
    json_name(&writer, "one_time_prekeys");
    if (has_keys) {
        json_int(&writer, prekeys);
    } else {
        json_null(&writer);
    }
    json_close(&writer, '}');
    return OK;
}
