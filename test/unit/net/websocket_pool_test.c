/* websocket_pool_test.c - contexts that are used again: how many, which, and as if they were new.
 */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "support/websocket_take.h"

#define MESSAGE_MAX_BYTES 1000u
#define BUFFER_MAX_BYTES 65536u
#define MANY (WEBSOCKETS_SPARE_MAX + 3u)

/* Masks of zeros: the payload stands as it is. */
#define MASK "\0\0\0\0"
#define TEXT_HI "\x81\x82" MASK "hi"
#define PING "\x89\x80" MASK

struct outcome {
    bool goes_on;
    bool has_closed;
    struct buf messages;
    struct buf answer;
};

static struct websocket_pool pool;

static int pool_empty(void **state)
{
    (void)state;
    websocket_pool_release(&pool);
    assert_int_equal(pool.spare_count, 0);
    return 0;
}

static void outcome_release(struct outcome *outcome)
{
    buf_release(&outcome->messages);
    buf_release(&outcome->answer);
}

static void take_with_limit(struct websocket **place, struct str bytes, size_t max_bytes,
                            struct outcome *out)
{
    struct websocket_seen seen = {0};

    buf_init(&out->messages, BUFFER_MAX_BYTES);
    buf_init(&out->answer, BUFFER_MAX_BYTES);
    out->goes_on =
        websocket_take_all(&pool, place, bytes, max_bytes, &seen, &out->messages, &out->answer);
    out->has_closed = seen.has_closed;
}

static void take(struct websocket **place, struct str bytes)
{
    struct outcome outcome;

    take_with_limit(place, bytes, MESSAGE_MAX_BYTES, &outcome);
    assert_true(outcome.goes_on && !outcome.has_closed);
    outcome_release(&outcome);
}

/* A context there is, that said `hi`. */
static void spare_make(void)
{
    struct websocket *socket = NULL;

    take(&socket, STR(TEXT_HI));
    assert_null(socket);
    assert_int_equal(pool.spare_count, 1);
}

static void what_is_complete_gives_its_context_to_the_next(void **state)
{
    struct websocket *socket = NULL;

    (void)state;
    spare_make();
    const struct websocket *spare = pool.spare[0];
    take(&socket, STR("\x81"));
    assert_ptr_equal(socket, spare);
    assert_int_equal(pool.spare_count, 0);
    take(&socket, STR("\x82" MASK "hi" PING));
    assert_null(socket);
    assert_ptr_equal(pool.spare[0], spare);
}

static void no_more_are_kept_than_the_limit(void **state)
{
    struct websocket *sockets[MANY] = {NULL};

    (void)state;
    for (unsigned i = 0; i < MANY; i++) {
        take(&sockets[i], STR("\x81"));
        assert_non_null(sockets[i]);
    }
    for (unsigned i = 0; i < MANY; i++) {
        take(&sockets[i], STR("\x82" MASK "hi"));
        assert_null(sockets[i]);
        assert_int_equal(pool.spare_count,
                         i + 1 < WEBSOCKETS_SPARE_MAX ? i + 1 : WEBSOCKETS_SPARE_MAX);
    }
}

static void what_is_incomplete_or_went_wrong_is_nobody_elses(void **state)
{
    const struct {
        struct str bytes;
        bool goes_on;
    } cases[] = {
        {STR("\x81"), true},                      /* half a head */
        {STR("\x81\x82" MASK "h"), true},         /* half a payload */
        {STR("\x01\x82" MASK "hi"), true},        /* half a message */
        {STR("\x01\x82" MASK "hi" PING), true},   /* with a whole ping within */
        {STR("\xc1\x82" MASK "hi"), false},       /* a reserved bit */
        {STR("\x83\x80" MASK), false},            /* a reserved opcode */
        {STR("\x81\x02hi"), false},               /* no mask */
        {STR("\x81\x82" MASK "\xc3\x28"), false}, /* no UTF-8 */
        {STR("\x81\xfe\x03\xe9" MASK), false},    /* too long */
        {STR("\x88\x80" MASK), false},            /* a close */
        {STR("\x88\x82" MASK "\x03\xe8"), false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct websocket *socket = NULL;
        struct outcome outcome;

        spare_make();
        take_with_limit(&socket, cases[i].bytes, MESSAGE_MAX_BYTES, &outcome);
        assert_int_equal(outcome.goes_on && !outcome.has_closed, cases[i].goes_on);
        assert_int_equal(socket != NULL, cases[i].goes_on);
        outcome_release(&outcome);
        websocket_free(&socket);
        assert_int_equal(pool.spare_count, 0);
        /* The next begins with nothing of it. */
        take_with_limit(&socket, STR(TEXT_HI), MESSAGE_MAX_BYTES, &outcome);
        assert_true(outcome.goes_on && !outcome.has_closed);
        assert_int_equal(outcome.messages.len, sizeof(size_t) + 2);
        assert_memory_equal(outcome.messages.ptr + sizeof(size_t), "hi", 2);
        assert_int_equal(outcome.answer.len, 0);
        outcome_release(&outcome);
        websocket_pool_release(&pool);
    }
}

static void the_limit_of_a_message_is_that_of_its_own_connection(void **state)
{
    struct websocket *socket = NULL;
    struct outcome outcome;

    (void)state;
    spare_make();
    take_with_limit(&socket, STR(TEXT_HI), 1, &outcome);
    assert_false(outcome.goes_on);
    assert_memory_equal(outcome.answer.ptr, "\x88\x02\x03\xf1", 4); /* 1009 */
    outcome_release(&outcome);
    spare_make();
    take_with_limit(&socket, STR(TEXT_HI), 2, &outcome);
    assert_true(outcome.goes_on);
    outcome_release(&outcome);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, pool_empty, pool_empty)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_complete_gives_its_context_to_the_next),
        TEST(no_more_are_kept_than_the_limit),
        TEST(what_is_incomplete_or_went_wrong_is_nobody_elses),
        TEST(the_limit_of_a_message_is_that_of_its_own_connection),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
