/* conn_socket.c - what comes through a WebSocket: messages are commands, run one after the other as
 * requests are, each answered by {"type":"result","ref":…,"status":…,"body":…}.
 *
 *   bytes -> conn_take_frames, up to the end of a message -> an exchange, lent
 *   conn_socket_on: the command that came back is answered; what was kept behind it is taken
 *
 * 1. Bytes are taken only while nothing is to be written and no command runs; others are kept and
 *    reading stops (conn.c). So a client that sends faster than it is answered waits.
 * 2. Events go on meanwhile: a command lends an exchange, not the connection.
 * 3. What came of a message counts as the body of an unfinished request until it is answered. While
 *    it is incomplete it has the time of one, which is looked at when something happens, a
 * heartbeat at the latest.
 */
#include <stdlib.h>
#include <string.h>

#include "base/require.h"
#include "net/conn.h"

/* "{"type":"result","ref":,"status":,"body":}" and the digits of a status. */
#define RESULT_REST_MAX_BYTES 64u
/* Pongs to what fits in one read, and a close. */
#define ANSWER_MAX_BYTES (4u * SLAB_BYTES)

static void message_time(struct conn *conn);
static bool message_is_late(const struct conn *conn);
static void command_begin(struct conn *conn, struct buf *text);
static bool socket_step(struct conn *conn);
static void command_answer(struct conn *conn);
static bool input_take(struct conn *conn);

size_t conn_take_frames(struct conn *conn, const char *bytes, size_t len)
{
    struct connections *connections = conn->connections;
    struct stream *stream = conn->stream;
    size_t message_max_bytes = conn_policy(conn)->body_max_bytes;
    struct buf text;
    struct buf answer;
    struct websocket_seen seen = {.text = &text};

    if (conn_is_writing(conn) || conn->exchange != NULL) {
        return 0;
    }
    buf_init(&text, message_max_bytes);
    text.is_secret = true; /* as the body of any request */
    buf_init(&answer, ANSWER_MAX_BYTES);
    bool goes_on = websocket_take(&connections->streams.websockets, &stream->socket, bytes, len,
                                  message_max_bytes, &seen, &answer);
    REQUIRE(!text.overflowed && !answer.overflowed);
    conn_hold(conn, seen.has_text ? text.len : seen.held_bytes);
    if (seen.held_bytes <= seen.taken_bytes) {
        message_time(conn); /* what is incomplete began with these */
    }
    if (answer.len > 0) {
        buf_append_str(&conn_output(conn)->gathered, buf_str(&answer));
    }
    buf_release(&answer);
    if (!goes_on || seen.has_closed) {
        /* The close is in the answer. */
        conn_drop_stream(conn);
        conn_set_state(conn, CONN_FINISHING);
    } else if (seen.has_binary) {
        conn_finish_stream(conn, WEBSOCKET_BINARY_REFUSED);
    } else if (connections->held_bytes > connections->settings->bodies_max_bytes) {
        conn_finish_stream(conn, WEBSOCKET_TRY_LATER);
    } else if (seen.has_text) {
        command_begin(conn, &text);
        return seen.taken_bytes;
    }
    buf_release(&text);
    return seen.taken_bytes;
}

/* If one is incomplete, its time begins now. */
static void message_time(struct conn *conn)
{
    const struct deadlines *deadlines = &conn->connections->deadlines;

    conn->stream->until_ms =
        (int64_t)uv_now(conn->connections->loop) + (int64_t)deadlines->duration_ms[DEADLINE_BODY];
}

static bool message_is_late(const struct conn *conn)
{
    return conn->stream->socket != NULL &&
           (int64_t)uv_now(conn->connections->loop) >= conn->stream->until_ms;
}

/* Takes over the text. */
static void command_begin(struct conn *conn, struct buf *text)
{
    struct connections *connections = conn->connections;
    struct exchange *exchange = exchange_new();

    exchange->owner = conn;
    exchange->route = connections->settings->command_route;
    exchange->route_parameter = STR("null");
    exchange->account_id = stream_account_id(conn->stream);
    exchange->session_id = conn->stream->session_id;
    exchange_name(exchange);
    exchange->request.method = METHOD_POST;
    exchange->request.body = *text;
    conn->exchange = exchange;
    if (lanes_lend(connections->lanes, exchange)) {
        conn->is_lent = true;
    } else {
        response_error(exchange, ERROR_OVERLOADED);
    }
}

/* What a full lane refuses is answered at once, and gathered. An ended session's last event is out:
 * nothing follows it but the answer to what ran. */
bool conn_socket_on(struct conn *conn)
{
    bool has_done = false;

    while (conn->state == CONN_FOLLOWING && !conn->is_lent && !conn_is_gathered(conn) &&
           !(conn->stream->is_ending && conn->exchange == NULL) && socket_step(conn)) {
        has_done = true;
    }
    return has_done;
}

static bool socket_step(struct conn *conn)
{
    if (conn->exchange != NULL) {
        command_answer(conn);
        return true;
    }
    if (input_take(conn)) {
        return true;
    }
    if (message_is_late(conn)) {
        conn_finish_stream(conn, WEBSOCKET_TOO_SLOW);
        return true;
    }
    return false;
}

static void command_answer(struct conn *conn)
{
    struct exchange *exchange = conn->exchange;
    const struct response *response = &exchange->response;
    struct str ref = exchange->route_parameter;
    struct str body = response->body.len > 0 ? buf_str(&response->body) : STR("null");
    struct buf text;

    (void)conn_follows(conn); /* a typing is told */
    buf_init(&text, ref.len + body.len + RESULT_REST_MAX_BYTES);
    buf_append_format(&text,
                      "{\"type\":\"result\",\"ref\":%.*s,\"status\":%d,\"body\":", STR_ARGS(ref),
                      response->status);
    buf_append_str(&text, body);
    buf_append_char(&text, '}');
    REQUIRE(!text.overflowed);
    websocket_text_append(&conn_output(conn)->gathered, buf_str(&text));
    buf_release(&text);
    exchange_free(exchange);
    conn->exchange = NULL;
    conn_hold(conn, 0);
    deadline_clear(&conn->deadline);
}

static bool input_take(struct conn *conn)
{
    struct input *input = conn->input;

    if (input == NULL) {
        return false;
    }
    size_t taken =
        conn_take_frames(conn, input->bytes.ptr + input->at, input->bytes.len - input->at);

    /* Nothing is in its way, or this would not have been reached. */
    REQUIRE(taken > 0);
    input->at += taken;
    if (input->at == input->bytes.len || conn->state != CONN_FOLLOWING) {
        conn_drop_input(conn);
    }
    return true;
}
