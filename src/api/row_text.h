/* row_text.h - a row of a long list, piece by piece, each written where the one before ended.
 *
 * The caller has room for all of them: ROW_DECIMAL_MAX_BYTES for a number, else their length.
 *
 * Uses:    base/str.
 * Used by: api.
 * Thread:  any.
 */
#ifndef MIGCHAT_API_ROW_TEXT_H
#define MIGCHAT_API_ROW_TEXT_H

#include <stdint.h>
#include <string.h>

#include "base/str.h"

#define ROW_DECIMAL_MAX_BYTES 20u /* "-9223372036854775808" */

/* Both return the end of what they wrote. */
char *row_decimal(char *at, int64_t number);
/* Here, so that the compiler makes a few moves of a literal. */
static inline char *row_text(char *at, struct str text)
{
    if (text.len > 0) {
        memcpy(at, text.ptr, text.len);
    }
    return at + text.len;
}

#endif
