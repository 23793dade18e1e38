/* conn_stream.c - a connection that follows an account's log.
 *
 *   a poll with nothing to tell:   conn_park keeps a short head, frees the exchange;
 * conn_resume_poll makes the exchange again and runs it, as if it had just come Server-Sent Events:
 * conn_follow frees the exchange behind the first page; conn_take_events writes what was read;
 * conn_beat when silent
 *
 * 1. Nothing is queued. Events that the socket does not take are left in the log; only what is left
 *    of one event is kept, until it is written (events_write).
 * 2. stream->cursor_seq is the last event of which at least a byte was given to the socket.
 * 3. A client that ends its side is gone, or has asked its last: a poll is answered at once, a
 *    stream ends.
 */
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "base/require.h"
#include "http/kept_request.h"
#include "http/sse.h"
#include "net/conn.h"

#define MS_PER_S 1000
/* When the server drains, clients come back spread over this time. */
#define RECONNECT_MIN_MS 1000u
#define RECONNECT_SPREAD_MS 9000u
#define FAREWELL_MAX_BYTES 128u
/* Frames of one write, unless one is longer. */
#define WRITE_MAX_BYTES (64u * 1024u)

/* A poll with a longer head is answered at once: what waits must cost little. */
#define POLL_HEAD_MAX_BYTES (4u * 1024u)

static bool poll_keep(struct conn *conn, struct stream *stream);
static void poll_run_again(struct conn *conn);
static unsigned wait_left_s(const struct conn *conn);
static size_t frames_append(struct buf *out, bool is_chunked, const struct event_reads *reads,
                            size_t first, size_t end, size_t *ends);
static void frame_append(struct buf *out, bool is_chunked, struct str frame);
static bool events_write(struct conn *conn, const struct event_reads *reads, size_t first,
                         size_t end, size_t *out_next);
static void rest_keep(struct conn *conn, struct str rest);
static void stream_finish(struct conn *conn);

/* ---- polls -----------------------------------------------------------------------------------*/

bool conn_park(struct conn *conn)
{
    struct exchange *exchange = conn->exchange;

    if (exchange->follow.kind != FOLLOW_POLL || exchange->response.error != OK) {
        return false;
    }
    if (conn->connections->is_draining || conn->has_ended) {
        exchange_run_again(exchange, 0);
        conn_go_on(conn);
        return true;
    }
    struct stream *stream = stream_new(&conn->connections->streams, conn, exchange);
    bool has_grown = stream->is_behind;
    if (has_grown || !poll_keep(conn, stream)) {
        stream_free(&conn->connections->streams, stream);
        exchange_run_again(exchange, has_grown ? exchange->follow.wait_s : 0);
        conn_go_on(conn);
    }
    return true;
}

/* False when its head is too long, or the memory of unfinished requests is used up. */
static bool poll_keep(struct conn *conn, struct stream *stream)
{
    struct connections *connections = conn->connections;
    struct exchange *exchange = conn->exchange;
    struct buf head;

    buf_init(&head, POLL_HEAD_MAX_BYTES);
    kept_request_append(exchange, &head);
    if (head.overflowed ||
        connections->held_bytes + head.len > connections->settings->bodies_max_bytes) {
        buf_release(&head);
        return false;
    }
    stream->kept_head = malloc(head.len);
    REQUIRE(stream->kept_head != NULL);
    memcpy(stream->kept_head, head.ptr, head.len);
    stream->kept_bytes = (uint32_t)head.len;
    buf_release(&head);
    stream->wait_s = (uint8_t)exchange->follow.wait_s;
    stream->until_ms =
        (int64_t)uv_now(connections->loop) + (int64_t)exchange->follow.wait_s * MS_PER_S;
    stream->began_at_ns = exchange->began_at_ns;
    exchange->began_at_ns = 0; /* it is not given up */
    conn_drop_exchange(conn);
    conn->request_bytes = stream->kept_bytes;
    connections->held_bytes += stream->kept_bytes;
    conn->stream = stream;
    conn_set_state(conn, CONN_FOLLOWING);
    return true;
}

enum deadline_kind conn_poll_deadline(const struct conn *conn)
{
    return DEADLINE_POLL + conn->stream->wait_s - 1;
}

void conn_resume_poll(struct conn *conn)
{
    /* A step is taken only when all before it is written, and so a request put aside. */
    REQUIRE(!conn_is_writing(conn));
    poll_run_again(conn);
    conn_settle(conn);
}

/* The head takes the way of one that has just come. */
static void poll_run_again(struct conn *conn)
{
    struct exchange *exchange = exchange_new();
    struct stream *stream = conn->stream;
    struct str head = {stream->kept_head, stream->kept_bytes};
    bool closes_unread = conn->closes_unread;

    exchange->owner = conn;
    exchange->is_resumed = true;
    exchange->wait_left_s = wait_left_s(conn);
    exchange->began_at_ns = stream->began_at_ns;
    stream->kept_head = NULL;
    stream->began_at_ns = 0;
    conn_drop_stream(conn);
    conn->exchange = exchange;
    http_parser_begin(&conn->parser, &exchange->request);
    conn_set_state(conn, CONN_HEAD);
    /* It is about what came behind this request. */
    conn->closes_unread = false;
    REQUIRE(conn_parse(conn, head.ptr, head.len) == head.len);
    conn->closes_unread = closes_unread;
    /* `head` is not const in what owns it. */
    free((char *)(uintptr_t)head.ptr);
}

/* Rounded up, so that the last part of a second is waited for as well. */
static unsigned wait_left_s(const struct conn *conn)
{
    int64_t left_ms = conn->stream->until_ms - (int64_t)uv_now(conn->connections->loop);

    if (conn->connections->is_draining || conn->has_ended || left_ms <= 0) {
        return 0;
    }
    return (unsigned)((left_ms + MS_PER_S - 1) / MS_PER_S);
}

/* ---- streams of events -----------------------------------------------------------------------*/

void conn_follow(struct conn *conn)
{
    struct connections *connections = conn->connections;
    struct stream *stream = stream_new(&connections->streams, conn, conn->exchange);

    stream->is_chunked = conn->exchange->request.version_minor > 0;
    conn->stream = stream;
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
            poll_run_again(conn);
        }
        return conn->has_ended;
    }
    if (conn->has_ended) {
        conn_close(conn);
    } else if (stream->is_ending) {
        stream_finish(conn);
        return true;
    } else if (stream->is_behind) {
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
    end = frames_append(frames, stream->is_chunked, reads, first, end, ends);
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
static size_t frames_append(struct buf *out, bool is_chunked, const struct event_reads *reads,
                            size_t first, size_t end, size_t *ends)
{
    size_t at = first;

    while (at < end && (at == first || out->len < WRITE_MAX_BYTES)) {
        const struct event_record *record = &reads->records[at];

        frame_append(out, is_chunked, (struct str){reads->bytes.ptr + record->at, record->len});
        ends[at - first] = out->len;
        at++;
    }
    return at;
}

static void frame_append(struct buf *out, bool is_chunked, struct str frame)
{
    if (is_chunked) {
        buf_append_format(out, "%zx\r\n", frame.len);
        buf_append_str(out, frame);
        buf_append_str(out, STR("\r\n"));
    } else {
        buf_append_str(out, frame);
    }
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
    frame_append(&conn_output(conn)->gathered, conn->stream->is_chunked, sse_heartbeat());
    conn_settle(conn);
}

void conn_end_stream(struct conn *conn, bool is_cut)
{
    if (is_cut || conn_is_writing(conn)) {
        conn_close(conn);
        return;
    }
    stream_finish(conn);
    conn_settle(conn);
}

static void stream_finish(struct conn *conn)
{
    if (conn->stream->is_chunked) {
        buf_append_str(&conn_output(conn)->gathered, STR("0\r\n\r\n"));
    }
    conn_drop_stream(conn);
    conn_set_state(conn, CONN_FINISHING);
}

void conn_drain_stream(struct conn *conn)
{
    uint32_t random;
    struct buf farewell;

    if (conn->stream->kind == FOLLOW_POLL) {
        conn_resume_poll(conn);
        return;
    }
    if (conn_is_writing(conn)) {
        conn_close(conn);
        return;
    }
    random_fill(&random, sizeof random);
    buf_init(&farewell, FAREWELL_MAX_BYTES);
    sse_reconnect_append(&farewell, RECONNECT_MIN_MS + random % RECONNECT_SPREAD_MS);
    frame_append(&conn_output(conn)->gathered, conn->stream->is_chunked, buf_str(&farewell));
    buf_release(&farewell);
    conn_end_stream(conn, false);
}

void conn_drop_stream(struct conn *conn)
{
    struct connections *connections = conn->connections;

    if (conn->stream == NULL) {
        return;
    }
    if (conn->stream->kind == FOLLOW_POLL) {
        connections->held_bytes -= conn->request_bytes;
        conn->request_bytes = 0;
        if (conn->stream->began_at_ns != 0) {
            tally_add(&conn_traffic(conn)->given_up, 1);
        }
    }
    stream_free(&connections->streams, conn->stream);
    conn->stream = NULL;
}
