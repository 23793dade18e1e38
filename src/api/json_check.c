/* json_check.c - one pass from left to right, one function per rule of the grammar.
 *
 * 1. `rest` never moves behind `end`; each function leaves it behind what it took, or says false.
 * 2. Recursion is at most JSON_DEPTH_MAX deep.
 * 3. Names of the objects that are open stand on one stack, each object's from its own start; a
 *    name is compared with those of its object by a hash first. JSON_MEMBERS_MAX bounds that.
 */
#include "api/json_check.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_text.h"
#include "base/require.h"
#include "base/utf8.h"

#define NAMES_FIRST 16u
#define FNV_OFFSET 14695981039346656037u
#define FNV_PRIME 1099511628211u

/* A member's name as it stands between its quotes. */
struct name {
    uint64_t hash; /* of its characters, unescaped */
    struct str raw;
};

struct check {
    struct str rest;
    unsigned depth;
    unsigned value_count;
    struct name *names; /* `first`, or heap once it is too small */
    size_t name_count;
    size_t name_capacity;
    struct name first[NAMES_FIRST];
};

static bool value_check(struct check *check);
static bool object_check(struct check *check);
static bool member_check(struct check *check, size_t object_start);
static bool array_check(struct check *check);
static bool string_check(struct check *check, struct str *out_raw);
static bool escape_check(struct check *check);
static bool hex4_check(struct check *check, uint32_t *out_unit);
static bool number_check(struct check *check);
static bool digits_skip(struct check *check);
static bool literal_check(struct check *check, struct str literal);
static bool name_add(struct check *check, size_t object_start, struct str raw);
static bool names_are_equal(struct str a, struct str b);
static uint64_t name_hash(struct str raw);
static uint32_t name_next(struct str *rest);
static uint32_t hex4_value(const char *digits);
static int hex_digit(char c);
static void space_skip(struct check *check);
static char next_byte(const struct check *check);
static bool byte_take(struct check *check, char wanted);
static void advance(struct check *check, size_t len);

enum error json_check(struct str text)
{
    struct check check = {.rest = text, .name_capacity = NAMES_FIRST};

    check.names = check.first;
    space_skip(&check);
    bool is_json = value_check(&check);
    space_skip(&check);
    is_json = is_json && check.rest.len == 0;
    if (check.names != check.first) {
        free(check.names);
    }
    return is_json ? OK : ERROR_JSON_MALFORMED;
}

static bool value_check(struct check *check)
{
    struct str raw;

    check->value_count++;
    if (check->value_count > JSON_VALUES_MAX) {
        return false;
    }
    switch (next_byte(check)) {
    case '{':
        return object_check(check);
    case '[':
        return array_check(check);
    case '"':
        return string_check(check, &raw);
    case 't':
        return literal_check(check, STR("true"));
    case 'f':
        return literal_check(check, STR("false"));
    case 'n':
        return literal_check(check, STR("null"));
    default:
        return number_check(check);
    }
}

static bool object_check(struct check *check)
{
    size_t object_start = check->name_count;

    check->depth++;
    if (check->depth > JSON_DEPTH_MAX) {
        return false;
    }
    advance(check, 1);
    space_skip(check);
    if (!byte_take(check, '}')) {
        do {
            if (!member_check(check, object_start)) {
                return false;
            }
        } while (byte_take(check, ','));
        if (!byte_take(check, '}')) {
            return false;
        }
    }
    check->name_count = object_start;
    check->depth--;
    return true;
}

static bool member_check(struct check *check, size_t object_start)
{
    struct str raw;

    space_skip(check);
    if (!string_check(check, &raw) || !name_add(check, object_start, raw)) {
        return false;
    }
    space_skip(check);
    if (!byte_take(check, ':')) {
        return false;
    }
    space_skip(check);
    if (!value_check(check)) {
        return false;
    }
    space_skip(check);
    return true;
}

static bool array_check(struct check *check)
{
    check->depth++;
    if (check->depth > JSON_DEPTH_MAX) {
        return false;
    }
    advance(check, 1);
    space_skip(check);
    if (!byte_take(check, ']')) {
        do {
            space_skip(check);
            if (!value_check(check)) {
                return false;
            }
            space_skip(check);
        } while (byte_take(check, ','));
        if (!byte_take(check, ']')) {
            return false;
        }
    }
    check->depth--;
    return true;
}

static bool string_check(struct check *check, struct str *out_raw)
{
    uint32_t code_point;

    if (!byte_take(check, '"')) {
        return false;
    }
    const char *start = check->rest.ptr;
    while (check->rest.len > 0) {
        unsigned char byte = (unsigned char)check->rest.ptr[0];

        if (byte == '"') {
            *out_raw = (struct str){start, (size_t)(check->rest.ptr - start)};
            advance(check, 1);
            return true;
        }
        if (byte < 0x20) {
            return false;
        }
        if (byte == '\\') {
            if (!escape_check(check)) {
                return false;
            }
        } else if (byte < 0x80) {
            advance(check, json_ascii_len(check->rest));
        } else if (!utf8_next(&check->rest, &code_point)) {
            return false;
        }
    }
    return false;
}

static bool escape_check(struct check *check)
{
    uint32_t unit;
    uint32_t low;

    advance(check, 1);
    switch (next_byte(check)) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        advance(check, 1);
        return true;
    case 'u':
        advance(check, 1);
        break;
    default:
        return false;
    }
    if (!hex4_check(check, &unit) || unit == 0) {
        return false;
    }
    if (unit < 0xd800 || unit > 0xdfff) {
        return true;
    }
    return unit < 0xdc00 && byte_take(check, '\\') && byte_take(check, 'u') &&
           hex4_check(check, &low) && low >= 0xdc00 && low <= 0xdfff;
}

static bool hex4_check(struct check *check, uint32_t *out_unit)
{
    if (check->rest.len < 4) {
        return false;
    }
    for (size_t i = 0; i < 4; i++) {
        if (hex_digit(check->rest.ptr[i]) < 0) {
            return false;
        }
    }
    *out_unit = hex4_value(check->rest.ptr);
    advance(check, 4);
    return true;
}

static bool number_check(struct check *check)
{
    size_t before = check->rest.len;

    byte_take(check, '-');
    if (!byte_take(check, '0') && !digits_skip(check)) {
        return false;
    }
    if (byte_take(check, '.') && !digits_skip(check)) {
        return false;
    }
    if (byte_take(check, 'e') || byte_take(check, 'E')) {
        if (!byte_take(check, '+')) {
            byte_take(check, '-');
        }
        if (!digits_skip(check)) {
            return false;
        }
    }
    return before - check->rest.len <= JSON_NUMBER_MAX_BYTES;
}

/* Takes all digits here; false when there is none. */
static bool digits_skip(struct check *check)
{
    size_t len = 0;

    while (len < check->rest.len && check->rest.ptr[len] >= '0' && check->rest.ptr[len] <= '9') {
        len++;
    }
    advance(check, len);
    return len > 0;
}

static bool literal_check(struct check *check, struct str literal)
{
    if (!str_starts_with(check->rest, literal)) {
        return false;
    }
    advance(check, literal.len);
    return true;
}

/* False when the object has this name already, or too many. */
static bool name_add(struct check *check, size_t object_start, struct str raw)
{
    struct name added = {name_hash(raw), raw};

    if (check->name_count - object_start >= JSON_MEMBERS_MAX) {
        return false;
    }
    for (size_t i = object_start; i < check->name_count; i++) {
        if (check->names[i].hash == added.hash && names_are_equal(check->names[i].raw, raw)) {
            return false;
        }
    }
    if (check->name_count == check->name_capacity) {
        bool was_on_heap = check->names != check->first;
        size_t capacity = check->name_capacity * 2;
        struct name *grown = realloc(was_on_heap ? check->names : NULL, capacity * sizeof *grown);

        REQUIRE(grown != NULL);
        if (!was_on_heap) {
            memcpy(grown, check->first, sizeof check->first);
        }
        check->names = grown;
        check->name_capacity = capacity;
    }
    check->names[check->name_count] = added;
    check->name_count++;
    return true;
}

static bool names_are_equal(struct str a, struct str b)
{
    while (a.len > 0 && b.len > 0) {
        if (name_next(&a) != name_next(&b)) {
            return false;
        }
    }
    return a.len == b.len;
}

static uint64_t name_hash(struct str raw)
{
    uint64_t hash = FNV_OFFSET;

    while (raw.len > 0) {
        hash = (hash ^ name_next(&raw)) * FNV_PRIME;
    }
    return hash;
}

/* The next character of a checked, non-empty name; a pair of escaped surrogates is one character,
 * as it is unescaped. */
static uint32_t name_next(struct str *rest)
{
    static const char escapes[] = "bfnrt";
    static const char escaped[] = "\b\f\n\r\t";
    uint32_t character = 0;

    if (rest->ptr[0] != '\\') {
        REQUIRE(utf8_next(rest, &character));
        return character;
    }
    char letter = rest->ptr[1];
    if (letter != 'u') {
        const char *at = strchr(escapes, letter);

        *rest = (struct str){rest->ptr + 2, rest->len - 2};
        return (uint32_t)(unsigned char)(at != NULL ? escaped[at - escapes] : letter);
    }
    character = hex4_value(rest->ptr + 2);
    *rest = (struct str){rest->ptr + 6, rest->len - 6};
    if (character >= 0xd800 && character <= 0xdfff) {
        uint32_t low = hex4_value(rest->ptr + 2);

        *rest = (struct str){rest->ptr + 6, rest->len - 6};
        character = 0x10000 + ((character - 0xd800) << 10) + (low - 0xdc00);
    }
    return character;
}

static uint32_t hex4_value(const char *digits)
{
    uint32_t value = 0;

    for (size_t i = 0; i < 4; i++) {
        value = value << 4 | (uint32_t)hex_digit(digits[i]);
    }
    return value;
}

/* -1 when it is none. */
static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    char lower = ascii_lower(c);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

static void space_skip(struct check *check)
{
    size_t len = 0;

    while (len < check->rest.len) {
        char c = check->rest.ptr[len];

        if (c != ' ' && c != '\t' && c != '\n' && c != '\r') {
            break;
        }
        len++;
    }
    advance(check, len);
}

/* NUL at the end, which no rule takes. */
static char next_byte(const struct check *check)
{
    return check->rest.len > 0 ? check->rest.ptr[0] : '\0';
}

static bool byte_take(struct check *check, char wanted)
{
    if (check->rest.len == 0 || check->rest.ptr[0] != wanted) {
        return false;
    }
    advance(check, 1);
    return true;
}

static void advance(struct check *check, size_t len)
{
    if (len > 0) {
        check->rest.ptr += len;
        check->rest.len -= len;
    }
}
