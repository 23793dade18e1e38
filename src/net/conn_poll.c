/* conn_poll.c - a poll with nothing to tell is put aside: a short head is kept, the exchange freed.
 * When the account's log has grown or its time has passed, the head takes the way of one that has
 * just come, so there is one way to an answer; but what its account's log holds may have been read
 * for its equal already (net/polls.h).
 *
 * A client that ends its side has asked its last: it is answered at once.
 */
#include <stdlib.h>
#include <string.h>

#include "base/require.h"
#include "http/kept_request.h"
#include "net/conn.h"

#define MS_PER_S 1000
/* A poll with a longer head is answered at once: what waits must cost little. */
#define POLL_HEAD_MAX_BYTES (4u * 1024u)

static bool poll_keep(struct conn *conn, struct stream *stream);
static struct str poll_take(struct conn *conn);
static void head_parse(struct conn *conn, struct str head);
static unsigned wait_left_s(const struct conn *conn);

void conn_park(struct conn *conn)
{
    struct exchange *exchange = conn->exchange;

    if (conn->connections->is_draining || conn->has_ended) {
        exchange_run_again(exchange, 0);
        conn_go_on(conn);
        return;
    }
    struct stream *stream = stream_new(&conn->connections->streams, conn, exchange);
    bool has_grown = stream->is_behind;
    if (has_grown || !poll_keep(conn, stream)) {
        stream_free(&conn->connections->streams, stream);
        exchange_run_again(exchange, has_grown ? exchange->follow.wait_s : 0);
        conn_go_on(conn);
    }
}

/* False when its head is too long, or the memory of unfinished requests is used up. */
static bool poll_keep(struct conn *conn, struct stream *stream)
{
    struct connections *connections = conn->connections;
    struct exchange *exchange = conn->exchange;
    struct buf head;

    buf_init(&head, POLL_HEAD_MAX_BYTES);
    head.is_secret = true; /* it has the token */
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
    stream->limit = (uint16_t)exchange->follow.limit;
    stream->until_ms =
        (int64_t)uv_now(connections->loop) + (int64_t)exchange->follow.wait_s * MS_PER_S;
    stream->began_at_ns = exchange->began_at_ns;
    exchange->began_at_ns = 0; /* it is not given up */
    conn_drop_exchange(conn);
    conn_hold(conn, stream->kept_bytes);
    conn->stream = stream;
    conn_set_state(conn, CONN_FOLLOWING);
    return true;
}

enum deadline_kind conn_poll_deadline(const struct conn *conn)
{
    return DEADLINE_POLL + conn->stream->wait_s - 1;
}

bool conn_resume_poll(struct conn *conn, int64_t polled_id)
{
    /* A step is taken only when all before it is written, and so a request put aside. */
    REQUIRE(!conn_is_writing(conn));
    struct str head = poll_take(conn);

    conn->exchange->polled_id = polled_id;
    head_parse(conn, head);
    conn_settle(conn);
    return conn->is_lent;
}

void conn_answer_poll(struct conn *conn, const struct exchange *brought)
{
    REQUIRE(!conn_is_writing(conn));
    struct str head = poll_take(conn);
    struct response *response = &conn->exchange->response;

    response->status = brought->response.status;
    response->type = brought->response.type;
    buf_append_str(&response->body, buf_str(&brought->response.body));
    conn->exchange->is_done = true;
    head_parse(conn, head);
    conn_settle(conn);
}

void conn_poll_again(struct conn *conn)
{
    head_parse(conn, poll_take(conn));
}

/* CONN_HEAD again, with an exchange for the head. */
static struct str poll_take(struct conn *conn)
{
    struct exchange *exchange = exchange_new();
    struct stream *stream = conn->stream;
    struct str head = {stream->kept_head, stream->kept_bytes};

    exchange->owner = conn;
    exchange->is_resumed = true;
    exchange->is_within_limit = true;
    exchange->wait_left_s = wait_left_s(conn);
    exchange->began_at_ns = stream->began_at_ns;
    stream->kept_head = NULL;
    stream->began_at_ns = 0;
    conn_drop_stream(conn);
    conn->exchange = exchange;
    http_parser_begin(&conn->parser, &exchange->request);
    conn_set_state(conn, CONN_HEAD);
    return head;
}

/* The head takes the way of one that has just come. */
static void head_parse(struct conn *conn, struct str head)
{
    bool closes_unread = conn->closes_unread;

    /* It is about what came behind this request. */
    conn->closes_unread = false;
    REQUIRE(conn_parse(conn, head.ptr, head.len) == head.len);
    conn->closes_unread = closes_unread;
    /* `head` is not const in what owns it. */
    kept_head_free((char *)(uintptr_t)head.ptr, head.len);
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
