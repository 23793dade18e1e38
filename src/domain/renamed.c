/* renamed.c - names are escaped as our JSON always is, so equal names are equal bytes. */
#include "domain/renamed.h"

#include "base/buf.h"
#include "base/json_text.h"
#include "base/require.h"

#define ESCAPED_BYTES_MAX 6u
#define PUNCTUATION_BYTES (sizeof("[\"\",\"\"]") - 1)

static size_t json_text_len(struct str text);

struct str renamed_text(struct str from, struct str to, struct arena *arena)
{
    struct buf text;

    buf_init(&text, (from.len + to.len) * ESCAPED_BYTES_MAX + PUNCTUATION_BYTES);
    buf_append_str(&text, STR("[\""));
    json_escape(from, &text);
    buf_append_str(&text, STR("\",\""));
    json_escape(to, &text);
    buf_append_str(&text, STR("\"]"));
    struct str copy = arena_copy(arena, buf_str(&text));
    buf_release(&text);
    return copy;
}

struct str renamed_text_since(struct str first, struct str to, struct arena *arena)
{
    struct str now = renamed_text((struct str){"", 0}, to, arena);
    struct str from;
    struct str nobody;
    struct str quoted_to;
    struct buf text;

    renamed_text_split(first, &from, &nobody);
    renamed_text_split(now, &nobody, &quoted_to);
    if (str_equal(from, quoted_to)) {
        return (struct str){NULL, 0};
    }
    buf_init(&text, from.len + quoted_to.len + PUNCTUATION_BYTES);
    buf_append_str(&text, STR("["));
    buf_append_str(&text, from);
    buf_append_str(&text, STR(","));
    buf_append_str(&text, quoted_to);
    buf_append_str(&text, STR("]"));
    struct str copy = arena_copy(arena, buf_str(&text));
    buf_release(&text);
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
