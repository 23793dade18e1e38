/* chore.c - one slice is one transaction: its rows and the chore's new cursor, or neither.
 *
 * So a crash between slices repeats nothing and leaves nothing out. Contacts are walked by
 * ascending id; one who becomes a contact behind the cursor meets the new name or keys anyway.
 * A new name is words, too: who blocks the account is told nothing of it while they do, and what
 * there was when they unblock it (domain/block.h).
 */
#include "domain/chore.h"

#include "base/arena.h"
#include "base/log.h"

static enum error run_in_batch(struct store *store, struct arena *arena, bool *out_more);
static enum error tell_contacts(struct store *store, const struct chore *chore,
                                enum entry_kind kind, struct arena *arena);
static enum error tell_contact(struct store *store, const struct chore *chore, enum entry_kind kind,
                               int64_t contact_id, struct arena *arena);
static enum error delete_log(struct store *store, const struct chore *chore);

enum error chore_run_slice(struct store *store, bool *out_more)
{
    struct arena arena;
    bool more = false;
    enum error error;

    if (!store_may_have_chores(store)) {
        *out_more = false;
        return OK;
    }
    error = store_batch_begin(store);
    if (error != OK) {
        return error;
    }
    arena_init(&arena);
    error = run_in_batch(store, &arena, &more);
    arena_release(&arena);
    if (error != OK) {
        store_batch_rollback(store);
    } else {
        /* Also when there was none: giving a batch up makes the store forget what it knows, that
         * there is none among it. */
        error = store_batch_commit(store);
    }
    if (error == OK) {
        *out_more = more;
    }
    return error;
}

static enum error run_in_batch(struct store *store, struct arena *arena, bool *out_more)
{
    struct chore chore;
    struct chore next;
    bool is_found;
    enum error error = store_chore_find(store, arena, &is_found, &chore);

    if (error != OK) {
        return error;
    }
    if (!is_found) {
        *out_more = false;
        return OK;
    }
    switch (chore.kind) {
    case CHORE_TELL_RENAMED:
        error = tell_contacts(store, &chore, ENTRY_ACCOUNT_RENAMED, arena);
        break;
    case CHORE_TELL_KEYS:
        error = tell_contacts(store, &chore, ENTRY_KEYS_CHANGED, arena);
        break;
    case CHORE_DELETE_LOG:
        error = delete_log(store, &chore);
        break;
    default:
        /* Only a damaged file has one; kept, it would stop all chores behind it for ever. */
        log_event(LOG_ERROR, "chore_unknown", LOG_INT("kind", chore.kind), LOG_END);
        error = store_chore_delete(store, chore.id);
        break;
    }
    if (error == OK) {
        error = store_chore_find(store, arena, &is_found, &next);
    }
    if (error == OK) {
        *out_more = is_found;
    }
    return error;
}

static enum error tell_contacts(struct store *store, const struct chore *chore,
                                enum entry_kind kind, struct arena *arena)
{
    int64_t *contact_ids;
    size_t count;
    enum error error = store_contact_list(store, chore->account_id, chore->cursor, CHORE_SLICE_ROWS,
                                          arena, &contact_ids, &count);

    if (error != OK) {
        return error;
    }
    for (size_t i = 0; i < count; i++) {
        struct arena_mark mark = arena_mark(arena);

        error = tell_contact(store, chore, kind, contact_ids[i], arena);
        arena_rewind(arena, mark);
        if (error != OK) {
            return error;
        }
    }
    if (count < CHORE_SLICE_ROWS) {
        return store_chore_delete(store, chore->id);
    }
    return store_chore_set_cursor(store, chore->id, contact_ids[count - 1]);
}

/* Not the account itself, whose log had the entry at once, no deleted one, and none whose lists do
 * not show it. */
static enum error tell_contact(struct store *store, const struct chore *chore, enum entry_kind kind,
                               int64_t contact_id, struct arena *arena)
{
    struct entry entry = {
        .kind = kind,
        .other_id = chore->account_id,
        .created_at_ms = chore->created_at_ms,
        .text = chore->text,
    };
    struct account contact;
    struct conversation conversation;
    bool is_found;
    bool is_blocked = false;
    int64_t seq;

    if (contact_id == chore->account_id) {
        return OK;
    }
    enum error error = store_account_find(store, contact_id, arena, &is_found, &contact);
    if (error != OK || !is_found || contact.is_deleted) {
        return error;
    }
    error = store_conversation_find(store, contact_id, chore->account_id, &is_found, &conversation);
    if (error != OK || !is_found) {
        return error;
    }
    error = store_block_find(store, contact_id, chore->account_id, &is_blocked);
    if (error == OK && is_blocked) {
        return store_block_note_untold(store, contact_id, chore->account_id,
                                       kind == ENTRY_KEYS_CHANGED, chore->text);
    }
    return error == OK ? store_entry_append(store, contact_id, &entry, 0, &seq) : error;
}

static enum error delete_log(struct store *store, const struct chore *chore)
{
    static const struct slice_limits limits = {CHORE_SLICE_ROWS, CHORE_SLICE_TEXT_BYTES};
    size_t removed;
    bool more;
    enum error error = store_remains_delete(store, chore->account_id, &limits, &removed, &more);

    if (error == OK && !more) {
        error = store_chore_delete(store, chore->id);
    }
    return error;
}
