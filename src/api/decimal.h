/* decimal.h - a number as digits, for rows of long lists.
 *
 * Uses:    base/str.
 * Used by: api.
 * Thread:  any.
 */
#ifndef MIGCHAT_API_DECIMAL_H
#define MIGCHAT_API_DECIMAL_H

#include <stdint.h>

#include "base/str.h"

#define DECIMAL_MAX_BYTES 20u /* "-9223372036854775808" */

/* A view into `text`. */
struct str decimal_text(int64_t number, char text[DECIMAL_MAX_BYTES]);

#endif
