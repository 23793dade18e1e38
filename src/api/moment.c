/* moment.c - a tag is "epoch.account.head.names": it changes with the account's log and with any
 * name on the server, and is never the same for two accounts. */
#include "api/moment.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define FIELD_VALUE_MAX_BYTES 96u /* epoch and three numbers of up to 20 characters */

static bool tags_have(struct str list, struct str tag);

enum error moment_answer(struct exchange *exchange, struct store *store,
                         struct store_moment *out_moment, bool *out_is_known)
{
    struct store_moment moment;
    char tag[FIELD_VALUE_MAX_BYTES];
    char cursor[FIELD_VALUE_MAX_BYTES];

    enum error error = store_moment_find(store, exchange->account_id, &moment);
    if (error != OK) {
        return error;
    }
    snprintf(tag, sizeof tag, "\"%s.%" PRId64 ".%" PRId64 ".%" PRId64 "\"", moment.epoch,
             exchange->account_id, moment.head_seq, moment.names);
    snprintf(cursor, sizeof cursor, "%s:%" PRId64, moment.epoch, moment.head_seq);
    response_field(&exchange->response, STR("ETag"), str_from(tag));
    response_field(&exchange->response, STR("MigChat-Cursor"), str_from(cursor));
    exchange->may_be_kept = true;
    *out_moment = moment;
    *out_is_known = if_none_match_has(&exchange->request, str_from(tag));
    if (*out_is_known) {
        exchange->response.status = 304;
        exchange->response.type = CONTENT_NONE;
    }
    return OK;
}

bool if_none_match_has(const struct request *request, struct str tag)
{
    for (unsigned i = 0; i < request->field_count; i++) {
        const struct request_field *field = &request->fields[i];
        struct str name = {request->head.ptr + field->name_at, field->name_len};
        struct str value = {request->head.ptr + field->value_at, field->value_len};

        if (str_equal_ascii_case(name, STR("If-None-Match")) &&
            (str_equal(value, STR("*")) || tags_have(value, tag))) {
            return true;
        }
    }
    return false;
}

/* A comma may stand inside a tag, so tags are found by their quotes. What is no list of tags
 * matches nothing from there on. */
static bool tags_have(struct str list, struct str tag)
{
    while (list.len > 0) {
        if (list.ptr[0] == ' ' || list.ptr[0] == '\t' || list.ptr[0] == ',') {
            list = (struct str){list.ptr + 1, list.len - 1};
            continue;
        }
        if (str_starts_with(list, STR("W/"))) {
            list = (struct str){list.ptr + 2, list.len - 2};
        }
        if (list.len < 2 || list.ptr[0] != '"') {
            return false;
        }
        const char *closing = memchr(list.ptr + 1, '"', list.len - 1);
        if (closing == NULL) {
            return false;
        }
        struct str found = {list.ptr, (size_t)(closing + 1 - list.ptr)};
        if (str_equal(found, tag)) {
            return true;
        }
        list = (struct str){closing + 1, list.len - found.len};
        struct str rest = str_trim(list);
        if (rest.len > 0 && rest.ptr[0] != ',') {
            return false;
        }
    }
    return false;
}
