/* answer.c - status and type of answers that are no error. */
#include "api/answer.h"

struct json_writer answer_object(struct exchange *exchange)
{
    struct json_writer writer;

    exchange->response.status = 200;
    exchange->response.type = CONTENT_JSON;
    json_writer_init(&writer, &exchange->response.body);
    json_open(&writer, '{');
    return writer;
}

void answer_nothing(struct exchange *exchange)
{
    exchange->response.status = 204;
    exchange->response.type = CONTENT_NONE;
}
