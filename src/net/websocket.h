/* websocket.h - frames of a WebSocket (RFC 6455), by wslay, which only this file's source includes.
 *
 * wslay's context is 9 KB, so a connection has one only while a frame or a message is incomplete.
 * Between messages there is nothing; a few contexts without a connection are kept for the next.
 *
 * Uses:    wslay, base.
 * Used by: net/conn_socket.
 * Thread:  the loop.
 * Memory:  heap; a pool is embedded and holds at most WEBSOCKETS_SPARE_MAX contexts.
 */
#ifndef MIGCHAT_NET_WEBSOCKET_H
#define MIGCHAT_NET_WEBSOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

struct websocket; /* of one connection, while it is needed */

/* Contexts that nobody needs now, 10 KB each. Most messages come whole with one read, so one would
 * do; the others are for messages that are incomplete at once. */
#define WEBSOCKETS_SPARE_MAX 8u

struct websocket_pool {
    struct websocket *spare[WEBSOCKETS_SPARE_MAX];
    unsigned spare_count;
};

/* Of an empty one ({0}) or any other: frees the contexts in it. */
void websocket_pool_release(struct websocket_pool *pool);

/* Close codes: RFC 6455 section 7.4.1, and one of our own. */
enum websocket_code {
    WEBSOCKET_PROTOCOL_ERROR = 1002,
    WEBSOCKET_BINARY_REFUSED = 1003,
    WEBSOCKET_TOO_SLOW = 1008,
    WEBSOCKET_RESTARTS = 1012,
    WEBSOCKET_TRY_LATER = 1013,
    WEBSOCKET_TOKEN_INVALID = 4401
};

/* What came of the bytes. */
struct websocket_seen {
    size_t taken_bytes; /* so many of them */
    struct buf *text; /* the message that is complete, if it is a text; empty before, and its limit
                         becomes the one that was there when the message began */
    bool has_text;
    bool has_binary;   /* it is no text */
    bool has_closed;   /* the client's close frame came, or ours was made for a fault */
    size_t held_bytes; /* of what is incomplete: what came of it */
};

/* Takes the bytes up to the end of the first message, or all of them. *place is the context, from
 * the pool or made when it is NULL; NULL again afterwards when nothing of it is needed. What is to
 * be answered (pongs, closes) is appended to `answer`. False when it cannot go on: an answer of
 * 1002, 1007 or 1009 is in `answer` then. */
bool websocket_take(struct websocket_pool *pool, struct websocket **place, const char *bytes,
                    size_t len, size_t message_max_bytes, struct websocket_seen *seen,
                    struct buf *answer);
/* With what is incomplete: such a context is nobody else's. */
void websocket_free(struct websocket **place);

/* One unfragmented frame: a text, an empty ping, a close. */
void websocket_text_append(struct buf *out, struct str text);
void websocket_ping_append(struct buf *out);
void websocket_close_append(struct buf *out, enum websocket_code code);

#endif
