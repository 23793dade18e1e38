/* same.c - by their rows, not by their pages: a rollback restores every row, but what lies in free
 * pages stays as the transaction left it. */
#include "store/sqlite/same.h"

#include <string.h>

#include "base/require.h"

static const char TABLES[] = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name";

static bool tables_are_same(sqlite3 *one, sqlite3 *other);
static bool answers_are_same(sqlite3 *one, sqlite3 *other, const char *sql);
static bool rows_are_same(sqlite3_stmt *one, sqlite3_stmt *other);
static bool values_are_same(sqlite3_stmt *one, sqlite3_stmt *other, int column);

bool databases_are_same(sqlite3 *one, sqlite3 *other)
{
    return answers_are_same(one, other, "PRAGMA user_version") &&
           answers_are_same(one, other, "PRAGMA application_id") &&
           answers_are_same(one, other,
                            "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY name") &&
           tables_are_same(one, other);
}

static bool tables_are_same(sqlite3 *one, sqlite3 *other)
{
    sqlite3_stmt *tables = NULL;
    bool is_same = true;
    int code = sqlite3_prepare_v2(one, TABLES, -1, &tables, NULL);

    if (code == SQLITE_OK) {
        code = sqlite3_step(tables);
    }
    while (code == SQLITE_ROW && is_same) {
        char *sql = sqlite3_mprintf("SELECT * FROM main.\"%w\"", sqlite3_column_text(tables, 0));

        REQUIRE(sql != NULL);
        is_same = answers_are_same(one, other, sql);
        sqlite3_free(sql);
        code = sqlite3_step(tables);
    }
    (void)sqlite3_finalize(tables);
    return is_same && code == SQLITE_DONE;
}

/* Under one schema both give their rows in the same order, and if not, they count as different. */
static bool answers_are_same(sqlite3 *one, sqlite3 *other, const char *sql)
{
    sqlite3_stmt *rows = NULL;
    sqlite3_stmt *other_rows = NULL;
    int code = SQLITE_ERROR;
    int other_code = SQLITE_ERROR;

    if (sqlite3_prepare_v2(one, sql, -1, &rows, NULL) == SQLITE_OK &&
        sqlite3_prepare_v2(other, sql, -1, &other_rows, NULL) == SQLITE_OK) {
        do {
            code = sqlite3_step(rows);
            other_code = sqlite3_step(other_rows);
        } while (code == SQLITE_ROW && other_code == SQLITE_ROW && rows_are_same(rows, other_rows));
    }
    (void)sqlite3_finalize(rows);
    (void)sqlite3_finalize(other_rows);
    return code == SQLITE_DONE && other_code == SQLITE_DONE;
}

static bool rows_are_same(sqlite3_stmt *one, sqlite3_stmt *other)
{
    int columns = sqlite3_column_count(one);

    if (columns != sqlite3_column_count(other)) {
        return false;
    }
    for (int i = 0; i < columns; i++) {
        if (!values_are_same(one, other, i)) {
            return false;
        }
    }
    return true;
}

static bool values_are_same(sqlite3_stmt *one, sqlite3_stmt *other, int column)
{
    int type = sqlite3_column_type(one, column);
    const void *bytes;
    const void *other_bytes;
    int len;

    if (type != sqlite3_column_type(other, column)) {
        return false;
    }
    switch (type) {
    case SQLITE_NULL:
        return true;
    case SQLITE_INTEGER:
        return sqlite3_column_int64(one, column) == sqlite3_column_int64(other, column);
    case SQLITE_FLOAT:
        /* SQLite keeps no NaN. */
        return sqlite3_column_double(one, column) == sqlite3_column_double(other, column);
    default:
        bytes = sqlite3_column_blob(one, column);
        other_bytes = sqlite3_column_blob(other, column);
        len = sqlite3_column_bytes(one, column);
        return len == sqlite3_column_bytes(other, column) &&
               (len == 0 || memcmp(bytes, other_bytes, (size_t)len) == 0);
    }
}
