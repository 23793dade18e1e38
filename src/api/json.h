/* json.h - reads a JSON body into the members a handler asks for.
 *
 * A handler lists the members it wants and gets them filled in; members it did not ask for are
 * checked as JSON and ignored. Reading is strict (RFC 8259, see json_check.h): what passes is
 * well-formed UTF-8 without U+0000, with every member name once.
 *
 * Uses:    cJSON (json.c is the only file that includes it), base, api/json_check.h.
 * Used by: api.
 * Thread:  any; cJSON's parser writes a global, so parsing takes one lock for the process.
 * Memory:  texts are copies in the arena given; nothing of cJSON outlives the call.
 */
#ifndef MIGCHAT_API_JSON_H
#define MIGCHAT_API_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"

enum json_form {
    JSON_TEXT,      /* a string */
    JSON_INTEGER,   /* a number without a fraction */
    JSON_TEXT_LIST, /* an array of strings */
    JSON_OBJECT     /* an object with members of its own */
};

/* Numbers above this are not exact in every reader; no id or seq is. */
#define JSON_INTEGER_MAX (((int64_t)1 << 53) - 1)

struct json_member {
    const char *name;
    enum json_form form;
    bool is_optional; /* may be absent or null */

    /* For JSON_OBJECT: what is wanted of it. */
    struct json_member *members;
    size_t member_count;

    /* Filled by json_read. */
    bool is_present;
    struct str text;
    int64_t integer; /* 0 when it is negative or above JSON_INTEGER_MAX */
    struct str *texts;
    size_t text_count;
};

/* Fills `members` from `body`. JSON_MALFORMED when it is not JSON as this server takes it,
 * BODY_SHAPE when it is not an object, a member is missing or of another form; OVERLOADED when
 * there is no memory for its tree. */
MUST_CHECK enum error json_read(struct str body, struct json_member *members, size_t count,
                                struct arena *arena);

/* cJSON's version, for --version. */
const char *json_library_version(void);

#endif
