/* renamed.c - names are escaped as our JSON always is, so equal names are equal bytes. */
#include "domain/renamed.h"

#include "base/buf.h"
#include "base/json_text.h"
#include "base/require.h"

/* Of a byte escaped for JSON: \u00XX. */
#define ESCAPED_BYTES_MAX 6u
#define PUNCTUATION_BYTES (sizeof("[\"\",\"\"]") - 1)

static struct str text_end(struct buf *text, struct str to, struct arena *arena);
static size_t json_text_len(struct str text);

struct str renamed_text(struct str from, struct str to, struct arena *arena)
{
    struct buf text;

    buf_init(&text, (from.len + to.len) * ESCAPED_BYTES_MAX + PUNCTUATION_BYTES);
    buf_append_str(&text, STR("[\""));
    json_escape(from, &text);
    buf_append_str(&text, STR("\""));
    return text_end(&text, to, arena);
}

struct str renamed_text_since(struct str first, struct str to, struct arena *arena)
{
    struct str from;
    struct str quoted_to;
    struct buf text;

    renamed_text_split(first, &from, &quoted_to);
    buf_init(&text, from.len + to.len * ESCAPED_BYTES_MAX + PUNCTUATION_BYTES);
    buf_append_str(&text, STR("["));
    buf_append_str(&text, from);
    struct str since = text_end(&text, to, arena);

    renamed_text_split(since, &from, &quoted_to);
    return str_equal(from, quoted_to) ? (struct str){NULL, 0} : since;
}

/* Behind the quoted name that `text` ends with; releases it. */
static struct str text_end(struct buf *text, struct str to, struct arena *arena)
{
    buf_append_str(text, STR(",\""));
    json_escape(to, text);
    buf_append_str(text, STR("\"]"));
    struct str copy = arena_copy(arena, buf_str(text));

    buf_release(text);
    return copy;
}

void renamed_text_split(struct str text, struct str *out_from, struct str *out_to)
{
    struct str rest = {text.ptr + 1, text.len - 2};
    struct str from = {rest.ptr, json_text_len(rest)};

    *out_from = from;
    *out_to = (struct str){from.ptr + from.len + 1, rest.len - from.len - 1};
}

/* Of the JSON string it begins with, quotes included. */
static size_t json_text_len(struct str text)
{
    size_t at = 1;

    while (at < text.len && text.ptr[at] != '"') {
        at += text.ptr[at] == '\\' ? 2 : 1;
    }
    REQUIRE(at < text.len);
    return at + 1;
}
