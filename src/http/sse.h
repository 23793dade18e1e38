/* sse.h - the lines of Server-Sent Events (WHATWG HTML, section 9.2).
 *
 * Uses:    base.
 * Used by: api (first page, frames), net (heartbeats and farewells).
 * Thread:  any.
 */
#ifndef MIGCHAT_HTTP_SSE_H
#define MIGCHAT_HTTP_SSE_H

#include <stddef.h>

#include "base/buf.h"
#include "base/put.h"
#include "base/str.h"

/* How long a client waits before it comes back, unless it is told otherwise. */
#define SSE_RETRY_MS 2000u

/* What stands around an event's id and its one line of data. */
#define SSE_FRAME_REST_BYTES 16u
/* "id: ID\ndata: " and, behind the data, "\n\n". */
static inline char *sse_id_put(char *at, struct str id)
{
    at = put_str(put_str(at, STR("id: ")), id);
    return put_str(at, STR("\ndata: "));
}
static inline char *sse_end_put(char *at)
{
    return put_str(at, STR("\n\n"));
}

/* What a stream begins with: bytes at once, so that proxies and clients see that it is open. */
void sse_opening_append(struct buf *out);
/* A line that is no event: the connection still lives. */
struct str sse_heartbeat(void);
/* An event without an id: no entry of the log. */
void sse_event_append(struct buf *out, struct str text);
/* How long the client waits before it comes back. */
void sse_retry_append(struct buf *out, unsigned retry_ms);

#endif
