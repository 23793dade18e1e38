/* websocket_test.c - frames from clients: whole, cut anywhere, wrong, too many; and those to
 * clients. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/websocket_take.h"

#define MESSAGE_MAX_BYTES (256u * 1024u)
#define FRAMES_MAX 1024u
#define MASK_KEY "\x12\x34\x56\x78"
#define RANDOM_ROUNDS 300u
#define BUFFER_MAX_BYTES (1u << 20)

enum { CONTINUATION = 0, TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10 };
#define FIN 0x80u

static struct websocket_pool pool;

/* A client, and all that came of what it sent. */
struct client {
    struct websocket *socket;
    struct buf messages; /* each its length as a size_t, then it */
    struct buf answer;
    bool has_binary;
    bool has_closed;
    bool has_failed;
    size_t held_bytes;
};

static void client_init(struct client *client)
{
    *client = (struct client){0};
    buf_init(&client->messages, BUFFER_MAX_BYTES);
    buf_init(&client->answer, BUFFER_MAX_BYTES);
}

static void client_release(struct client *client)
{
    websocket_free(&client->socket);
    buf_release(&client->messages);
    buf_release(&client->answer);
}

static void client_send(struct client *client, const char *bytes, size_t len)
{
    struct websocket_seen seen = {0};

    assert_false(client->has_failed);
    client->has_failed =
        !websocket_take_all(&pool, &client->socket, (struct str){bytes, len}, MESSAGE_MAX_BYTES,
                            &seen, &client->messages, &client->answer);
    client->held_bytes = seen.held_bytes;
    client->has_binary = client->has_binary || seen.has_binary;
    client->has_closed = client->has_closed || seen.has_closed;
}

/* A client's frame; `said` is the length its head gives. */
static void frame_add(struct buf *out, unsigned first, const char *payload, size_t len,
                      uint64_t said)
{
    unsigned bytes = said > UINT16_MAX ? 8 : said > 125 ? 2 : 0;

    buf_append_char(out, (char)first);
    buf_append_char(out, (char)(0x80u | (bytes == 8 ? 127u : bytes == 2 ? 126u : (unsigned)said)));
    for (unsigned i = bytes; i > 0; i--) {
        buf_append_char(out, (char)(said >> 8 * (i - 1)));
    }
    buf_append(out, MASK_KEY, 4);
    for (size_t i = 0; i < len; i++) {
        buf_append_char(out, (char)(payload[i] ^ MASK_KEY[i % 4]));
    }
}

static void text_add(struct buf *out, unsigned first, const char *text)
{
    frame_add(out, first, text, strlen(text), strlen(text));
}

/* Three messages, two of them in frames with a ping between, one empty, one with a length of two
 * bytes and one with eight. */
static void conversation_make(struct buf *out)
{
    char *large = malloc(70000);

    assert_non_null(large);
    memset(large, 'l', 70000);
    text_add(out, FIN | TEXT, "one");
    text_add(out, TEXT, "t");
    text_add(out, FIN | PING, "between");
    text_add(out, CONTINUATION, "");
    text_add(out, FIN | CONTINUATION, "wo \xc3\xa4");
    text_add(out, FIN | TEXT, "");
    frame_add(out, TEXT, large, 200, 200);
    frame_add(out, FIN | CONTINUATION, large, 70000, 70000);
    text_add(out, FIN | PONG, "unasked");
    text_add(out, FIN | PING, "");
    free(large);
}

static void message_expect(struct str *messages, const char *text, size_t len)
{
    size_t found;

    assert_true(messages->len >= sizeof found);
    memcpy(&found, messages->ptr, sizeof found);
    assert_int_equal(found, len);
    messages->ptr += sizeof found;
    messages->len -= sizeof found;
    assert_true(messages->len >= len);
    if (text != NULL) {
        assert_memory_equal(messages->ptr, text, len);
    }
    messages->ptr += len;
    messages->len -= len;
}

static void conversation_expect(const struct client *client)
{
    static const char pongs[] = "\x8a\x07"
                                "between\x8a";
    struct str messages = buf_str(&client->messages);

    message_expect(&messages, "one", 3);
    message_expect(&messages, "two \xc3\xa4", 6);
    message_expect(&messages, "", 0);
    message_expect(&messages, NULL, 70200);
    assert_int_equal(messages.len, 0);
    assert_int_equal(client->answer.len, sizeof pongs); /* its NUL is the second one's length */
    assert_memory_equal(client->answer.ptr, pongs, sizeof pongs);
    assert_false(client->has_failed || client->has_closed || client->has_binary);
    assert_null(client->socket);
}

static void cut_anywhere_frames_are_the_same_messages(void **state)
{
    struct buf sent;

    (void)state;
    buf_init(&sent, BUFFER_MAX_BYTES);
    conversation_make(&sent);
    for (size_t cut = 0; cut <= sent.len; cut += cut < 400 || cut + 100 > sent.len ? 1 : 997) {
        struct client client;

        client_init(&client);
        client_send(&client, sent.ptr, cut);
        client_send(&client, sent.ptr + cut, sent.len - cut);
        conversation_expect(&client);
        client_release(&client);
    }
    buf_release(&sent);
}

static void byte_by_byte_and_in_random_pieces_too(void **state)
{
    struct buf sent;
    unsigned seed = 6;

    (void)state;
    buf_init(&sent, BUFFER_MAX_BYTES);
    conversation_make(&sent);
    for (unsigned round = 0; round < RANDOM_ROUNDS; round++) {
        struct client client;
        size_t at = 0;

        client_init(&client);
        while (at < sent.len) {
            size_t len = round == 0 ? 1 : (size_t)rand_r(&seed) % (round * 50) + 1;

            len = len < sent.len - at ? len : sent.len - at;
            client_send(&client, sent.ptr + at, len);
            at += len;
        }
        conversation_expect(&client);
        client_release(&client);
    }
    buf_release(&sent);
}

static void between_messages_nothing_is_held(void **state)
{
    struct client client;
    struct buf sent;

    (void)state;
    buf_init(&sent, BUFFER_MAX_BYTES);
    client_init(&client);
    text_add(&sent, FIN | TEXT, "a message");
    for (unsigned round = 0; round < 3; round++) {
        for (size_t i = 0; i < sent.len; i++) {
            client_send(&client, sent.ptr + i, 1);
            assert_true((client.socket == NULL) == (i + 1 == sent.len));
        }
    }
    buf_clear(&sent);
    text_add(&sent, TEXT, "a part");
    client_send(&client, sent.ptr, sent.len);
    assert_non_null(client.socket);
    buf_clear(&sent);
    text_add(&sent, FIN | PING, "");
    client_send(&client, sent.ptr, sent.len);
    assert_non_null(client.socket);
    client_release(&client);
    buf_release(&sent);
}

/* It ends with this close frame, which is all that is answered. */
static void close_expect(const struct buf *sent, unsigned code)
{
    struct client client;

    client_init(&client);
    client_send(&client, sent->ptr, sent->len);
    assert_true(client.has_failed || client.has_closed);
    assert_null(client.socket);
    assert_true(client.answer.len >= 4);
    assert_int_equal((unsigned char)client.answer.ptr[0], FIN | CLOSE);
    assert_int_equal((unsigned char)client.answer.ptr[2] << 8 | (unsigned char)client.answer.ptr[3],
                     code);
    client_release(&client);
}

static void what_is_incomplete_is_counted_and_nothing_else(void **state)
{
    struct client client;
    struct buf sent;

    (void)state;
    buf_init(&sent, BUFFER_MAX_BYTES);
    client_init(&client);
    text_add(&sent, FIN | TEXT, "a message");
    size_t len = sent.len;
    client_send(&client, sent.ptr, 1);
    assert_int_equal(client.held_bytes, 1);
    for (unsigned round = 0; round < 3; round++) {
        client_send(&client, sent.ptr + 1, len - 1);
        assert_int_equal(client.held_bytes, 0);
        for (size_t i = 1; i < len; i++) {
            client_send(&client, sent.ptr + (i - 1), 1);
            assert_int_equal(client.held_bytes, i);
        }
        client_send(&client, sent.ptr + len - 1, 1);
        client_send(&client, sent.ptr, 1);
    }
    client_send(&client, sent.ptr + 1, len - 1);
    /* The end of one, and the beginning of the next, in frames. */
    client_send(&client, sent.ptr, 3);
    text_add(&sent, TEXT, "a part");
    client_send(&client, sent.ptr + 3, sent.len - 3);
    size_t part_len = sent.len - len;
    assert_int_equal(client.held_bytes, part_len);
    buf_clear(&sent);
    text_add(&sent, FIN | CONTINUATION, "another");
    client_send(&client, sent.ptr, 8);
    assert_int_equal(client.held_bytes, part_len + 8);
    client_send(&client, sent.ptr + 8, sent.len - 8);
    assert_int_equal(client.held_bytes, 0);
    client_release(&client);
    buf_release(&sent);
}

static void what_breaks_the_rules_has_its_code(void **state)
{
    static const struct {
        unsigned first;
        const char *payload;
        size_t len;
        unsigned code;
    } cases[] = {
        {FIN | 0x40u | TEXT, "x", 1, 1002},
        {FIN | 0x10u | TEXT, "x", 1, 1002},
        {FIN | 3, "x", 1, 1002},
        {FIN | 15, "x", 1, 1002},
        {PING, "x", 1, 1002},
        {FIN | CONTINUATION, "x", 1, 1002},
        {FIN | TEXT, "\xff", 1, 1007},
        {FIN | TEXT, "\xc3", 1, 1007},
        {FIN | TEXT, "\xed\xa0\x80", 3, 1007},
        {FIN | TEXT, "\xf4\x90\x80\x80", 4, 1007},
        {FIN | CLOSE, "\x03", 1, 1002},
        {FIN | CLOSE, "\x03\xe7", 2, 1002},
        {FIN | CLOSE, "\x03\xed", 2, 1002},
        {FIN | CLOSE, "\x03\xe8\xff", 3, 1007},
        {FIN | CLOSE, "\x03\xe8", 2, 1000},
        {FIN | CLOSE, "\x0f\xa0", 2, 4000},
    };
    struct buf sent;

    (void)state;
    buf_init(&sent, BUFFER_MAX_BYTES);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        buf_clear(&sent);
        frame_add(&sent, cases[i].first, cases[i].payload, cases[i].len, cases[i].len);
        close_expect(&sent, cases[i].code);
    }
    buf_clear(&sent); /* no mask */
    buf_append(&sent, "\x81\x01x", 3);
    close_expect(&sent, 1002);
    buf_clear(&sent); /* another message within one */
    text_add(&sent, TEXT, "a");
    text_add(&sent, FIN | TEXT, "b");
    close_expect(&sent, 1002);
    buf_release(&sent);
}

static void a_close_without_a_code_is_answered_without_one(void **state)
{
    struct client client;
    struct buf sent;

    (void)state;
    buf_init(&sent, BUFFER_MAX_BYTES);
    client_init(&client);
    text_add(&sent, FIN | CLOSE, "");
    client_send(&client, sent.ptr, sent.len);
    assert_true(client.has_closed);
    assert_int_equal(client.answer.len, 2);
    assert_memory_equal(client.answer.ptr, "\x88\x00", 2);
    client_release(&client);
    buf_release(&sent);
}

static void no_more_is_taken_than_one_message(void **state)
{
    struct websocket *socket = NULL;
    struct websocket_seen seen = {0};
    struct buf sent, text, answer;

    (void)state;
    buf_init(&sent, BUFFER_MAX_BYTES);
    buf_init(&text, MESSAGE_MAX_BYTES);
    buf_init(&answer, BUFFER_MAX_BYTES);
    text_add(&sent, FIN | PING, "first");
    text_add(&sent, FIN | TEXT, "one");
    size_t end = sent.len;

    text_add(&sent, FIN | TEXT, "two");
    text_add(&sent, FIN | CLOSE, "");
    seen.text = &text;
    assert_true(
        websocket_take(&pool, &socket, sent.ptr, sent.len, MESSAGE_MAX_BYTES, &seen, &answer));
    assert_int_equal(seen.taken_bytes, end);
    assert_true(seen.has_text && !seen.has_closed);
    assert_int_equal(text.len, 3);
    assert_memory_equal(text.ptr, "one", 3);
    assert_int_equal(answer.len, 2 + strlen("first"));
    assert_null(socket);
    buf_release(&sent);
    buf_release(&text);
    buf_release(&answer);
}

static void a_binary_message_is_told(void **state)
{
    struct client client;
    struct buf sent;

    (void)state;
    buf_init(&sent, BUFFER_MAX_BYTES);
    client_init(&client);
    text_add(&sent, FIN | BINARY, "b");
    client_send(&client, sent.ptr, sent.len);
    assert_true(client.has_binary);
    assert_int_equal(client.messages.len, 0);
    client_release(&client);
    buf_release(&sent);
}

static void a_length_that_is_too_long_is_refused_with_its_head(void **state)
{
    struct buf sent;

    (void)state;
    buf_init(&sent, BUFFER_MAX_BYTES);
    for (unsigned step = 1; step <= 14; step += 13) {
        struct client client;

        buf_clear(&sent);
        frame_add(&sent, FIN | TEXT, "", 0, MESSAGE_MAX_BYTES + 1);
        client_init(&client);
        for (size_t at = 0; at < sent.len && !client.has_failed; at += step) {
            client_send(&client, sent.ptr + at, step);
        }
        assert_true(client.has_failed);
        assert_memory_equal(client.answer.ptr, "\x88\x02\x03\xf1", 4);
        client_release(&client);

        buf_clear(&sent);
        frame_add(&sent, FIN | TEXT, "", 0, MESSAGE_MAX_BYTES);
        client_init(&client);
        for (size_t at = 0; at < sent.len; at += step) {
            client_send(&client, sent.ptr + at, step);
        }
        assert_int_equal(client.answer.len, 0);
        client_release(&client);
    }
    buf_release(&sent);
}

static void a_message_has_a_limit_of_frames(void **state)
{
    struct client client;
    struct buf sent;

    (void)state;
    buf_init(&sent, BUFFER_MAX_BYTES);
    client_init(&client);
    for (unsigned message = 0; message < 2; message++) {
        text_add(&sent, TEXT, "m");
        for (unsigned part = 1; part < FRAMES_MAX - 1; part++) {
            text_add(&sent, CONTINUATION, "");
        }
        text_add(&sent, FIN | CONTINUATION, "");
    }
    client_send(&client, sent.ptr, sent.len);
    struct str messages = buf_str(&client.messages);
    message_expect(&messages, "m", 1);
    message_expect(&messages, "m", 1);
    client_release(&client);

    buf_clear(&sent);
    text_add(&sent, TEXT, "m");
    for (unsigned part = 1; part < FRAMES_MAX; part++) {
        text_add(&sent, CONTINUATION, "");
    }
    client_init(&client);
    client_send(&client, sent.ptr, sent.len);
    assert_int_equal(client.answer.len, 0);
    client_release(&client);
    text_add(&sent, CONTINUATION, "");
    close_expect(&sent, 1009);
    buf_release(&sent);
}

static void what_is_sent_has_the_shortest_length(void **state)
{
    static const struct {
        size_t len;
        const char *head;
        size_t head_len;
    } cases[] = {
        {0, "\x81\x00", 2},
        {125, "\x81\x7d", 2},
        {126, "\x81\x7e\x00\x7e", 4},
        {65535, "\x81\x7e\xff\xff", 4},
        {65536, "\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00", 10},
    };
    static char text[65536];
    struct buf out;

    (void)state;
    memset(text, 't', sizeof text);
    buf_init(&out, BUFFER_MAX_BYTES);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        buf_clear(&out);
        websocket_text_append(&out, (struct str){text, cases[i].len});
        assert_int_equal(out.len, cases[i].head_len + cases[i].len);
        assert_memory_equal(out.ptr, cases[i].head, cases[i].head_len);
        assert_memory_equal(out.ptr + cases[i].head_len, text, cases[i].len);
    }
    buf_clear(&out);
    websocket_ping_append(&out);
    websocket_close_append(&out, WEBSOCKET_RESTARTS);
    assert_int_equal(out.len, 6);
    assert_memory_equal(out.ptr, "\x89\x00\x88\x02\x03\xf4", 6);
    buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cut_anywhere_frames_are_the_same_messages),
        cmocka_unit_test(byte_by_byte_and_in_random_pieces_too),
        cmocka_unit_test(between_messages_nothing_is_held),
        cmocka_unit_test(what_is_incomplete_is_counted_and_nothing_else),
        cmocka_unit_test(what_breaks_the_rules_has_its_code),
        cmocka_unit_test(a_close_without_a_code_is_answered_without_one),
        cmocka_unit_test(no_more_is_taken_than_one_message),
        cmocka_unit_test(a_binary_message_is_told),
        cmocka_unit_test(a_length_that_is_too_long_is_refused_with_its_head),
        cmocka_unit_test(a_message_has_a_limit_of_frames),
        cmocka_unit_test(what_is_sent_has_the_shortest_length),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
