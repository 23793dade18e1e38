/* account.c - what an account's name, password and end mean.
 *
 * Every change checks first and writes after, so that a refusal leaves nothing to undo.
 *
 * A name's life: free -> current (create, rename) -> held for its owner (rename, delete) -> free
 * again when the hold ends, or current again when the owner takes it back. A deletion leaves one
 * row that is not held: deleted-<id>, by which others still find the conversation.
 *
 * Chores run in the order in which they were added: a deletion tells the contacts before it
 * removes the conversations that say who they are.
 */
#include "domain/account.h"

#include <stdio.h>

#include "domain/name.h"
#include "domain/password.h"
#include "domain/renamed.h"
#include "domain/session.h"

/* "deleted-" and the digits of an id. */
#define DELETED_NAME_BYTES 32u

static enum error account_find_living(struct store *store, int64_t account_id, struct arena *arena,
                                      struct account *out_account);
static enum error check_holds(const struct name_row *own, size_t count, struct str old_name,
                              struct str new_folded, int64_t now_ms, struct arena *arena,
                              bool *out_old_is_held);
static enum error rename_rows(struct store *store, const struct name_row *own, size_t count,
                              struct str old_name, bool old_is_held, const struct name_row *new_row,
                              int64_t now_ms);
static enum error delete_rows(struct store *store, const struct account *account,
                              struct str deleted_name, int64_t now_ms, struct arena *arena);
static enum error add_deleted_row(struct store *store, int64_t account_id, struct str deleted_name,
                                  struct arena *arena);
static enum error hash_set(struct store *store, int64_t account_id, struct str new_hash);
static enum error chore_add(struct store *store, enum chore_kind kind, int64_t account_id,
                            struct str text, int64_t now_ms);

/* ---- creating -------------------------------------------------------------------------------- */

enum error account_create(struct store *store, struct str username, struct str password_hash,
                          int64_t now_ms, struct arena *arena, struct session_issued *out_issued)
{
    struct str no_label = {NULL, 0};
    int64_t account_id = 0;
    enum error error = account_add(store, username, password_hash, now_ms, arena, &account_id);

    if (error == OK) {
        error = session_issue(store, account_id, username, no_label, now_ms, arena, out_issued);
    }
    return error;
}

enum error account_add(struct store *store, struct str username, struct str password_hash,
                       int64_t now_ms, struct arena *arena, int64_t *out_account_id)
{
    struct name_row row = {
        .name = username,
        .folded = name_fold(username, arena),
        .state = NAME_CURRENT,
    };
    enum error error = name_check(username);

    if (error == OK) {
        error = name_check_free(store, username, 0, now_ms, arena);
    }
    if (error == OK) {
        error = name_release_expired(store, username, now_ms, arena);
    }
    if (error == OK) {
        error = store_account_add(store, username, password_hash, now_ms, &row.account_id);
    }
    if (error == OK) {
        error = store_password_cost_raise(store, password_hash_cost(password_hash));
    }
    if (error == OK) {
        error = store_name_set(store, &row);
    }
    if (error == OK) {
        *out_account_id = row.account_id;
    }
    return error;
}

/* ---- renaming -------------------------------------------------------------------------------- */

enum error account_rename(struct store *store, int64_t account_id, struct str new_username,
                          int64_t now_ms, struct arena *arena)
{
    struct account account;
    struct name_row *own;
    size_t own_count;
    bool old_is_held;
    struct name_row new_row = {
        .name = new_username,
        .folded = name_fold(new_username, arena),
        .account_id = account_id,
        .state = NAME_CURRENT,
    };
    enum error error = account_find_living(store, account_id, arena, &account);

    if (error != OK || str_equal(account.name, new_username)) {
        return error;
    }
    error = name_check(new_username);
    if (error == OK) {
        error = name_check_free(store, new_username, account_id, now_ms, arena);
    }
    if (error == OK) {
        error = store_name_list_of(store, account_id, arena, &own, &own_count);
    }
    if (error == OK) {
        error =
            check_holds(own, own_count, account.name, new_row.folded, now_ms, arena, &old_is_held);
    }
    if (error == OK) {
        error = rename_rows(store, own, own_count, account.name, old_is_held, &new_row, now_ms);
    }
    if (error == OK) {
        error = name_release_expired(store, new_username, now_ms, arena);
    }
    if (error == OK) {
        error = store_account_set_name(store, account_id, new_username);
    }
    if (error == OK) {
        error = store_names_count(store);
    }
    if (error != OK) {
        return error;
    }
    struct entry renamed = {
        .kind = ENTRY_ACCOUNT_RENAMED,
        .other_id = account_id,
        .created_at_ms = now_ms,
        .text = renamed_text(account.name, new_username, arena),
    };
    int64_t seq;

    error = store_entry_append(store, account_id, &renamed, 0, &seq);
    if (error == OK) {
        error = chore_add(store, CHORE_TELL_RENAMED, account_id, renamed.text, now_ms);
    }
    return error;
}

/* Another case of the same name holds nothing. Own holds of the new name end with this rename, so
 * they do not count. */
static enum error check_holds(const struct name_row *own, size_t count, struct str old_name,
                              struct str new_folded, int64_t now_ms, struct arena *arena,
                              bool *out_old_is_held)
{
    bool old_is_held = !str_equal(name_fold(old_name, arena), new_folded);
    size_t held_count = old_is_held ? 1 : 0;

    for (size_t i = 0; i < count; i++) {
        if (own[i].state == NAME_HELD && own[i].held_until_ms > now_ms &&
            !str_equal(own[i].folded, new_folded)) {
            held_count++;
        }
    }
    if (old_is_held && held_count > NAMES_HELD_MAX) {
        return ERROR_NAMES_HELD;
    }
    *out_old_is_held = old_is_held;
    return OK;
}

/* Of the account's own rows go: those of the new name's folded form, and holds that have ended. */
static enum error rename_rows(struct store *store, const struct name_row *own, size_t count,
                              struct str old_name, bool old_is_held, const struct name_row *new_row,
                              int64_t now_ms)
{
    enum error error = OK;

    for (size_t i = 0; error == OK && i < count; i++) {
        bool is_old = str_equal(own[i].name, old_name);
        bool has_ended = own[i].state == NAME_HELD && own[i].held_until_ms <= now_ms;

        if (is_old && old_is_held) {
            struct name_row held = own[i];

            held.state = NAME_HELD;
            held.held_until_ms = now_ms + NAME_HOLD_MS;
            error = store_name_set(store, &held);
        } else if (has_ended || str_equal(own[i].folded, new_row->folded)) {
            error = store_name_delete(store, own[i].name);
        }
    }
    if (error == OK) {
        error = store_name_set(store, new_row);
    }
    return error;
}

/* ---- passwords ------------------------------------------------------------------------------- */

enum error account_check_hash(struct store *store, int64_t account_id, struct str checked_hash,
                              struct arena *arena, struct account *out_account)
{
    struct account account;
    enum error error = account_find_living(store, account_id, arena, &account);

    if (error != OK) {
        return error;
    }
    if (!str_equal(account.password_hash, checked_hash)) {
        return ERROR_ACCOUNT_CHANGED;
    }
    *out_account = account;
    return OK;
}

enum error account_set_password(struct store *store, int64_t account_id, int64_t session_id,
                                struct str checked_hash, struct str new_hash, int64_t now_ms,
                                struct arena *arena)
{
    struct account account;
    enum error error = account_check_hash(store, account_id, checked_hash, arena, &account);

    if (error == OK) {
        error = hash_set(store, account_id, new_hash);
    }
    if (error == OK) {
        error = session_end_others(store, account_id, session_id, now_ms, arena);
    }
    return error;
}

enum error account_raise_hash(struct store *store, int64_t account_id, struct str old_hash,
                              struct str new_hash, struct arena *arena)
{
    struct account account;
    enum error error = account_check_hash(store, account_id, old_hash, arena, &account);

    if (error == ERROR_ACCOUNT_CHANGED) {
        return OK;
    }
    return error == OK ? hash_set(store, account_id, new_hash) : error;
}

static enum error hash_set(struct store *store, int64_t account_id, struct str new_hash)
{
    enum error error = store_account_set_password(store, account_id, new_hash);

    return error == OK ? store_password_cost_raise(store, password_hash_cost(new_hash)) : error;
}

/* ---- deleting -------------------------------------------------------------------------------- */

enum error account_delete(struct store *store, int64_t account_id, struct str checked_hash,
                          int64_t now_ms, struct arena *arena)
{
    char text[DELETED_NAME_BYTES];
    struct account account;
    struct str no_text = {NULL, 0};
    enum error error = account_check_hash(store, account_id, checked_hash, arena, &account);

    if (error != OK) {
        return error;
    }
    (void)snprintf(text, sizeof(text), "deleted-%lld", (long long)account_id);
    struct str deleted_name = str_from(text);
    struct str told = renamed_text(account.name, deleted_name, arena);

    error = delete_rows(store, &account, deleted_name, now_ms, arena);
    if (error == OK) {
        error = store_account_set_deleted(store, account_id, deleted_name, now_ms);
    }
    if (error == OK) {
        error = session_end_others(store, account_id, 0, now_ms, arena);
    }
    if (error == OK) {
        error = store_names_count(store);
    }
    if (error == OK) {
        error = chore_add(store, CHORE_TELL_RENAMED, account_id, told, now_ms);
    }
    if (error == OK) {
        error = chore_add(store, CHORE_DELETE_LOG, account_id, no_text, now_ms);
    }
    return error;
}

/* The current name becomes held, what was held stays so for its time, deleted-<id> is added. */
static enum error delete_rows(struct store *store, const struct account *account,
                              struct str deleted_name, int64_t now_ms, struct arena *arena)
{
    struct name_row *own;
    size_t own_count;
    enum error error = store_name_list_of(store, account->id, arena, &own, &own_count);

    for (size_t i = 0; error == OK && i < own_count; i++) {
        /* An adopted account may have been called so all along: the row is made anew below. */
        if (own[i].state == NAME_CURRENT && !str_equal(own[i].name, deleted_name)) {
            own[i].state = NAME_HELD;
            own[i].held_until_ms = now_ms + NAME_HOLD_MS;
            error = store_name_set(store, &own[i]);
        } else if (own[i].state != NAME_HELD) {
            error = store_name_delete(store, own[i].name);
        }
    }
    if (error == OK) {
        error = name_release_expired(store, deleted_name, now_ms, arena);
    }
    if (error == OK) {
        error = add_deleted_row(store, account->id, deleted_name, arena);
    }
    return error;
}

/* Names of this form are refused to new accounts, but an adopted one may have it: it keeps it, and
 * the deleted account is then found by nobody. */
static enum error add_deleted_row(struct store *store, int64_t account_id, struct str deleted_name,
                                  struct arena *arena)
{
    struct name_row deleted = {
        .name = deleted_name,
        .folded = deleted_name, /* has no capital letters */
        .account_id = account_id,
        .state = NAME_DELETED,
    };
    struct name_row *rows;
    size_t count;
    enum error error = store_name_list(store, deleted_name, arena, &rows, &count);

    if (error != OK) {
        return error;
    }
    for (size_t i = 0; i < count; i++) {
        if (str_equal(rows[i].name, deleted_name)) {
            return OK;
        }
    }
    return store_name_set(store, &deleted);
}

/* ---- disabling ------------------------------------------------------------------------------- */

enum error account_disable(struct store *store, int64_t account_id, int64_t now_ms,
                           struct arena *arena)
{
    struct account account;
    enum error error = account_find_living(store, account_id, arena, &account);

    /* Since when stays as it is. */
    if (error != OK || account.disabled_at_ms != 0) {
        return error;
    }
    return store_account_set_disabled(store, account_id, now_ms);
}

enum error account_enable(struct store *store, int64_t account_id, struct arena *arena)
{
    struct account account;
    enum error error = account_find_living(store, account_id, arena, &account);

    if (error != OK || account.disabled_at_ms == 0) {
        return error;
    }
    return store_account_set_disabled(store, account_id, 0);
}

/* ---- shared ---------------------------------------------------------------------------------- */

/* ACCOUNT_CHANGED when it is gone: whoever asks had proved to be its owner a moment ago. */
static enum error account_find_living(struct store *store, int64_t account_id, struct arena *arena,
                                      struct account *out_account)
{
    struct account account;
    bool is_found;
    enum error error = store_account_find(store, account_id, arena, &is_found, &account);

    if (error != OK) {
        return error;
    }
    if (!is_found || account.is_deleted) {
        return ERROR_ACCOUNT_CHANGED;
    }
    *out_account = account;
    return OK;
}

static enum error chore_add(struct store *store, enum chore_kind kind, int64_t account_id,
                            struct str text, int64_t now_ms)
{
    struct chore chore = {
        .kind = kind,
        .account_id = account_id,
        .text = text,
        .created_at_ms = now_ms,
    };

    return store_chore_add(store, &chore);
}
