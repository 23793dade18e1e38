/* router.c - a walk over the table: its rows of the request's method, the others only to tell
 * whether the path exists at all.
 *
 * Paths are compared as they came: an escape in the request is decoded on the way (%2F stays inside
 * its segment), and nothing else is normalised: case, double slashes and a slash at the end make
 * another path.
 */
#include "http/router.h"

#include <string.h>

#include "http/uri.h"

enum path_match { PATH_DIFFERS, PATH_MATCHES_BRACES, PATH_MATCHES_LITERALLY };

static enum path_match path_compare(const char *form, struct str path, struct str *out_segment);
static bool escape_matches(char wanted, struct str rest);
static bool route_serves(const struct route *route, enum method method);

enum error router_match(const struct route_table *table, const struct request *request,
                        struct arena *arena, const struct route **out_route,
                        struct str *out_parameter)
{
    const struct route *best = NULL;
    enum path_match best_match = PATH_DIFFERS;
    struct str best_segment = {NULL, 0};

    for (size_t i = 0; i < table->count && best_match != PATH_MATCHES_LITERALLY; i++) {
        const struct route *route = &table->routes[i];
        struct str segment = {NULL, 0};
        if (!route_serves(route, request->method)) {
            continue;
        }
        enum path_match match = path_compare(route->path, request->path, &segment);
        if (match > best_match) {
            best = route;
            best_match = match;
            best_segment = segment;
        }
    }
    if (best == NULL) {
        return router_has_path(table, request->path) ? ERROR_METHOD_NOT_ALLOWED
                                                     : ERROR_ROUTE_NOT_FOUND;
    }
    struct str parameter = {NULL, 0};
    if (best_match == PATH_MATCHES_BRACES) {
        enum error error = percent_decode_segment(best_segment, arena, &parameter);
        if (error != OK) {
            return error;
        }
    }
    *out_route = best;
    *out_parameter = parameter;
    return OK;
}

bool router_has_path(const struct route_table *table, struct str path)
{
    struct str segment;
    bool is_found = false;

    for (size_t i = 0; i < table->count && !is_found; i++) {
        is_found = path_compare(table->routes[i].path, path, &segment) != PATH_DIFFERS;
    }
    return is_found;
}

void router_allow(const struct route_table *table, struct str path, struct buf *out)
{
    bool allowed[METHOD_COUNT] = {false};
    bool is_asterisk = str_equal(path, STR("*"));
    bool path_exists = is_asterisk;

    for (size_t i = 0; i < table->count; i++) {
        const struct route *route = &table->routes[i];
        struct str segment;
        if (is_asterisk || path_compare(route->path, path, &segment) != PATH_DIFFERS) {
            path_exists = true;
            allowed[route->method] = true;
        }
    }
    if (!path_exists) {
        return;
    }
    allowed[METHOD_HEAD] = allowed[METHOD_HEAD] || allowed[METHOD_GET];
    allowed[METHOD_OPTIONS] = true;
    const char *separator = "";
    for (enum method method = METHOD_GET; method < METHOD_COUNT; method++) {
        if (allowed[method]) {
            buf_append_str(out, str_from(separator));
            buf_append_str(out, method_name(method));
            separator = ", ";
        }
    }
}

/* Both are walked at once and most differ after a few bytes. *out_segment is the request's segment
 * in the place of the braces, still encoded. */
static enum path_match path_compare(const char *form, struct str path, struct str *out_segment)
{
    struct str segment = {NULL, 0};
    size_t at = 0;

    for (;;) {
        while (at < path.len && path.ptr[at] == *form && *form != '{') {
            form++;
            at++;
        }
        if (*form == '\0') {
            break;
        }
        if (*form == '{') {
            size_t segment_at = at;
            while (at < path.len && path.ptr[at] != '/') {
                at++;
            }
            if (at == segment_at) {
                return PATH_DIFFERS;
            }
            segment = (struct str){path.ptr + segment_at, at - segment_at};
            form = strchr(form, '}') + 1;
        } else if (escape_matches(*form, (struct str){path.ptr + at, path.len - at})) {
            form++;
            at += URI_ESCAPE_LEN;
        } else {
            return PATH_DIFFERS;
        }
    }
    if (at < path.len) {
        return PATH_DIFFERS;
    }
    *out_segment = segment;
    return segment.ptr != NULL ? PATH_MATCHES_BRACES : PATH_MATCHES_LITERALLY;
}

/* Whether the path goes on with this character, escaped. An escaped slash separates nothing, so it
 * is none. */
static bool escape_matches(char wanted, struct str rest)
{
    return wanted != '/' && uri_escape_is_valid(rest) && uri_escape_decode(rest) == wanted;
}

static bool route_serves(const struct route *route, enum method method)
{
    return route->method == method || (method == METHOD_HEAD && route->method == METHOD_GET);
}
