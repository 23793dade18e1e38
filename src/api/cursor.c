/* cursor.c - the epoch says whose numbers they are, so a restored backup is not taken for the log
 * that went on without it. */
#include "api/cursor.h"

#include "api/json.h"

static bool is_epoch(struct str text);

char *cursor_put(char *at, struct str epoch, int64_t seq)
{
    at = put_str(at, epoch);
    at = put_str(at, STR(":"));
    return put_int(at, seq);
}

enum error cursor_read(struct str cursor, struct str epoch, int64_t head_seq, int64_t *out_seq)
{
    struct str rest = cursor;
    struct str given_epoch = str_cut(&rest, ':');
    uint64_t seq = 0;

    if (rest.ptr == NULL || !is_epoch(given_epoch) ||
        !str_to_uint(rest, (uint64_t)JSON_INTEGER_MAX, &seq)) {
        return ERROR_CURSOR_NOT_ALLOWED;
    }
    if (!str_equal(given_epoch, epoch) || seq > (uint64_t)head_seq) {
        return ERROR_CURSOR_GONE;
    }
    *out_seq = (int64_t)seq;
    return OK;
}

static bool is_epoch(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = ascii_lower(text.ptr[i]);

        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))) {
            return false;
        }
    }
    return text.len == EPOCH_LEN;
}
