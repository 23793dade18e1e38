/* accept.c - a list of ranges, each with parameters, of which only q counts. */
#include "http/accept.h"

static bool quality_is_zero(struct str parameters);

bool accept_names(const struct request *request, struct str field, struct str wanted)
{
    struct str rest;

    if (!request_field_find(request, field, &rest)) {
        return false;
    }
    while (rest.ptr != NULL) {
        struct str parameters = str_cut(&rest, ',');
        struct str range = str_trim(str_cut(&parameters, ';'));
        if (str_equal_ascii_case(range, wanted)) {
            return !quality_is_zero(parameters);
        }
    }
    return false;
}

/* q=0, q=0.0 and so on: "not this one" (RFC 9110 section 12.4.2). */
static bool quality_is_zero(struct str parameters)
{
    while (parameters.ptr != NULL) {
        struct str value = str_cut(&parameters, ';');
        struct str name = str_trim(str_cut(&value, '='));
        if (!str_equal_ascii_case(name, STR("q"))) {
            continue;
        }
        value = str_trim(value);
        for (size_t i = 0; i < value.len; i++) {
            if (value.ptr[i] != '0' && value.ptr[i] != '.') {
                return false;
            }
        }
        return value.len > 0;
    }
    return false;
}
