/* buf.h - a growable byte buffer born with its limit.
 *
 * Appending past the limit sets `overflowed` and appends nothing, once and for all, so a writer
 * appends freely and asks at the end. Memory exhaustion aborts.
 *
 * Uses: base/require, base/str, libc. Used by: http, api, net, config. Thread: one at a time.
 * Memory: heap, owned by the buf; buf_release gives it back.
 */
#ifndef MIGCHAT_BASE_BUF_H
#define MIGCHAT_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/str.h"

struct buf {
    char *ptr; /* NULL while empty */
    size_t len;
    size_t capacity;
    size_t max_bytes;
    bool overflowed;
};

/* Storage is the caller's; takes no memory before the first append. */
void buf_init(struct buf *buf, size_t max_bytes);
void buf_release(struct buf *buf);
/* Empties it, keeps the memory, forgets an overflow. */
void buf_clear(struct buf *buf);
void buf_append(struct buf *buf, const void *bytes, size_t len);
void buf_append_str(struct buf *buf, struct str s);
void buf_append_char(struct buf *buf, char c);
void buf_append_int(struct buf *buf, int64_t value);
void buf_append_format(struct buf *buf, const char *format, ...) PRINTF_LIKE(2, 3);
/* Room for `len` more bytes at the end, to be written by the caller and then claimed with
 * buf_grow; NULL (and overflowed) when the limit forbids it. */
char *buf_reserve(struct buf *buf, size_t len);
void buf_grow(struct buf *buf, size_t len);
/* Drops the first `len` bytes. */
void buf_drop_front(struct buf *buf, size_t len);
/* Cuts back to `len` bytes. */
void buf_truncate(struct buf *buf, size_t len);
struct str buf_str(const struct buf *buf);

#endif
