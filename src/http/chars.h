/* chars.h - which characters may stand where (RFC 9110, RFC 9112, RFC 3986), one table for all.
 *
 * Uses:    nothing.
 * Used by: http.
 * Thread:  any.
 */
#ifndef MIGCHAT_HTTP_CHARS_H
#define MIGCHAT_HTTP_CHARS_H

#include <stdbool.h>
#include <stdint.h>

enum char_class {
    CHAR_VISIBLE = 1 << 0,      /* ASCII without controls and space */
    CHAR_TOKEN = 1 << 1,        /* tchar of RFC 9110 section 5.6.2 */
    CHAR_ALPHANUMERIC = 1 << 2, /* ASCII letters and digits */
    CHAR_HOST = 1 << 3,         /* in a registered name, beside escapes; no comma (authority.h) */
    CHAR_PATH = 1 << 4,         /* in a path, beside escapes, and what browsers leave raw */
    CHAR_QUERY = 1 << 5         /* the same and ? */
};

/* The classes of each byte. */
extern const uint8_t char_classes[UINT8_MAX + 1];

static inline bool char_is(char c, enum char_class wanted)
{
    return (char_classes[(unsigned char)c] & wanted) != 0;
}

#endif
