/* digits.h - two decimal digits at a time, for what writes numbers by the hundred.
 *
 * Uses: libc. Used by: base/clock, base/put. Thread: any.
 */
#ifndef MIGCHAT_BASE_DIGITS_H
#define MIGCHAT_BASE_DIGITS_H

#include <string.h>

/* "00" to "99". */
extern const char digit_pairs[201];

/* Writes two digits of a number below 100. */
static inline void digits_write_pair(char *at, unsigned number)
{
    memcpy(at, digit_pairs + (size_t)number * 2, 2);
}

#endif
