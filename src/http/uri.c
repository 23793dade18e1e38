/* uri.c - escapes. */
#include "http/uri.h"

#include "base/utf8.h"

static int hex_digit_value(char c);

bool uri_escape_is_valid(struct str s)
{
    return s.len >= URI_ESCAPE_LEN && s.ptr[0] == '%' && hex_digit_value(s.ptr[1]) >= 0 &&
           hex_digit_value(s.ptr[2]) >= 0;
}

char uri_escape_decode(struct str s)
{
    return (char)(hex_digit_value(s.ptr[1]) * 16 + hex_digit_value(s.ptr[2]));
}

bool uri_decode(struct str encoded, bool plus_is_space, struct arena *arena, struct str *out_text)
{
    char *text = arena_alloc(arena, encoded.len + 1);
    size_t len = 0;

    for (size_t i = 0; i < encoded.len; i++) {
        char c = encoded.ptr[i];
        if (c == '%') {
            struct str escape = {encoded.ptr + i, encoded.len - i};
            if (!uri_escape_is_valid(escape)) {
                return false;
            }
            c = uri_escape_decode(escape);
            i += URI_ESCAPE_LEN - 1;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        if (c == '\0') {
            return false;
        }
        text[len++] = c;
    }
    text[len] = '\0';
    if (!utf8_is_valid((struct str){text, len})) {
        return false;
    }
    *out_text = (struct str){text, len};
    return true;
}

/* -1 when it is none. */
static int hex_digit_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = ascii_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}
