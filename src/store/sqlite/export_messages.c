/* export_messages.c - the logs become the one table of messages again.
 *
 * Each message once: from its recipient's log, which knows whether it was read; or, where the
 * recipient is deleted or the sender itself, from the sender's. A message between two deleted
 * accounts is in no log. One that a block withheld is in its sender's log only, so a recipient who
 * is still there never had it; where the recipient is deleted, a note beside the log tells.
 *
 * Read is what lies below the conversation's number; when is what the first read mark at or above
 * the message says. Of adopted messages that is not known, and their own time stands for it.
 */
#include "base/json_text.h"
#include "base/log.h"
#include "store/sqlite/content.h"
#include "store/sqlite/export_rows.h"

/* As adoption takes them. */
#define CONTENT_MAX_BYTES (15u * 1024 * 1024)

static const char ACCOUNT_IDS[] = "SELECT id FROM account WHERE deleted_at_ms IS NULL ORDER BY id";
static const char OTHER_ENTRIES[] = "SELECT kind, other_id, ref, created_at_ms FROM log"
                                    " WHERE account_id = ?1 AND kind NOT IN (1, 2) ORDER BY seq";
#define MESSAGES_WITH(text)                                                                        \
    "SELECT kind, other_id, ref, received, created_at_ms, " text                                   \
    " FROM log WHERE account_id = ?1 AND kind IN (1, 2) ORDER BY seq"
static const char MESSAGES[] =
    MESSAGES_WITH("coalesce(text, (SELECT text FROM content WHERE message_id = ref))");
static const char MESSAGES_BEFORE_CONTENTS[] = MESSAGES_WITH("text");
static const char PARTNER[] =
    "SELECT (SELECT read FROM conversation WHERE account_id = ?1 AND other_id = ?2),"
    " (SELECT deleted_at_ms IS NOT NULL FROM account WHERE id = ?2)";
static const char WITHHELD_FIND[] =
    "SELECT 1 FROM withheld_message WHERE account_id = ?1 AND message_id = ?2";
static const char MESSAGE_ADD[] =
    "INSERT INTO messages(id, from_user_id, to_user_id, content, created_at, read_at)"
    " VALUES(?1, ?2, ?3, ?4, ?5, ?6)";

/* The read marks of one account, in the new file, so that any number of them takes no memory. */
static const char MARKS_MAKE[] = "CREATE TABLE export_mark(other_id INTEGER NOT NULL,"
                                 " ref INTEGER NOT NULL, ms INTEGER NOT NULL,"
                                 " PRIMARY KEY(other_id, ref)) WITHOUT ROWID";
static const char MARKS_DROP[] = "DROP TABLE export_mark";
static const char MARKS_CLEAR[] = "DELETE FROM export_mark";
static const char MARK_ADD[] =
    "INSERT OR IGNORE INTO export_mark(other_id, ref, ms) VALUES(?1, ?2, ?3)";
static const char MARK_FIND[] =
    "SELECT ms FROM export_mark WHERE other_id = ?1 AND ref >= ?2 ORDER BY ref LIMIT 1";

/* Whom an account writes with: mostly the same from message to message. */
struct partner {
    int64_t id; /* 0: none yet */
    int64_t read;
    bool is_deleted;
};

struct message {
    int64_t id;
    int64_t sender_id;
    int64_t recipient_id;
    int64_t created_at_ms;
    bool is_read;
    int64_t read_at_ms;
    struct str content;
};

static enum error log_export(struct rust_export *export, int64_t account_id, struct buf *content);
static enum error marks_collect(struct rust_export *export, int64_t account_id, bool *out_any);
static enum error entry_export(struct rust_export *export, int64_t account_id,
                               const struct query *entry, struct partner *partner, bool has_marks,
                               struct buf *content);
static enum error partner_find(struct rust_export *export, int64_t account_id, int64_t other_id,
                               struct partner *partner);
static enum error withheld_find(struct rust_export *export, const struct message *message,
                                bool *out_is_withheld);
static enum error read_time_find(struct rust_export *export, bool has_marks, int64_t other_id,
                                 struct message *message);
static enum error message_add(struct rust_export *export, const struct message *message);

enum error export_messages(struct rust_export *export)
{
    struct query accounts;
    struct buf content;
    enum error error = connection_exec(export->to->database, MARKS_MAKE);
    enum error read_error;

    if (error != OK) {
        return error;
    }
    buf_init(&content, CONTENT_MAX_BYTES);
    accounts = query_read(export->from, ACCOUNT_IDS);
    while (error == OK && query_step(&accounts)) {
        error = log_export(export, query_int(&accounts, 0), &content);
    }
    read_error = query_end(&accounts);
    buf_release(&content);
    if (error != OK || read_error != OK) {
        return error != OK ? error : read_error;
    }
    return connection_exec(export->to->database, MARKS_DROP);
}

static enum error log_export(struct rust_export *export, int64_t account_id, struct buf *content)
{
    struct partner partner = {0};
    bool has_marks = false;
    enum error error = marks_collect(export, account_id, &has_marks);
    struct query entries =
        query_read(export->from, export->has_contents ? MESSAGES : MESSAGES_BEFORE_CONTENTS);
    enum error read_error;

    query_bind_int(&entries, account_id);
    while (error == OK && query_step(&entries)) {
        error = entry_export(export, account_id, &entries, &partner, has_marks, content);
    }
    read_error = query_end(&entries);
    if (error == OK && has_marks) {
        error = connection_exec(export->to->database, MARKS_CLEAR);
    }
    return error != OK ? error : read_error;
}

static enum error marks_collect(struct rust_export *export, int64_t account_id, bool *out_any)
{
    struct query entries = query_read(export->from, OTHER_ENTRIES);
    enum error error = OK;
    enum error read_error;

    query_bind_int(&entries, account_id);
    while (error == OK && query_step(&entries)) {
        struct query mark;

        if (query_int(&entries, 0) != ENTRY_READ_BY_ME) {
            export->counts.entries_left++;
            continue;
        }
        /* Of two up to one message the first one read it. */
        mark = query_write(export->to, MARK_ADD);
        query_bind_int(&mark, query_int(&entries, 1));
        query_bind_int(&mark, query_int(&entries, 2));
        query_bind_int(&mark, query_int(&entries, 3));
        error = query_run(&mark);
        *out_any = true;
    }
    read_error = query_end(&entries);
    return error != OK ? error : read_error;
}

static enum error entry_export(struct rust_export *export, int64_t account_id,
                               const struct query *entry, struct partner *partner, bool has_marks,
                               struct buf *content)
{
    bool is_received = query_int(entry, 0) == ENTRY_MESSAGE_RECEIVED;
    int64_t other_id = query_int(entry, 1);
    struct message message = {
        .id = query_int(entry, 2),
        .sender_id = is_received ? other_id : account_id,
        .recipient_id = is_received ? account_id : other_id,
        .created_at_ms = query_int(entry, 4),
    };
    bool is_withheld = false;
    enum error error = partner_find(export, account_id, other_id, partner);

    if (error != OK || !(is_received || other_id == account_id || partner->is_deleted)) {
        return error;
    }
    if (!is_received && export->has_blocks) {
        error = withheld_find(export, &message, &is_withheld);
    }
    if (error != OK || is_withheld) {
        return error;
    }
    if (is_received) {
        message.is_read = query_int(entry, 3) <= partner->read;
        export->counts.received++;
        export->counts.unread += message.is_read ? 0 : 1;
    }
    if (message.is_read) {
        error = read_time_find(export, has_marks, other_id, &message);
    }
    struct str text = query_text(entry, 5);

    if (text.ptr == NULL) {
        return content_missing(message.id);
    }
    buf_clear(content);
    if (!json_unescape(text, content) || content->overflowed) {
        log_event(LOG_ERROR, "message_unreadable", LOG_INT("message", message.id), LOG_END);
        return ERROR_INTERNAL;
    }
    message.content = text_of(content);
    return error == OK ? message_add(export, &message) : error;
}

static enum error partner_find(struct rust_export *export, int64_t account_id, int64_t other_id,
                               struct partner *partner)
{
    struct query query;
    enum error error;

    if (partner->id == other_id) {
        return OK;
    }
    query = query_read(export->from, PARTNER);
    query_bind_int(&query, account_id);
    query_bind_int(&query, other_id);
    if (query_step(&query)) {
        *partner = (struct partner){other_id, query_int(&query, 0), query_int(&query, 1) != 0};
    }
    error = query_end(&query);
    return error;
}

static enum error withheld_find(struct rust_export *export, const struct message *message,
                                bool *out_is_withheld)
{
    struct query query = query_read(export->from, WITHHELD_FIND);

    query_bind_int(&query, message->sender_id);
    query_bind_int(&query, message->id);
    *out_is_withheld = query_step(&query);
    return query_end(&query);
}

static enum error read_time_find(struct rust_export *export, bool has_marks, int64_t other_id,
                                 struct message *message)
{
    bool is_known = false;
    enum error error = OK;

    if (has_marks) {
        struct query mark = query_read(export->to, MARK_FIND);

        query_bind_int(&mark, other_id);
        query_bind_int(&mark, message->id);
        is_known = query_step(&mark);
        message->read_at_ms = is_known ? query_int(&mark, 0) : 0;
        error = query_end(&mark);
    }
    if (!is_known) {
        message->read_at_ms = message->created_at_ms;
        export->counts.read_at_unknown++;
    }
    return error;
}

static enum error message_add(struct rust_export *export, const struct message *message)
{
    char created_at[RUST_TIME_LEN + 1];
    char read_at[RUST_TIME_LEN + 1];
    struct str not_read = {NULL, 0};
    struct query query = query_write(export->to, MESSAGE_ADD);

    query_bind_int(&query, message->id);
    query_bind_int(&query, message->sender_id);
    query_bind_int(&query, message->recipient_id);
    query_bind_text(&query, message->content);
    query_bind_text(&query, rust_time(message->created_at_ms, message->id, created_at));
    query_bind_text(&query,
                    message->is_read ? rust_time(message->read_at_ms, 0, read_at) : not_read);
    export->counts.messages++;
    return query_run(&query);
}
