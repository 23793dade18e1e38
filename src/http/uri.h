/* uri.h - percent-decoding (RFC 3986 section 2.1).
 *
 * Uses:    base.
 * Used by: http/authority, http/target, http/query, http/router.
 * Thread:  any.
 */
#ifndef MIGCHAT_HTTP_URI_H
#define MIGCHAT_HTTP_URI_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/str.h"

#define URI_ESCAPE_LEN 3u /* "%2F" */

/* Whether `s` begins with "%" and two hexadecimal digits. */
bool uri_escape_is_valid(struct str s);
/* The byte such an escape stands for. */
char uri_escape_decode(struct str s);
/* Percent-decodes into the arena; with plus_is_space '+' becomes a space (form encoding). False
 * for a bad escape, or when the result is not UTF-8 or contains U+0000. */
bool uri_decode(struct str encoded, bool plus_is_space, struct arena *arena, struct str *out_text);

#endif
