/* put.h - writing through a plain pointer, into room that was reserved before.
 *
 * For what is made of many small pieces and has a known greatest length: buf_reserve once, put the
 * pieces, buf_grow once. Each function returns the place behind what it wrote.
 *
 * Uses: base/str, libc. Used by: base/buf, http/response. Thread: any.
 */
#ifndef MIGCHAT_BASE_PUT_H
#define MIGCHAT_BASE_PUT_H

#include <stdint.h>
#include <string.h>

#include "base/str.h"

#define PUT_UINT_MAX_BYTES 20u /* "18446744073709551615" */

static inline char *put_str(char *at, struct str s)
{
    if (s.len > 0) {
        memcpy(at, s.ptr, s.len);
    }
    return at + s.len;
}

/* Decimal. */
static inline char *put_uint(char *at, uint64_t value)
{
    unsigned len = 1;

    for (uint64_t left = value; left >= 10; left /= 10) {
        len++;
    }
    for (unsigned i = len; i > 0; i--) {
        at[i - 1] = (char)('0' + value % 10);
        value /= 10;
    }
    return at + len;
}

#endif
