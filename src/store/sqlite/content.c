/* content.c - the text of long messages: added with the first entry, removed with the last.
 *
 * A log's rows stay small, so that a send dirties little of its two pages; message ids only grow,
 * so that the texts of one commit stand on the same pages, at the end.
 */
#include "store/sqlite/content.h"

#include "base/log.h"

static const char CONTENT_ADD[] =
    "INSERT INTO content(message_id, entries, text) VALUES(?1, ?2, ?3)";
static const char CONTENT_FIND[] = "SELECT text FROM content WHERE message_id = ?1";
static const char CONTENT_LEAVE[] =
    "UPDATE content SET entries = entries - 1 WHERE message_id = ?1 AND entries > 1";
static const char CONTENT_DELETE[] = "DELETE FROM content WHERE message_id = ?1";

enum error store_content_add(struct store *store, int64_t message_id, struct str content,
                             int entries, struct str *out_text)
{
    struct query query;

    if (!content_is_long(content)) {
        *out_text = content;
        return OK;
    }
    *out_text = (struct str){NULL, 0};
    query = query_write(store, CONTENT_ADD);
    query_bind_int(&query, message_id);
    query_bind_int(&query, entries);
    query_bind_text(&query, content);
    return query_run(&query);
}

enum error content_find(struct store *store, int64_t message_id, struct arena *arena,
                        struct str *out_text)
{
    struct query query = query_read(store, CONTENT_FIND);
    struct str text = {NULL, 0};
    enum error error;

    query_bind_int(&query, message_id);
    if (query_step(&query)) {
        text = query_text_copy(&query, 0, arena);
    }
    error = query_end(&query);
    if (error != OK) {
        return error;
    }
    if (text.ptr == NULL) {
        return content_missing(message_id);
    }
    *out_text = text;
    return OK;
}

enum error content_missing(int64_t message_id)
{
    log_event(LOG_ERROR, "content_missing", LOG_INT("message", message_id), LOG_END);
    return ERROR_INTERNAL;
}

enum error content_release(struct store *store, int64_t message_id)
{
    struct query query = query_write(store, CONTENT_LEAVE);
    enum error error;

    query_bind_int(&query, message_id);
    error = query_run(&query);
    if (error != OK || sqlite3_changes(store->database) > 0) {
        return error;
    }
    query = query_write(store, CONTENT_DELETE);
    query_bind_int(&query, message_id);
    return query_run(&query);
}
