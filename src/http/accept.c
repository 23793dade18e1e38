/* accept.c - a list of ranges, each with parameters, of which only q counts. */
#include "http/accept.h"

#define QUALITY_MAX 1000u

static unsigned quality_of(struct str parameters);
static unsigned thousandths(struct str value);

bool accept_names(const struct request *request, struct str field, struct str wanted)
{
    return accept_quality(request, field, wanted) > 0;
}

unsigned accept_quality(const struct request *request, struct str field, struct str wanted)
{
    struct str rest;

    if (!request_field_find(request, field, &rest)) {
        return 0;
    }
    while (rest.ptr != NULL) {
        struct str parameters = str_cut(&rest, ',');
        struct str range = str_trim(str_cut(&parameters, ';'));
        if (str_equal_ascii_case(range, wanted)) {
            return quality_of(parameters);
        }
    }
    return 0;
}

static unsigned quality_of(struct str parameters)
{
    while (parameters.ptr != NULL) {
        struct str value = str_cut(&parameters, ';');
        struct str name = str_trim(str_cut(&value, '='));
        if (str_equal_ascii_case(name, STR("q"))) {
            return thousandths(str_trim(value));
        }
    }
    return QUALITY_MAX;
}

/* RFC 9110 section 12.4.2: "0" or "1", a point and up to three digits. What is none of that counts
 * as if it were not there. */
static unsigned thousandths(struct str value)
{
    unsigned quality = 0;
    unsigned digit_weight = QUALITY_MAX;

    for (size_t i = 0; i < value.len; i++) {
        char c = value.ptr[i];
        if (i == 1) {
            if (c != '.') {
                return QUALITY_MAX;
            }
            continue;
        }
        if (c < '0' || c > '9' || (i == 0 && c > '1')) {
            return QUALITY_MAX;
        }
        quality += (unsigned)(c - '0') * digit_weight;
        digit_weight /= 10;
    }
    return value.len > 0 && quality < QUALITY_MAX ? quality : QUALITY_MAX;
}
