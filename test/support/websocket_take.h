/* websocket_take.h - everything that comes of bytes for a WebSocket, one message after the other.
 *
 * Uses: net/websocket. Used by: test/unit/net, test/fuzz.
 */
#ifndef MIGCHAT_TEST_WEBSOCKET_TAKE_H
#define MIGCHAT_TEST_WEBSOCKET_TAKE_H

#include "net/websocket.h"

/* `seen` is what the last of the calls saw, but has_binary, which stays. `messages` gets each text:
 * its length as a size_t, then it. */
static inline bool websocket_take_all(struct websocket_pool *pool, struct websocket **place,
                                      struct str bytes, size_t message_max_bytes,
                                      struct websocket_seen *seen, struct buf *messages,
                                      struct buf *answer)
{
    bool goes_on = true;

    do {
        bool has_binary = seen->has_binary;
        struct buf text;

        buf_init(&text, message_max_bytes);
        *seen = (struct websocket_seen){.text = &text};
        goes_on =
            websocket_take(pool, place, bytes.ptr, bytes.len, message_max_bytes, seen, answer);
        seen->text = NULL;
        seen->has_binary = seen->has_binary || has_binary;
        if (seen->has_text) {
            buf_append(messages, &text.len, sizeof text.len);
            buf_append_str(messages, buf_str(&text));
        }
        messages->overflowed = messages->overflowed || text.overflowed;
        buf_release(&text);
        bytes = (struct str){bytes.ptr + seen->taken_bytes, bytes.len - seen->taken_bytes};
    } while (bytes.len > 0 && goes_on && !seen->has_closed);
    return goes_on;
}

#endif
