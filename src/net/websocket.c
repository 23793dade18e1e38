/* websocket.c - wslay is given what came, and tells messages; what it would send is taken at once.
 *
 * When is nothing needed of it? wslay does not say whether it is within a frame's head. So
 * the bytes of frames that began are added up: when they are all that came, the last frame is
 * complete, and nothing is needed unless that one is a part of a message.
 *
 * What wslay would wait for is refused here: a message of more frames than MESSAGE_FRAMES_MAX,
 * since it keeps each by itself, whatever is in it; and a frame that is longer than a message may
 * be, which it looks at with the first byte of the payload.
 */
#include "net/websocket.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <wslay/wslay.h>

#include "base/require.h"

/* A client's frame: two bytes, a longer length, the mask (RFC 6455 section 5.2). */
#define HEAD_LEN 2u
#define MASK_LEN 4u
#define LENGTH_7_MAX 125u
#define LENGTH_16_MAX 65535u
#define FRAME_HEAD_MAX_BYTES 10u
#define LENGTH_MASK 0x7fu
/* Clients cut messages into frames of a kilobyte and more, if at all. */
#define MESSAGE_FRAMES_MAX 1024u

struct websocket {
    wslay_event_context_ptr frames;
    uint64_t taken_bytes;  /* given to wslay */
    uint64_t framed_bytes; /* of frames that began */
    uint64_t done_bytes;   /* before the message, or else the frame, that is incomplete */
    uint64_t message_max_bytes;
    unsigned message_frames; /* of the one that is incomplete */
    bool is_in_message;      /* a part came that is not the last */
    bool is_closed_by_client;
    uint8_t head[HEAD_LEN + sizeof(uint64_t)]; /* of a frame that did not begin yet: what came */
    size_t head_len;
    /* Of the call that runs. */
    struct str rest;
    struct websocket_seen *seen;
    struct buf *answer;
};

static struct websocket *websocket_new(size_t message_max_bytes);
static bool head_keep(struct websocket *socket, struct str bytes);
static void message_refuse(struct websocket *socket);
static void fault_name(struct websocket *socket);
static ssize_t on_recv(wslay_event_context_ptr frames, uint8_t *bytes, size_t len, int flags,
                       void *user);
static ssize_t on_send(wslay_event_context_ptr frames, const uint8_t *bytes, size_t len, int flags,
                       void *user);
static void on_frame(wslay_event_context_ptr frames,
                     const struct wslay_event_on_frame_recv_start_arg *frame, void *user);
static void on_message(wslay_event_context_ptr frames,
                       const struct wslay_event_on_msg_recv_arg *message, void *user);
static void frame_append(struct buf *out, uint8_t opcode, struct str payload);

bool websocket_take(struct websocket **place, const char *bytes, size_t len,
                    size_t message_max_bytes, struct websocket_seen *seen, struct buf *answer)
{
    if (*place == NULL) {
        *place = websocket_new(message_max_bytes);
    }
    struct websocket *socket = *place;

    socket->rest = (struct str){bytes, len};
    socket->seen = seen;
    socket->answer = answer;
    bool goes_on = wslay_event_recv(socket->frames) == 0;
    if (goes_on && wslay_event_get_read_enabled(socket->frames) &&
        !head_keep(socket, (struct str){bytes, len})) {
        message_refuse(socket);
    }
    goes_on = wslay_event_send(socket->frames) == 0 && goes_on;
    fault_name(socket);
    if (wslay_event_get_close_received(socket->frames) ||
        wslay_event_get_close_sent(socket->frames)) {
        seen->has_closed = true;
    }
    goes_on = goes_on && wslay_event_get_read_enabled(socket->frames);
    if (!goes_on || (socket->taken_bytes == socket->framed_bytes && !socket->is_in_message)) {
        websocket_free(place);
        seen->held_bytes = 0;
        return goes_on;
    }
    if (!socket->is_in_message && socket->taken_bytes > socket->framed_bytes) {
        socket->done_bytes = socket->framed_bytes; /* a head is all there is */
    }
    seen->held_bytes = (size_t)(socket->taken_bytes - socket->done_bytes);
    return goes_on;
}

/* False when the frame whose head came, and nothing behind it, is longer than a message may be. */
static bool head_keep(struct websocket *socket, struct str bytes)
{
    size_t waiting = socket->taken_bytes > socket->framed_bytes
                         ? (size_t)(socket->taken_bytes - socket->framed_bytes)
                         : 0;

    if (waiting < bytes.len || waiting == 0) {
        socket->head_len = 0; /* it began with these bytes, if at all */
        bytes = (struct str){bytes.ptr + bytes.len - waiting, waiting};
    }
    for (size_t i = 0; i < bytes.len && socket->head_len < sizeof socket->head; i++) {
        socket->head[socket->head_len++] = (uint8_t)bytes.ptr[i];
    }
    unsigned length = socket->head_len >= HEAD_LEN ? socket->head[1] & LENGTH_MASK : 0;
    size_t length_bytes = length > LENGTH_7_MAX + 1 ? sizeof(uint64_t)
                          : length > LENGTH_7_MAX   ? sizeof(uint16_t)
                                                    : 0;
    uint64_t payload_len = length;
    if (length_bytes > 0 && socket->head_len >= HEAD_LEN + length_bytes) {
        payload_len = 0;
        for (size_t i = 0; i < length_bytes; i++) {
            payload_len = payload_len << 8 | socket->head[HEAD_LEN + i];
        }
    }
    return payload_len <= socket->message_max_bytes;
}

static void message_refuse(struct websocket *socket)
{
    wslay_event_shutdown_read(socket->frames);
    REQUIRE(wslay_event_queue_close(socket->frames, WSLAY_CODE_MESSAGE_TOO_BIG, NULL, 0) == 0);
}

/* What wslay finds wrong with a frame itself it closes without a code; clients are to be told. */
static void fault_name(struct websocket *socket)
{
    static const char nameless[] = {(char)(0x80 | WSLAY_CONNECTION_CLOSE), 0};
    struct buf *answer = socket->answer;

    if (wslay_event_get_close_sent(socket->frames) && !socket->is_closed_by_client &&
        answer->len >= sizeof nameless &&
        memcmp(answer->ptr + answer->len - sizeof nameless, nameless, sizeof nameless) == 0) {
        buf_truncate(answer, answer->len - sizeof nameless);
        websocket_close_append(answer, WEBSOCKET_PROTOCOL_ERROR);
    }
}

static struct websocket *websocket_new(size_t message_max_bytes)
{
    static const struct wslay_event_callbacks callbacks = {.recv_callback = on_recv,
                                                           .send_callback = on_send,
                                                           .on_frame_recv_start_callback = on_frame,
                                                           .on_msg_recv_callback = on_message};
    struct websocket *socket = calloc(1, sizeof *socket);

    REQUIRE(socket != NULL);
    REQUIRE(wslay_event_context_server_init(&socket->frames, &callbacks, socket) == 0);
    wslay_event_config_set_max_recv_msg_length(socket->frames, message_max_bytes);
    socket->message_max_bytes = message_max_bytes;
    return socket;
}

void websocket_free(struct websocket **place)
{
    if (*place != NULL) {
        wslay_event_context_free((*place)->frames);
        free(*place);
        *place = NULL;
    }
}

static ssize_t on_recv(wslay_event_context_ptr frames, uint8_t *bytes, size_t len, int flags,
                       void *user)
{
    struct websocket *socket = user;
    size_t taken = len < socket->rest.len ? len : socket->rest.len;

    (void)flags;
    if (taken == 0) {
        wslay_event_set_error(frames, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    memcpy(bytes, socket->rest.ptr, taken);
    socket->rest.ptr += taken;
    socket->rest.len -= taken;
    socket->taken_bytes += taken;
    return (ssize_t)taken;
}

static ssize_t on_send(wslay_event_context_ptr frames, const uint8_t *bytes, size_t len, int flags,
                       void *user)
{
    struct websocket *socket = user;

    (void)frames;
    (void)flags;
    buf_append(socket->answer, bytes, len);
    return (ssize_t)len;
}

static void on_frame(wslay_event_context_ptr frames,
                     const struct wslay_event_on_frame_recv_start_arg *frame, void *user)
{
    struct websocket *socket = user;
    uint64_t head = HEAD_LEN + MASK_LEN;

    (void)frames;
    if (frame->payload_length > LENGTH_16_MAX) {
        head += sizeof(uint64_t);
    } else if (frame->payload_length > LENGTH_7_MAX) {
        head += sizeof(uint16_t);
    }
    if (!socket->is_in_message) {
        socket->done_bytes = socket->framed_bytes;
    }
    socket->framed_bytes += head + frame->payload_length;
    if (!wslay_is_ctrl_frame(frame->opcode)) {
        socket->message_frames = socket->is_in_message ? socket->message_frames + 1 : 1;
        socket->is_in_message = frame->fin == 0;
        if (socket->message_frames > MESSAGE_FRAMES_MAX) {
            message_refuse(socket);
        }
    }
}

static void on_message(wslay_event_context_ptr frames,
                       const struct wslay_event_on_msg_recv_arg *message, void *user)
{
    struct websocket *socket = user;

    (void)frames;
    if (message->opcode == WSLAY_TEXT_FRAME) {
        buf_append(socket->seen->messages, &message->msg_length, sizeof message->msg_length);
        buf_append(socket->seen->messages, message->msg, message->msg_length);
    } else if (message->opcode == WSLAY_BINARY_FRAME) {
        socket->seen->has_binary = true;
    } else if (message->opcode == WSLAY_CONNECTION_CLOSE) {
        /* A code is two bytes: one alone is a fault that wslay answers without one. */
        socket->is_closed_by_client = message->msg_length != 1;
    }
}

/* ---- sending ---------------------------------------------------------------------------------*/

void websocket_text_append(struct buf *out, struct str text)
{
    frame_append(out, WSLAY_TEXT_FRAME, text);
}

void websocket_ping_append(struct buf *out)
{
    frame_append(out, WSLAY_PING, (struct str){NULL, 0});
}

void websocket_close_append(struct buf *out, enum websocket_code code)
{
    uint16_t number = htons((uint16_t)code);

    frame_append(out, WSLAY_CONNECTION_CLOSE, (struct str){(const char *)&number, sizeof number});
}

/* A server's frame is its length and its bytes; wslay would need a context for it. */
static void frame_append(struct buf *out, uint8_t opcode, struct str payload)
{
    uint8_t head[FRAME_HEAD_MAX_BYTES] = {(uint8_t)(0x80u | opcode)};
    size_t len = HEAD_LEN;

    if (payload.len <= LENGTH_7_MAX) {
        head[1] = (uint8_t)payload.len;
    } else {
        size_t bytes = payload.len <= LENGTH_16_MAX ? sizeof(uint16_t) : sizeof(uint64_t);

        head[1] = bytes == sizeof(uint16_t) ? LENGTH_7_MAX + 1 : LENGTH_7_MAX + 2;
        for (size_t i = bytes; i > 0; i--) {
            head[len++] = (uint8_t)((uint64_t)payload.len >> 8 * (i - 1));
        }
    }
    buf_append(out, head, len);
    buf_append_str(out, payload);
}
