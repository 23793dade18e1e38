/* json_write.c - every value goes through value_begin, which knows about commas. */
#include "api/json_write.h"

#include <stdint.h>

#include "base/clock.h"
#include "base/json_text.h"

/* At most six bytes come of one. */
#define ESCAPE_MAX_BYTES 6u

static void value_begin(struct json_writer *writer);

void json_writer_init(struct json_writer *writer, struct buf *out)
{
    *writer = (struct json_writer){out, false};
}

void json_open(struct json_writer *writer, char bracket)
{
    value_begin(writer);
    buf_append_char(writer->out, bracket);
    writer->needs_comma = false;
}

void json_close(struct json_writer *writer, char bracket)
{
    buf_append_char(writer->out, bracket);
    writer->needs_comma = true;
}

void json_name(struct json_writer *writer, const char *name)
{
    value_begin(writer);
    buf_append_char(writer->out, '"');
    buf_append_str(writer->out, str_from(name));
    buf_append_str(writer->out, STR("\":"));
    writer->needs_comma = false;
}

void json_text(struct json_writer *writer, struct str text)
{
    value_begin(writer);
    buf_append_char(writer->out, '"');
    json_escape(text, writer->out);
    buf_append_char(writer->out, '"');
}

void json_int(struct json_writer *writer, int64_t number)
{
    value_begin(writer);
    buf_append_int(writer->out, number);
}

void json_bool(struct json_writer *writer, bool value)
{
    value_begin(writer);
    buf_append_str(writer->out, value ? STR("true") : STR("false"));
}

void json_null(struct json_writer *writer)
{
    value_begin(writer);
    buf_append_str(writer->out, STR("null"));
}

void json_time(struct json_writer *writer, int64_t wall_ms)
{
    char text[TIME_RFC3339_LEN + 1];

    time_to_rfc3339(wall_ms, text);
    json_text(writer, (struct str){text, TIME_RFC3339_LEN});
}

struct str json_escaped(struct str raw, struct arena *arena)
{
    if (json_plain_len(raw) == raw.len) {
        return raw;
    }
    struct buf escaped;
    buf_init(&escaped, raw.len * ESCAPE_MAX_BYTES);
    json_escape(raw, &escaped);
    struct str copy = arena_copy(arena, buf_str(&escaped));
    buf_release(&escaped);
    return copy;
}

/* The comma before it, if there is one; after it there is. */
static void value_begin(struct json_writer *writer)
{
    if (writer->needs_comma) {
        buf_append_char(writer->out, ',');
    }
    writer->needs_comma = true;
}
