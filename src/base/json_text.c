/* json_text.c - stretches that need no escape are appended whole; most texts are one stretch. */
#include "base/json_text.h"

#include <stdint.h>
#include <string.h>

/* A byte in each of eight. */
#define EACH(byte) (UINT64_MAX / 255 * (uint64_t)(byte))
#define HIGH_BITS EACH(0x80)

static size_t stretch_len(struct str raw, unsigned char also_ends);
static uint64_t bytes_below(uint64_t word, unsigned char limit);
static void append_escaped(struct buf *out, unsigned char byte);
static size_t append_unescaped(struct buf *out, struct str escaped);
static bool hex_digit(char digit, unsigned *out_value);

size_t json_plain_len(struct str raw)
{
    return stretch_len(raw, 0);
}

size_t json_ascii_len(struct str raw)
{
    return stretch_len(raw, 0x80);
}

/* Up to the first byte that needs an escape, or has a bit of `also_ends`. Every message goes
 * through here, so it is eight at once as long as there is none among them. */
static size_t stretch_len(struct str raw, unsigned char also_ends)
{
    static const bool needs_escape[256] = {
        1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, /* below 0x20 */
        1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, ['"'] = 1, ['\\'] = 1,
    };
    size_t len = 0;
    uint64_t word;

    for (; raw.len - len >= sizeof word; len += sizeof word) {
        memcpy(&word, raw.ptr + len, sizeof word);
        if ((bytes_below(word, 0x20) | bytes_below(word ^ EACH('"'), 1) |
             bytes_below(word ^ EACH('\\'), 1) | (word & EACH(also_ends))) != 0) {
            break;
        }
    }
    for (; len < raw.len; len++) {
        unsigned char byte = (unsigned char)raw.ptr[len];

        if (needs_escape[byte] || (byte & also_ends) != 0) {
            break;
        }
    }
    return len;
}

/* 0 when there is none (hasless of https://graphics.stanford.edu/~seander/bithacks.html). */
static uint64_t bytes_below(uint64_t word, unsigned char limit)
{
    return (word - EACH(limit)) & ~word & HIGH_BITS;
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
