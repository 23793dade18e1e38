/* str.h - a view of bytes that somebody else owns, and the small questions asked of it.
 *
 * Uses: libc. Used by: everyone. Thread: any.
 * Memory: a view owns nothing and need not end in NUL; it lives as long as its owner.
 */
#ifndef MIGCHAT_BASE_STR_H
#define MIGCHAT_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct str {
    const char *ptr;
    size_t len; /* bytes */
};

/* A view of a string literal. */
#define STR(literal) ((struct str){(literal), sizeof(literal) - 1})
/* For printf's "%.*s". */
#define STR_ARGS(s) (int)(s).len, (s).ptr

struct str str_from(const char *zero_terminated);
bool str_equal(struct str a, struct str b);
bool str_starts_with(struct str s, struct str prefix);
/* Without the spaces and tabs at both ends (OWS of RFC 9110 section 5.6.3). */
struct str str_trim(struct str s);
/* Cuts *rest at the first `separator`: returns what stands before it and moves *rest behind it.
 * Without a separator it returns all and leaves *rest with a NULL ptr. */
struct str str_cut(struct str *rest, char separator);
/* A whole decimal number of ASCII digits, 1 to 19 of them, no sign; false when it is not one or
 * exceeds `max`. *out_value is written only on success. */
bool str_to_uint(struct str s, uint64_t max, uint64_t *out_value);
/* The folder that `path` names a file in: what stands before the last slash; "/" for what lies
 * there, "." where there is no slash. */
struct str path_folder(struct str path);
/* `c` in lower case when it is an ASCII letter. */
char ascii_lower(char c);
/* For str_equal_ascii_case only. */
bool bytes_equal_ascii_case(const char *a, const char *b, size_t len);

/* Equal without regard to ASCII case; other bytes compare as they are. */
static inline bool str_equal_ascii_case(struct str a, struct str b)
{
    return a.len == b.len && bytes_equal_ascii_case(a.ptr, b.ptr, a.len);
}

#endif
