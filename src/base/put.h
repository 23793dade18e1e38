/* put.h - writing through a plain pointer, into room that was reserved before.
 *
 * For what is made of many small pieces and has a known greatest length: buf_reserve once, put the
 * pieces, buf_grow once. Each function returns the place behind what it wrote.
 *
 * Uses: base/digits, base/str, libc. Used by: base/buf, http/response, api (rows of long lists).
 * Thread: any.
 */
#ifndef MIGCHAT_BASE_PUT_H
#define MIGCHAT_BASE_PUT_H

#include <stdint.h>
#include <string.h>

#include "base/str.h"

#define PUT_INT_MAX_BYTES 20u /* "-9223372036854775808", "18446744073709551615" */

/* Decimal. */
char *put_int(char *at, int64_t number);
char *put_uint(char *at, uint64_t number);
/* Here, so that the compiler makes a few moves of a literal. */
static inline char *put_str(char *at, struct str s)
{
    if (s.len > 0) {
        memcpy(at, s.ptr, s.len);
    }
    return at + s.len;
}

#endif
