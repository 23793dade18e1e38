/* message_row.c - written through a plain pointer, because lists are made of thousands of them. */
#include "api/message_row.h"

#include "base/put.h"

/* What a row has beside its entry's numbers and its three texts: at most so much. */
#define ROW_REST_MAX_BYTES (96u + TIME_RFC3339_LEN + 2 * PUT_INT_MAX_BYTES)

enum error message_row_find_names(struct message_row *row, int64_t account_id,
                                  struct name_memo *memo)
{
    bool is_received = row->entry.kind == ENTRY_MESSAGE_RECEIVED;
    enum error error = name_memo_find(memo, account_id, is_received ? &row->to : &row->from);

    if (error != OK) {
        return error;
    }
    return name_memo_find(memo, row->entry.other_id, is_received ? &row->from : &row->to);
}

size_t message_row_max_bytes(const struct message_row *row)
{
    return ROW_REST_MAX_BYTES + row->from.len + row->to.len + row->entry.text.len;
}

char *message_row_put(char *at, struct time_writer *times, const struct message_row *row)
{
    at = put_str(at, STR("{\"id\":"));
    at = put_int(at, row->entry.ref);
    at = put_str(at, STR(",\"from_username\":\""));
    at = put_str(at, row->from);
    at = put_str(at, STR("\",\"to_username\":\""));
    at = put_str(at, row->to);
    at = put_str(at, STR("\",\"content\":\""));
    at = put_str(at, row->entry.text);
    at = put_str(at, STR("\",\"created_at\":\""));
    at = put_str(at, time_write_rfc3339(times, row->entry.created_at_ms));
    at = put_str(at, STR("\",\"seq\":"));
    at = put_int(at, row->entry.seq);
    return put_str(at, STR("}"));
}
