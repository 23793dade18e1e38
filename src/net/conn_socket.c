/* conn_socket.c - what comes through a WebSocket: messages are commands, run one after the other as
 * requests are, each answered by {"type":"result","ref":…,"status":…,"body":…}.
 *
 *   bytes -> conn_take_frames -> messages of this read -> stream->commands
 *   conn_socket_on: the command that came back is answered, the next is lent
 *
 * 1. Bytes are taken only while nothing is to be written and no command waits; others are kept and
 *    reading stops (conn.c). So a client that sends faster than it is answered waits.
 * 2. Events go on meanwhile: a command lends an exchange, not the connection.
 * 3. What an incomplete message holds counts as the body of an unfinished request, and it has the
 *    time of one. That is looked at when something happens, a heartbeat at the latest.
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
static void messages_keep(struct conn *conn, struct buf *messages);
static void command_answer(struct conn *conn);
static void command_lend(struct conn *conn);
static bool input_take(struct conn *conn);

bool conn_take_frames(struct conn *conn, const char *bytes, size_t len)
{
    struct connections *connections = conn->connections;
    struct stream *stream = conn->stream;
    size_t message_max_bytes = conn_policy(conn)->body_max_bytes;
    struct buf messages;
    struct buf answer;
    struct websocket_seen seen = {.messages = &messages};

    if (conn_is_writing(conn) || conn->exchange != NULL || stream->commands != NULL) {
        return false;
    }
    buf_init(&messages, message_max_bytes + (size_t)SLAB_BYTES * sizeof(size_t));
    buf_init(&answer, ANSWER_MAX_BYTES);
    bool goes_on = websocket_take(&connections->streams.websockets, &stream->socket, bytes, len,
                                  message_max_bytes, &seen, &answer);
    REQUIRE(!messages.overflowed && !answer.overflowed);
    connections->held_bytes -= conn->request_bytes;
    conn->request_bytes = (uint32_t)seen.held_bytes;
    connections->held_bytes += conn->request_bytes;
    if (seen.held_bytes <= len) {
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
    } else if (messages.len > 0) {
        messages_keep(conn, &messages);
        return true;
    }
    buf_release(&messages);
    return true;
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

static void messages_keep(struct conn *conn, struct buf *messages)
{
    struct buf *kept = malloc(sizeof *kept);

    REQUIRE(kept != NULL);
    *kept = *messages;
    conn->stream->commands = kept;
}

bool conn_socket_on(struct conn *conn)
{
    if (conn->is_lent) {
        return false;
    }
    if (conn->exchange != NULL) {
        command_answer(conn);
        return true;
    }
    if (conn->stream->commands != NULL) {
        command_lend(conn);
        return conn->exchange != NULL && !conn->is_lent;
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
    deadline_clear(&conn->deadline);
    message_time(conn); /* nothing was read meanwhile */
}

/* The first of those that wait. */
static void command_lend(struct conn *conn)
{
    struct connections *connections = conn->connections;
    struct stream *stream = conn->stream;
    struct buf *commands = stream->commands;
    struct exchange *exchange = exchange_new();
    size_t len;

    memcpy(&len, commands->ptr, sizeof len);
    exchange->owner = conn;
    exchange->route = connections->settings->command_route;
    exchange->route_parameter = STR("null");
    exchange->account_id = stream_account_id(stream);
    exchange->session_id = stream->session_id;
    exchange_name(exchange);
    exchange->request.method = METHOD_POST;
    exchange->request.body.max_bytes = len;
    buf_append(&exchange->request.body, commands->ptr + sizeof len, len);
    buf_drop_front(commands, sizeof len + len);
    if (commands->len == 0) {
        buf_release(commands);
        free(commands);
        stream->commands = NULL;
    }
    conn->exchange = exchange;
    if (len == 0) {
        response_error(exchange, ERROR_JSON_MALFORMED);
    } else if (lanes_lend(connections->lanes, exchange)) {
        conn->is_lent = true;
    } else {
        response_error(exchange, ERROR_OVERLOADED);
    }
}

static bool input_take(struct conn *conn)
{
    struct input *input = conn->input;

    if (input == NULL) {
        return false;
    }
    /* Nothing is in its way, or this would not have been reached. */
    REQUIRE(conn_take_frames(conn, input->bytes.ptr + input->at, input->bytes.len - input->at));
    conn_drop_input(conn);
    return true;
}
