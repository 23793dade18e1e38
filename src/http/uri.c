/* uri.c - the grammar's own lists of characters, and escapes.
 *
 * The characters [ ] ^ ` { | } stand in no URI by RFC 3986, but the URL parsers of browsers and of
 * the published command-line client (WHATWG URL) send them as they are, and names may contain
 * them. They mean nothing here, so they are taken.
 */
#include "http/uri.h"

#include <string.h>

#include "base/utf8.h"

static int hex_digit_value(char c);

bool uri_char_is(char c, enum uri_chars chars)
{
    /* The letters and digits first: nearly all characters are. */
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')) {
        return chars != URI_SUB_DELIM;
    }
    if (c == '\0') {
        return false;
    }
    switch (chars) {
    case URI_UNRESERVED:
        return strchr("-._~", c) != NULL;
    case URI_SUB_DELIM:
        return strchr("!$&'()*+,;=", c) != NULL;
    case URI_PATH:
        return strchr("/-._~!$&'()*+,;=:@[]^`{|}", c) != NULL;
    case URI_QUERY:
        return c == '?' || uri_char_is(c, URI_PATH);
    }
    return false;
}

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
