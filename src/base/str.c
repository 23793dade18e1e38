/* str.c - the small questions asked of views. Nothing here allocates. */
#include "base/str.h"

#include <string.h>

#define UINT_DIGITS_MAX 19u /* any 19 digits fit in 64 bits */

static bool is_blank(char c);

struct str str_from(const char *zero_terminated)
{
    return (struct str){zero_terminated, strlen(zero_terminated)};
}

bool str_equal(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool bytes_equal_ascii_case(const char *a, const char *b, size_t len)
{
    if (len == 0 || memcmp(a, b, len) == 0) {
        return true;
    }
    for (size_t i = 0; i < len; i++) {
        if (a[i] != b[i] && ascii_lower(a[i]) != ascii_lower(b[i])) {
            return false;
        }
    }
    return true;
}

bool str_starts_with(struct str s, struct str prefix)
{
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.ptr, prefix.ptr, prefix.len) == 0);
}

struct str str_trim(struct str s)
{
    while (s.len > 0 && is_blank(s.ptr[0])) {
        s.ptr++;
        s.len--;
    }
    while (s.len > 0 && is_blank(s.ptr[s.len - 1])) {
        s.len--;
    }
    return s;
}

struct str str_cut(struct str *rest, char separator)
{
    struct str whole = *rest;
    const char *at = whole.len == 0 ? NULL : memchr(whole.ptr, separator, whole.len);

    if (at == NULL) {
        *rest = (struct str){NULL, 0};
        return whole;
    }
    size_t before_len = (size_t)(at - whole.ptr);
    *rest = (struct str){at + 1, whole.len - before_len - 1};
    return (struct str){whole.ptr, before_len};
}

bool str_to_uint(struct str s, uint64_t max, uint64_t *out_value)
{
    uint64_t value = 0;

    if (s.len == 0 || s.len > UINT_DIGITS_MAX) {
        return false;
    }
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9') {
            return false;
        }
        value = value * 10 + (uint64_t)(s.ptr[i] - '0');
    }
    if (value > max) {
        return false;
    }
    *out_value = value;
    return true;
}

struct str path_folder(struct str path)
{
    const char *slash = path.len > 0 ? memrchr(path.ptr, '/', path.len) : NULL;

    if (slash == NULL) {
        return STR(".");
    }
    return slash == path.ptr ? STR("/") : (struct str){path.ptr, (size_t)(slash - path.ptr)};
}

char ascii_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}
