/* json_text.c - stretches that need no escape are appended whole; most texts are one stretch. */
#include "base/json_text.h"

static void append_escaped(struct buf *out, unsigned char byte);

void json_escape(struct str raw, struct buf *out)
{
    size_t plain_start = 0;

    for (size_t i = 0; i < raw.len; i++) {
        unsigned char byte = (unsigned char)raw.ptr[i];

        if (byte >= 0x20 && byte != '"' && byte != '\\') {
            continue;
        }
        if (i > plain_start) {
            buf_append(out, raw.ptr + plain_start, i - plain_start);
        }
        append_escaped(out, byte);
        plain_start = i + 1;
    }
    if (raw.len > plain_start) {
        buf_append(out, raw.ptr + plain_start, raw.len - plain_start);
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
