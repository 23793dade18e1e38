/* adopt_messages.c - the one table of messages becomes a log per account.
 *
 * One account after the other, so that the log is written in the order of its key: its sent and
 * its received messages are two index scans in order of id, merged here. Of a conversation only
 * the row is kept, of an account only its head; no list of anything is held in memory.
 *
 * Before that long ones are stored once, all in order of their ids.
 *
 * Unread is what that server counts: received from another account and read_at not set. Here it
 * is the difference of two numbers, so read and unread may be mixed in any order.
 */
#include "base/json_text.h"
#include "base/log.h"
#include "store/sqlite/adopt_rows.h"
#include "store/sqlite/content.h"
#include "store/sqlite/entry.h"

static const char USER_IDS[] = "SELECT id FROM users ORDER BY id";

#define MESSAGE_COLUMNS(other, is_read) "SELECT id, " other ", content, created_at, " is_read
#define MESSAGES_TO                                                                                \
    " FROM messages INDEXED BY idx_messages_to_user WHERE to_user_id = ?1"                         \
    " AND from_user_id <> ?1 ORDER BY id"

static const char MESSAGES_SENT[] =
    MESSAGE_COLUMNS("to_user_id", "0") " FROM messages"
                                       " INDEXED BY idx_messages_from_user WHERE from_user_id = ?1"
                                       " ORDER BY id";
static const char MESSAGES_RECEIVED[] =
    MESSAGE_COLUMNS("from_user_id", "read_at IS NOT NULL") MESSAGES_TO;
static const char MESSAGES_RECEIVED_UNREAD[] = MESSAGE_COLUMNS("from_user_id", "0") MESSAGES_TO;
/* For each run of messages without a time that can be read: its first id, and the time they get.
 * In the file, not in memory; gone at the end. */
static const char RUNS_MAKE[] = "CREATE TABLE adopt_time(first_id INTEGER PRIMARY KEY, ms INTEGER)";
static const char RUNS_DROP[] = "DROP TABLE adopt_time";
static const char RUN_ADD[] = "INSERT INTO adopt_time(first_id, ms) VALUES(?1, ?2)";
static const char RUN_OF[] =
    "SELECT ms FROM adopt_time WHERE first_id <= ?1 ORDER BY first_id DESC LIMIT 1";
static const char CONTENTS[] =
    "SELECT id, content, from_user_id = to_user_id FROM messages ORDER BY id";
static const char TIMES[] = "SELECT id, created_at FROM messages ORDER BY id";

/* The indexes are that server's own; a file may have lost them. */
static const char INDEXES_MAKE[] =
    "CREATE INDEX IF NOT EXISTS idx_messages_to_user ON messages(to_user_id);"
    "CREATE INDEX IF NOT EXISTS idx_messages_from_user ON messages(from_user_id);";

/* One side of the merge. */
struct message_scan {
    struct query query;
    bool has_row;
    int64_t id; /* of that row */
};

/* What is reused from message to message. */
struct message_scratch {
    struct buf repaired;
    struct buf escaped;
    bool has_runs; /* table adopt_time is filled */
};

static enum error long_contents_write(struct store *store, struct message_scratch *scratch);
static enum error log_write(struct store *store, int64_t account_id, const char *received_sql,
                            struct message_scratch *scratch);
static struct message_scan scan_begin(struct store *store, const char *sql, int64_t account_id);
static void scan_next(struct message_scan *scan);
static enum error message_write(struct store *store, int64_t account_id, enum entry_kind kind,
                                const struct query *row, int64_t seq,
                                struct message_scratch *scratch);
static enum error content_escape(const char *table, int64_t id, struct str content,
                                 struct message_scratch *scratch);
static enum error time_find(struct store *store, const struct query *row,
                            struct message_scratch *scratch, int64_t *out_wall_ms);
static enum error runs_fill(struct store *store);
static enum error run_add(struct store *store, int64_t first_id, int64_t wall_ms);

enum error adopt_messages(struct store *store, const struct adopt_tables *tables)
{
    const char *received_sql = tables->has_read_at ? MESSAGES_RECEIVED : MESSAGES_RECEIVED_UNREAD;
    struct message_scratch scratch = {.has_runs = false};
    struct query users;
    enum error error = connection_exec(store->database, INDEXES_MAKE);
    enum error read_error;

    if (error != OK) {
        return error;
    }
    buf_init(&scratch.repaired, ADOPT_TEXT_MAX_BYTES);
    buf_init(&scratch.escaped, ADOPT_TEXT_MAX_BYTES);
    error = long_contents_write(store, &scratch);
    users = query_read(store, USER_IDS);
    while (error == OK && query_step(&users)) {
        error = log_write(store, query_int(&users, 0), received_sql, &scratch);
    }
    read_error = query_end(&users);
    buf_release(&scratch.repaired);
    buf_release(&scratch.escaped);
    if (error != OK || read_error != OK) {
        return error != OK ? error : read_error;
    }
    return scratch.has_runs ? connection_exec(store->database, RUNS_DROP) : OK;
}

static enum error long_contents_write(struct store *store, struct message_scratch *scratch)
{
    struct query rows = query_read(store, CONTENTS);
    enum error error = OK;
    enum error read_error;

    while (error == OK && query_step(&rows)) {
        int64_t id = query_int(&rows, 0);
        struct str text;

        error = content_escape("messages", id, query_text(&rows, 1), scratch);
        if (error == OK) {
            error = store_content_add(store, id, text_of(&scratch->escaped),
                                      query_int(&rows, 2) != 0 ? 1 : 2, &text);
        }
    }
    read_error = query_end(&rows);
    return error != OK ? error : read_error;
}

static enum error log_write(struct store *store, int64_t account_id, const char *received_sql,
                            struct message_scratch *scratch)
{
    struct message_scan sent = scan_begin(store, MESSAGES_SENT, account_id);
    struct message_scan received = scan_begin(store, received_sql, account_id);
    int64_t seq = 0;
    enum error error = OK;
    enum error sent_error;
    enum error received_error;

    while (error == OK && (sent.has_row || received.has_row)) {
        bool is_sent = !received.has_row || (sent.has_row && sent.id < received.id);
        struct message_scan *scan = is_sent ? &sent : &received;

        seq++;
        error =
            message_write(store, account_id, is_sent ? ENTRY_MESSAGE_SENT : ENTRY_MESSAGE_RECEIVED,
                          &scan->query, seq, scratch);
        scan_next(scan);
    }
    sent_error = query_end(&sent.query);
    received_error = query_end(&received.query);
    if (error != OK) {
        return error;
    }
    return sent_error != OK ? sent_error : received_error;
}

static struct message_scan scan_begin(struct store *store, const char *sql, int64_t account_id)
{
    struct message_scan scan = {.query = query_read(store, sql)};

    query_bind_int(&scan.query, account_id);
    scan_next(&scan);
    return scan;
}

static void scan_next(struct message_scan *scan)
{
    scan->has_row = query_step(&scan->query);
    scan->id = scan->has_row ? query_int(&scan->query, 0) : 0;
}

static enum error message_write(struct store *store, int64_t account_id, enum entry_kind kind,
                                const struct query *row, int64_t seq,
                                struct message_scratch *scratch)
{
    int64_t id = query_int(row, 0);
    int64_t other_id = query_int(row, 1);
    struct conversation conversation = {.other_id = other_id};
    struct entry entry = {.seq = seq, .kind = kind, .other_id = other_id, .ref = id};
    bool found = false;
    enum error error = time_find(store, row, scratch, &entry.created_at_ms);

    if (error == OK) {
        error = store_conversation_find(store, account_id, other_id, &found, &conversation);
    }
    if (error != OK) {
        return error;
    }
    entry.chain = conversation.last_seq;
    conversation.last_seq = seq;
    if (kind == ENTRY_MESSAGE_RECEIVED) {
        conversation.received++;
        conversation.read += query_int(row, 4);
    }
    entry.received = conversation.received;
    error = content_escape(NULL, id, query_text(row, 2), scratch);
    if (error != OK) {
        return error;
    }
    entry.text = text_of(&scratch->escaped);
    if (content_is_long(entry.text)) {
        entry.text = (struct str){NULL, 0}; /* long_contents_write wrote it */
    }
    error = entry_add(store, account_id, &entry);
    if (error == OK) {
        error = store_conversation_set(store, account_id, &conversation);
    }
    return error;
}

/* `table` as adopt_text takes it. */
static enum error content_escape(const char *table, int64_t id, struct str content,
                                 struct message_scratch *scratch)
{
    buf_clear(&scratch->escaped);
    json_escape(adopt_text(content, table, id, &scratch->repaired), &scratch->escaped);
    if (scratch->escaped.overflowed || scratch->repaired.overflowed) {
        log_event(LOG_ERROR, "message_too_long", LOG_TEXT("table", "messages"), LOG_INT("row", id),
                  LOG_END);
        return ERROR_INTERNAL;
    }
    return OK;
}

/* A time that cannot be read is taken from the message before it, in order of id, so that both
 * logs get the same. */
static enum error time_find(struct store *store, const struct query *row,
                            struct message_scratch *scratch, int64_t *out_wall_ms)
{
    struct time_faults faults = {0, 0};
    struct query run;
    enum error error;

    if (adopt_time(query_text(row, 3), 0, &faults, out_wall_ms)) {
        return OK;
    }
    if (!scratch->has_runs) {
        error = runs_fill(store);
        if (error != OK) {
            return error;
        }
        scratch->has_runs = true;
    }
    run = query_read(store, RUN_OF);
    query_bind_int(&run, query_int(row, 0));
    if (query_step(&run)) {
        *out_wall_ms = query_int(&run, 0);
    }
    return query_end(&run);
}

/* One pass over all messages, when the first such time is met: looking backwards from each would
 * take its square. */
static enum error runs_fill(struct store *store)
{
    struct time_faults faults = {0, 0};
    int64_t last_ms = 0;
    bool is_in_run = false;
    struct query times;
    enum error error = connection_exec(store->database, RUNS_MAKE);
    enum error read_error;

    if (error != OK) {
        return error;
    }
    times = query_read(store, TIMES);
    while (error == OK && query_step(&times)) {
        int64_t id = query_int(&times, 0);

        if (adopt_time(query_text(&times, 1), id, &faults, &last_ms)) {
            is_in_run = false;
        } else if (!is_in_run) {
            is_in_run = true;
            error = run_add(store, id, last_ms);
        }
    }
    read_error = query_end(&times);
    adopt_time_warn("messages", &faults);
    return error != OK ? error : read_error;
}

static enum error run_add(struct store *store, int64_t first_id, int64_t wall_ms)
{
    struct query query = query_write(store, RUN_ADD);

    query_bind_int(&query, first_id);
    query_bind_int(&query, wall_ms);
    return query_run(&query);
}
