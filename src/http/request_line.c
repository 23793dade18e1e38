/* request_line.c - runs of characters, a state a byte between them, then one look at the whole.
 *
 * 1. request_line_take accepts exactly the lines of the grammar, with any token as method, any
 *    visible ASCII as target and any digits as version. (The target's own grammar is llhttp's and
 *    request_split_target's.)
 * 2. request_line_judge says which of these lines are spoken here. The version comes first: the
 *    preface of HTTP/2 has a method and a version we do not know.
 */
#include "http/request_line.h"

#include <stdbool.h>
#include <string.h>

#include "base/require.h"
#include "http/chars.h"

#define VERSION_LEN (sizeof "HTTP/1.1" - 1)
#define CRLF_LEN 2u

static size_t run_len(struct str s, enum char_class wanted);
static enum request_line_state line_next(enum request_line_state state, char byte);
static enum request_line_state version_next(enum request_line_state state, char byte);

size_t request_line_take(enum request_line_state *state, struct str bytes)
{
    static const char usual_end[] = "HTTP/1.1\r\n";
    enum request_line_state now = *state;
    size_t at = 0;

    while (at < bytes.len && now < LINE_COMPLETE) {
        struct str rest = {bytes.ptr + at, bytes.len - at};
        if (now == LINE_VERSION_H && rest.len >= sizeof usual_end - 1 &&
            memcmp(rest.ptr, usual_end, sizeof usual_end - 1) == 0) {
            at += sizeof usual_end - 1;
            now = LINE_COMPLETE;
            continue;
        }
        now = line_next(now, rest.ptr[0]);
        at++;
        rest = (struct str){rest.ptr + 1, rest.len - 1};
        if (now == LINE_METHOD) {
            at += run_len(rest, CHAR_TOKEN);
        } else if (now == LINE_TARGET) {
            at += run_len(rest, CHAR_VISIBLE);
        }
    }
    *state = now;
    return at;
}

static size_t run_len(struct str s, enum char_class wanted)
{
    size_t len = 0;

    while (len < s.len && char_is(s.ptr[len], wanted)) {
        len++;
    }
    return len;
}

static enum request_line_state line_next(enum request_line_state state, char byte)
{
    switch (state) {
    case LINE_METHOD_FIRST:
        return char_is(byte, CHAR_TOKEN) ? LINE_METHOD : LINE_REFUSED;
    case LINE_METHOD:
        if (char_is(byte, CHAR_TOKEN)) {
            return LINE_METHOD;
        }
        return byte == ' ' ? LINE_TARGET_FIRST : LINE_REFUSED;
    case LINE_TARGET_FIRST:
        return char_is(byte, CHAR_VISIBLE) ? LINE_TARGET : LINE_REFUSED;
    case LINE_TARGET:
        if (char_is(byte, CHAR_VISIBLE)) {
            return LINE_TARGET;
        }
        return byte == ' ' ? LINE_VERSION_H : LINE_REFUSED;
    case LINE_CR:
        return byte == '\r' ? LINE_LF : LINE_REFUSED;
    case LINE_LF:
        return byte == '\n' ? LINE_COMPLETE : LINE_REFUSED;
    case LINE_COMPLETE:
    case LINE_REFUSED:
        return LINE_REFUSED;
    default:
        return version_next(state, byte);
    }
}

static enum request_line_state version_next(enum request_line_state state, char byte)
{
    static const char form[] = "HTTP/0.0"; /* a 0 stands for any digit */
    char wanted = form[state - LINE_VERSION_H];
    bool fits = wanted == '0' ? byte >= '0' && byte <= '9' : byte == wanted;

    return fits ? state + 1 : LINE_REFUSED;
}

enum error request_line_judge(struct request *request)
{
    struct str line = buf_str(&request->head);

    REQUIRE(line.len > VERSION_LEN + CRLF_LEN);
    line.len -= CRLF_LEN;
    const char *version = line.ptr + line.len - VERSION_LEN;
    struct str method = {line.ptr, run_len(line, CHAR_TOKEN)};
    const char *target = method.ptr + method.len + 1;

    char major = version[VERSION_LEN - 3];
    char minor = version[VERSION_LEN - 1];
    if (major != '1' || (minor != '0' && minor != '1')) {
        return ERROR_VERSION_UNKNOWN;
    }
    request->version_minor = (uint8_t)(minor - '0');
    request->method = method_from(method);
    if (request->method == METHOD_UNKNOWN) {
        return ERROR_METHOD_UNKNOWN;
    }
    request->target_at = (uint16_t)(target - line.ptr);
    request->target_len = (uint16_t)(version - 1 - target);
    return OK;
}
