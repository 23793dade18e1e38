/* target.c - the request target's three forms (RFC 9112 section 3.2) as path and query.
 *
 * The authority form belongs to CONNECT, which is not spoken here. An absolute form's authority is
 * checked and then ignored: this server answers for whatever name it is reached by.
 */
#include "http/authority.h"
#include "http/chars.h"
#include "http/router.h"
#include "http/uri.h"

static enum error absolute_split(struct request *request, struct str target);
static enum error path_and_query_split(struct request *request, struct str target);

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

/* '%' passes in a query: request_parameter says more about a bad escape there. */
static enum error path_and_query_split(struct request *request, struct str target)
{
    struct str query = {NULL, 0};
    size_t path_len = 0;

    for (; path_len < target.len; path_len++) {
        if (char_is(target.ptr[path_len], CHAR_PATH)) {
            continue;
        }
        struct str rest = {target.ptr + path_len, target.len - path_len};
        if (rest.ptr[0] == '?') {
            query = (struct str){rest.ptr + 1, rest.len - 1};
            break;
        }
        if (!uri_escape_is_valid(rest)) {
            return ERROR_TARGET_MALFORMED;
        }
    }
    for (size_t i = 0; i < query.len; i++) {
        if (!char_is(query.ptr[i], CHAR_QUERY) && query.ptr[i] != '%') {
            return ERROR_TARGET_MALFORMED;
        }
    }
    request->path = path_len > 0 ? (struct str){target.ptr, path_len} : STR("/");
    request->query = query;
    return OK;
}
