/* sent_keys.c - which message an exactly-once key made. The column `digest` has a SHA-256 in the
 * rows of older versions, and a fingerprint since. */
#include <string.h>

#include "store/sqlite/connection.h"

static const char SENT_KEY_FIND[] = "SELECT digest, message_id, created_at_ms FROM sent_key"
                                    " WHERE account_id = ?1 AND key = ?2";
static const char SENT_KEY_ADD[] = "INSERT INTO sent_key(account_id, key, digest, message_id,"
                                   " created_at_ms) VALUES(?1, ?2, ?3, ?4, ?5)";

enum error store_sent_key_find(struct store *store, int64_t account_id, struct str key,
                               bool *out_found, struct sent_key *out_sent)
{
    struct query query = query_read(store, SENT_KEY_FIND);
    struct sent_key sent = {0};
    bool found;
    enum error error;

    query_bind_int(&query, account_id);
    query_bind_text(&query, key);
    found = query_step(&query);
    if (found) {
        struct str digest = query_text(&query, 0);

        if (digest.len == FINGERPRINT_LEN) {
            memcpy(sent.fingerprint.bytes, digest.ptr, FINGERPRINT_LEN);
        } else if (digest.len == SHA256_LEN) {
            sent.has_digest = true;
            memcpy(sent.digest.bytes, digest.ptr, SHA256_LEN);
        }
        sent.message_id = query_int(&query, 1);
        sent.created_at_ms = query_int(&query, 2);
    }
    error = query_end(&query);
    if (error != OK) {
        return error;
    }
    *out_found = found;
    if (found) {
        *out_sent = sent;
    }
    return OK;
}

enum error store_sent_key_add(struct store *store, int64_t account_id, struct str key,
                              const struct sent_key *sent)
{
    struct query query = query_write(store, SENT_KEY_ADD);

    query_bind_int(&query, account_id);
    query_bind_text(&query, key);
    query_bind_bytes(&query, sent->fingerprint.bytes, sizeof sent->fingerprint.bytes);
    query_bind_int(&query, sent->message_id);
    query_bind_int(&query, sent->created_at_ms);
    return query_run(&query);
}
