/* message.c - a message is one entry in each of two logs, and a row in each of two conversations.
 *
 * 1. Both sides are written in ascending account id, so that two senders who write to each other
 *    can never wait for one another in a store that locks by account.
 * 2. A conversation row counts what was received and how much of it was read; both only grow, so
 *    marking twice is harmless and unread is their difference.
 * 3. Each message entry holds `received` as it was then, so "read up to here" is one look-up.
 * 4. A message to oneself is one entry, sent and never received, so never unread.
 * 5. What a recipient's block withholds is written on the sender's side alone, with a note of it;
 *    the sender is answered as ever. So nothing of it can come later.
 */
#include "domain/message.h"

#include <string.h>

#include "domain/name.h"

/* What both get. */
struct message {
    int64_t id;
    int64_t created_at_ms;
    struct str text; /* of its entries: store_content_add */
};

/* What one of the two accounts gets. */
struct side {
    int64_t account_id;
    int64_t other_id;
    enum entry_kind kind;
};

static bool sent_key_is_allowed(struct str key);
static bool draft_is_the_same(const struct message_draft *draft,
                              const struct fingerprint *fingerprint, const struct sent_key *row);
static enum error replay_find(struct store *store, const struct message_draft *draft,
                              const struct fingerprint *fingerprint, bool *out_found,
                              struct message_sent *out_sent);
static enum error append_both(struct store *store, const struct message_draft *draft,
                              const struct message_sent *sent);
static enum error append_message(struct store *store, const struct side *side,
                                 const struct message *message);
static enum error append_read(struct store *store, const struct side *side, int64_t message_id,
                              int64_t now_ms);
static enum error append_both_read(struct store *store, int64_t reader_id, int64_t sender_id,
                                   int64_t message_id, int64_t now_ms, struct arena *arena);
static enum error message_find(struct store *store, int64_t account_id, int64_t other_id,
                               int64_t seq, struct entry *out_entry);

/* ---- sending --------------------------------------------------------------------------------- */

enum error message_send(struct store *store, const struct message_draft *draft, struct arena *arena,
                        struct message_sent *out_sent)
{
    struct sent_key row = {.created_at_ms = draft->now_ms};
    struct message_sent sent = {.created_at_ms = draft->now_ms};
    bool has_key = draft->key.ptr != NULL;
    bool is_replay = false;
    enum error error = OK;

    if (draft->content.len == 0) {
        return ERROR_CONTENT_EMPTY;
    }
    if (has_key) {
        if (!sent_key_is_allowed(draft->key)) {
            return ERROR_KEY_NOT_ALLOWED;
        }
        fingerprint_of_pair(draft->to_username, draft->content, &row.fingerprint);
        error = replay_find(store, draft, &row.fingerprint, &is_replay, out_sent);
    }
    if (error != OK || is_replay) {
        return error;
    }
    error = name_resolve(store, draft->to_username, false, arena, &sent.recipient_id);
    if (error == OK && sent.recipient_id == 0) {
        return ERROR_RECIPIENT_NOT_FOUND;
    }
    if (error == OK) {
        error = store_message_id_take(store, &sent.message_id);
    }
    if (error == OK) {
        error = append_both(store, draft, &sent);
    }
    if (error == OK && has_key) {
        row.message_id = sent.message_id;
        error = store_sent_key_add(store, draft->sender_id, draft->key, &row);
    }
    if (error == OK) {
        *out_sent = sent;
    }
    return error;
}

static bool sent_key_is_allowed(struct str key)
{
    if (key.len == 0 || key.len > SENT_KEY_MAX_BYTES) {
        return false;
    }
    for (size_t i = 0; i < key.len; i++) {
        if (key.ptr[i] < '!' || key.ptr[i] > '~') {
            return false;
        }
    }
    return true;
}

static enum error replay_find(struct store *store, const struct message_draft *draft,
                              const struct fingerprint *fingerprint, bool *out_found,
                              struct message_sent *out_sent)
{
    struct sent_key row;
    bool is_found;
    enum error error = store_sent_key_find(store, draft->sender_id, draft->key, &is_found, &row);

    if (error != OK) {
        return error;
    }
    if (is_found) {
        if (!draft_is_the_same(draft, fingerprint, &row)) {
            return ERROR_KEY_REUSED;
        }
        *out_sent = (struct message_sent){
            .message_id = row.message_id,
            .created_at_ms = row.created_at_ms,
            .is_replay = true,
        };
    }
    *out_found = is_found;
    return OK;
}

static bool draft_is_the_same(const struct message_draft *draft,
                              const struct fingerprint *fingerprint, const struct sent_key *row)
{
    const struct str parts[] = {draft->to_username, draft->content};
    struct sha256 digest;

    if (!row->has_digest) {
        return memcmp(row->fingerprint.bytes, fingerprint->bytes, FINGERPRINT_LEN) == 0;
    }
    sha256_of_parts(parts, sizeof(parts) / sizeof(parts[0]), &digest);
    return memcmp(row->digest.bytes, digest.bytes, SHA256_LEN) == 0;
}

static enum error append_both(struct store *store, const struct message_draft *draft,
                              const struct message_sent *sent)
{
    struct side sender_side = {draft->sender_id, sent->recipient_id, ENTRY_MESSAGE_SENT};
    struct side recipient_side = {sent->recipient_id, draft->sender_id, ENTRY_MESSAGE_RECEIVED};
    struct message message = {.id = sent->message_id, .created_at_ms = draft->now_ms};
    bool sender_is_first = draft->sender_id < sent->recipient_id;
    bool is_to_oneself = draft->sender_id == sent->recipient_id;
    bool is_blocked = false;
    enum error error = OK;

    if (!is_to_oneself) {
        error = store_block_find(store, sent->recipient_id, draft->sender_id, &is_blocked);
    }
    if (error == OK) {
        error = store_content_add(store, message.id, draft->content_json,
                                  is_to_oneself || is_blocked ? 1 : 2, &message.text);
    }
    if (error != OK) {
        return error;
    }
    if (is_to_oneself || is_blocked) {
        error = append_message(store, &sender_side, &message);
        return error == OK && is_blocked
                   ? store_withheld_add(store, draft->sender_id, sent->recipient_id, message.id)
                   : error;
    }
    error = append_message(store, sender_is_first ? &sender_side : &recipient_side, &message);
    if (error == OK) {
        error = append_message(store, sender_is_first ? &recipient_side : &sender_side, &message);
    }
    return error;
}

static enum error append_message(struct store *store, const struct side *side,
                                 const struct message *message)
{
    struct conversation conversation;
    bool is_found;
    enum error error =
        store_conversation_find(store, side->account_id, side->other_id, &is_found, &conversation);

    if (error != OK) {
        return error;
    }
    if (!is_found) {
        conversation = (struct conversation){.other_id = side->other_id};
    }
    if (side->kind == ENTRY_MESSAGE_RECEIVED) {
        conversation.received++;
    }
    struct entry entry = {
        .kind = side->kind,
        .other_id = side->other_id,
        .ref = message->id,
        .received = conversation.received,
        .created_at_ms = message->created_at_ms,
        .text = message->text,
    };

    error = store_entry_append(store, side->account_id, &entry, conversation.last_seq,
                               &conversation.last_seq);
    if (error == OK) {
        error = store_conversation_set(store, side->account_id, &conversation);
    }
    return error;
}

/* ---- reading --------------------------------------------------------------------------------- */

enum error message_mark_read(struct store *store, int64_t account_id, int64_t other_id,
                             int64_t up_to_seq, int64_t now_ms, struct arena *arena,
                             int64_t *out_marked)
{
    struct conversation conversation;
    struct entry last_read;
    bool is_found;
    enum error error =
        store_conversation_find(store, account_id, other_id, &is_found, &conversation);

    if (error != OK) {
        return error;
    }
    if (!is_found && up_to_seq != 0) {
        return ERROR_SEQ_NOT_ALLOWED;
    }
    if (up_to_seq == 0 && (!is_found || conversation.received == conversation.read)) {
        *out_marked = 0;
        return OK;
    }
    error = message_find(store, account_id, other_id,
                         up_to_seq == 0 ? conversation.last_seq : up_to_seq, &last_read);
    if (error != OK) {
        return error;
    }
    int64_t marked = last_read.received - conversation.read;

    if (marked <= 0) {
        *out_marked = 0;
        return OK;
    }
    conversation.read = last_read.received;
    error = store_conversation_set(store, account_id, &conversation);
    if (error == OK) {
        error = append_both_read(store, account_id, other_id, last_read.ref, now_ms, arena);
    }
    if (error == OK) {
        *out_marked = marked;
    }
    return error;
}

static enum error append_both_read(struct store *store, int64_t reader_id, int64_t sender_id,
                                   int64_t message_id, int64_t now_ms, struct arena *arena)
{
    struct side reader_side = {reader_id, sender_id, ENTRY_READ_BY_ME};
    struct side sender_side = {sender_id, reader_id, ENTRY_READ_BY_OTHER};
    struct account sender;
    bool is_found;
    bool is_blocked = false;
    enum error error = store_account_find(store, sender_id, arena, &is_found, &sender);

    if (error == OK) {
        error = store_block_find(store, sender_id, reader_id, &is_blocked);
    }
    if (error != OK) {
        return error;
    }
    /* A deleted account's log is on its way out; nothing is added to it. One that blocks the reader
     * is told nothing of them. */
    if (!is_found || sender.is_deleted || is_blocked) {
        return append_read(store, &reader_side, message_id, now_ms);
    }
    bool reader_is_first = reader_id < sender_id;

    error = append_read(store, reader_is_first ? &reader_side : &sender_side, message_id, now_ms);
    if (error == OK) {
        error =
            append_read(store, reader_is_first ? &sender_side : &reader_side, message_id, now_ms);
    }
    return error;
}

static enum error append_read(struct store *store, const struct side *side, int64_t message_id,
                              int64_t now_ms)
{
    struct entry entry = {
        .kind = side->kind,
        .other_id = side->other_id,
        .ref = message_id,
        .created_at_ms = now_ms,
    };
    int64_t seq;

    return store_entry_append(store, side->account_id, &entry, 0, &seq);
}

enum error message_check_seq(struct store *store, int64_t account_id, int64_t other_id, int64_t seq)
{
    struct entry entry;

    return message_find(store, account_id, other_id, seq, &entry);
}

static enum error message_find(struct store *store, int64_t account_id, int64_t other_id,
                               int64_t seq, struct entry *out_entry)
{
    struct entry entry;
    bool is_found;
    enum error error = store_entry_find(store, account_id, seq, NULL, &is_found, &entry);

    if (error != OK) {
        return error;
    }
    if (!is_found || entry.other_id != other_id ||
        (entry.kind != ENTRY_MESSAGE_SENT && entry.kind != ENTRY_MESSAGE_RECEIVED)) {
        return ERROR_SEQ_NOT_ALLOWED;
    }
    *out_entry = entry;
    return OK;
}
