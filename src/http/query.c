/* query.c - form-decoded parameters of the query, and decoded path segments.
 *
 * A query is judged whole before the first step: all names and values are decoded, so that one
 * which is broken anywhere is refused whatever the handler asks for. Queries are short and bounded
 * (8 KiB, QUERY_PARAMETERS_MAX), and what was decoded to judge it is forgotten again.
 */
#include "http/request.h"
#include "http/uri.h"

static enum error parameters_judge(struct str query, struct arena *arena);
static bool is_named(struct str encoded, struct str name, struct arena *arena);

enum error request_judge_query(const struct request *request, struct arena *arena)
{
    struct arena_mark mark = arena_mark(arena);
    enum error error = parameters_judge(request->query, arena);

    arena_rewind(arena, mark);
    return error;
}

static enum error parameters_judge(struct str query, struct arena *arena)
{
    struct str names[QUERY_PARAMETERS_MAX];
    unsigned count = 0;
    struct str rest = query;

    while (rest.ptr != NULL) {
        struct str value = str_cut(&rest, '&');
        if (value.len == 0) {
            continue;
        }
        struct str encoded_name = str_cut(&value, '=');
        struct str decoded_value;
        if (count == QUERY_PARAMETERS_MAX ||
            !uri_decode(encoded_name, true, arena, &names[count]) ||
            !uri_decode(value, true, arena, &decoded_value)) {
            return ERROR_QUERY_MALFORMED;
        }
        for (unsigned i = 0; i < count; i++) {
            if (str_equal(names[i], names[count])) {
                return ERROR_PARAMETER_DOUBLED;
            }
        }
        count++;
    }
    return OK;
}

enum error request_parameter(const struct request *request, struct str name, struct arena *arena,
                             bool *out_found, struct str *out_value)
{
    struct str rest = request->query;

    *out_found = false;
    while (rest.ptr != NULL && !*out_found) {
        struct str value = str_cut(&rest, '&');
        struct str encoded_name = str_cut(&value, '=');

        if (is_named(encoded_name, name, arena)) {
            if (!uri_decode(value, true, arena, out_value)) {
                return ERROR_QUERY_MALFORMED;
            }
            *out_found = true;
        }
    }
    return OK;
}

/* Our names have no space, so another form of one has an escape and is longer. */
static bool is_named(struct str encoded, struct str name, struct arena *arena)
{
    struct str decoded;

    return str_equal(encoded, name) ||
           (encoded.len > name.len && uri_decode(encoded, true, arena, &decoded) &&
            str_equal(decoded, name));
}

enum error percent_decode_segment(struct str segment, struct arena *arena, struct str *out_text)
{
    return uri_decode(segment, false, arena, out_text) ? OK : ERROR_TARGET_MALFORMED;
}
