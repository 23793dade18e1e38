/* websocket_cuts_test.c - frames are judged alike however their bytes come: at once, each alone, or
 * cut in two anywhere. The rules over a real connection are test/api/websocket_test.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/buf.h"
#include "support/websocket_take.h"

#define MESSAGE_MAX_BYTES 1000u
#define BYTES_MAX 4096u
/* Masked by zeros, which changes nothing. */
#define MASK "\0\0\0\0"
#define BYTES(literal) ((struct str){(literal), sizeof(literal) - 1})

struct outcome {
    struct buf messages;
    struct buf answer;
    bool goes_on;
    bool has_closed;
    bool is_incomplete;
};

/* Used again and again: a context that was used is to behave as a new one. */
static struct websocket_pool pool;

/* The first `cut` bytes, then those behind them; `step` at a time. */
static void take(struct str bytes, size_t cut, size_t step, struct outcome *out_outcome)
{
    struct websocket *websocket = NULL;
    size_t at = 0;

    *out_outcome = (struct outcome){.goes_on = true};
    buf_init(&out_outcome->messages, BYTES_MAX);
    buf_init(&out_outcome->answer, BYTES_MAX);
    while (at < bytes.len && out_outcome->goes_on) {
        struct websocket_seen seen = {0};
        size_t end = at < cut ? cut : bytes.len;
        size_t len = end - at < step ? end - at : step;

        out_outcome->goes_on = websocket_take_all(
            &pool, &websocket, (struct str){bytes.ptr + at, len}, MESSAGE_MAX_BYTES, &seen,
            &out_outcome->messages, &out_outcome->answer);
        out_outcome->has_closed = seen.has_closed;
        at += len;
    }
    out_outcome->is_incomplete = websocket != NULL;
    websocket_free(&websocket);
}

static void outcome_release(struct outcome *outcome)
{
    buf_release(&outcome->messages);
    buf_release(&outcome->answer);
}

static void expect(struct outcome *outcome, struct str messages, struct str answer, bool goes_on,
                   bool is_incomplete)
{
    struct str rest = buf_str(&outcome->messages);
    struct buf texts;

    buf_init(&texts, BYTES_MAX);
    while (rest.len > 0) {
        size_t len;

        memcpy(&len, rest.ptr, sizeof len);
        buf_append(&texts, rest.ptr + sizeof len, len);
        buf_append_char(&texts, '|');
        rest = (struct str){rest.ptr + sizeof len + len, rest.len - sizeof len - len};
    }
    assert_true(str_equal(buf_str(&texts), messages));
    assert_true(str_equal(buf_str(&outcome->answer), answer));
    assert_int_equal(outcome->goes_on, goes_on);
    assert_int_equal(outcome->has_closed, !goes_on);
    assert_int_equal(outcome->is_incomplete, is_incomplete);
    buf_release(&texts);
    outcome_release(outcome);
}

/* `messages` each with a '|' behind it. */
static void check(struct str bytes, struct str messages, struct str answer, bool goes_on,
                  bool is_incomplete)
{
    struct outcome outcome;

    take(bytes, 0, 1, &outcome);
    expect(&outcome, messages, answer, goes_on, is_incomplete);
    for (size_t cut = 0; cut < bytes.len; cut++) {
        take(bytes, cut, bytes.len, &outcome);
        expect(&outcome, messages, answer, goes_on, is_incomplete);
    }
}

static void messages_and_pings_come_whole(void **state)
{
    (void)state;
    check(BYTES("\x81\x82" MASK "hi"
                "\x89\x81" MASK "p"
                "\x01\x81" MASK "a"
                "\x89\x80" MASK "\x80\x81" MASK "b"),
          STR("hi|ab|"), BYTES("\x8a\x01p\x8a\x00"), true, false);
    check(BYTES("\x81\xfe\x00\x7e" MASK
                "123456789012345678901234567890123456789012345678901234567890123"
                "123456789012345678901234567890123456789012345678901234567890123"),
          STR("123456789012345678901234567890123456789012345678901234567890123"
              "123456789012345678901234567890123456789012345678901234567890123|"),
          STR(""), true, false);
}

static void what_is_not_complete_is_kept(void **state)
{
    (void)state;
    check(BYTES("\x81"), STR(""), STR(""), true, true);
    check(BYTES("\x81\x82" MASK "h"), STR(""), STR(""), true, true);
    check(BYTES("\x89\x82" MASK "h"), STR(""), STR(""), true, true);
    check(BYTES("\x01\x81" MASK "a"), STR(""), STR(""), true, true);
}

/* Also a reason that is no UTF-8, in whatever piece it comes. */
static void a_close_is_answered_and_judged(void **state)
{
    (void)state;
    check(BYTES("\x88\x80" MASK), STR(""), BYTES("\x88\x00"), false, false);
    check(BYTES("\x88\x85" MASK "\x03\xe8"
                "bye"),
          STR(""),
          BYTES("\x88\x05\x03\xe8"
                "bye"),
          false, false);
    check(BYTES("\x88\x86" MASK "\x03\xe8\xe2\x82\xac!"), STR(""),
          BYTES("\x88\x06\x03\xe8\xe2\x82\xac!"), false, false);
    check(BYTES("\x88\x83" MASK "\x03\xe8\xff"), STR(""), BYTES("\x88\x02\x03\xef"), false, false);
    check(BYTES("\x88\x82" MASK "\x03\xe7"), STR(""), BYTES("\x88\x02\x03\xea"), false, false);
    check(BYTES("\x88\x81" MASK "\x03"), STR(""), BYTES("\x88\x02\x03\xea"), false, false);
}

/* With a length that no message may have, too: what is wrong with the head decides. */
static void what_breaks_the_rules_is_told_with_one_code(void **state)
{
    static const struct str protocol_error = {"\x88\x02\x03\xea", 4};

    (void)state;
    check(BYTES("\x81\x01x"), STR(""), protocol_error, false, false);
    check(BYTES("\xc1\x81" MASK "x"), STR(""), protocol_error, false, false);
    check(BYTES("\x80\x81" MASK "x"), STR(""), protocol_error, false, false);
    check(BYTES("\x09\x80" MASK), STR(""), protocol_error, false, false);
    check(BYTES("\x89\xfe\x00\x7e" MASK), STR(""), protocol_error, false, false);
    check(BYTES("\x83\x81" MASK "x"), STR(""), protocol_error, false, false);
    check(BYTES("\x80\xfe\xde\xde" MASK "x"), STR(""), protocol_error, false, false);
    check(BYTES("\xc1\xfe\xde\xde" MASK "x"), STR(""), protocol_error, false, false);
    check(BYTES("\x81\xfe\xde\xde" MASK), STR(""), BYTES("\x88\x02\x03\xf1"), false, false);
    check(BYTES("\x81\xfe\xde\xde" MASK "x"), STR(""), BYTES("\x88\x02\x03\xf1"), false, false);
    /* The pong of what came before a fault. */
    check(BYTES("\x89\x81" MASK "p"
                "\x83\x81" MASK "x"),
          STR(""), BYTES("\x8a\x01p\x88\x02\x03\xea"), false, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_and_pings_come_whole),
        cmocka_unit_test(what_is_not_complete_is_kept),
        cmocka_unit_test(a_close_is_answered_and_judged),
        cmocka_unit_test(what_breaks_the_rules_is_told_with_one_code),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
