/* request_line.c - a state a byte, then one look at the whole.
 *
 * 1. request_line_next accepts exactly the lines of the grammar, with any token as method, any
 *    visible ASCII as target and any digits as version. (The target's own grammar is llhttp's and
 *    request_split_target's.)
 * 2. request_line_judge says which of these lines are spoken here. The version comes first: the
 *    preface of HTTP/2 has a method and a version we do not know.
 */
#include "http/request_line.h"

#include <stdbool.h>
#include <string.h>

#include "base/require.h"

#define VERSION_LEN (sizeof "HTTP/1.1" - 1)
#define CRLF_LEN 2u

static bool is_token_char(unsigned char byte);
static bool is_target_char(unsigned char byte);
static enum request_line_state version_next(enum request_line_state state, unsigned char byte);

enum request_line_state request_line_next(enum request_line_state state, unsigned char byte)
{
    switch (state) {
    case LINE_METHOD_FIRST:
        return is_token_char(byte) ? LINE_METHOD : LINE_REFUSED;
    case LINE_METHOD:
        if (is_token_char(byte)) {
            return LINE_METHOD;
        }
        return byte == ' ' ? LINE_TARGET_FIRST : LINE_REFUSED;
    case LINE_TARGET_FIRST:
        return is_target_char(byte) ? LINE_TARGET : LINE_REFUSED;
    case LINE_TARGET:
        if (is_target_char(byte)) {
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

enum error request_line_judge(struct request *request)
{
    struct str line = buf_str(&request->head);

    REQUIRE(line.len > VERSION_LEN + CRLF_LEN);
    line.len -= CRLF_LEN;
    const char *version = line.ptr + line.len - VERSION_LEN;
    struct str rest = line;
    struct str method = str_cut(&rest, ' ');
    struct str target = str_cut(&rest, ' ');

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
    request->target_at = (uint16_t)(target.ptr - line.ptr);
    request->target_len = (uint16_t)target.len;
    return OK;
}

/* tchar of RFC 9110 section 5.6.2. */
static bool is_token_char(unsigned char byte)
{
    if ((byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
        (byte >= '0' && byte <= '9')) {
        return true;
    }
    return byte != '\0' && strchr("!#$%&'*+-.^_`|~", byte) != NULL;
}

static bool is_target_char(unsigned char byte)
{
    return byte > 0x20 && byte < 0x7f;
}

static enum request_line_state version_next(enum request_line_state state, unsigned char byte)
{
    static const char form[] = "HTTP/0.0"; /* a 0 stands for any digit */
    char wanted = form[state - LINE_VERSION_H];
    bool fits = wanted == '0' ? byte >= '0' && byte <= '9' : byte == (unsigned char)wanted;

    return fits ? state + 1 : LINE_REFUSED;
}
