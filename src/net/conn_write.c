/* conn_write.c - from answers to bytes on the socket.
 *
 * The answers of one event are gathered in one buffer, in order, and leave with one write at its
 * end (conn_settle), but for one that tells who asks too often: it waits (REFUSED_WAIT_MS). A body
 * above BODY_COPY_MAX_BYTES is not copied: the output takes it over from the response, as the
 * second part of the write, and nothing is gathered behind it.
 *
 * What the socket does not take at once is left to uv_write. Its time limit is looked at
 * WRITE_LOOKS times: the connection is closed after as many looks in a row at which nothing had
 * moved, so one limit to one and a quarter after the client took the last byte.
 *
 * What waits so is counted, with what its exchange holds for the pages to come. When it is more
 * than WAITING_MAX_BYTES, the connections whose writes wait longest are closed at the end of the
 * turn: one that takes its pages begins a new write with each.
 *
 * A streamed answer is one page after the other: written to the last byte, then the next is asked
 * for. To HTTP/1.1 each is a chunk, to HTTP/1.0 they end with the connection.
 */
#include "net/conn.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/require.h"

/* Gathered answers are written before more are made. */
#define OUTPUT_GATHER_MAX_BYTES (64u * 1024u)
/* Above it a second part of the write is cheaper than a copy. */
#define BODY_COPY_MAX_BYTES (16u * 1024u)
#define OUTPUT_PARTS_MAX 3u
#define NS_PER_US 1000u

static bool answer_carries_body(const struct exchange *exchange);
static void page_put(struct conn *conn, bool is_last);
static inline void body_put(struct output *output, struct buf *body, struct str tail);
static void exchange_end(struct conn *conn);
static bool refusal_put_off(struct conn *conn);
static unsigned output_parts(const struct output *output, uv_buf_t parts[OUTPUT_PARTS_MAX]);
static unsigned parts_drop_front(uv_buf_t *parts, unsigned count, size_t len);
static void wait_begin(struct conn *conn);
static void wait_end(struct connections *connections, struct output *output);
static void on_written(uv_write_t *write, int status);
static void output_clear(struct output *output);

void conn_answer(struct conn *conn)
{
    struct connections *connections = conn->connections;
    struct exchange *exchange = conn->exchange;
    struct response *response = &exchange->response;
    bool slows_client = exchange->slows_client && !connections->is_draining;
    struct output *output;
    size_t gathered_bytes;

    if (response->failed) {
        conn_close(conn);
        return;
    }
    if (connections->is_draining || conn->closes_unread) {
        response->closes = true;
    }
    if (slows_client && conn->input != NULL) {
        /* Kept behind others: from one wait to the next no time limit would run. */
        response->closes = true;
    }
    output = conn_output(conn);
    gathered_bytes = output->gathered.len;
    response_write_head(exchange, conn_policy(conn)->cors, connections_date(connections),
                        &output->gathered);
    conn->has_answered = true;
    if (!answer_carries_body(exchange)) {
        exchange_end(conn);
    } else if (response->has_more) {
        conn_set_state(conn, CONN_STREAMING);
        page_put(conn, false);
    } else {
        body_put(output, &response->body, (struct str){0});
        exchange_end(conn);
    }
    REQUIRE(!output->gathered.overflowed);
    if (slows_client) {
        conn->is_slowed = true;
        output->refusal_bytes = output->gathered.len - gathered_bytes;
    }
}

/* RFC 9110 sections 9.3.2, 15.3.5 and 15.4.5. */
static bool answer_carries_body(const struct exchange *exchange)
{
    return exchange->request.method != METHOD_HEAD && exchange->response.status != 204 &&
           exchange->response.status != 304;
}

void conn_next_page(struct conn *conn)
{
    struct connections *connections = conn->connections;
    struct exchange *exchange = conn->exchange;

    buf_clear(&exchange->response.body);
    exchange->page++;
    /* Noted before the first page was written. */
    exchange->notes_use = false;
    if (exchange_lane(exchange) == LANE_LOOP) {
        exchange_run_step(exchange, connections->settings->loop_services);
        conn_set_state(conn, CONN_READY);
    } else if (lanes_lend(connections->lanes, exchange)) {
        conn->is_lent = true;
        conn_set_state(conn, CONN_LENT);
    } else {
        /* The store failed or the server is cut: there is no next page. */
        conn_close(conn);
    }
}

void conn_add_page(struct conn *conn)
{
    struct response *response = &conn->exchange->response;

    if (response->failed) {
        /* Without the last chunk: the client sees that it is not all. */
        conn_close(conn);
        return;
    }
    page_put(conn, !response->has_more);
    if (response->has_more) {
        conn_set_state(conn, CONN_STREAMING);
    } else {
        exchange_end(conn);
    }
}

static void page_put(struct conn *conn, bool is_last)
{
    struct output *output = conn_output(conn);
    struct exchange *exchange = conn->exchange;
    struct buf *body = &exchange->response.body;
    struct str tail = {0};

    if (exchange->request.version_minor > 0) {
        if (body->len > 0) {
            chunk_size_append(&output->gathered, body->len);
            tail = is_last ? STR("\r\n0\r\n\r\n") : STR("\r\n");
        } else if (is_last) {
            tail = STR("0\r\n\r\n");
        }
    }
    body_put(output, body, tail);
}

static inline void body_put(struct output *output, struct buf *body, struct str tail)
{
    struct buf taken = *body;

    REQUIRE(output->body.len == 0 && output->tail.len == 0);
    if (body->len <= BODY_COPY_MAX_BYTES) {
        output->gathered.is_secret |= body->is_secret;
        buf_append(&output->gathered, body->ptr, body->len);
        buf_append_str(&output->gathered, tail);
        return;
    }
    /* They change places; each place keeps its limit. */
    *body = output->body;
    body->max_bytes = taken.max_bytes;
    taken.max_bytes = output->body.max_bytes;
    output->body = taken;
    output->tail = tail;
}

static void exchange_end(struct conn *conn)
{
    bool ends = response_ends_connection(conn->exchange) || conn->connections->is_draining;

    conn_end_exchange(conn, ends ? CONN_FINISHING : CONN_IDLE);
}

void conn_end_exchange(struct conn *conn, enum conn_state state)
{
    struct exchange *exchange = conn->exchange;
    uint64_t duration_ns = clock_monotonic_ns() - exchange->began_at_ns;

    traffic_count(conn_traffic(conn), exchange->route, exchange->response.status, duration_ns);
    /* The route's pattern, not the path: paths hold names of accounts. */
    log_event(LOG_DEBUG, "request", LOG_TEXT("request_id", exchange->request_id),
              LOG_STR("method", method_name(exchange->request.method)),
              LOG_TEXT("route", exchange->route != NULL ? exchange->route->path : "-"),
              LOG_INT("status", exchange->response.status),
              LOG_TEXT("code", error_code(exchange->response.error)),
              LOG_INT("duration_us", (int64_t)(duration_ns / NS_PER_US)), LOG_END);
    exchange->began_at_ns = 0; /* it is counted */
    conn_drop_exchange(conn);
    conn_set_state(conn, state);
}

void conn_say_continue(struct conn *conn)
{
    buf_append_str(&conn_output(conn)->gathered, STR("HTTP/1.1 100 Continue\r\n\r\n"));
}

struct output *conn_output(struct conn *conn)
{
    if (conn->output == NULL) {
        conn->output = connections_take_output(conn->connections);
    }
    REQUIRE(!conn->output->is_writing);
    return conn->output;
}

bool conn_is_gathered(const struct conn *conn)
{
    const struct output *output = conn->output;

    return output != NULL &&
           (output->gathered.len >= OUTPUT_GATHER_MAX_BYTES || output->body.len > 0);
}

bool conn_is_writing(const struct conn *conn)
{
    return conn->output != NULL && conn->output->is_writing;
}

bool conn_flush(struct conn *conn)
{
    struct output *output = conn->output;
    uv_stream_t *stream = (uv_stream_t *)&conn->tcp;
    uv_buf_t parts[OUTPUT_PARTS_MAX];
    unsigned count;
    size_t len = 0;
    int sent;

    if (output == NULL || output->is_writing || conn->state == CONN_CLOSING) {
        return true;
    }
    if (conn->is_slowed && output->refusal_bytes > 0) {
        if (!refusal_put_off(conn)) {
            return false;
        }
        output = conn->output;
        if (output->refusal_bytes > 0) {
            return true;
        }
    }
    count = output_parts(output, parts);
    for (unsigned i = 0; i < count; i++) {
        len += parts[i].len;
    }
    tally_add(&conn_traffic(conn)->sent_bytes, len);
    sent = count > 0 ? uv_try_write(stream, parts, count) : 0;
    if (sent < 0 && sent != UV_EAGAIN) {
        return false;
    }
    sent = sent < 0 ? 0 : sent;
    if ((size_t)sent == len) {
        output_clear(output);
        connections_give_output(conn->connections, &conn->output);
        return true;
    }
    count = parts_drop_front(parts, count, (size_t)sent);
    if (uv_write(&output->write, stream, parts, count, on_written) != 0) {
        return false;
    }
    output->is_writing = true;
    output->looks = 0;
    output->unsent_bytes = SIZE_MAX;
    wait_begin(conn);
    return true;
}

/* Writes what was gathered before the refusal, which waits in an output of its own, since this one
 * may be as large as an output gets. When the socket does not take all, the refusal is no longer
 * put off, and the time passes behind it. */
static bool refusal_put_off(struct conn *conn)
{
    struct output *output = conn->output;
    struct buf *gathered = &output->gathered;
    size_t before = gathered->len - output->refusal_bytes;
    uv_buf_t part = uv_buf_init(gathered->ptr, (unsigned)before);
    int sent;

    if (before == 0) {
        return true;
    }
    sent = uv_try_write((uv_stream_t *)&conn->tcp, &part, 1);
    if (sent < 0 && sent != UV_EAGAIN) {
        return false;
    }
    sent = sent < 0 ? 0 : sent;
    tally_add(&conn_traffic(conn)->sent_bytes, (uint64_t)sent);
    buf_drop_front(gathered, (size_t)sent);
    if ((size_t)sent < before) {
        output->refusal_bytes = 0;
        return true;
    }
    conn->output = connections_take_output(conn->connections);
    buf_append_str(&conn->output->gathered, buf_str(gathered));
    conn->output->refusal_bytes = gathered->len;
    output_clear(output);
    connections_give_output(conn->connections, &output);
    return true;
}

static void wait_begin(struct conn *conn)
{
    struct connections *connections = conn->connections;
    struct output *output = conn->output;

    output->waiting_bytes = output->gathered.len + output->body.len;
    if (conn->exchange != NULL && !conn->is_lent) {
        output->waiting_bytes += conn->exchange->arena.total_bytes;
    }
    connections->waiting_bytes += output->waiting_bytes;
    list_append(&connections->waiting, &output->waiting_node);
    if (connections->waiting_bytes > WAITING_MAX_BYTES) {
        REQUIRE(uv_check_start(&connections->turn_end, conn_turn_ended) == 0);
    }
}

/* A second time for those that were let go: then it is no more among them. */
static void wait_end(struct connections *connections, struct output *output)
{
    connections->waiting_bytes -= output->waiting_bytes;
    output->waiting_bytes = 0;
    list_remove(&output->waiting_node);
}

void conn_let_slowest_go(struct connections *connections)
{
    while (connections->waiting_bytes > WAITING_MAX_BYTES) {
        struct output *output =
            container_of(connections->waiting.next, struct output, waiting_node);

        wait_end(connections, output);
        conn_close(container_of(output->write.handle, struct conn, tcp));
    }
}

static unsigned output_parts(const struct output *output, uv_buf_t parts[OUTPUT_PARTS_MAX])
{
    unsigned count = 0;

    if (output->gathered.len > 0) {
        parts[count++] = uv_buf_init(output->gathered.ptr, (unsigned)output->gathered.len);
    }
    if (output->body.len > 0) {
        parts[count++] = uv_buf_init(output->body.ptr, (unsigned)output->body.len);
    }
    if (output->tail.len > 0) {
        /* uv_buf_t has no const; it is only read. */
        parts[count].base = (char *)(uintptr_t)output->tail.ptr;
        parts[count++].len = output->tail.len;
    }
    return count;
}

static unsigned parts_drop_front(uv_buf_t *parts, unsigned count, size_t len)
{
    unsigned dropped = 0;

    while (dropped < count && len >= parts[dropped].len) {
        len -= parts[dropped].len;
        dropped++;
    }
    for (unsigned i = dropped; i < count; i++) {
        parts[i - dropped] = parts[i];
    }
    if (dropped < count) {
        parts[0].base += len;
        parts[0].len -= len;
    }
    return count - dropped;
}

static void on_written(uv_write_t *write, int status)
{
    struct output *output = container_of(write, struct output, write);
    struct conn *conn = container_of(write->handle, struct conn, tcp);

    output->is_writing = false;
    wait_end(conn->connections, output);
    output_clear(output);
    if (conn->state == CONN_CLOSING) {
        return;
    }
    deadline_clear(&conn->deadline);
    if (status < 0) {
        conn_close(conn);
    } else {
        conn_settle(conn);
    }
}

static void output_clear(struct output *output)
{
    buf_clear(&output->gathered);
    buf_clear(&output->body);
    output->tail = (struct str){0};
}

/* The kernel asks for more in large steps only, so what it holds counts, too: it shrinks with
 * every acknowledgement. */
bool conn_is_taking(struct conn *conn)
{
    struct output *output = conn->output;
    size_t unsent_bytes = uv_stream_get_write_queue_size((const uv_stream_t *)&conn->tcp);
    uv_os_fd_t descriptor;
    int held_bytes = 0;

    if (uv_fileno((const uv_handle_t *)&conn->tcp, &descriptor) == 0 &&
        ioctl(descriptor, SIOCOUTQ, &held_bytes) == 0) {
        unsent_bytes += (size_t)held_bytes;
    }
    if (unsent_bytes < output->unsent_bytes) {
        output->unsent_bytes = unsent_bytes;
        output->looks = 0;
        return true;
    }
    output->looks++;
    return output->looks < WRITE_LOOKS;
}
