/* sse_test.c - the lines of Server-Sent Events, as the WHATWG's parser takes them. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "http/sse.h"

static void expect(struct buf *out, const char *text)
{
    assert_int_equal(out->len, strlen(text));
    assert_memory_equal(out->ptr, text, out->len);
    buf_clear(out);
}

static void lines_are_blocks_that_end_with_an_empty_one(void **state)
{
    struct buf out;

    (void)state;
    buf_init(&out, 1024);
    sse_opening_append(&out);
    expect(&out, ": connected\nretry: 2000\n\n");
    sse_event_append(&out, STR("{}"));
    expect(&out, "data: {}\n\n");
    sse_retry_append(&out, 1234);
    expect(&out, "retry: 1234\n\n");
    buf_append_str(&out, sse_heartbeat());
    expect(&out, ":\n\n");
    buf_release(&out);
}

static void what_stands_around_an_event_is_as_long_as_it_says(void **state)
{
    char bytes[64];
    char *at = sse_id_put(bytes, STR("epoch:7"));

    (void)state;
    memcpy(at, "{}", 2);
    at = sse_end_put(at + 2);
    assert_int_equal(at - bytes, strlen("id: epoch:7\ndata: {}\n\n"));
    assert_memory_equal(bytes, "id: epoch:7\ndata: {}\n\n", (size_t)(at - bytes));
    assert_true((size_t)(at - bytes) <= SSE_FRAME_REST_BYTES + strlen("epoch:7") + 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_blocks_that_end_with_an_empty_one),
        cmocka_unit_test(what_stands_around_an_event_is_as_long_as_it_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
