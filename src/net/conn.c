/* conn.c - the life of a connection: its events and states; conn_request.c reads requests,
 * conn_write.c writes answers, conn_stream.c follows an account.
 *
 *                     +------------ answered, goes on ------------+
 *                     v                                           |
 *   accept ------> IDLE --1st byte--> HEAD --admitted--> BODY --message--> READY <---------+
 *                     ^                 |                  |               |  |            |
 *                     |                 +--- refused ------+--> READY      |  +--lent--> LENT
 *                     |                                                    |               ^
 *                     +---- last page ---- STREAMING <----- first page ----+               |
 *                                            |  ^------- READY <--- page came back         |
 *                                            +------- page written: the next one ----------+
 *
 *   READY --poll that waits--> FOLLOWING --news, time--> HEAD
 *   STREAMING --opened--> FOLLOWING, events as they come, --over--> FINISHING
 *   READY, STREAMING --last answer--> FINISHING --all written--> LINGERING --their end--> CLOSING
 *   every state --error, time limit, cut--> CLOSING
 *
 * 1. Events are: bytes or end read, write done, exchange back, deadline passed, drain. Each notes
 *    what happened and ends with conn_settle (or conn_close), which does what follows from it.
 *    Nothing below calls back up.
 * 2. Bytes that cannot be parsed now (the exchange is lent, a write is pending) are kept in
 *    `input`, at most one read of them, and reading stops until they are parsed. That is the
 *    backpressure. Reading is not stopped before: most clients send nothing before the answer,
 *    so it would cost two epoll_ctl a request, and their leaving would go unseen.
 *    Nor is one read that waits to be told that it asks too often (REFUSED_WAIT_MS).
 *    A read that fills the slab is the connection's share of the loop's turn: reading stops until
 *    the turn ends, or who sends without end would keep all others waiting.
 * 3. While a write is pending nothing is parsed and nothing appended to the output.
 * 4. A lent exchange is not looked at. A connection that closes meanwhile waits for it.
 * 5. The connection is freed in conn_free_if_done only, which is called wherever one of its
 *    conditions becomes true.
 */
#include "net/conn.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/require.h"
#include "net/polls.h"

/* After the last answer, in all; each silence is at most LINGER_SILENCE_MS. */
#define LINGER_TOTAL_MS 10000
/* Bytes not yet on the wire that the kernel takes from us: a reader that stops costs no more. */
#define UNSENT_MAX_BYTES (64 * 1024)

#define MOVE(state) (1u << (state))

/* From each state to which. */
static const unsigned moves[CONN_STATE_COUNT] = {
    [CONN_IDLE] = MOVE(CONN_HEAD) | MOVE(CONN_FINISHING) | MOVE(CONN_CLOSING),
    [CONN_HEAD] = MOVE(CONN_BODY) | MOVE(CONN_READY) | MOVE(CONN_FINISHING) | MOVE(CONN_CLOSING),
    [CONN_BODY] = MOVE(CONN_READY) | MOVE(CONN_FINISHING) | MOVE(CONN_CLOSING),
    [CONN_READY] = MOVE(CONN_LENT) | MOVE(CONN_STREAMING) | MOVE(CONN_FOLLOWING) | MOVE(CONN_IDLE) |
                   MOVE(CONN_FINISHING) | MOVE(CONN_CLOSING),
    [CONN_LENT] = MOVE(CONN_READY) | MOVE(CONN_CLOSING),
    [CONN_STREAMING] = MOVE(CONN_LENT) | MOVE(CONN_READY) | MOVE(CONN_FOLLOWING) |
                       MOVE(CONN_FINISHING) | MOVE(CONN_CLOSING),
    [CONN_FOLLOWING] = MOVE(CONN_HEAD) | MOVE(CONN_FINISHING) | MOVE(CONN_CLOSING),
    [CONN_FINISHING] = MOVE(CONN_LINGERING) | MOVE(CONN_CLOSING),
    [CONN_LINGERING] = MOVE(CONN_CLOSING),
    [CONN_CLOSING] = 0,
};

static void on_allocate(uv_handle_t *handle, size_t suggested_size, uv_buf_t *out_buf);
static void on_read(uv_stream_t *stream, ssize_t nread, const uv_buf_t *buf);
static void on_bytes(struct conn *conn, const char *bytes, size_t len);
static size_t take_otherwise(struct conn *conn, const char *bytes, size_t len);
static void conn_rest(struct conn *conn);
static void conn_keep(struct conn *conn, const char *bytes, size_t len);
static bool conn_advance(struct conn *conn);
static void conn_parse_input(struct conn *conn);
static void conn_linger(struct conn *conn);
static void conn_see_to_reading(struct conn *conn);
static void conn_see_to_deadline(struct conn *conn);
static enum deadline_kind deadline_wanted(const struct conn *conn);
static int64_t now_ms(const struct conn *conn);
static void on_closed(uv_handle_t *handle);
static void conn_free_if_done(struct conn *conn);

void conn_open(struct connections *connections, int socket, unsigned listener)
{
    struct conn *conn = calloc(1, sizeof(*conn));
    const int unsent_max = UNSENT_MAX_BYTES;

    REQUIRE(conn != NULL);
    conn->connections = connections;
    conn->listener = (uint8_t)listener;
    conn->state = CONN_IDLE;
    http_parser_init(&conn->parser);
    deadline_init(&conn->deadline);
    list_append(&connections->open, &conn->node);
    connections->count++;
    REQUIRE(uv_tcp_init(connections->loop, &conn->tcp) == 0);
    conn->is_handle_open = true;
    if (uv_tcp_open(&conn->tcp, socket) != 0) {
        close(socket);
        conn_close(conn);
        return;
    }
    /* Refused only to a connection that is gone already, which the first read tells. */
    (void)uv_tcp_nodelay(&conn->tcp, 1);
    (void)setsockopt(socket, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent_max, sizeof(unsent_max));
    conn_settle(conn);
}

void conn_set_state(struct conn *conn, enum conn_state state)
{
    REQUIRE((moves[conn->state] & MOVE(state)) != 0);
    conn->state = (uint8_t)state;
    conn->is_state_new = true;
}

/* One slab for all: what is read is parsed or copied before the next read. */
static void on_allocate(uv_handle_t *handle, size_t suggested_size, uv_buf_t *out_buf)
{
    struct conn *conn = container_of(handle, struct conn, tcp);

    (void)suggested_size;
    *out_buf = uv_buf_init(conn->connections->slab, SLAB_BYTES);
}

static void on_read(uv_stream_t *stream, ssize_t nread, const uv_buf_t *buf)
{
    struct conn *conn = container_of(stream, struct conn, tcp);

    if (nread > 0) {
        conn->connections->read_at_ns = clock_monotonic_ns();
        tally_add(&conn_traffic(conn)->received_bytes, (uint64_t)nread);
        on_bytes(conn, buf->base, (size_t)nread);
        if (conn->connections->is_read_secret) {
            explicit_bzero(buf->base, (size_t)nread);
            conn->connections->is_read_secret = false;
        }
        if ((size_t)nread == buf->len) {
            conn_rest(conn);
        }
        conn_settle(conn);
    } else if (nread == UV_EOF && conn->state != CONN_LINGERING) {
        conn->has_ended = true;
        conn_settle(conn);
    } else if (nread < 0) {
        conn_close(conn);
    }
}

static void on_bytes(struct conn *conn, const char *bytes, size_t len)
{
    size_t taken;

    if (conn->state > CONN_STREAMING) {
        conn->connections->is_read_secret = true;
        taken = take_otherwise(conn, bytes, len);
    } else {
        taken = conn_parse(conn, bytes, len);
    }
    if (taken == len) {
        return;
    }
    conn->connections->is_read_secret = true;
    if (conn->state != CONN_FINISHING && !conn->closes_unread) {
        conn_keep(conn, bytes + taken, len - taken);
    }
}

/* Not parsed as requests: what comes after our end, and behind a stream, which has no end but the
 * connection's, is thrown away; a WebSocket has frames. What is behind a poll waits. */
static size_t take_otherwise(struct conn *conn, const char *bytes, size_t len)
{
    if (conn->state == CONN_LINGERING) {
        deadline_clear(&conn->deadline);
        return len;
    }
    if (conn->state != CONN_FOLLOWING || conn->stream->kind == FOLLOW_POLL) {
        return 0;
    }
    return conn->stream->kind == FOLLOW_EVENTS ? len : conn_take_frames(conn, bytes, len);
}

static void conn_rest(struct conn *conn)
{
    struct connections *connections = conn->connections;

    if (connections->resting == NULL) {
        REQUIRE(uv_check_start(&connections->turn_end, conn_turn_ended) == 0);
    }
    conn->is_resting = true;
    conn->next_resting = connections->resting;
    connections->resting = conn;
}

/* Between polling and the close callbacks, so none of them has been freed since it read. */
void conn_turn_ended(uv_check_t *turn_end)
{
    struct connections *connections = container_of(turn_end, struct connections, turn_end);
    struct conn *conn;

    while ((conn = connections->resting) != NULL) {
        connections->resting = conn->next_resting;
        conn->is_resting = false;
        if (conn->state != CONN_CLOSING) {
            conn_settle(conn);
        }
    }
    conn_let_slowest_go(connections);
    uv_check_stop(turn_end);
}

static void conn_keep(struct conn *conn, const char *bytes, size_t len)
{
    struct connections *connections = conn->connections;

    REQUIRE(conn->input == NULL);
    if (connections->held_bytes + len > connections->settings->bodies_max_bytes) {
        /* There is no room for it and no telling what it was: the next answer is the last. */
        conn->closes_unread = true;
        tally_add(&connections->traffic->bodies_refused, 1);
        return;
    }
    conn->input = connections_take_input(connections);
    buf_append(&conn->input->bytes, bytes, len);
    connections->held_bytes += len;
}

void conn_drop_input(struct conn *conn)
{
    if (conn->input != NULL) {
        conn->connections->held_bytes -= conn->input->bytes.len;
        connections_give_input(conn->connections, &conn->input);
    }
}

void conn_settle(struct conn *conn)
{
    do {
        if (!conn_flush(conn)) {
            conn_close(conn);
            return;
        }
    } while (!conn_is_writing(conn) && conn_advance(conn));
    conn_see_to_reading(conn);
    conn_see_to_deadline(conn);
}

/* Everything that does not wait is written: one step onwards. False when nothing can be done before
 * the next event. */
static bool conn_advance(struct conn *conn)
{
    if (conn->is_slowed) {
        return false;
    }
    switch ((enum conn_state)conn->state) {
    case CONN_IDLE:
    case CONN_HEAD:
    case CONN_BODY:
        if (conn->closes_unread) {
            conn_drop_exchange(conn);
            conn_set_state(conn, CONN_FINISHING);
            return true;
        }
        if (conn->input != NULL) {
            conn_parse_input(conn);
            return true;
        }
        if (!conn->has_ended) {
            return false;
        }
        if (conn->state == CONN_IDLE) {
            conn_close(conn);
            return false;
        }
        /* Half a request and no more to come: whoever still reads is told. */
        conn_refuse(conn,
                    conn->state == CONN_HEAD ? ERROR_REQUEST_MALFORMED : ERROR_FRAMING_MALFORMED);
        return true;
    case CONN_READY:
        conn_go_on(conn);
        return true;
    case CONN_STREAMING:
        if (conn->exchange->follow.kind >= FOLLOW_EVENTS) {
            conn_follow(conn);
        } else {
            conn_next_page(conn);
        }
        return true;
    case CONN_FOLLOWING:
        return conn_follow_on(conn);
    case CONN_FINISHING:
        conn_linger(conn);
        return false;
    case CONN_LENT:
    case CONN_LINGERING:
    case CONN_CLOSING:
    case CONN_STATE_COUNT:
        break;
    }
    return false;
}

static void conn_parse_input(struct conn *conn)
{
    struct input *input = conn->input;

    /* It came before, but its turn is now. */
    conn->connections->read_at_ns = clock_monotonic_ns();
    input->at += conn_parse(conn, input->bytes.ptr + input->at, input->bytes.len - input->at);
    if (input->at == input->bytes.len) {
        conn_drop_input(conn);
    }
}

/* Closing with bytes unread would reset the connection, and the client might never see the
 * answer (RFC 9112 section 9.6). All is written, so the end can be sent without uv_shutdown. */
static void conn_linger(struct conn *conn)
{
    uv_os_fd_t descriptor;

    if (conn->has_ended || uv_fileno((const uv_handle_t *)&conn->tcp, &descriptor) != 0 ||
        shutdown(descriptor, SHUT_WR) != 0) {
        conn_close(conn);
        return;
    }
    conn_drop_input(conn);
    conn->lingers_until_ms = now_ms(conn) + LINGER_TOTAL_MS;
    conn_set_state(conn, CONN_LINGERING);
}

static void conn_see_to_reading(struct conn *conn)
{
    bool reads = conn->input == NULL && !conn->has_ended && !conn->is_resting && !conn->is_slowed;

    if (reads == conn->is_reading || conn->state == CONN_CLOSING) {
        return;
    }
    conn->is_reading = reads;
    if (!reads) {
        uv_read_stop((uv_stream_t *)&conn->tcp);
    } else if (uv_read_start((uv_stream_t *)&conn->tcp, on_allocate, on_read) != 0) {
        conn_close(conn);
    }
}

static void conn_see_to_deadline(struct conn *conn)
{
    struct deadlines *deadlines = &conn->connections->deadlines;
    enum deadline_kind kind = deadline_wanted(conn);
    bool is_new = conn->is_state_new;

    conn->is_state_new = false;
    if (kind == DEADLINE_KIND_COUNT) {
        deadline_clear(&conn->deadline);
        return;
    }
    if (kind == DEADLINE_WRITE || (kind == DEADLINE_HEAD && !conn->has_answered)) {
        /* These go on whatever the state: the write's, and the one that began with accept. */
        is_new = false;
    }
    if (!is_new && deadline_is_set(&conn->deadline, kind)) {
        return;
    }
    if (kind == DEADLINE_LINGER && now_ms(conn) + LINGER_SILENCE_MS > conn->lingers_until_ms) {
        conn_close(conn);
        return;
    }
    deadline_set(deadlines, &conn->deadline, kind);
}

/* DEADLINE_KIND_COUNT: none, it is on us. */
static enum deadline_kind deadline_wanted(const struct conn *conn)
{
    if (conn_is_writing(conn)) {
        return DEADLINE_WRITE;
    }
    if (conn->is_slowed) {
        return DEADLINE_SLOWED;
    }
    switch ((enum conn_state)conn->state) {
    case CONN_IDLE:
        if (conn->connections->is_draining) {
            return DEADLINE_FIRST;
        }
        return conn->has_answered ? DEADLINE_IDLE : DEADLINE_HEAD;
    case CONN_HEAD:
        return DEADLINE_HEAD;
    case CONN_BODY:
        return DEADLINE_BODY;
    case CONN_LINGERING:
        return DEADLINE_LINGER;
    case CONN_FOLLOWING:
        return conn->stream->kind == FOLLOW_POLL ? conn_poll_deadline(conn) : DEADLINE_HEARTBEAT;
    default:
        return DEADLINE_KIND_COUNT;
    }
}

static int64_t now_ms(const struct conn *conn)
{
    return (int64_t)uv_now(conn->connections->loop);
}

void conn_deadline_passed(struct conn *conn, enum deadline_kind kind)
{
    if (kind == DEADLINE_WRITE && conn_is_taking(conn)) {
        conn_see_to_deadline(conn);
    } else if ((kind == DEADLINE_HEAD || kind == DEADLINE_BODY) && conn->state != CONN_IDLE) {
        conn_refuse(conn, ERROR_REQUEST_TIMEOUT);
        conn_settle(conn);
    } else if (kind == DEADLINE_HEARTBEAT) {
        conn_beat(conn);
    } else if (kind == DEADLINE_SLOWED) {
        conn->is_slowed = false;
        conn_settle(conn);
    } else if (kind >= DEADLINE_POLL) {
        (void)conn_resume_poll(conn, 0);
    } else {
        conn_close(conn);
    }
}

void conn_exchange_returned(struct exchange *exchange)
{
    struct conn *conn = exchange->owner;

    conn->is_lent = false;
    if (exchange->polled_id != 0) {
        polls_returned(&conn->connections->streams, exchange);
    }
    if (conn->state == CONN_CLOSING) {
        conn_free_if_done(conn);
        return;
    }
    /* A WebSocket's command: conn_socket_on answers it. */
    if (conn->state != CONN_FOLLOWING) {
        conn_set_state(conn, CONN_READY);
    }
    conn_settle(conn);
}

void conn_drain(struct conn *conn)
{
    if (conn->state == CONN_FOLLOWING) {
        conn_drain_stream(conn);
        return;
    }
    if (conn->state != CONN_IDLE || conn->input != NULL) {
        return;
    }
    if (conn_is_writing(conn)) {
        conn_set_state(conn, CONN_FINISHING);
    } else {
        /* Its request may be on its way: it is still answered, as its last. */
        conn_see_to_deadline(conn);
    }
}

void conn_close(struct conn *conn)
{
    if (conn->state == CONN_CLOSING) {
        return;
    }
    conn_set_state(conn, CONN_CLOSING);
    conn->is_slowed = false; /* no time limit may be set any more */
    conn_drop_stream(conn);
    deadline_clear(&conn->deadline);
    uv_close((uv_handle_t *)&conn->tcp, on_closed);
}

static void on_closed(uv_handle_t *handle)
{
    struct conn *conn = container_of(handle, struct conn, tcp);

    conn->is_handle_open = false;
    conn_free_if_done(conn);
}

static void conn_free_if_done(struct conn *conn)
{
    struct connections *connections = conn->connections;

    if (conn->state != CONN_CLOSING || conn->is_handle_open || conn->is_lent) {
        return;
    }
    conn_drop_exchange(conn);
    conn_drop_input(conn);
    connections_give_output(connections, &conn->output);
    list_remove(&conn->node);
    connections->count--;
    unsigned listener = conn->listener;
    free(conn);
    connections->on_gone(connections, listener);
}
