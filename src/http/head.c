/* head.c - what the fields of a complete head say of the message and its connection.
 *
 * One pass gathers the fields that matter here; then each is judged:
 * - those that may be given once (RFC 9110 section 5.3);
 * - Host (RFC 9112 section 3.2);
 * - Connection (section 9.3), parsed here because llhttp before 9.4.2 overlooks "close<TAB>";
 * - length and transfer coding (section 6): everything in doubt is refused, nothing repaired;
 * - Expect (RFC 9110 section 10.1.1).
 */
#include "http/request.h"

#include "http/authority.h"

/* The fields looked at, by number of lines and the last line's value. */
struct seen_field {
    unsigned lines;
    struct str value;
};

struct seen {
    struct seen_field host, authorization, content_type, content_length, transfer_encoding;
    bool has_token; /* or what may be one */
    bool says_close, says_keep_alive, has_expectation, expects_continue;
};

static void fields_see(const struct request *request, struct seen *seen);
static void field_see(struct seen *seen, struct str name, struct str value);
static bool field_is(struct seen_field *seen, struct str name, struct str wanted, struct str value);
static bool list_contains(struct str list, struct str member);
static enum error host_judge(const struct request *request, const struct seen_field *host);
static enum error framing_judge(struct request *request, const struct seen *seen);
static enum error coding_judge(struct str codings);
static bool length_read(struct str text, uint64_t *out_length);

enum error request_judge_head(struct request *request)
{
    struct seen seen = {0};

    fields_see(request, &seen);
    request->head.is_secret = seen.has_token;
    request->has_expectation = seen.has_expectation;
    bool is_1_1 = request->version_minor == 1;
    request->keeps_alive = !seen.says_close && (is_1_1 || seen.says_keep_alive);
    enum error error = framing_judge(request, &seen);
    if (error != OK) {
        return error;
    }
    request->expects_continue = is_1_1 && request->has_body && seen.expects_continue;
    error = host_judge(request, &seen.host);
    if (error != OK) {
        return error;
    }
    return seen.authorization.lines > 1 || seen.content_type.lines > 1 ? ERROR_FIELD_DOUBLED : OK;
}

bool request_expects_unknown(const struct request *request)
{
    if (request->version_minor == 0) {
        return false;
    }
    for (unsigned i = 0; i < request->field_count; i++) {
        const struct request_field *field = &request->fields[i];
        const char *head = request->head.ptr;
        if (!str_equal_ascii_case((struct str){head + field->name_at, field->name_len},
                                  STR("Expect"))) {
            continue;
        }
        struct str rest = {head + field->value_at, field->value_len};
        while (rest.ptr != NULL) {
            struct str member = str_trim(str_cut(&rest, ','));
            if (member.len > 0 && !str_equal_ascii_case(member, STR("100-continue"))) {
                return true;
            }
        }
    }
    return false;
}

static void fields_see(const struct request *request, struct seen *seen)
{
    const char *head = request->head.ptr;

    for (unsigned i = 0; i < request->field_count; i++) {
        const struct request_field *field = &request->fields[i];
        field_see(seen, (struct str){head + field->name_at, field->name_len},
                  (struct str){head + field->value_at, field->value_len});
    }
}

static void field_see(struct seen *seen, struct str name, struct str value)
{
    if (field_is(&seen->host, name, STR("Host"), value)) {
        return;
    }
    if (field_is(&seen->authorization, name, STR("Authorization"), value)) {
        seen->has_token = true;
        return;
    }
    if (field_is(&seen->content_type, name, STR("Content-Type"), value) ||
        field_is(&seen->content_length, name, STR("Content-Length"), value) ||
        field_is(&seen->transfer_encoding, name, STR("Transfer-Encoding"), value)) {
        return;
    }
    if (str_equal_ascii_case(name, STR("Connection"))) {
        seen->says_close = seen->says_close || list_contains(value, STR("close"));
        seen->says_keep_alive = seen->says_keep_alive || list_contains(value, STR("keep-alive"));
    } else if (str_equal_ascii_case(name, STR("Expect"))) {
        seen->has_expectation = true;
        seen->expects_continue =
            seen->expects_continue || list_contains(value, STR("100-continue"));
    } else if (str_equal_ascii_case(name, STR("Sec-WebSocket-Protocol"))) {
        seen->has_token = true;
    }
}

static bool field_is(struct seen_field *seen, struct str name, struct str wanted, struct str value)
{
    if (!str_equal_ascii_case(name, wanted)) {
        return false;
    }
    seen->lines++;
    seen->value = value;
    return true;
}

static bool list_contains(struct str list, struct str member)
{
    struct str rest = list;

    while (rest.ptr != NULL) {
        if (str_equal_ascii_case(str_trim(str_cut(&rest, ',')), member)) {
            return true;
        }
    }
    return false;
}

/* An empty Host is right when the target has no authority, and harmless when it has. */
static enum error host_judge(const struct request *request, const struct seen_field *host)
{
    if (host->lines > 1 || (host->lines == 0 && request->version_minor == 1)) {
        return ERROR_HOST_MALFORMED;
    }
    return host->lines == 0 || host->value.len == 0 || authority_is_valid(host->value)
               ? OK
               : ERROR_HOST_MALFORMED;
}

static enum error framing_judge(struct request *request, const struct seen *seen)
{
    unsigned coding_lines = seen->transfer_encoding.lines;
    unsigned length_lines = seen->content_length.lines;
    uint64_t length = 0;

    if (coding_lines > 1 || length_lines > 1 || coding_lines + length_lines > 1 ||
        (coding_lines == 1 && request->version_minor == 0)) {
        return ERROR_FRAMING_MALFORMED;
    }
    if (coding_lines == 1) {
        enum error error = coding_judge(seen->transfer_encoding.value);
        if (error != OK) {
            return error;
        }
        request->is_chunked = true;
    }
    if (length_lines == 1 && !length_read(seen->content_length.value, &length)) {
        return ERROR_FRAMING_MALFORMED;
    }
    request->content_length = length;
    request->has_body = request->is_chunked || length > 0;
    return OK;
}

/* Only "chunked" frames a request here. Another coding before it could be framed but not read:
 * that is 501. Without chunked at the end, or with it twice, the body's end is unknown: 400. */
static enum error coding_judge(struct str codings)
{
    unsigned other_count = 0;
    bool ends_chunked = false;
    struct str rest = codings;

    while (rest.ptr != NULL) {
        struct str coding = str_trim(str_cut(&rest, ','));
        bool is_chunked = str_equal_ascii_case(coding, STR("chunked"));
        if (coding.len == 0 || ends_chunked) {
            return ERROR_FRAMING_MALFORMED;
        }
        ends_chunked = is_chunked;
        other_count += is_chunked ? 0 : 1;
    }
    if (!ends_chunked) {
        return ERROR_FRAMING_MALFORMED;
    }
    return other_count > 0 ? ERROR_CODING_UNKNOWN : OK;
}

/* 1*DIGIT, decimal whatever zeros lead; a number beyond 64 bits is as good as the largest. */
static bool length_read(struct str text, uint64_t *out_length)
{
    struct str digits = text;

    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9') {
            return false;
        }
    }
    if (text.len == 0) {
        return false;
    }
    while (digits.len > 1 && digits.ptr[0] == '0') {
        digits = (struct str){digits.ptr + 1, digits.len - 1};
    }
    if (!str_to_uint(digits, UINT64_MAX, out_length)) {
        *out_length = UINT64_MAX;
    }
    return true;
}
