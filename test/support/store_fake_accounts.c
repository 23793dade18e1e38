/* store_fake_accounts.c - accounts, names and sessions of the fake store. */
#include <stdlib.h>
#include <string.h>

#include "support/store_fake_rows.h"

static struct account *account_row(struct store *store, int64_t account_id);
static enum error list_names(struct store *store, const struct str *folded, int64_t account_id,
                             struct arena *arena, struct name_row **out_rows, size_t *out_count);
static void remove_name(struct store *store, struct str name);
static struct fake_session *session_row(struct store *store, int64_t account_id, int64_t session_id,
                                        size_t *out_index);
static int compare_names(const void *a, const void *b);
static int compare_texts(struct str left, struct str right);
static const struct fake_session *session_of_token(const struct store *store,
                                                   const struct sha256 *token_digest);
static int compare_sessions(const void *a, const void *b);

/* ---- accounts -------------------------------------------------------------------------------- */

enum error store_account_add(struct store *store, struct str name, struct str password_hash,
                             int64_t created_at_ms, int64_t *out_id)
{
    struct fake_rows *rows = &store->home->rows;
    enum error error = fake_enter_write(store);

    if (error != OK) {
        return error;
    }
    struct account row = {
        .id = rows->next_account_id++,
        .name = fake_text_keep(store, name),
        .password_hash = fake_text_keep(store, password_hash),
        .created_at_ms = created_at_ms,
    };

    fake_table_add(&rows->accounts, &row);
    *out_id = row.id;
    return OK;
}

enum error store_account_find(struct store *store, int64_t account_id, struct arena *arena,
                              bool *out_found, struct account *out_account)
{
    enum error error = fake_enter(store);

    if (error != OK) {
        return error;
    }
    const struct account *row = account_row(store, account_id);

    *out_found = row != NULL;
    if (row != NULL) {
        *out_account = *row;
        out_account->name = fake_text_give(row->name, arena);
        out_account->password_hash = fake_text_give(row->password_hash, arena);
    }
    return OK;
}

enum error store_account_list(struct store *store, int64_t after_id, size_t max,
                              struct arena *arena, struct account_line **out_lines,
                              size_t *out_count)
{
    const struct fake_rows *rows = &store->home->rows;
    enum error error = fake_enter(store);

    if (error != OK) {
        return error;
    }
    struct account_line *lines = arena_alloc(arena, rows->accounts.count * sizeof *lines);
    size_t count = 0;
    for (size_t i = 0; i < rows->accounts.count && count < max; i++) {
        const struct account *row = FAKE_ROW(rows->accounts, struct account, i);

        if (row->id > after_id && !row->is_deleted) {
            lines[count] = (struct account_line){.id = row->id,
                                                 .name = fake_text_give(row->name, arena),
                                                 .created_at_ms = row->created_at_ms};
            for (size_t j = 0; j < rows->sessions.count; j++) {
                lines[count].session_count +=
                    FAKE_ROW(rows->sessions, struct fake_session, j)->session.account_id == row->id;
            }
            count++;
        }
    }
    *out_lines = lines;
    *out_count = count;
    return OK;
}

enum error store_account_totals_find(struct store *store, int64_t account_id,
                                     struct account_totals *out_totals)
{
    const struct fake_rows *rows = &store->home->rows;
    struct account_totals totals = {0};
    enum error error = fake_enter(store);

    if (error != OK) {
        return error;
    }
    for (size_t i = 0; i < rows->conversations.count; i++) {
        const struct fake_conversation *row =
            FAKE_ROW(rows->conversations, struct fake_conversation, i);

        if (row->account_id == account_id) {
            totals.conversations++;
            totals.messages_received += row->conversation.received;
        }
    }
    for (size_t i = 0; i < rows->entries.count; i++) {
        const struct fake_entry *row = FAKE_ROW(rows->entries, struct fake_entry, i);

        if (row->account_id == account_id && row->entry.seq > totals.log_entries) {
            totals.log_entries = row->entry.seq;
        }
    }
    *out_totals = totals;
    return OK;
}

enum error store_totals_find(struct store *store, struct store_totals *out_totals)
{
    const struct fake_rows *rows = &store->home->rows;
    enum error error = fake_enter(store);

    if (error != OK) {
        return error;
    }
    *out_totals = (struct store_totals){.sessions = (int64_t)rows->sessions.count,
                                        .messages = store->home->next_message_id - 1};
    for (size_t i = 0; i < rows->accounts.count; i++) {
        out_totals->accounts += !FAKE_ROW(rows->accounts, struct account, i)->is_deleted;
    }
    return OK;
}

enum error store_account_name_find(struct store *store, int64_t account_id, struct arena *arena,
                                   bool *out_found, struct str *out_name)
{
    enum error error = fake_enter(store);

    if (error != OK) {
        return error;
    }
    const struct account *row = account_row(store, account_id);

    *out_found = row != NULL;
    if (row != NULL) {
        *out_name = fake_text_give(row->name, arena);
    }
    return OK;
}

enum error store_account_set_name(struct store *store, int64_t account_id, struct str name)
{
    enum error error = fake_enter_write(store);
    struct account *row = error == OK ? account_row(store, account_id) : NULL;

    if (row != NULL) {
        row->name = fake_text_keep(store, name);
    }
    return error;
}

enum error store_account_set_password(struct store *store, int64_t account_id,
                                      struct str password_hash)
{
    enum error error = fake_enter_write(store);
    struct account *row = error == OK ? account_row(store, account_id) : NULL;

    if (row != NULL) {
        row->password_hash = fake_text_keep(store, password_hash);
    }
    return error;
}

enum error store_account_set_deleted(struct store *store, int64_t account_id, struct str name,
                                     int64_t deleted_at_ms)
{
    enum error error = fake_enter_write(store);
    struct account *row = error == OK ? account_row(store, account_id) : NULL;

    (void)deleted_at_ms; /* nothing reads it */
    if (row != NULL) {
        row->name = fake_text_keep(store, name);
        row->password_hash = STR("");
        row->is_deleted = true;
    }
    return error;
}

enum error store_account_set_disabled(struct store *store, int64_t account_id,
                                      int64_t disabled_at_ms)
{
    enum error error = fake_enter_write(store);

    if (error != OK) {
        return error;
    }
    struct account *row = account_row(store, account_id);
    const struct fake_table *sessions = &store->home->rows.sessions;

    if (row != NULL) {
        row->disabled_at_ms = disabled_at_ms;
    }
    for (size_t i = 0; i < sessions->count; i++) {
        struct session *session = &FAKE_ROW(*sessions, struct fake_session, i)->session;

        if (session->account_id == account_id) {
            session->is_barred = disabled_at_ms != 0;
        }
    }
    return OK;
}

enum error store_password_cost_find(struct store *store, unsigned *out_cost)
{
    enum error error = fake_enter(store);

    if (error == OK) {
        *out_cost = store->home->rows.password_cost;
    }
    return error;
}

enum error store_password_cost_raise(struct store *store, unsigned cost)
{
    enum error error = fake_enter_write(store);

    if (error == OK && cost > store->home->rows.password_cost) {
        store->home->rows.password_cost = cost;
    }
    return error;
}

enum error store_names_count(struct store *store)
{
    enum error error = fake_enter_write(store);

    if (error == OK) {
        store->home->rows.names_count++;
    }
    return error;
}

/* NULL when there is none. */
static struct account *account_row(struct store *store, int64_t account_id)
{
    struct fake_rows *rows = &store->home->rows;

    for (size_t i = 0; i < rows->accounts.count; i++) {
        struct account *row = FAKE_ROW(rows->accounts, struct account, i);

        if (row->id == account_id) {
            return row;
        }
    }
    return NULL;
}

/* ---- names ----------------------------------------------------------------------------------- */

enum error store_name_list(struct store *store, struct str folded, struct arena *arena,
                           struct name_row **out_rows, size_t *out_count)
{
    return list_names(store, &folded, 0, arena, out_rows, out_count);
}

enum error store_name_list_of(struct store *store, int64_t account_id, struct arena *arena,
                              struct name_row **out_rows, size_t *out_count)
{
    return list_names(store, NULL, account_id, arena, out_rows, out_count);
}

/* Of the folded form, or, where that is NULL, of the account. */
static enum error list_names(struct store *store, const struct str *folded, int64_t account_id,
                             struct arena *arena, struct name_row **out_rows, size_t *out_count)
{
    enum error error = fake_enter(store);

    if (error != OK) {
        return error;
    }
    const struct fake_table *names = &store->home->rows.names;
    struct name_row *found = arena_alloc(arena, names->count * sizeof(*found));
    size_t count = 0;

    for (size_t i = 0; i < names->count; i++) {
        const struct name_row *row = FAKE_ROW(*names, struct name_row, i);
        bool is_meant =
            folded != NULL ? str_equal(row->folded, *folded) : row->account_id == account_id;

        if (is_meant) {
            found[count] = *row;
            found[count].name = fake_text_give(row->name, arena);
            found[count].folded = fake_text_give(row->folded, arena);
            count++;
        }
    }
    if (count > 0) {
        qsort(found, count, sizeof(*found), compare_names);
    }
    *out_rows = found;
    *out_count = count;
    return OK;
}

/* By folded form, then by name. */
static int compare_names(const void *a, const void *b)
{
    const struct name_row *left = a;
    const struct name_row *right = b;
    int order = compare_texts(left->folded, right->folded);

    return order != 0 ? order : compare_texts(left->name, right->name);
}

static int compare_texts(struct str left, struct str right)
{
    size_t shared_len = left.len < right.len ? left.len : right.len;
    int order = shared_len == 0 ? 0 : memcmp(left.ptr, right.ptr, shared_len);

    return order != 0 ? order : (left.len > right.len) - (left.len < right.len);
}

enum error store_name_set(struct store *store, const struct name_row *row)
{
    struct name_row kept = *row;
    enum error error = fake_enter_write(store);

    if (error != OK) {
        return error;
    }
    kept.name = fake_text_keep(store, row->name);
    kept.folded = fake_text_keep(store, row->folded);
    remove_name(store, row->name);
    fake_table_add(&store->home->rows.names, &kept);
    return OK;
}

enum error store_name_delete(struct store *store, struct str name)
{
    enum error error = fake_enter_write(store);

    if (error == OK) {
        remove_name(store, name);
    }
    return error;
}

static void remove_name(struct store *store, struct str name)
{
    struct fake_table *names = &store->home->rows.names;

    for (size_t i = 0; i < names->count; i++) {
        if (str_equal(FAKE_ROW(*names, struct name_row, i)->name, name)) {
            fake_table_remove(names, i);
            return;
        }
    }
}

/* ---- sessions -------------------------------------------------------------------------------- */

enum error store_session_add(struct store *store, int64_t account_id,
                             const struct sha256 *token_digest, struct str label,
                             int64_t created_at_ms, int64_t *out_id)
{
    struct fake_rows *rows = &store->home->rows;
    enum error error = fake_enter_write(store);

    if (error != OK) {
        return error;
    }
    if (session_of_token(store, token_digest) != NULL) {
        return ERROR_STORE_FAILED;
    }
    struct fake_session row = {
        .token_digest = *token_digest,
        .session =
            {
                .id = rows->next_session_id++,
                .account_id = account_id,
                .label = fake_text_keep(store, label),
                .created_at_ms = created_at_ms,
                .last_used_at_ms = created_at_ms,
            },
    };

    fake_table_add(&rows->sessions, &row);
    *out_id = row.session.id;
    return OK;
}

enum error store_session_find(struct store *store, const struct sha256 *token_digest,
                              bool *out_found, struct session *out_session)
{
    enum error error = fake_enter(store);

    if (error != OK) {
        return error;
    }
    const struct fake_session *row = session_of_token(store, token_digest);

    *out_found = row != NULL;
    if (row != NULL) {
        *out_session = row->session;
        out_session->label = (struct str){NULL, 0};
    }
    return OK;
}

static const struct fake_session *session_of_token(const struct store *store,
                                                   const struct sha256 *token_digest)
{
    const struct fake_table *sessions = &store->home->rows.sessions;

    for (size_t i = 0; i < sessions->count; i++) {
        const struct fake_session *row = FAKE_ROW(*sessions, struct fake_session, i);

        if (memcmp(row->token_digest.bytes, token_digest->bytes, SHA256_LEN) == 0) {
            return row;
        }
    }
    return NULL;
}

enum error store_session_list(struct store *store, int64_t account_id, struct arena *arena,
                              struct session **out_sessions, size_t *out_count)
{
    enum error error = fake_enter(store);

    if (error != OK) {
        return error;
    }
    const struct fake_table *sessions = &store->home->rows.sessions;
    struct session *found = arena_alloc(arena, sessions->count * sizeof(*found));
    size_t count = 0;

    for (size_t i = 0; i < sessions->count; i++) {
        const struct session *row = &FAKE_ROW(*sessions, struct fake_session, i)->session;

        if (row->account_id == account_id) {
            found[count] = *row;
            found[count].label = fake_text_give(row->label, arena);
            count++;
        }
    }
    if (count > 0) {
        qsort(found, count, sizeof(*found), compare_sessions);
    }
    *out_sessions = found;
    *out_count = count;
    return OK;
}

static int compare_sessions(const void *a, const void *b)
{
    int64_t left = ((const struct session *)a)->id;
    int64_t right = ((const struct session *)b)->id;

    return (left < right) - (left > right);
}

enum error store_session_exists(struct store *store, int64_t account_id, int64_t session_id,
                                bool *out_found)
{
    size_t index;
    enum error error = fake_enter(store);

    if (error == OK) {
        *out_found = session_row(store, account_id, session_id, &index) != NULL;
    }
    return error;
}

enum error store_session_delete(struct store *store, int64_t account_id, int64_t session_id,
                                bool *out_found)
{
    size_t index;
    bool is_there = session_row(store, account_id, session_id, &index) != NULL;
    enum error error = is_there ? fake_enter_write(store) : fake_enter(store);

    if (error != OK) {
        return error;
    }
    *out_found = is_there;
    if (is_there) {
        fake_table_remove(&store->home->rows.sessions, index);
    }
    return OK;
}

enum error store_session_set_used(struct store *store, int64_t account_id, int64_t session_id,
                                  int64_t last_used_at_ms)
{
    size_t index;
    enum error error = fake_enter_write(store);

    if (error != OK) {
        return error;
    }
    struct fake_session *row = session_row(store, account_id, session_id, &index);
    if (row != NULL) {
        row->session.last_used_at_ms = last_used_at_ms;
    }
    return OK;
}

static struct fake_session *session_row(struct store *store, int64_t account_id, int64_t session_id,
                                        size_t *out_index)
{
    struct fake_table *sessions = &store->home->rows.sessions;

    for (size_t i = 0; i < sessions->count; i++) {
        struct fake_session *row = FAKE_ROW(*sessions, struct fake_session, i);

        if (row->session.id == session_id && row->session.account_id == account_id) {
            *out_index = i;
            return row;
        }
    }
    return NULL;
}
