/* kept_request.c - the head is written as a client would write it, so there is one way into an
 * exchange. */
#include "http/kept_request.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"

/* What decides about the answer: by whom, for whom, in which form, and whether others follow. The
 * request's id is written from the exchange, which may have made it. */
static const struct str kept_fields[] = {
    {"Host", 4}, {"Authorization", 13}, {"Origin", 6}, {"Accept", 6}, {"Connection", 10},
};

void kept_head_free(char *head, size_t len)
{
    if (head != NULL) {
        explicit_bzero(head, len);
        free(head);
    }
}

void kept_request_append(const struct exchange *exchange, struct buf *out)
{
    const struct request *request = &exchange->request;

    buf_append_str(out, method_name(request->method));
    buf_append_char(out, ' ');
    buf_append_str(out, request_target(request));
    buf_append_str(out, request->version_minor == 0 ? STR(" HTTP/1.0\r\n") : STR(" HTTP/1.1\r\n"));
    for (size_t i = 0; i < sizeof kept_fields / sizeof kept_fields[0]; i++) {
        struct str value;

        if (request_field_find(request, kept_fields[i], &value)) {
            buf_append_str(out, kept_fields[i]);
            buf_append_str(out, STR(": "));
            buf_append_str(out, value);
            buf_append_str(out, STR("\r\n"));
        }
    }
    buf_append_str(out, STR("X-Request-Id: "));
    buf_append_str(out, str_from(exchange->request_id));
    buf_append_str(out, STR("\r\n\r\n"));
}
