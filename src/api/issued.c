/* issued.c - the only place that writes a token. */
#include "api/issued.h"

#include "api/answer.h"

void answer_issued(struct exchange *exchange, const struct session_issued *issued)
{
    struct json_writer writer = answer_object(exchange);

    exchange->response.body.is_secret = true;

    json_name(&writer, "token");
    json_text(&writer, issued->token);
    json_name(&writer, "user_id");
    json_int(&writer, issued->account_id);
    json_name(&writer, "username");
    json_text(&writer, issued->username);
    json_close(&writer, '}');
}
