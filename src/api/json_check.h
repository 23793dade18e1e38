/* json_check.h - whether a text is JSON as this server takes it.
 *
 * RFC 8259 to the letter, and where it leaves a choice the strict one: UTF-8 without a byte order
 * mark, no lone surrogates, no U+0000, member names unique within their object after unescaping.
 * What section 9 lets an implementation limit is limited here, so that the work is bounded by the
 * length of the text.
 *
 * Uses:    base.
 * Used by: api/json.c, fuzzing.
 * Thread:  any.
 */
#ifndef MIGCHAT_API_JSON_CHECK_H
#define MIGCHAT_API_JSON_CHECK_H

#include "base/error.h"
#include "base/str.h"

/* Arrays and objects in one another. */
#define JSON_DEPTH_MAX 32u
/* Members of one object: names are compared with each other. */
#define JSON_MEMBERS_MAX 256u
/* Values in the whole text: the parser behind takes 64 bytes for each. */
#define JSON_VALUES_MAX 16384u
/* Characters of a number: the parser behind reads no more. */
#define JSON_NUMBER_MAX_BYTES 63u

/* OK or JSON_MALFORMED. */
MUST_CHECK enum error json_check(struct str text);

#endif
