/* sessions.c - listing sessions and ending them. */
#include "api/answer.h"
#include "api/handlers.h"
#include "api/json.h"
#include "api/list_page.h"
#include "api/services.h"
#include "api/work.h"
#include "domain/session.h"

static void session_write(const struct session *session, int64_t current_id, struct buf *out);

enum error api_logout(struct exchange *exchange, struct services *services)
{
    enum error error =
        session_end(services->store, exchange->account_id, exchange->session_id, services->now_ms);
    if (error == OK) {
        answer_nothing(exchange);
    }
    return error;
}

enum error api_session_delete(struct exchange *exchange, struct services *services)
{
    uint64_t session_id = 0;

    if (!str_to_uint(exchange->route_parameter, (uint64_t)JSON_INTEGER_MAX, &session_id)) {
        return ERROR_SESSION_NOT_FOUND;
    }
    enum error error =
        session_end(services->store, exchange->account_id, (int64_t)session_id, services->now_ms);
    if (error == OK) {
        answer_nothing(exchange);
    }
    return error;
}

/* The list is taken on the first page; nothing says how many sessions an account may have. */
enum error api_session_list(struct exchange *exchange, struct services *services)
{
    struct response *response = &exchange->response;
    struct buf row;

    if (exchange->page == 0) {
        exchange->work = ARENA_NEW(&exchange->arena, struct api_work);
        struct session_list_work *begun = &exchange->work->sessions;
        enum error error = store_session_list(services->store, exchange->account_id,
                                              &exchange->arena, &begun->sessions, &begun->count);
        if (error != OK) {
            return error;
        }
        response->status = 200;
        response->type = CONTENT_JSON;
    }
    struct session_list_work *work = &exchange->work->sessions;
    response->has_more = false;
    buf_init(&row, RESPONSE_PAGE_BYTES);
    while (work->next < work->count && !response->has_more) {
        buf_clear(&row);
        session_write(&work->sessions[work->next], exchange->session_id, &row);
        if (list_page_add(&work->page, &response->body, buf_str(&row)) == LIST_ROW_WRITTEN) {
            work->next++;
        } else {
            response->has_more = true;
        }
    }
    buf_release(&row);
    if (!response->has_more) {
        list_page_close(&work->page, &response->body);
    }
    return OK;
}

static void session_write(const struct session *session, int64_t current_id, struct buf *out)
{
    struct json_writer writer;

    json_writer_init(&writer, out);
    json_open(&writer, '{');
    json_name(&writer, "id");
    json_int(&writer, session->id);
    json_name(&writer, "label");
    if (session->label.ptr != NULL) {
        json_text(&writer, session->label);
    } else {
        json_null(&writer);
    }
    json_name(&writer, "created_at");
    json_time(&writer, session->created_at_ms);
    json_name(&writer, "last_used_at");
    json_time(&writer, session->last_used_at_ms);
    json_name(&writer, "current");
    json_bool(&writer, session->id == current_id);
    json_close(&writer, '}');
}
