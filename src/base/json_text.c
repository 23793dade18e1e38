/* json_text.c - stretches that need no escape are appended whole; most texts are one stretch. */
#include "base/json_text.h"

#include <string.h>

static void append_escaped(struct buf *out, unsigned char byte);
static size_t append_unescaped(struct buf *out, struct str escaped);
static bool hex_digit(char digit, unsigned *out_value);

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

bool json_unescape(struct str escaped, struct buf *out)
{
    while (escaped.len > 0) {
        const char *backslash = memchr(escaped.ptr, '\\', escaped.len);
        size_t plain_len = backslash == NULL ? escaped.len : (size_t)(backslash - escaped.ptr);
        size_t taken;

        buf_append(out, escaped.ptr, plain_len);
        if (backslash == NULL) {
            return true;
        }
        escaped = (struct str){backslash, escaped.len - plain_len};
        taken = append_unescaped(out, escaped);
        if (taken == 0) {
            return false;
        }
        escaped = (struct str){escaped.ptr + taken, escaped.len - taken};
    }
    return true;
}

/* One escape, which the text begins with: how many bytes it has, 0 for one of others. */
static size_t append_unescaped(struct buf *out, struct str escaped)
{
    static const char short_forms[] = "b\bf\fn\nr\rt\t\"\"\\\\";
    unsigned high;
    unsigned low;

    for (size_t i = 0; escaped.len >= 2 && i + 1 < sizeof short_forms; i += 2) {
        if (escaped.ptr[1] == short_forms[i]) {
            buf_append_char(out, short_forms[i + 1]);
            return 2;
        }
    }
    if (escaped.len < 6 || memcmp(escaped.ptr, "\\u00", 4) != 0 ||
        !hex_digit(escaped.ptr[4], &high) || !hex_digit(escaped.ptr[5], &low)) {
        return 0;
    }
    buf_append_char(out, (char)(high << 4 | low));
    return 6;
}

static bool hex_digit(char digit, unsigned *out_value)
{
    static const char digits[] = "0123456789ABCDEF";
    const char *found = memchr(digits, digit, sizeof digits - 1);

    *out_value = found == NULL ? 0 : (unsigned)(found - digits);
    return found != NULL;
}
