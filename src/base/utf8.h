/* utf8.h - UTF-8 (RFC 3629) checked strictly, and the two character classes names forbid.
 *
 * Uses: base/str. Used by: http, domain, api. Thread: any.
 */
#ifndef MIGCHAT_BASE_UTF8_H
#define MIGCHAT_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

/* Reads one character at the front of *rest and moves past it; false on an overlong form, a
 * surrogate, anything above U+10FFFF, a cut sequence or an empty string. */
bool utf8_next(struct str *rest, uint32_t *out_code_point);
bool utf8_is_valid(struct str s);
/* Code points in a valid string. */
size_t utf8_length(struct str s);
/* General category Cc (control) or Cf (format), Unicode 15.0. */
bool unicode_is_control_or_format(uint32_t code_point);
/* White_Space property, Unicode 15.0. */
bool unicode_is_white_space(uint32_t code_point);
/* Writes the character as UTF-8, 1 to 4 bytes; returns how many. */
size_t utf8_encode(uint32_t code_point, char out[4]);

#endif
