/* buf.h - a growable byte buffer born with its limit.
 *
 * Appending past the limit sets `overflowed` and appends nothing, once and for all, so a writer
 * appends freely and asks at the end. Memory exhaustion aborts.
 *
 * Uses: base/require, base/str, libc. Used by: http, api, net, config. Thread: one at a time.
 * Memory: heap, owned by the buf; buf_release gives it back. What is borrowed stays its owner's.
 */
#ifndef MIGCHAT_BASE_BUF_H
#define MIGCHAT_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/attributes.h"
#include "base/str.h"

struct buf {
    char *ptr; /* NULL while empty */
    size_t len;
    size_t capacity;
    size_t max_bytes;
    bool overflowed;
    bool is_borrowed; /* ptr is somebody else's memory: only read, never freed */
    bool is_secret;   /* may have held a password or token since buf_wipe: its memory is overwritten
                         before it is given back. Set by whoever fills it. */
};

/* Storage is the caller's; takes no memory before the first append. */
void buf_init(struct buf *buf, size_t max_bytes);
void buf_release(struct buf *buf);
/* Empties it, keeps the memory, forgets an overflow. What was secret stays there, and marked. */
void buf_clear(struct buf *buf);
/* buf_clear, and all its memory is overwritten: nothing is secret any more. */
void buf_wipe(struct buf *buf);
void buf_append_int(struct buf *buf, int64_t value);
void buf_append_format(struct buf *buf, const char *format, ...) PRINTF_LIKE(2, 3);
void buf_grow(struct buf *buf, size_t len);
/* Drops the first `len` bytes. */
void buf_drop_front(struct buf *buf, size_t len);
/* Cuts back to `len` bytes. */
void buf_truncate(struct buf *buf, size_t len);
struct str buf_str(const struct buf *buf);
/* Shows these bytes, which must outlive the buf's use of them, instead of a copy; its limit does
 * not count. Nothing can be appended (it has overflowed) until it is cleared. */
void buf_borrow(struct buf *buf, struct str bytes);

/* For buf_reserve only: when there is not room enough yet. */
char *buf_make_room(struct buf *buf, size_t len);

/* Room for `len` more bytes at the end, to be written by the caller and then claimed with
 * buf_grow; NULL (and overflowed) when the limit forbids it. */
static inline char *buf_reserve(struct buf *buf, size_t len)
{
    bool has_room = !buf->overflowed && buf->ptr != NULL && len <= buf->capacity - buf->len &&
                    len <= buf->max_bytes - buf->len;

    return has_room ? buf->ptr + buf->len : buf_make_room(buf, len);
}

static inline void buf_append(struct buf *buf, const void *bytes, size_t len)
{
    if (len == 0) {
        return;
    }
    char *at = buf_reserve(buf, len);
    if (at != NULL) {
        memcpy(at, bytes, len);
        buf->len += len;
    }
}

static inline void buf_append_str(struct buf *buf, struct str s)
{
    buf_append(buf, s.ptr, s.len);
}

static inline void buf_append_char(struct buf *buf, char c)
{
    buf_append(buf, &c, 1);
}

#endif
