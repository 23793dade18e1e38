/* store_fake_dump.c - all rows of the fake store as text, for comparing before and after. */
#include <inttypes.h>

#include "base/json_text.h"
#include "support/store_fake.h"
#include "support/store_fake_rows.h"

static void dump_accounts(const struct fake_rows *rows, struct buf *out);
static void dump_log(const struct fake_rows *rows, struct buf *out);
static void dump_keys(const struct fake_rows *rows, struct buf *out);
static void append_text(struct buf *out, struct str text);
static void append_digest(struct buf *out, const struct sha256 *digest);
static void append_numbers(struct buf *out, const char *table, const int64_t *numbers,
                           size_t count);

/* A row as "table 1 2 3": all its numbers, then its texts. */
#define NUMBERS(out, table, ...)                                                                   \
    append_numbers((out), (table), (const int64_t[]){__VA_ARGS__},                                 \
                   sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t))

void store_fake_dump(const struct store *store, struct buf *out)
{
    const struct fake_rows *rows = &store->home->rows;

    NUMBERS(out, "next", rows->next_account_id, rows->next_session_id, rows->next_chore_id,
            rows->names_count, rows->password_cost);
    buf_append_char(out, '\n');
    dump_accounts(rows, out);
    dump_log(rows, out);
    dump_keys(rows, out);
}

static void dump_accounts(const struct fake_rows *rows, struct buf *out)
{
    for (size_t i = 0; i < rows->accounts.count; i++) {
        const struct account *row = FAKE_ROW(rows->accounts, struct account, i);

        NUMBERS(out, "account", row->id, row->created_at_ms, row->is_deleted, row->disabled_at_ms);
        append_text(out, row->name);
        append_text(out, row->password_hash);
        buf_append_char(out, '\n');
    }
    for (size_t i = 0; i < rows->names.count; i++) {
        const struct name_row *row = FAKE_ROW(rows->names, struct name_row, i);

        NUMBERS(out, "name", row->account_id, row->state, row->held_until_ms);
        append_text(out, row->name);
        append_text(out, row->folded);
        buf_append_char(out, '\n');
    }
    for (size_t i = 0; i < rows->sessions.count; i++) {
        const struct fake_session *row = FAKE_ROW(rows->sessions, struct fake_session, i);

        NUMBERS(out, "session", row->session.id, row->session.account_id,
                row->session.created_at_ms, row->session.last_used_at_ms, row->session.is_barred);
        append_text(out, row->session.label);
        append_digest(out, &row->token_digest);
        buf_append_char(out, '\n');
    }
    for (size_t i = 0; i < rows->invites.count; i++) {
        const struct fake_invite *row = FAKE_ROW(rows->invites, struct fake_invite, i);

        NUMBERS(out, "invite", row->invite.id, row->invite.uses_left, row->invite.created_at_ms,
                row->invite.expires_at_ms);
        append_digest(out, &row->code_digest);
        buf_append_char(out, '\n');
    }
}

static void dump_log(const struct fake_rows *rows, struct buf *out)
{
    for (size_t i = 0; i < rows->entries.count; i++) {
        const struct fake_entry *row = FAKE_ROW(rows->entries, struct fake_entry, i);
        const struct entry *entry = &row->entry;

        NUMBERS(out, "entry", row->account_id, entry->seq, entry->kind, entry->other_id, entry->ref,
                entry->received, entry->created_at_ms, entry->chain);
        append_text(out, entry->text);
        buf_append_char(out, '\n');
    }
    for (size_t i = 0; i < rows->conversations.count; i++) {
        const struct fake_conversation *row =
            FAKE_ROW(rows->conversations, struct fake_conversation, i);

        NUMBERS(out, "conversation", row->account_id, row->conversation.other_id,
                row->conversation.last_seq, row->conversation.received, row->conversation.read);
        buf_append_char(out, '\n');
    }
    for (size_t i = 0; i < rows->blocks.count; i++) {
        const struct fake_block *row = FAKE_ROW(rows->blocks, struct fake_block, i);

        NUMBERS(out, "block", row->account_id, row->block.other_id, row->block.since_ms,
                row->block.withheld, row->untold.has_new_keys);
        buf_append_str(out, row->untold.renamed);
        buf_append_char(out, '\n');
    }
    for (size_t i = 0; i < rows->withheld.count; i++) {
        const struct fake_withheld *row = FAKE_ROW(rows->withheld, struct fake_withheld, i);

        NUMBERS(out, "withheld", row->account_id, row->message_id);
        buf_append_char(out, '\n');
    }
    for (size_t i = 0; i < rows->sent_keys.count; i++) {
        const struct fake_sent_key *row = FAKE_ROW(rows->sent_keys, struct fake_sent_key, i);

        NUMBERS(out, "sent_key", row->account_id, row->sent.message_id, row->sent.created_at_ms);
        append_text(out, row->key);
        append_digest(out, &row->sent.digest);
        buf_append_char(out, '\n');
    }
}

static void dump_keys(const struct fake_rows *rows, struct buf *out)
{
    for (size_t i = 0; i < rows->bundles.count; i++) {
        const struct fake_bundle *row = FAKE_ROW(rows->bundles, struct fake_bundle, i);

        NUMBERS(out, "bundle", row->account_id, row->updated_at_ms);
        append_text(out, row->bundle.identity_key);
        append_text(out, row->bundle.signed_prekey);
        append_text(out, row->bundle.signed_prekey_signature);
        buf_append_char(out, '\n');
    }
    for (size_t i = 0; i < rows->prekeys.count; i++) {
        const struct fake_prekey *row = FAKE_ROW(rows->prekeys, struct fake_prekey, i);

        NUMBERS(out, "prekey", row->account_id);
        append_text(out, row->key);
        buf_append_char(out, '\n');
    }
    for (size_t i = 0; i < rows->claimed.count; i++) {
        const struct fake_claimed *row = FAKE_ROW(rows->claimed, struct fake_claimed, i);

        NUMBERS(out, "claimed", row->account_id);
        append_digest(out, &row->digest);
        buf_append_char(out, '\n');
    }
    for (size_t i = 0; i < rows->chores.count; i++) {
        const struct chore *row = FAKE_ROW(rows->chores, struct chore, i);

        NUMBERS(out, "chore", row->id, row->kind, row->account_id, row->cursor, row->created_at_ms);
        append_text(out, row->text);
        buf_append_char(out, '\n');
    }
}

static void append_numbers(struct buf *out, const char *table, const int64_t *numbers, size_t count)
{
    buf_append_str(out, str_from(table));
    for (size_t i = 0; i < count; i++) {
        buf_append_format(out, " %" PRId64, numbers[i]);
    }
}

static void append_text(struct buf *out, struct str text)
{
    if (text.ptr == NULL) {
        buf_append_str(out, STR(" null"));
        return;
    }
    buf_append_str(out, STR(" \""));
    json_escape(text, out);
    buf_append_char(out, '"');
}

static void append_digest(struct buf *out, const struct sha256 *digest)
{
    buf_append_char(out, ' ');
    for (size_t i = 0; i < SHA256_LEN; i++) {
        buf_append_format(out, "%02x", digest->bytes[i]);
    }
}
