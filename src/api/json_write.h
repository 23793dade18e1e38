/* json_write.h - writes JSON into a buffer, from left to right.
 *
 * Commas are the writer's; order and nesting are the caller's. Overflow is the buffer's to tell.
 *
 * Uses:    base.
 * Used by: api.
 * Thread:  the holder of the buffer.
 */
#ifndef MIGCHAT_API_JSON_WRITE_H
#define MIGCHAT_API_JSON_WRITE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"

struct json_writer {
    struct buf *out;
    bool needs_comma; /* before the next name or element */
};

void json_writer_init(struct json_writer *writer, struct buf *out);
/* '{' or '[', and their ends. */
void json_open(struct json_writer *writer, char bracket);
void json_close(struct json_writer *writer, char bracket);
/* A member's name; needs no escape. */
void json_name(struct json_writer *writer, const char *name);
/* Values: of the member just named, or an array's next element. */
void json_text(struct json_writer *writer, struct str text); /* valid UTF-8 */
void json_int(struct json_writer *writer, int64_t number);
void json_bool(struct json_writer *writer, bool value);
void json_null(struct json_writer *writer);
void json_time(struct json_writer *writer, int64_t wall_ms); /* RFC 3339, milliseconds */

/* The inside of a JSON string for `raw` (json_escape): `raw` itself when nothing in it needs an
 * escape, else a copy in the arena. */
struct str json_escaped(struct str raw, struct arena *arena);

#endif
