/* store_fake_invites.c - invites of the fake store. */
#include <string.h>

#include "support/store_fake_rows.h"

static struct fake_invite *invite_row(struct store *store, int64_t invite_id, size_t *out_index);

enum error store_invite_add(struct store *store, const struct sha256 *code_digest,
                            const struct invite *invite, int64_t *out_id)
{
    struct fake_rows *rows = &store->home->rows;
    enum error error = fake_enter_write(store);

    if (error != OK) {
        return error;
    }
    struct fake_invite row = {.code_digest = *code_digest, .invite = *invite};

    row.invite.id = rows->next_invite_id++;
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
        }
    }
    return OK;
}

/* Rows are added with rising ids, so they lie in order. */
enum error store_invite_list(struct store *store, int64_t after_id, size_t max, struct arena *arena,
                             struct invite **out_invites, size_t *out_count)
{
    const struct fake_table *invites = &store->home->rows.invites;
    enum error error = fake_enter(store);

    if (error != OK) {
        return error;
    }
    struct invite *found = arena_alloc(arena, invites->count * sizeof(*found));
    size_t count = 0;

    for (size_t i = 0; i < invites->count && count < max; i++) {
        const struct invite *row = &FAKE_ROW(*invites, struct fake_invite, i)->invite;

        if (row->id > after_id) {
            found[count++] = *row;
        }
    }
    *out_invites = found;
    *out_count = count;
    return OK;
}

enum error store_invite_use(struct store *store, int64_t invite_id)
{
    size_t index;
    enum error error = fake_enter_write(store);
    struct fake_invite *row = error == OK ? invite_row(store, invite_id, &index) : NULL;

    if (row != NULL) {
        row->invite.uses_left--;
    }
    return error;
}

enum error store_invite_delete(struct store *store, int64_t invite_id, bool *out_found)
{
    size_t index;
    bool is_there = invite_row(store, invite_id, &index) != NULL;
    enum error error = is_there ? fake_enter_write(store) : fake_enter(store);

    if (error != OK) {
        return error;
    }
    *out_found = is_there;
    if (is_there) {
        fake_table_remove(&store->home->rows.invites, index);
    }
    return OK;
}

static struct fake_invite *invite_row(struct store *store, int64_t invite_id, size_t *out_index)
{
    struct fake_table *invites = &store->home->rows.invites;

    for (size_t i = 0; i < invites->count; i++) {
        struct fake_invite *row = FAKE_ROW(*invites, struct fake_invite, i);

        if (row->invite.id == invite_id) {
            *out_index = i;
            return row;
        }
    }
    return NULL;
}
