/* http_feed_fuzz.c - the parser: any cut of the same bytes gives the same requests and the same
 * verdict.
 *
 * Input: two bytes that choose the cuts and whether bodies are kept, then what a connection
 * receives.
 */
#include "fuzz/fuzz.h"
#include "unit/http/parser_trace.h"

static void cut_and_compare(struct str bytes, struct cutting cutting, bool keeps_body,
                            const struct buf *expected);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf whole;

    if (size < 2) {
        return 0;
    }
    struct str bytes = bytes_of(data + 2, size - 2);
    bool keeps_body = (data[1] & 1) != 0;

    buf_init(&whole, TRACE_MAX_BYTES);
    trace_of(bytes, (struct cutting){bytes.len, 1}, keeps_body, &whole);
    cut_and_compare(bytes, cutting_of(data), keeps_body, &whole);
    buf_release(&whole);
    return 0;
}

static void cut_and_compare(struct str bytes, struct cutting cutting, bool keeps_body,
                            const struct buf *expected)
{
    struct buf trace;

    buf_init(&trace, TRACE_MAX_BYTES);
    trace_of(bytes, cutting, keeps_body, &trace);
    HOLDS(str_equal(buf_str(&trace), buf_str(expected)));
    buf_release(&trace);
}
