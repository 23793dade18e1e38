/* buf.c - grows by doubling, never past its limit.
 *
 * The memory always has one byte more than `capacity`, so that vsnprintf may end its text with a
 * NUL that does not count.
 */
#include "base/buf.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/put.h"
#include "base/require.h"

#define CAPACITY_FIRST_BYTES 64u

static char *memory_grow(struct buf *buf, size_t capacity);

void buf_init(struct buf *buf, size_t max_bytes)
{
    REQUIRE(max_bytes <= SIZE_MAX / 4);
    *buf = (struct buf){.max_bytes = max_bytes};
}

void buf_release(struct buf *buf)
{
    if (buf->is_secret) {
        buf_wipe(buf);
    }
    if (!buf->is_borrowed) {
        free(buf->ptr);
    }
    buf_init(buf, buf->max_bytes);
}

void buf_clear(struct buf *buf)
{
    buf->len = 0;
    buf->overflowed = false;
}

void buf_wipe(struct buf *buf)
{
    if (buf->ptr != NULL && !buf->is_borrowed) {
        explicit_bzero(buf->ptr, buf->capacity);
    }
    buf_clear(buf);
    buf->is_secret = false;
}

void buf_append_int(struct buf *buf, int64_t value)
{
    char text[PUT_INT_MAX_BYTES];

    buf_append(buf, text, (size_t)(put_int(text, value) - text));
}

void buf_append_format(struct buf *buf, const char *format, ...)
{
    va_list values;

    va_start(values, format);
    int len = vsnprintf(NULL, 0, format, values);
    va_end(values);
    REQUIRE(len >= 0);
    char *at = buf_reserve(buf, (size_t)len);
    if (at != NULL) {
        va_start(values, format);
        vsnprintf(at, (size_t)len + 1, format, values);
        va_end(values);
        buf->len += (size_t)len;
    }
}

char *buf_make_room(struct buf *buf, size_t len)
{
    if (buf->overflowed || len > buf->max_bytes - buf->len) {
        buf->overflowed = true;
        return NULL;
    }
    size_t needed_bytes = buf->len + len;
    if (buf->ptr == NULL || needed_bytes > buf->capacity) {
        size_t capacity = buf->capacity * 2;
        if (capacity < CAPACITY_FIRST_BYTES) {
            capacity = CAPACITY_FIRST_BYTES;
        }
        if (capacity < needed_bytes) {
            capacity = needed_bytes;
        }
        if (capacity > buf->max_bytes) {
            capacity = buf->max_bytes;
        }
        buf->ptr = memory_grow(buf, capacity);
        buf->is_borrowed = false;
        buf->capacity = capacity;
    }
    return buf->ptr + buf->len;
}

/* realloc may leave a copy of a secret behind. */
static char *memory_grow(struct buf *buf, size_t capacity)
{
    bool moves = buf->is_secret && !buf->is_borrowed && buf->ptr != NULL;
    char *grown = realloc(moves || buf->is_borrowed ? NULL : buf->ptr, capacity + 1);

    REQUIRE(grown != NULL);
    if (moves) {
        memcpy(grown, buf->ptr, buf->len);
        explicit_bzero(buf->ptr, buf->capacity);
        free(buf->ptr);
    }
    return grown;
}

void buf_grow(struct buf *buf, size_t len)
{
    REQUIRE(len <= buf->capacity - buf->len);
    buf->len += len;
}

void buf_drop_front(struct buf *buf, size_t len)
{
    REQUIRE(len <= buf->len);
    if (len > 0) {
        memmove(buf->ptr, buf->ptr + len, buf->len - len);
        buf->len -= len;
    }
}

void buf_truncate(struct buf *buf, size_t len)
{
    REQUIRE(len <= buf->len);
    buf->len = len;
}

struct str buf_str(const struct buf *buf)
{
    return (struct str){buf->ptr, buf->len};
}

/* A capacity of 0: whoever appends after the next buf_clear gets memory of its own. */
void buf_borrow(struct buf *buf, struct str bytes)
{
    buf_release(buf);
    /* A buf has no const; it is only read. */
    buf->ptr = (char *)(uintptr_t)bytes.ptr;
    buf->len = bytes.len;
    buf->is_borrowed = true;
    buf->overflowed = true;
}
