/* event.c - one function a kind of entry. Names are today's, but for those a rename tells of. */
#include "api/event.h"

#include "api/cursor.h"
#include "base/put.h"
#include "domain/renamed.h"

/* The longest of the forms below without what they are filled with. */
#define EVENT_REST_MAX_BYTES (96u + CURSOR_MAX_BYTES + PUT_INT_MAX_BYTES)

static char *type_put(char *at, const struct event_writer *writer, const struct entry *entry,
                      struct str type);
static char *read_put(char *at, const struct message_row *row);
static char *renamed_put(char *at, struct str text);

void event_writer_init(struct event_writer *writer, struct store *store, int64_t account_id,
                       struct arena *arena)
{
    name_memo_init(&writer->names, store, arena);
    time_writer_init(&writer->times);
    writer->account_id = account_id;
    writer->epoch = store_epoch(store);
}

enum error event_find(struct event_writer *writer, const struct entry *entry,
                      struct event *out_event)
{
    struct event event = {.row = {.entry = *entry}};
    enum error error = OK;

    switch (entry->kind) {
    case ENTRY_MESSAGE_SENT:
    case ENTRY_MESSAGE_RECEIVED:
        error = message_row_find_names(&event.row, writer->account_id, &writer->names);
        break;
    case ENTRY_READ_BY_ME:
        error = name_memo_find(&writer->names, entry->other_id, &event.row.from);
        if (error == OK) {
            error = name_memo_find(&writer->names, writer->account_id, &event.row.to);
        }
        break;
    case ENTRY_READ_BY_OTHER:
        error = name_memo_find(&writer->names, writer->account_id, &event.row.from);
        if (error == OK) {
            error = name_memo_find(&writer->names, entry->other_id, &event.row.to);
        }
        break;
    case ENTRY_KEYS_CHANGED:
        error = name_memo_find(&writer->names, entry->other_id, &event.row.from);
        break;
    case ENTRY_ACCOUNT_RENAMED:
    case ENTRY_SESSION_ENDED:
    case ENTRY_KEYS_LOW:
        break;
    }
    if (error == OK) {
        *out_event = event;
    }
    return error;
}

size_t event_max_bytes(const struct event *event)
{
    return EVENT_REST_MAX_BYTES + message_row_max_bytes(&event->row);
}

char *event_put(char *at, struct event_writer *writer, const struct event *event)
{
    const struct entry *entry = &event->row.entry;

    switch (entry->kind) {
    case ENTRY_MESSAGE_SENT:
    case ENTRY_MESSAGE_RECEIVED:
        at = type_put(at, writer, entry, STR("message"));
        at = put_str(at, STR(",\"message\":"));
        at = message_row_put(at, &writer->times, &event->row);
        break;
    case ENTRY_READ_BY_ME:
    case ENTRY_READ_BY_OTHER:
        at = type_put(at, writer, entry, STR("read"));
        at = read_put(at, &event->row);
        break;
    case ENTRY_ACCOUNT_RENAMED:
        at = type_put(at, writer, entry, STR("account_renamed"));
        at = renamed_put(at, entry->text);
        break;
    case ENTRY_KEYS_CHANGED:
        at = type_put(at, writer, entry, STR("keys_changed"));
        at = put_str(put_str(at, STR(",\"username\":\"")), event->row.from);
        at = put_str(at, STR("\""));
        break;
    case ENTRY_SESSION_ENDED:
        at = type_put(at, writer, entry, STR("session_ended"));
        at = put_int(put_str(at, STR(",\"session_id\":")), entry->ref);
        break;
    case ENTRY_KEYS_LOW:
        at = type_put(at, writer, entry, STR("keys_low"));
        at = put_int(put_str(at, STR(",\"one_time_prekeys\":")), entry->ref);
        break;
    }
    return put_str(at, STR("}"));
}

static char *type_put(char *at, const struct event_writer *writer, const struct entry *entry,
                      struct str type)
{
    at = put_str(put_str(at, STR("{\"type\":\"")), type);
    at = put_str(at, STR("\",\"cursor\":\""));
    return put_str(cursor_put(at, writer->epoch, entry->seq), STR("\""));
}

/* row->to read what row->from sent. */
static char *read_put(char *at, const struct message_row *row)
{
    at = put_str(put_str(at, STR(",\"by\":\"")), row->to);
    at = put_str(put_str(at, STR("\",\"from\":\"")), row->from);
    return put_int(put_str(at, STR("\",\"up_to_id\":")), row->entry.ref);
}

static char *renamed_put(char *at, struct str text)
{
    struct str from;
    struct str to;

    renamed_text_split(text, &from, &to);
    at = put_str(put_str(at, STR(",\"from\":")), from);
    return put_str(put_str(at, STR(",\"to\":")), to);
}
