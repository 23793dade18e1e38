/* names.c - who a name belongs to. */
#include "store/sqlite/connection.h"

#define NAME_LIST_SQL "SELECT name, folded, account_id, state, held_until_ms FROM name "

static const char NAME_LIST[] = NAME_LIST_SQL "WHERE folded = ?1 ORDER BY name";
static const char NAME_LIST_OF[] = NAME_LIST_SQL "WHERE account_id = ?1 ORDER BY folded, name";
static const char NAME_SET[] = "INSERT OR REPLACE INTO name(folded, name, account_id, state,"
                               " held_until_ms) VALUES(?1, ?2, ?3, ?4, ?5)";
static const char NAME_DELETE[] = "DELETE FROM name WHERE folded = ?1 AND name = ?2";

static enum error name_rows_read(struct query *query, struct arena *arena,
                                 struct name_row **out_rows, size_t *out_count);

enum error store_name_list(struct store *store, struct str folded, struct arena *arena,
                           struct name_row **out_rows, size_t *out_count)
{
    struct name_row known_row;
    struct query query;

    if (known_name_find(store->known, folded, arena, &known_row)) {
        *out_rows = ARENA_NEW(arena, struct name_row);
        **out_rows = known_row;
        *out_count = 1;
        return OK;
    }
    query = query_read(store, NAME_LIST);
    query_bind_text(&query, folded);
    enum error error = name_rows_read(&query, arena, out_rows, out_count);
    if (error == OK && *out_count == 1) {
        known_name_set(store->known, *out_rows);
    }
    return error;
}

enum error store_name_list_of(struct store *store, int64_t account_id, struct arena *arena,
                              struct name_row **out_rows, size_t *out_count)
{
    struct query query = query_read(store, NAME_LIST_OF);

    query_bind_int(&query, account_id);
    return name_rows_read(&query, arena, out_rows, out_count);
}

static enum error name_rows_read(struct query *query, struct arena *arena,
                                 struct name_row **out_rows, size_t *out_count)
{
    struct name_row *rows = NULL;
    size_t count = 0;
    size_t capacity = 0;
    enum error error;

    while (query_step(query)) {
        rows = rows_reserve(arena, rows, count, &capacity, sizeof *rows);
        rows[count++] = (struct name_row){
            .name = query_text_copy(query, 0, arena),
            .folded = query_text_copy(query, 1, arena),
            .account_id = query_int(query, 2),
            .state = (enum name_state)query_int(query, 3),
            .held_until_ms = query_int(query, 4),
        };
    }
    error = query_end(query);
    if (error != OK) {
        return error;
    }
    *out_rows = rows;
    *out_count = count;
    return OK;
}

enum error store_name_set(struct store *store, const struct name_row *row)
{
    struct query query = query_write(store, NAME_SET);

    known_forget_names(store->known);
    query_bind_text(&query, row->folded);
    query_bind_text(&query, row->name);
    query_bind_int(&query, row->account_id);
    query_bind_int(&query, row->state);
    query_bind_int(&query, row->held_until_ms);
    return query_run(&query);
}

enum error store_name_delete(struct store *store, struct str name)
{
    struct query query = query_write(store, NAME_DELETE);
    struct buf folded;
    enum error error;

    known_forget_names(store->known);
    buf_init(&folded, name.len);
    for (size_t i = 0; i < name.len; i++) {
        buf_append_char(&folded, ascii_lower(name.ptr[i]));
    }
    query_bind_text(&query, text_of(&folded));
    query_bind_text(&query, name);
    error = query_run(&query);
    buf_release(&folded);
    return error;
}
