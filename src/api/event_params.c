/* event_params.c - a cursor is judged against the moment it is used at. */
#include "api/event_params.h"

#include "api/cursor.h"

enum error event_since_read(struct exchange *exchange, struct str *out_since)
{
    struct str since = {NULL, 0};
    bool is_given = false;
    enum error error =
        request_parameter(&exchange->request, STR("since"), &exchange->arena, &is_given, &since);

    if (error == OK) {
        *out_since = is_given ? since : (struct str){NULL, 0};
    }
    return error;
}

enum error event_place_find(const struct exchange *exchange, struct store *store, struct str since,
                            int64_t *out_seq, int64_t *out_head_seq)
{
    struct store_moment moment;
    int64_t seq;
    enum error error = store_moment_find(store, exchange->account_id, &moment);

    if (error != OK) {
        return error;
    }
    seq = moment.head_seq;
    if (since.ptr != NULL) {
        error = cursor_read(since, store_epoch(store), moment.head_seq, &seq);
    }
    if (error == OK) {
        *out_seq = seq;
        *out_head_seq = moment.head_seq;
    }
    return error;
}

struct str event_reset_text(struct str epoch, int64_t seq, struct arena *arena)
{
    struct buf text;
    char cursor[CURSOR_MAX_BYTES];
    struct str place = {cursor, (size_t)(cursor_put(cursor, epoch, seq) - cursor)};

    buf_init(&text, CURSOR_MAX_BYTES + sizeof "{\"type\":\"reset\",\"cursor\":\"\"}");
    buf_append_str(&text, STR("{\"type\":\"reset\",\"cursor\":\""));
    buf_append_str(&text, place);
    buf_append_str(&text, STR("\"}"));
    struct str copy = arena_copy(arena, buf_str(&text));
    buf_release(&text);
    return copy;
}
