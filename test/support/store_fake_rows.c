/* store_fake_rows.c - arrays that grow, copied whole where something may be undone. */
#include "support/store_fake_rows.h"

#include <stdlib.h>
#include <string.h>

#include "base/require.h"

#define TABLES_MAX 13u

static size_t list_tables(struct fake_rows *rows, struct fake_table *tables[TABLES_MAX]);
static void table_copy(struct fake_table *to, const struct fake_table *from);

void fake_rows_init(struct fake_rows *rows)
{
    *rows = (struct fake_rows){
        .accounts.row_bytes = sizeof(struct account),
        .names.row_bytes = sizeof(struct name_row),
        .sessions.row_bytes = sizeof(struct fake_session),
        .entries.row_bytes = sizeof(struct fake_entry),
        .conversations.row_bytes = sizeof(struct fake_conversation),
        .sent_keys.row_bytes = sizeof(struct fake_sent_key),
        .bundles.row_bytes = sizeof(struct fake_bundle),
        .prekeys.row_bytes = sizeof(struct fake_prekey),
        .claimed.row_bytes = sizeof(struct fake_claimed),
        .chores.row_bytes = sizeof(struct chore),
        .invites.row_bytes = sizeof(struct fake_invite),
        .blocks.row_bytes = sizeof(struct fake_block),
        .withheld.row_bytes = sizeof(struct fake_withheld),
        .next_account_id = 1,
        .next_session_id = 1,
        .next_chore_id = 1,
        .next_invite_id = 1,
    };
}

void fake_rows_release(struct fake_rows *rows)
{
    struct fake_table *tables[TABLES_MAX];
    size_t count = list_tables(rows, tables);

    for (size_t i = 0; i < count; i++) {
        free(tables[i]->rows);
    }
    fake_rows_init(rows);
}

void fake_rows_copy(struct fake_rows *to, const struct fake_rows *from)
{
    struct fake_rows source = *from;
    struct fake_table *sources[TABLES_MAX];
    struct fake_table *targets[TABLES_MAX];
    size_t count = list_tables(&source, sources);

    *to = source;
    (void)list_tables(to, targets);
    for (size_t i = 0; i < count; i++) {
        table_copy(targets[i], sources[i]);
    }
}

static size_t list_tables(struct fake_rows *rows, struct fake_table *tables[TABLES_MAX])
{
    size_t count = 0;

    tables[count++] = &rows->accounts;
    tables[count++] = &rows->names;
    tables[count++] = &rows->sessions;
    tables[count++] = &rows->entries;
    tables[count++] = &rows->conversations;
    tables[count++] = &rows->sent_keys;
    tables[count++] = &rows->bundles;
    tables[count++] = &rows->prekeys;
    tables[count++] = &rows->claimed;
    tables[count++] = &rows->chores;
    tables[count++] = &rows->invites;
    tables[count++] = &rows->blocks;
    tables[count++] = &rows->withheld;
    return count;
}

static void table_copy(struct fake_table *to, const struct fake_table *from)
{
    *to = *from;
    to->rows = NULL;
    to->capacity = from->count;
    if (from->count > 0) {
        to->rows = malloc(from->count * from->row_bytes);
        REQUIRE(to->rows != NULL);
        memcpy(to->rows, from->rows, from->count * from->row_bytes);
    }
}

void fake_table_add(struct fake_table *table, const void *row)
{
    if (table->count == table->capacity) {
        size_t capacity = table->capacity == 0 ? 8 : table->capacity * 2;
        void *rows = realloc(table->rows, capacity * table->row_bytes);

        REQUIRE(rows != NULL);
        table->rows = rows;
        table->capacity = capacity;
    }
    memcpy((char *)table->rows + table->count * table->row_bytes, row, table->row_bytes);
    table->count++;
}

void fake_table_remove(struct fake_table *table, size_t i)
{
    char *row = (char *)table->rows + i * table->row_bytes;

    REQUIRE(i < table->count);
    table->count--;
    memmove(row, row + table->row_bytes, (table->count - i) * table->row_bytes);
}

struct str fake_text_keep(struct store *store, struct str text)
{
    return fake_text_give(text, &store->home->texts);
}

struct str fake_text_give(struct str text, struct arena *arena)
{
    return text.ptr == NULL ? text : arena_copy(arena, text);
}
