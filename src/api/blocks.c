/* blocks.c - whom the account blocks: adding, removing, and the list, which is taken on its first
 * page and written with the names of each page's moment. */
#include <string.h>

#include "api/answer.h"
#include "api/handlers.h"
#include "api/name_memo.h"
#include "api/services.h"
#include "api/work.h"
#include "base/clock.h"
#include "base/put.h"
#include "domain/block.h"

/* A row without its name. */
#define ROW_REST_MAX_BYTES 64u

static enum error blocks_take(struct exchange *exchange, struct store *store);
static enum error page_write(struct exchange *exchange, struct store *store);
static enum list_row row_write(struct block_list_work *work, struct buf *body,
                               struct time_writer *times, struct str username);

enum error api_block_add(struct exchange *exchange, struct services *services)
{
    enum error error = block_add(services->store, exchange->account_id, exchange->route_parameter,
                                 services->now_ms, &exchange->arena);

    if (error == OK) {
        answer_nothing(exchange);
    }
    return error;
}

enum error api_block_remove(struct exchange *exchange, struct services *services)
{
    enum error error = block_remove(services->store, exchange->account_id,
                                    exchange->route_parameter, services->now_ms, &exchange->arena);

    if (error == OK) {
        answer_nothing(exchange);
    }
    return error;
}

enum error api_block_list(struct exchange *exchange, struct services *services)
{
    if (exchange->page == 0) {
        enum error error = blocks_take(exchange, services->store);

        if (error != OK) {
            return error;
        }
        exchange->response.status = 200;
        exchange->response.type = CONTENT_JSON;
    }
    struct block_list_work *work = &exchange->work->blocks;

    exchange->response.has_more = false;
    enum error error = page_write(exchange, services->store);
    list_page_memory_end(&work->page, &exchange->arena, work->mark, &work->cut_username, 1);
    return error;
}

/* The store's list leaves smaller beginnings of itself behind, and goes back at once. */
static enum error blocks_take(struct exchange *exchange, struct store *store)
{
    struct block *blocks;
    struct arena arena;
    size_t count = 0;

    exchange->work = ARENA_NEW(&exchange->arena, struct api_work);
    struct block_list_work *work = &exchange->work->blocks;
    arena_init(&arena);
    enum error error = store_block_list(store, exchange->account_id, &arena, &blocks, &count);
    if (error == OK) {
        work->count = count;
        work->blocks = arena_alloc(&exchange->arena, count * sizeof *work->blocks);
        if (count > 0) {
            memcpy(work->blocks, blocks, count * sizeof *work->blocks);
        }
        work->mark = arena_mark(&exchange->arena);
    }
    arena_release(&arena);
    return error;
}

static enum error page_write(struct exchange *exchange, struct store *store)
{
    struct block_list_work *work = &exchange->work->blocks;
    struct buf *body = &exchange->response.body;
    struct time_writer times;

    time_writer_init(&times);
    while (work->next < work->count) {
        struct str username = work->cut_username;

        if (work->page.row_offset_bytes == 0) {
            enum error error = name_escaped_find(store, work->blocks[work->next].other_id,
                                                 &exchange->arena, &username);

            if (error != OK) {
                return error;
            }
        }
        if (row_write(work, body, &times, username) != LIST_ROW_WRITTEN) {
            exchange->response.has_more = true;
            return OK;
        }
        work->next++;
    }
    list_page_close(&work->page, body);
    return OK;
}

static enum list_row row_write(struct block_list_work *work, struct buf *body,
                               struct time_writer *times, struct str username)
{
    int64_t since_ms = work->blocks[work->next].since_ms;
    char *at = list_page_row_begin(&work->page, body, ROW_REST_MAX_BYTES + username.len);

    at = put_str(at, STR("{\"username\":\""));
    at = put_str(at, username);
    at = put_str(at, STR("\",\"since\":\""));
    at = put_str(at, time_write_rfc3339(times, since_ms));
    at = put_str(at, STR("\"}"));

    enum list_row written = list_page_row_end(&work->page, body, at);
    if (written == LIST_ROW_CUT) {
        work->cut_username = username;
    }
    return written;
}
