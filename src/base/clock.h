/* clock.h - what time it is, and times as text (RFC 3339, RFC 9110).
 *
 * Deadlines use the monotonic clock; the wall clock is only written down, never compared for
 * order. Code that stores times takes them as a parameter, so tests choose them.
 *
 * Uses: libc. Used by: everyone. Thread: any.
 */
#ifndef MIGCHAT_BASE_CLOCK_H
#define MIGCHAT_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

/* Milliseconds since 1970-01-01T00:00:00Z. */
int64_t clock_wall_ms(void);
/* Milliseconds since some fixed moment; never goes back. */
int64_t clock_monotonic_ms(void);
/* The same clock in nanoseconds. */
uint64_t clock_monotonic_ns(void);

/* "2025-11-03T12:00:00.123Z": 24 characters. */
#define TIME_RFC3339_LEN 24u
/* Writes 24 characters and a NUL. Times outside the years 0000-9999 are clamped to them. */
void time_to_rfc3339(int64_t wall_ms, char out[TIME_RFC3339_LEN + 1]);
/* The same for many times, of which those of one day come together mostly: the date is worked out
 * when the day changes. */
struct time_writer {
    int64_t day_starts_ms;
    char text[TIME_RFC3339_LEN + 1];
};
void time_writer_init(struct time_writer *writer);
/* 24 characters in the writer, until the next call. */
struct str time_write_rfc3339(struct time_writer *writer, int64_t wall_ms);
/* Reads RFC 3339 with any offset and 0-9 fractional digits (cut to milliseconds), `T`, `t` or a
 * space between date and time, and SQLite's form without an offset (UTC). */
bool time_from_rfc3339(struct str text, int64_t *out_wall_ms);

/* "Mon, 03 Nov 2025 12:00:00 GMT": 29 characters (IMF-fixdate, RFC 9110 section 5.6.7). */
#define TIME_IMF_FIXDATE_LEN 29u
void time_to_imf_fixdate(int64_t wall_ms, char out[TIME_IMF_FIXDATE_LEN + 1]);

#endif
