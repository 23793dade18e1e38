/* conn_stream.c - a connection that follows an account's log: Server-Sent Events, and the events of
 * a WebSocket (its commands are conn_socket.c, polls conn_poll.c).
 *
 *   conn_follow       frees the exchange behind the head and first page
 *   conn_take_events  writes what was read; conn_beat when there is nothing
 *   conn_follow_on    after each event of the connection: what is to be done next
 *
 * 1. Nothing is queued. Events that the socket does not take are left in the log; only what is left
 *    of one event is kept, until it is written (events_write).
 * 2. stream->cursor_seq is the last event of which at least a byte was given to the socket.
 * 3. A client that ends its side has left.
 */
#include <stdio.h>

#include "base/random.h"
#include "base/require.h"
#include "http/sse.h"
#include "net/conn.h"

/* When the server drains, clients come back spread over this time. */
#define RECONNECT_MIN_MS 1000u
#define RECONNECT_SPREAD_MS 9000u
#define FAREWELL_MAX_BYTES 128u
/* Frames of one write, unless one is longer. */
#define WRITE_MAX_BYTES (64u * 1024u)

static size_t frames_append(const struct conn *conn, struct buf *out,
                            const struct event_reads *reads, size_t first, size_t end,
                            size_t *ends);
static void chunk_append(struct buf *out, bool is_chunked, struct str text);
static bool events_write(struct conn *conn, const struct event_reads *reads, size_t first,
                         size_t end, size_t *out_next);
static void rest_keep(struct conn *conn, struct str rest);

bool conn_follows(struct conn *conn)
{
    const struct exchange *exchange = conn->exchange;

    if (exchange->response.error != OK) {
        return false;
    }
    if (exchange->follow.kind == FOLLOW_TELL && exchange->follow.told_id != exchange->account_id) {
        streams_tell(&conn->connections->streams, exchange->follow.told_id, exchange->follow.text);
    }
    if (exchange->follow.kind == FOLLOW_POLL) {
        conn_park(conn);
        return true;
    }
    return false;
}

void conn_follow(struct conn *conn)
{
    struct connections *connections = conn->connections;
    struct exchange *exchange = conn->exchange;
    struct stream *stream;

    if (exchange->follow.is_refused) {
        websocket_close_append(&conn_output(conn)->gathered, WEBSOCKET_TOKEN_INVALID);
        conn_end_exchange(conn, CONN_FINISHING);
        return;
    }
    stream = stream_new(&connections->streams, conn, exchange);
    stream->is_chunked = exchange->request.version_minor > 0;
    conn->stream = stream;
    if (stream->kind == FOLLOW_EVENTS) {
        conn_drop_input(conn);
    } else if (exchange->follow.text.len > 0) {
        conn_frame_append(conn, &conn_output(conn)->gathered, exchange->follow.text);
    }
    conn_end_exchange(conn, CONN_FOLLOWING);
    if (connections->is_draining) {
        conn_drain_stream(conn);
    }
}

bool conn_follow_on(struct conn *conn)
{
    struct stream *stream = conn->stream;

    if (stream->kind == FOLLOW_POLL) {
        if (conn->has_ended) {
            conn_poll_again(conn);
        }
        return conn->has_ended;
    }
    if (conn->has_ended || (conn->closes_unread && stream->kind != FOLLOW_SOCKET)) {
        conn_close(conn);
        return false;
    }
    if ((stream->is_ending || conn->closes_unread) && conn->exchange == NULL) {
        conn_finish_stream(conn, stream->is_ending ? WEBSOCKET_TOKEN_INVALID : WEBSOCKET_TRY_LATER);
        return true;
    }
    if (stream->kind == FOLLOW_SOCKET && conn_socket_on(conn)) {
        return true;
    }
    if (stream->is_behind) {
        stream_want(&conn->connections->streams, stream);
    }
    return false;
}

void conn_take_events(struct conn *conn, const struct event_reads *reads,
                      const struct event_read *read, bool has_more)
{
    struct stream *stream = conn->stream;
    size_t next = read->first + (size_t)(stream->cursor_seq - read->after_seq);
    size_t end = read->first + read->count;

    for (size_t i = next; i < end; i++) {
        if (reads->records[i].ended_session_id == stream->session_id) {
            end = i + 1;
        }
    }
    stream->is_behind = has_more;
    while (next < end && conn->output == NULL) {
        if (!events_write(conn, reads, next, end, &next)) {
            conn_close(conn);
            return;
        }
    }
    stream->is_behind = stream->is_behind || next < end;
    /* The next heartbeat is due so long after this. */
    deadline_clear(&conn->deadline);
    conn_settle(conn);
}

/* Gives the socket events from `first` on; moves the cursor and *out_next behind those it took, or
 * began to take. False when the client is gone. */
static bool events_write(struct conn *conn, const struct event_reads *reads, size_t first,
                         size_t end, size_t *out_next)
{
    struct stream *stream = conn->stream;
    struct buf *frames = &conn->connections->streams.scratch;
    size_t ends[EVENT_RECORDS_MAX];
    size_t last;
    size_t taken = 0;

    buf_clear(frames);
    end = frames_append(conn, frames, reads, first, end, ends);
    uv_buf_t part = uv_buf_init(frames->ptr, (unsigned)frames->len);
    int sent = uv_try_write((uv_stream_t *)&conn->tcp, &part, 1);
    if (sent < 0 && sent != UV_EAGAIN) {
        return false;
    }
    taken = sent > 0 ? (size_t)sent : 0;
    last = first;
    while (last + 1 < end && ends[last - first] <= taken) {
        last++;
    }
    stream->cursor_seq = reads->records[last].seq;
    stream->is_ending = reads->records[last].ended_session_id == stream->session_id;
    *out_next = last + 1;
    if (taken < frames->len) {
        rest_keep(conn, (struct str){frames->ptr + taken, ends[last - first] - taken});
    }
    return true;
}

/* As many as fit in one write, at least one; where each ends in `ends`. Returns behind which. */
static size_t frames_append(const struct conn *conn, struct buf *out,
                            const struct event_reads *reads, size_t first, size_t end, size_t *ends)
{
    size_t at = first;

    while (at < end && (at == first || out->len < WRITE_MAX_BYTES)) {
        const struct event_record *record = &reads->records[at];
        const char *bytes = reads->bytes.ptr;

        if (conn->stream->kind == FOLLOW_SOCKET) {
            websocket_text_append(out, (struct str){bytes + record->json_at, record->json_len});
        } else {
            chunk_append(out, conn->stream->is_chunked,
                         (struct str){bytes + record->at, record->len});
        }
        ends[at - first] = out->len;
        at++;
    }
    return at;
}

static void chunk_append(struct buf *out, bool is_chunked, struct str text)
{
    if (is_chunked) {
        chunk_size_append(out, text.len);
        buf_append_str(out, text);
        buf_append_str(out, STR("\r\n"));
    } else {
        buf_append_str(out, text);
    }
}

void conn_frame_append(const struct conn *conn, struct buf *out, struct str text)
{
    struct buf block;

    if (conn->stream->kind == FOLLOW_SOCKET) {
        websocket_text_append(out, text);
        return;
    }
    buf_init(&block, text.len + SSE_FRAME_REST_BYTES);
    sse_event_append(&block, text);
    chunk_append(out, conn->stream->is_chunked, buf_str(&block));
    buf_release(&block);
}

/* All that a stalled stream holds: what is left of one event. It leaves with the next flush. */
static void rest_keep(struct conn *conn, struct str rest)
{
    struct buf *gathered = &conn_output(conn)->gathered;

    REQUIRE(gathered->len == 0);
    if (gathered->max_bytes < rest.len) {
        gathered->max_bytes = rest.len;
    }
    buf_append_str(gathered, rest);
}

void conn_beat(struct conn *conn)
{
    struct buf *gathered = &conn_output(conn)->gathered;

    if (conn->stream->kind == FOLLOW_SOCKET) {
        websocket_ping_append(gathered);
    } else {
        chunk_append(gathered, conn->stream->is_chunked, sse_heartbeat());
    }
    conn_settle(conn);
}

void conn_tell(struct conn *conn, struct str text)
{
    conn_frame_append(conn, &conn_output(conn)->gathered, text);
    deadline_clear(&conn->deadline);
    conn_settle(conn);
}

void conn_end_stream(struct conn *conn, bool is_cut)
{
    if (is_cut || conn_is_writing(conn) || conn->is_lent) {
        conn_close(conn);
        return;
    }
    conn_finish_stream(conn, WEBSOCKET_TOKEN_INVALID);
    conn_settle(conn);
}

void conn_finish_stream(struct conn *conn, enum websocket_code code)
{
    struct buf *gathered = &conn_output(conn)->gathered;

    if (conn->stream->kind == FOLLOW_SOCKET) {
        websocket_close_append(gathered, code);
    } else if (conn->stream->is_chunked) {
        buf_append_str(gathered, STR("0\r\n\r\n"));
    }
    conn_drop_stream(conn);
    conn_set_state(conn, CONN_FINISHING);
}

void conn_drain_stream(struct conn *conn)
{
    uint32_t random;
    char farewell[FAREWELL_MAX_BYTES];

    if (conn->stream->kind == FOLLOW_POLL) {
        (void)conn_resume_poll(conn, 0);
        return;
    }
    /* A command in progress is not waited for: what it did stands, and the client asks again. */
    if (conn_is_writing(conn) || conn->is_lent) {
        conn_close(conn);
        return;
    }
    random_fill(&random, sizeof random);
    unsigned retry_ms = RECONNECT_MIN_MS + random % RECONNECT_SPREAD_MS;
    (void)snprintf(farewell, sizeof farewell, "{\"type\":\"reconnect\",\"retry_ms\":%u}", retry_ms);
    struct buf *gathered = &conn_output(conn)->gathered;
    if (conn->stream->kind == FOLLOW_EVENTS) {
        struct buf retry;

        buf_init(&retry, FAREWELL_MAX_BYTES);
        sse_retry_append(&retry, retry_ms);
        chunk_append(gathered, conn->stream->is_chunked, buf_str(&retry));
        buf_release(&retry);
    }
    conn_frame_append(conn, gathered, str_from(farewell));
    conn_finish_stream(conn, WEBSOCKET_RESTARTS);
    conn_settle(conn);
}

void conn_drop_stream(struct conn *conn)
{
    struct connections *connections = conn->connections;

    if (conn->stream == NULL) {
        return;
    }
    if (conn->exchange == NULL) {
        /* A command in progress goes on to hold them. */
        conn_hold(conn, 0);
    }
    if (conn->stream->began_at_ns != 0) {
        tally_add(&conn_traffic(conn)->given_up, 1);
    }
    stream_free(&connections->streams, conn->stream);
    conn->stream = NULL;
}
