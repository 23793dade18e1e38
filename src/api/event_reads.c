/* event_reads.c - what streams read: the entries behind their cursors, as frames, many accounts at
 * once.
 *
 * The batch ends with the room in it. Whoever is not reached asks again; the first event is taken
 * whatever its length, so everybody comes to its turn.
 */
#include "http/event_reads.h"

#include "api/cursor.h"
#include "api/event.h"
#include "api/handlers.h"
#include "api/services.h"
#include "http/sse.h"

static enum error account_read(struct exchange *exchange, struct store *store,
                               struct event_read *read);
static enum error account_judge(struct store *store, struct event_read *read, struct arena *arena,
                                bool *out_is_deleted);
static bool is_full(const struct event_reads *reads, size_t next_bytes);
static void record_add(struct event_reads *reads, struct event_writer *writer,
                       const struct event *event);

enum error api_event_reads(struct exchange *exchange, struct services *services)
{
    struct event_reads *reads = exchange->reads;

    /* A batch that failed is run again. */
    buf_clear(&reads->bytes);
    reads->record_count = 0;
    exchange->response.status = 200;
    for (size_t i = 0; i < reads->read_count; i++) {
        struct event_read *read = &reads->reads[i];
        struct arena_mark mark = arena_mark(&exchange->arena);
        enum error error = OK;

        read->verdict = EVENTS_NOT_REACHED;
        read->first = reads->record_count;
        read->count = 0;
        read->has_more = true;
        if (!is_full(reads, 0)) {
            error = store_walk_begin_upwards(services->store, read->account_id, read->after_seq);
            if (error == OK) {
                error = account_read(exchange, services->store, read);
                store_walk_end(services->store);
            }
        }
        arena_rewind(&exchange->arena, mark);
        if (error != OK) {
            return error;
        }
    }
    return OK;
}

static enum error account_read(struct exchange *exchange, struct store *store,
                               struct event_read *read)
{
    struct event_reads *reads = exchange->reads;
    struct event_writer writer;

    bool is_deleted = false;
    enum error error = account_judge(store, read, &exchange->arena, &is_deleted);

    if (error != OK || read->verdict == EVENTS_OVER) {
        return error;
    }
    event_writer_init(&writer, store, read->account_id, &exchange->arena);
    for (;;) {
        struct entry entry;
        struct event event;
        bool is_found = false;

        error = store_walk_next(store, &is_found, &entry);

        if (error != OK) {
            return error;
        }
        if (!is_found) {
            /* Nothing behind the cursor: nothing new, or the log is gone with its account. */
            read->verdict = is_deleted && read->count == 0 ? EVENTS_OVER : EVENTS_READ;
            read->has_more = false;
            return OK;
        }
        if (entry.seq != read->after_seq + (int64_t)read->count + 1) {
            /* A log that is removed loses its beginning first. */
            read->verdict = EVENTS_OVER;
            return OK;
        }
        error = event_find(&writer, &entry, &event);
        if (error != OK) {
            return error;
        }
        if (is_full(reads, event_max_bytes(&event))) {
            read->verdict = read->count > 0 ? EVENTS_READ : EVENTS_NOT_REACHED;
            return OK;
        }
        record_add(reads, &writer, &event);
        read->count++;
    }
}

/* A disabled account is told nothing more; one that was deleted is told of its end. */
static enum error account_judge(struct store *store, struct event_read *read, struct arena *arena,
                                bool *out_is_deleted)
{
    struct account account;
    bool is_found = false;
    enum error error = store_account_find(store, read->account_id, arena, &is_found, &account);

    if (error != OK) {
        return error;
    }
    if (is_found && account.disabled_at_ms != 0) {
        read->verdict = EVENTS_OVER;
        read->has_more = false;
    }
    *out_is_deleted = !is_found || account.is_deleted;
    return OK;
}

static bool is_full(const struct event_reads *reads, size_t next_bytes)
{
    return reads->record_count == EVENT_RECORDS_MAX ||
           (reads->record_count > 0 && reads->bytes.len + next_bytes >= EVENT_BYTES_MAX);
}

static void record_add(struct event_reads *reads, struct event_writer *writer,
                       const struct event *event)
{
    const struct entry *entry = &event->row.entry;
    struct event_record *record = &reads->records[reads->record_count++];
    char cursor[CURSOR_MAX_BYTES];
    struct str id = {cursor, (size_t)(cursor_put(cursor, writer->epoch, entry->seq) - cursor)};
    char *start =
        buf_reserve(&reads->bytes, SSE_FRAME_REST_BYTES + id.len + event_max_bytes(event));
    char *json = sse_id_put(start, id);
    char *json_end = event_put(json, writer, event);
    char *end = sse_end_put(json_end);

    *record = (struct event_record){
        .seq = entry->seq,
        .ended_session_id = entry->kind == ENTRY_SESSION_ENDED ? entry->ref : 0,
        .at = reads->bytes.len,
        .len = (size_t)(end - start),
        .json_at = reads->bytes.len + (size_t)(json - start),
        .json_len = (size_t)(json_end - json),
    };
    buf_grow(&reads->bytes, record->len);
}
