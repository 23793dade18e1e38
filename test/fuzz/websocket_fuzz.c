/* websocket_fuzz.c - frames of a WebSocket: any cut gives the same messages, answers and end.
 *
 * Input: two bytes that choose the cuts, then what a connection receives behind its handshake.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "fuzz/fuzz.h"
#include "support/websocket_take.h"
#include "unit/http/parser_trace.h"

#define MESSAGE_MAX_BYTES 1000u
#define SEEN_MAX_BYTES (16u * 1024u * 1024u)

/* What came of the bytes. */
struct outcome {
    struct buf messages;
    struct buf answer;
    bool has_binary;
    bool has_closed;
    bool has_failed;
    bool is_incomplete;
};

static void take(struct str bytes, struct cutting cutting, struct outcome *out_outcome);
static void cut_and_compare(struct str bytes, struct cutting cutting,
                            const struct outcome *expected);
static void messages_are_texts(struct str messages);
static void outcome_release(struct outcome *outcome);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct outcome whole;

    if (size < 2) {
        return 0;
    }
    struct str bytes = bytes_of(data + 2, size - 2);

    take(bytes, (struct cutting){bytes.len, 1}, &whole);
    messages_are_texts(buf_str(&whole.messages));
    cut_and_compare(bytes, cutting_of(data), &whole);
    outcome_release(&whole);
    return 0;
}

/* Used again and again: a context that was used is to behave as a new one. */
static struct websocket_pool pool;

static void take(struct str bytes, struct cutting cutting, struct outcome *out_outcome)
{
    struct outcome outcome = {0};
    struct websocket *websocket = NULL;
    size_t at = 0;

    buf_init(&outcome.messages, SEEN_MAX_BYTES);
    buf_init(&outcome.answer, SEEN_MAX_BYTES);
    while (at < bytes.len && !outcome.has_failed && !outcome.has_closed) {
        struct websocket_seen seen = {0};
        size_t piece_bytes = cutting_next(&cutting, bytes.len - at);
        /* Memory of its own, so that a sanitizer sees a step outside it. */
        char *piece = malloc(piece_bytes);

        HOLDS(piece != NULL);
        memcpy(piece, bytes.ptr + at, piece_bytes);
        outcome.has_failed =
            !websocket_take_all(&pool, &websocket, (struct str){piece, piece_bytes},
                                MESSAGE_MAX_BYTES, &seen, &outcome.messages, &outcome.answer);
        free(piece);
        outcome.has_binary = outcome.has_binary || seen.has_binary;
        outcome.has_closed = seen.has_closed;
        at += piece_bytes;
    }
    outcome.is_incomplete = websocket != NULL;
    websocket_free(&websocket);
    HOLDS(!outcome.messages.overflowed && !outcome.answer.overflowed);
    *out_outcome = outcome;
}

static void cut_and_compare(struct str bytes, struct cutting cutting,
                            const struct outcome *expected)
{
    struct outcome outcome;

    take(bytes, cutting, &outcome);
    HOLDS(str_equal(buf_str(&outcome.messages), buf_str(&expected->messages)));
    HOLDS(str_equal(buf_str(&outcome.answer), buf_str(&expected->answer)));
    HOLDS(outcome.has_binary == expected->has_binary);
    HOLDS(outcome.has_closed == expected->has_closed);
    HOLDS(outcome.has_failed == expected->has_failed);
    HOLDS(outcome.is_incomplete == expected->is_incomplete);
    outcome_release(&outcome);
}

/* Each within the limit and valid UTF-8; U+0000 is the JSON check's to refuse. */
static void messages_are_texts(struct str messages)
{
    while (messages.len > 0) {
        uint32_t code_point;
        size_t len;

        HOLDS(messages.len >= sizeof len);
        memcpy(&len, messages.ptr, sizeof len);
        messages = (struct str){messages.ptr + sizeof len, messages.len - sizeof len};
        HOLDS(len <= MESSAGE_MAX_BYTES && len <= messages.len);
        struct str text = {messages.ptr, len};

        while (text.len > 0) {
            HOLDS(utf8_next(&text, &code_point));
        }
        messages = (struct str){messages.ptr + len, messages.len - len};
    }
}

static void outcome_release(struct outcome *outcome)
{
    buf_release(&outcome->messages);
    buf_release(&outcome->answer);
}
