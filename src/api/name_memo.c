/* name_memo.c - one slot for ids that are equal modulo its size; the last one stays. */
#include "api/name_memo.h"

#include "api/json_write.h"
#include "base/log.h"

void name_memo_init(struct name_memo *memo, struct store *store, struct arena *arena)
{
    *memo = (struct name_memo){.store = store, .arena = arena};
}

enum error name_memo_find(struct name_memo *memo, int64_t account_id, struct str *out_escaped)
{
    struct name_memo_slot *slot = &memo->slots[(uint64_t)account_id % NAME_MEMO_SLOTS];

    if (slot->account_id != account_id || account_id == 0) {
        struct str escaped;
        enum error error = name_escaped_find(memo->store, account_id, memo->arena, &escaped);

        if (error != OK) {
            return error;
        }
        *slot = (struct name_memo_slot){account_id, escaped};
    }
    *out_escaped = slot->escaped;
    return OK;
}

enum error name_escaped_find(struct store *store, int64_t account_id, struct arena *arena,
                             struct str *out_escaped)
{
    struct str name;
    bool is_found = false;

    enum error error = store_account_name_find(store, account_id, arena, &is_found, &name);
    if (error != OK) {
        return error;
    }
    if (!is_found) {
        log_event(LOG_ERROR, "account_of_entry_missing", LOG_INT("account_id", account_id),
                  LOG_END);
        return ERROR_STORE_FAILED;
    }
    *out_escaped = json_escaped(name, arena);
    return OK;
}
