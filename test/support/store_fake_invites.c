/* store_fake_invites.c - invitations of the fake store. */
#include <string.h>

#include "support/store_fake_rows.h"

static struct fake_invite *invite_row(struct store *store, int64_t invite_id);

enum error store_invite_add(struct store *store, const struct sha256 *code_digest,
                            const struct invite *invite, int64_t *out_id)
{
    struct fake_rows *rows = &store->home->rows;
    struct fake_invite row = {.code_digest = *code_digest, .invite = *invite};
    enum error error = fake_enter_write(store);

    if (error != OK) {
        return error;
    }
    row.invite.id = rows->next_invite_id++;
    row.invite.label = fake_text_keep(store, invite->label);
    row.invite.revoked_at_ms = 0;
    fake_table_add(&rows->invites, &row);
    *out_id = row.invite.id;
    return OK;
}

enum error store_invite_find(struct store *store, const struct sha256 *code_digest, bool *out_found,
                             struct invite *out_invite)
{
    const struct fake_table *invites = &store->home->rows.invites;
    enum error error = fake_enter(store);

    if (error != OK) {
        return error;
    }
    *out_found = false;
    for (size_t i = 0; i < invites->count; i++) {
        const struct fake_invite *row = FAKE_ROW(*invites, struct fake_invite, i);

        if (memcmp(row->code_digest.bytes, code_digest->bytes, SHA256_LEN) == 0) {
            *out_found = true;
            *out_invite = row->invite;
            out_invite->label = (struct str){NULL, 0};
        }
    }
    return OK;
}

/* Rows are in the order of their ids. */
enum error store_invite_list(struct store *store, int64_t before_id, size_t max,
                             struct arena *arena, struct invite **out_invites, size_t *out_count)
{
    const struct fake_table *invites = &store->home->rows.invites;
    enum error error = fake_enter(store);
    size_t count = 0;

    if (error != OK) {
        return error;
    }
    struct invite *found = arena_alloc(arena, invites->count * sizeof(*found));

    for (size_t i = invites->count; i > 0 && count < max; i--) {
        const struct invite *row = &FAKE_ROW(*invites, struct fake_invite, i - 1)->invite;

        if (row->id < before_id) {
            found[count] = *row;
            found[count].label = fake_text_give(row->label, arena);
            count++;
        }
    }
    *out_invites = found;
    *out_count = count;
    return OK;
}

enum error store_invite_use(struct store *store, int64_t invite_id)
{
    enum error error = fake_enter_write(store);
    struct fake_invite *row = error == OK ? invite_row(store, invite_id) : NULL;

    if (row != NULL && row->invite.uses_left > 0) {
        row->invite.uses_left--;
    }
    return error;
}

enum error store_invite_revoke(struct store *store, int64_t invite_id, int64_t revoked_at_ms,
                               bool *out_found)
{
    struct fake_invite *row = invite_row(store, invite_id);
    enum error error = row != NULL ? fake_enter_write(store) : fake_enter(store);

    if (error != OK) {
        return error;
    }
    *out_found = row != NULL;
    if (row != NULL && row->invite.revoked_at_ms == 0) {
        row->invite.revoked_at_ms = revoked_at_ms;
    }
    return OK;
}

/* NULL when there is none. */
static struct fake_invite *invite_row(struct store *store, int64_t invite_id)
{
    struct fake_table *invites = &store->home->rows.invites;

    for (size_t i = 0; i < invites->count; i++) {
        struct fake_invite *row = FAKE_ROW(*invites, struct fake_invite, i);

        if (row->invite.id == invite_id) {
            return row;
        }
    }
    return NULL;
}
