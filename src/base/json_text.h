/* json_text.h - text as the inside of a JSON string (RFC 8259 section 7).
 *
 * Uses:    base/buf, base/str.
 * Used by: api (content and names in answers), domain (texts of log entries), store (adoption and
 *          export).
 * Thread:  any.
 */
#ifndef MIGCHAT_BASE_JSON_TEXT_H
#define MIGCHAT_BASE_JSON_TEXT_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/str.h"

/* How many bytes `raw` begins with that stand for themselves. */
size_t json_plain_len(struct str raw);
/* The same, and how many of them are ASCII. */
size_t json_ascii_len(struct str raw);
/* Appends `raw`, which is valid UTF-8, escaped and without quotes: `"`, `\` and the bytes below
 * 0x20, in their short forms where there is one; all else stays as it is. At most six bytes come
 * of one. */
void json_escape(struct str raw, struct buf *out);
/* Appends what json_escape made of it before; false at an escape that does not write. */
bool json_unescape(struct str escaped, struct buf *out);

#endif
