/* target.c - the request target's three forms (RFC 9112 section 3.2) as path and query.
 *
 * The authority form belongs to CONNECT, which is not spoken here. An absolute form's authority is
 * checked and then ignored: this server answers for whatever name it is reached by.
 */
#include <string.h>

#include "http/authority.h"
#include "http/router.h"
#include "http/uri.h"

static enum error absolute_split(struct request *request, struct str target);
static enum error path_and_query_split(struct request *request, struct str target);
static bool chars_are_valid(struct str s, enum uri_chars chars);

enum error request_split_target(struct request *request)
{
    struct str target = request_target(request);

    request->path = (struct str){NULL, 0};
    request->query = (struct str){NULL, 0};
    if (target.len == 0) {
        return ERROR_TARGET_MALFORMED;
    }
    if (target.ptr[0] == '/') {
        return path_and_query_split(request, target);
    }
    if (str_equal(target, STR("*"))) {
        request->path = target;
        return request->method == METHOD_OPTIONS ? OK : ERROR_TARGET_MALFORMED;
    }
    return absolute_split(request, target);
}

static enum error absolute_split(struct request *request, struct str target)
{
    struct str rest = target;
    struct str scheme = str_cut(&rest, ':');

    if ((!str_equal_ascii_case(scheme, STR("http")) &&
         !str_equal_ascii_case(scheme, STR("https"))) ||
        !str_starts_with(rest, STR("//"))) {
        return ERROR_TARGET_MALFORMED;
    }
    rest = (struct str){rest.ptr + 2, rest.len - 2};
    size_t authority_len = 0;
    while (authority_len < rest.len && rest.ptr[authority_len] != '/' &&
           rest.ptr[authority_len] != '?') {
        authority_len++;
    }
    if (!authority_is_valid((struct str){rest.ptr, authority_len})) {
        return ERROR_TARGET_MALFORMED;
    }
    rest = (struct str){rest.ptr + authority_len, rest.len - authority_len};
    if (rest.len == 0) {
        /* The whole server to OPTIONS (RFC 9112 section 3.2.4), else its root. */
        request->path = request->method == METHOD_OPTIONS ? STR("*") : STR("/");
        return OK;
    }
    return path_and_query_split(request, rest);
}

static enum error path_and_query_split(struct request *request, struct str target)
{
    struct str query = target;
    struct str path = str_cut(&query, '?');

    if (!chars_are_valid(path, URI_PATH) || !chars_are_valid(query, URI_QUERY)) {
        return ERROR_TARGET_MALFORMED;
    }
    for (size_t i = 0; i < path.len; i++) {
        if (path.ptr[i] == '%' && !uri_escape_is_valid((struct str){path.ptr + i, path.len - i})) {
            return ERROR_TARGET_MALFORMED;
        }
    }
    request->path = path.len > 0 ? path : STR("/");
    request->query = query;
    return OK;
}

/* '%' passes: request_parameter says more about a bad escape in a query. */
static bool chars_are_valid(struct str s, enum uri_chars chars)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] != '%' && !uri_char_is(s.ptr[i], chars)) {
            return false;
        }
    }
    return true;
}
