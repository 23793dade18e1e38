/* utf8.c - a strict decoder and two small range tables.
 *
 * The tables are what Unicode 15.0's UnicodeData.txt (Cc, Cf) and PropList.txt (White_Space) say:
 * 235 and 25 code points. The test compares them with Python's unicodedata, plus the few that
 * 15.0 added (U+13439-U+1343F).
 */
#include "base/utf8.h"

#define CODE_POINT_MAX 0x10ffffu

struct range {
    uint32_t first, last;
};

static const struct range control_or_format[] = {
    {0x0000, 0x001f},   {0x007f, 0x009f},   {0x00ad, 0x00ad},   {0x0600, 0x0605},
    {0x061c, 0x061c},   {0x06dd, 0x06dd},   {0x070f, 0x070f},   {0x0890, 0x0891},
    {0x08e2, 0x08e2},   {0x180e, 0x180e},   {0x200b, 0x200f},   {0x202a, 0x202e},
    {0x2060, 0x2064},   {0x2066, 0x206f},   {0xfeff, 0xfeff},   {0xfff9, 0xfffb},
    {0x110bd, 0x110bd}, {0x110cd, 0x110cd}, {0x13430, 0x1343f}, {0x1bca0, 0x1bca3},
    {0x1d173, 0x1d17a}, {0xe0001, 0xe0001}, {0xe0020, 0xe007f},
};

static const struct range white_space[] = {
    {0x0009, 0x000d}, {0x0020, 0x0020}, {0x0085, 0x0085}, {0x00a0, 0x00a0}, {0x1680, 0x1680},
    {0x2000, 0x200a}, {0x2028, 0x2029}, {0x202f, 0x202f}, {0x205f, 0x205f}, {0x3000, 0x3000},
};

static bool ranges_hold(const struct range *ranges, size_t count, uint32_t code_point);

bool utf8_next(struct str *rest, uint32_t *out_code_point)
{
    if (rest->len == 0) {
        return false;
    }
    const unsigned char *bytes = (const unsigned char *)rest->ptr;
    unsigned char lead = bytes[0];
    size_t len;
    uint32_t code_point, least;

    if (lead < 0x80) {
        len = 1, least = 0, code_point = lead;
    } else if (lead < 0xc2) { /* a continuation byte, or an overlong form of ASCII */
        return false;
    } else if (lead < 0xe0) {
        len = 2, least = 0x80, code_point = lead & 0x1fu;
    } else if (lead < 0xf0) {
        len = 3, least = 0x800, code_point = lead & 0x0fu;
    } else if (lead < 0xf5) {
        len = 4, least = 0x10000, code_point = lead & 0x07u;
    } else {
        return false;
    }
    if (rest->len < len) {
        return false;
    }
    for (size_t i = 1; i < len; i++) {
        if ((bytes[i] & 0xc0u) != 0x80u) {
            return false;
        }
        code_point = code_point << 6 | (bytes[i] & 0x3fu);
    }
    bool is_surrogate = code_point >= 0xd800 && code_point <= 0xdfff;
    if (code_point < least || code_point > CODE_POINT_MAX || is_surrogate) {
        return false;
    }
    rest->ptr += len;
    rest->len -= len;
    *out_code_point = code_point;
    return true;
}

bool utf8_is_valid(struct str s)
{
    uint32_t code_point;

    while (s.len > 0) {
        if ((unsigned char)s.ptr[0] < 0x80) { /* nearly all of it, nearly always */
            s.ptr++;
            s.len--;
        } else if (!utf8_next(&s, &code_point)) {
            return false;
        }
    }
    return true;
}

size_t utf8_length(struct str s)
{
    size_t count = 0;

    for (size_t i = 0; i < s.len; i++) {
        count += ((unsigned char)s.ptr[i] & 0xc0u) != 0x80u;
    }
    return count;
}

bool unicode_is_control_or_format(uint32_t code_point)
{
    return ranges_hold(control_or_format, sizeof control_or_format / sizeof control_or_format[0],
                       code_point);
}

bool unicode_is_white_space(uint32_t code_point)
{
    return ranges_hold(white_space, sizeof white_space / sizeof white_space[0], code_point);
}

static bool ranges_hold(const struct range *ranges, size_t count, uint32_t code_point)
{
    for (size_t i = 0; i < count && code_point >= ranges[i].first; i++) {
        if (code_point <= ranges[i].last) {
            return true;
        }
    }
    return false;
}

size_t utf8_encode(uint32_t code_point, char out[4])
{
    if (code_point < 0x80) {
        out[0] = (char)code_point;
        return 1;
    }
    if (code_point < 0x800) {
        out[0] = (char)(0xc0u | code_point >> 6);
        out[1] = (char)(0x80u | (code_point & 0x3fu));
        return 2;
    }
    if (code_point < 0x10000) {
        out[0] = (char)(0xe0u | code_point >> 12);
        out[1] = (char)(0x80u | (code_point >> 6 & 0x3fu));
        out[2] = (char)(0x80u | (code_point & 0x3fu));
        return 3;
    }
    out[0] = (char)(0xf0u | code_point >> 18);
    out[1] = (char)(0x80u | (code_point >> 12 & 0x3fu));
    out[2] = (char)(0x80u | (code_point >> 6 & 0x3fu));
    out[3] = (char)(0x80u | (code_point & 0x3fu));
    return 4;
}
