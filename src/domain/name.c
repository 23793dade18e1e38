/* name.c - which names are allowed, whose they are, and whether one is free.
 *
 * 1. All rows that differ only in ASCII case share a folded form, so every question starts with
 *    the rows of one folded form: one, or a few in an adopted file.
 * 2. Names set here are unique by folded form; only adopted ones may share it.
 * 3. A hold that has ended no longer keeps a name; its row goes when the name is next written.
 */
#include "domain/name.h"

#include <string.h>

#include "base/utf8.h"

/* What a name looks like once its account is deleted; see account_delete. */
#define DELETED_PREFIX STR("deleted-")
#define FORBIDDEN_ASCII "/\\?#%&+"

static bool character_is_forbidden(uint32_t code_point);
static bool name_is_of_deleted_form(struct str name);
static bool hold_has_ended(const struct name_row *row, int64_t now_ms);

enum error name_check(struct str name)
{
    struct str rest = name;
    size_t characters = 0;
    bool ends_in_white_space = false;

    if (name.len == 0) {
        return ERROR_USERNAME_EMPTY;
    }
    while (rest.len > 0) {
        uint32_t code_point;

        if (!utf8_next(&rest, &code_point) || character_is_forbidden(code_point)) {
            return ERROR_USERNAME_NOT_ALLOWED;
        }
        ends_in_white_space = unicode_is_white_space(code_point);
        if (characters == 0 && ends_in_white_space) {
            return ERROR_USERNAME_NOT_ALLOWED;
        }
        characters++;
        if (characters > NAME_MAX_CHARACTERS) {
            return ERROR_USERNAME_NOT_ALLOWED;
        }
    }
    if (ends_in_white_space || name_is_of_deleted_form(name)) {
        return ERROR_USERNAME_NOT_ALLOWED;
    }
    return OK;
}

static bool character_is_forbidden(uint32_t code_point)
{
    if (unicode_is_control_or_format(code_point)) {
        return true;
    }
    return code_point < 0x80 && strchr(FORBIDDEN_ASCII, (int)code_point) != NULL;
}

static bool name_is_of_deleted_form(struct str name)
{
    struct str prefix = DELETED_PREFIX;

    if (name.len <= prefix.len ||
        !str_equal_ascii_case((struct str){name.ptr, prefix.len}, prefix)) {
        return false;
    }
    for (size_t i = prefix.len; i < name.len; i++) {
        if (name.ptr[i] < '0' || name.ptr[i] > '9') {
            return false;
        }
    }
    return true;
}

struct str name_fold(struct str name, struct arena *arena)
{
    char *folded = arena_alloc(arena, name.len);

    for (size_t i = 0; i < name.len; i++) {
        folded[i] = ascii_lower(name.ptr[i]);
    }
    return (struct str){folded, name.len};
}

enum error name_resolve(struct store *store, struct str name, bool includes_deleted,
                        struct arena *arena, int64_t *out_account_id)
{
    struct name_row *rows;
    size_t count;
    size_t current_count = 0;
    size_t deleted_count = 0;
    int64_t current_id = 0;
    int64_t deleted_id = 0;
    enum error error = store_name_list(store, name_fold(name, arena), arena, &rows, &count);

    if (error != OK) {
        return error;
    }
    for (size_t i = 0; i < count; i++) {
        bool is_current = rows[i].state == NAME_CURRENT;
        bool is_deleted = rows[i].state == NAME_DELETED && includes_deleted;

        if (str_equal(rows[i].name, name)) {
            *out_account_id = is_current || is_deleted ? rows[i].account_id : 0;
            return OK;
        }
        if (is_current) {
            current_count++;
            current_id = rows[i].account_id;
        } else if (is_deleted) {
            deleted_count++;
            deleted_id = rows[i].account_id;
        }
    }
    if (current_count > 0) {
        *out_account_id = current_count == 1 ? current_id : 0;
    } else {
        *out_account_id = deleted_count == 1 ? deleted_id : 0;
    }
    return OK;
}

enum error name_check_free(struct store *store, struct str name, int64_t account_id, int64_t now_ms,
                           struct arena *arena)
{
    struct name_row *rows;
    size_t count;
    bool is_taken = false;
    enum error error = store_name_list(store, name_fold(name, arena), arena, &rows, &count);

    if (error != OK) {
        return error;
    }
    for (size_t i = 0; i < count; i++) {
        if (rows[i].account_id == account_id && str_equal(rows[i].name, name)) {
            return OK; /* whatever adopted names differ from it only in case */
        }
        is_taken =
            is_taken || (rows[i].account_id != account_id && !hold_has_ended(&rows[i], now_ms));
    }
    return is_taken ? ERROR_USERNAME_TAKEN : OK;
}

enum error name_release_expired(struct store *store, struct str name, int64_t now_ms,
                                struct arena *arena)
{
    struct name_row *rows;
    size_t count;
    enum error error = store_name_list(store, name_fold(name, arena), arena, &rows, &count);

    for (size_t i = 0; error == OK && i < count; i++) {
        if (hold_has_ended(&rows[i], now_ms)) {
            error = store_name_delete(store, rows[i].name);
        }
    }
    return error;
}

static bool hold_has_ended(const struct name_row *row, int64_t now_ms)
{
    return row->state == NAME_HELD && row->held_until_ms <= now_ms;
}
