/* json_text.c - stretches that need no escape are appended whole; most texts are one stretch. */
#include "base/json_text.h"

#include <stdbool.h>

static void append_escaped(struct buf *out, unsigned char byte);

size_t json_plain_len(struct str raw)
{
    /* A table, since every name and every message goes through here byte by byte. */
    static const bool needs_escape[256] = {
        1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, /* below 0x20 */
        1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, ['"'] = 1, ['\\'] = 1,
    };
    size_t len = 0;

    while (len < raw.len && !needs_escape[(unsigned char)raw.ptr[len]]) {
        len++;
    }
    return len;
}

void json_escape(struct str raw, struct buf *out)
{
    while (raw.len > 0) {
        size_t plain_len = json_plain_len(raw);

        buf_append(out, raw.ptr, plain_len);
        if (plain_len == raw.len) {
            return;
        }
        append_escaped(out, (unsigned char)raw.ptr[plain_len]);
        raw = (struct str){raw.ptr + plain_len + 1, raw.len - plain_len - 1};
    }
}

static void append_escaped(struct buf *out, unsigned char byte)
{
    static const char hex_digits[] = "0123456789ABCDEF";
    char escaped[6] = {'\\', 'u', '0', '0', 0, 0};

    switch (byte) {
    case '\b':
        escaped[1] = 'b';
        break;
    case '\f':
        escaped[1] = 'f';
        break;
    case '\n':
        escaped[1] = 'n';
        break;
    case '\r':
        escaped[1] = 'r';
        break;
    case '\t':
        escaped[1] = 't';
        break;
    case '"':
    case '\\':
        escaped[1] = (char)byte;
        break;
    default:
        escaped[4] = hex_digits[byte >> 4];
        escaped[5] = hex_digits[byte & 0x0f];
        buf_append(out, escaped, 6);
        return;
    }
    buf_append(out, escaped, 2);
}
