/* websocket.c - wslay is given one frame after the other, and tells messages; what it would send is
 * taken at once.
 *
 *   bytes → held until a head is whole, and with it a control frame → wslay → a message, answers
 *
 * Why not the bytes as they come? wslay's judgement of what is wrong depends on how they were cut:
 * it skips two bytes of each piece of a close frame as if they were its code, so that a reason that
 * is no UTF-8 passes or one that is does not, and drops the pongs of what came with a fault. And it
 * waits with a frame that is too long for the first byte of its payload. Given so, every cut is one
 * cut.
 *
 * A message of more frames than MESSAGE_FRAMES_MAX is refused here as well, since wslay keeps each
 * by itself, whatever is in it.
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
#define MASKED_BIT 0x80u
#define FIN_BIT 0x80u
#define RESERVED_MASK 0x70u
#define OPCODE_MASK 0x0fu
#define CONTROL_BIT 0x08u
/* A whole control frame; the head of any other is shorter. */
#define HELD_MAX_BYTES (HEAD_LEN + MASK_LEN + LENGTH_7_MAX)
/* Clients cut messages into frames of a kilobyte and more, if at all. */
#define MESSAGE_FRAMES_MAX 1024u

struct websocket {
    wslay_event_context_ptr frames;
    uint64_t message_max_bytes;
    uint64_t payload_left; /* of a data frame whose head was given; all that comes, once a head was
                              wrong in itself */
    unsigned message_frames; /* of the one that is incomplete */
    bool is_in_message;      /* a part came that is not the last */
    bool is_closed_by_client;
    uint8_t held[HELD_MAX_BYTES]; /* of a frame that was not given yet */
    size_t held_len;
    uint64_t incomplete_bytes; /* what came of the message, or else the frame, that is incomplete */
    /* Of the call that runs. */
    struct str given;
    struct websocket_seen *seen;
    struct buf *answer;
};

static struct websocket *websocket_new(void);
static struct websocket *pool_take(struct websocket_pool *pool);
static void pool_give(struct websocket_pool *pool, struct websocket **place);
static struct str frame_take(struct websocket *socket, struct str *rest);
static size_t frame_held_bytes(const struct websocket *socket);
static size_t length_bytes(const struct websocket *socket);
static uint64_t payload_len(const struct websocket *socket);
static bool head_is_wrong(const struct websocket *socket);
static bool head_goes_on(const struct websocket *socket);
static bool give(struct websocket *socket, struct str bytes);
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

bool websocket_take(struct websocket_pool *pool, struct websocket **place, const char *bytes,
                    size_t len, size_t message_max_bytes, struct websocket_seen *seen,
                    struct buf *answer)
{
    struct str rest = {bytes, len};
    bool goes_on = true;

    if (*place == NULL) {
        *place = pool_take(pool);
        (*place)->message_max_bytes = message_max_bytes;
        wslay_event_config_set_max_recv_msg_length((*place)->frames, message_max_bytes);
    }
    struct websocket *socket = *place;

    /* A reload may have changed it since. */
    seen->text->max_bytes = (size_t)socket->message_max_bytes;
    socket->seen = seen;
    socket->answer = answer;
    while (goes_on && rest.len > 0 && !seen->has_text && !seen->has_binary) {
        struct str given = frame_take(socket, &rest);

        goes_on = given.len == 0 || give(socket, given);
    }
    seen->taken_bytes = len - rest.len;
    if (wslay_event_get_close_received(socket->frames) ||
        wslay_event_get_close_sent(socket->frames)) {
        seen->has_closed = true;
    }
    seen->held_bytes = 0;
    if (!goes_on || seen->has_closed) {
        websocket_free(place);
        return goes_on;
    }
    if (socket->held_len == 0 && socket->payload_left == 0 && !socket->is_in_message) {
        pool_give(pool, place);
        return true;
    }
    seen->held_bytes = (size_t)socket->incomplete_bytes;
    return goes_on;
}

/* What of the rest wslay may have now; nothing while it is held. */
static struct str frame_take(struct websocket *socket, struct str *rest)
{
    struct str taken = {rest->ptr, rest->len};

    if (socket->payload_left > 0) {
        taken.len = socket->payload_left < rest->len ? (size_t)socket->payload_left : rest->len;
        socket->payload_left -= taken.len;
        socket->incomplete_bytes += taken.len;
        *rest = (struct str){rest->ptr + taken.len, rest->len - taken.len};
        return taken;
    }
    if (socket->held_len == 0 && !socket->is_in_message) {
        socket->incomplete_bytes = 0;
    }
    while (rest->len > 0 && socket->held_len < frame_held_bytes(socket)) {
        socket->held[socket->held_len++] = (uint8_t)rest->ptr[0];
        *rest = (struct str){rest->ptr + 1, rest->len - 1};
        socket->incomplete_bytes++;
    }
    if (socket->held_len < frame_held_bytes(socket)) {
        return (struct str){NULL, 0};
    }
    if (head_is_wrong(socket)) {
        socket->payload_left = UINT64_MAX;
    } else if ((socket->held[0] & CONTROL_BIT) == 0) {
        socket->payload_left = payload_len(socket);
    }
    taken = (struct str){(const char *)socket->held, socket->held_len};
    socket->held_len = 0;
    return taken;
}

/* How much of the frame must be there before wslay has it. */
static size_t frame_held_bytes(const struct websocket *socket)
{
    if (socket->held_len < HEAD_LEN || head_is_wrong(socket)) {
        return HEAD_LEN;
    }
    size_t head = HEAD_LEN + length_bytes(socket) + MASK_LEN;

    return (socket->held[0] & CONTROL_BIT) != 0 ? head + payload_len(socket) : head;
}

/* Of a frame whose first two bytes say it all: no client's, or a control frame that is long or a
 * part. */
static bool head_is_wrong(const struct websocket *socket)
{
    bool is_control = (socket->held[0] & CONTROL_BIT) != 0;

    return (socket->held[1] & MASKED_BIT) == 0 ||
           (is_control &&
            ((socket->held[0] & FIN_BIT) == 0 || (socket->held[1] & LENGTH_MASK) > LENGTH_7_MAX));
}

/* Behind the first two. */
static size_t length_bytes(const struct websocket *socket)
{
    unsigned length = socket->held[1] & LENGTH_MASK;

    return length > LENGTH_7_MAX + 1 ? sizeof(uint64_t)
           : length > LENGTH_7_MAX   ? sizeof(uint16_t)
                                     : 0;
}

static uint64_t payload_len(const struct websocket *socket)
{
    size_t bytes = length_bytes(socket);
    uint64_t len = bytes > 0 ? 0 : socket->held[1] & LENGTH_MASK;

    for (size_t i = 0; i < bytes; i++) {
        len = len << 8 | socket->held[HEAD_LEN + i];
    }
    return len;
}

static bool give(struct websocket *socket, struct str bytes)
{
    bool is_head = bytes.ptr == (const char *)socket->held;

    if (is_head && head_goes_on(socket) && socket->payload_left > socket->message_max_bytes) {
        message_refuse(socket);
    }
    socket->given = bytes;
    bool goes_on = wslay_event_recv(socket->frames) == 0;

    goes_on = wslay_event_send(socket->frames) == 0 && goes_on;
    fault_name(socket);
    return goes_on && wslay_event_get_read_enabled(socket->frames);
}

/* Whether it begins a message, or goes on with the one that is incomplete. */
static bool head_goes_on(const struct websocket *socket)
{
    unsigned opcode = socket->held[0] & OPCODE_MASK;

    if (head_is_wrong(socket) || (socket->held[0] & RESERVED_MASK) != 0) {
        return false;
    }
    return socket->is_in_message ? opcode == WSLAY_CONTINUATION_FRAME
                                 : opcode == WSLAY_TEXT_FRAME || opcode == WSLAY_BINARY_FRAME;
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

/* ---- contexts --------------------------------------------------------------------------------*/

static struct websocket *pool_take(struct websocket_pool *pool)
{
    return pool->spare_count > 0 ? pool->spare[--pool->spare_count] : websocket_new();
}

/* wslay cannot be told to begin anew, so only what is as new is kept: it waits for the first byte
 * of a frame, has no part of a message, nothing to send and no word about an end. Its user pointer
 * is set once, for `socket`, which is why they are kept together. */
static void pool_give(struct websocket_pool *pool, struct websocket **place)
{
    struct websocket *socket = *place;

    if (pool->spare_count == WEBSOCKETS_SPARE_MAX || socket->given.len > 0 ||
        wslay_event_want_write(socket->frames) || !wslay_event_get_read_enabled(socket->frames) ||
        !wslay_event_get_write_enabled(socket->frames)) {
        websocket_free(place);
        return;
    }
    socket->incomplete_bytes = 0;
    socket->message_frames = 0;
    socket->seen = NULL;
    socket->answer = NULL;
    pool->spare[pool->spare_count++] = socket;
    *place = NULL;
}

void websocket_pool_release(struct websocket_pool *pool)
{
    while (pool->spare_count > 0) {
        websocket_free(&pool->spare[--pool->spare_count]);
    }
}

static struct websocket *websocket_new(void)
{
    static const struct wslay_event_callbacks callbacks = {.recv_callback = on_recv,
                                                           .send_callback = on_send,
                                                           .on_frame_recv_start_callback = on_frame,
                                                           .on_msg_recv_callback = on_message};
    struct websocket *socket = calloc(1, sizeof *socket);

    REQUIRE(socket != NULL);
    REQUIRE(wslay_event_context_server_init(&socket->frames, &callbacks, socket) == 0);
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

/* ---- what wslay calls ------------------------------------------------------------------------*/

static ssize_t on_recv(wslay_event_context_ptr frames, uint8_t *bytes, size_t len, int flags,
                       void *user)
{
    struct websocket *socket = user;
    size_t taken = len < socket->given.len ? len : socket->given.len;

    (void)flags;
    if (taken == 0) {
        wslay_event_set_error(frames, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    memcpy(bytes, socket->given.ptr, taken);
    socket->given.ptr += taken;
    socket->given.len -= taken;
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

    (void)frames;
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
        socket->seen->has_text = true;
        buf_append(socket->seen->text, message->msg, message->msg_length);
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
