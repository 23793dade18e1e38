/* sse.c - events go under the default name "message", so that one listener sees all of them; the
 * type is in the data. */
#include "http/sse.h"

void sse_opening_append(struct buf *out)
{
    buf_append_str(out, STR(": connected\n"));
    sse_retry_append(out, SSE_RETRY_MS);
}

struct str sse_heartbeat(void)
{
    return STR(":\n\n");
}

void sse_event_append(struct buf *out, struct str text)
{
    buf_append_str(out, STR("data: "));
    buf_append_str(out, text);
    buf_append_str(out, STR("\n\n"));
}

void sse_retry_append(struct buf *out, unsigned retry_ms)
{
    buf_append_format(out, "retry: %u\n\n", retry_ms);
}
