/* query.c - form-decoded parameters of the query, and decoded path segments.
 *
 * A query is judged whole at every question: all names and values are decoded, so that a handler
 * which asks for one parameter also refuses a query that is broken elsewhere. Queries are short and
 * bounded (8 KiB, QUERY_PARAMETERS_MAX), and what was decoded on the way is forgotten again.
 */
#include "http/request.h"
#include "http/uri.h"

static enum error parameters_judge(struct str query, struct str name, struct arena *arena,
                                   bool *out_found, struct str *out_encoded);

enum error request_parameter(const struct request *request, struct str name, struct arena *arena,
                             bool *out_found, struct str *out_value)
{
    struct arena_mark mark = arena_mark(arena);
    struct str encoded = {NULL, 0};
    bool found = false;

    enum error error = parameters_judge(request->query, name, arena, &found, &encoded);
    arena_rewind(arena, mark);
    if (error != OK) {
        return error;
    }
    if (found && !uri_decode(encoded, true, arena, out_value)) {
        return ERROR_QUERY_MALFORMED;
    }
    *out_found = found;
    return OK;
}

static enum error parameters_judge(struct str query, struct str name, struct arena *arena,
                                   bool *out_found, struct str *out_encoded)
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
        if (str_equal(names[count], name)) {
            *out_found = true;
            *out_encoded = value;
        }
        count++;
    }
    return OK;
}

enum error percent_decode_segment(struct str segment, struct arena *arena, struct str *out_text)
{
    return uri_decode(segment, false, arena, out_text) ? OK : ERROR_TARGET_MALFORMED;
}
