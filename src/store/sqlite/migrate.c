/* migrate.c - from the user_version of the file to the newest, a transaction and a copy each. */
#include "store/sqlite/migrate.h"

#include <limits.h>
#include <stdio.h>

#include "base/log.h"
#include "base/require.h"
#include "store/sqlite/connection.h"
#include "store/sqlite/copy.h"

static enum error migrate_step(sqlite3 *database, const char *path, atomic_bool *stops,
                               const struct migration *migration);

enum error migrate_run(sqlite3 *database, const char *path, atomic_bool *stops)
{
    int newest = migration_list[migration_count - 1].version;
    int64_t version = 0;
    enum error error = connection_int(database, "PRAGMA user_version", &version);

    if (error != OK) {
        return error;
    }
    if (version > newest) {
        log_event(LOG_ERROR, "schema_newer", LOG_INT("schema", version), LOG_INT("known", newest),
                  LOG_TEXT("reason", "a newer server has written this database; run that one"),
                  LOG_END);
        return ERROR_INTERNAL;
    }
    for (size_t i = 0; i < migration_count && error == OK; i++) {
        if (migration_list[i].version > version) {
            /* A new file has nothing to copy. */
            error = migrate_step(database, version > 0 ? path : NULL, stops, &migration_list[i]);
        }
    }
    return error;
}

/* `path` NULL: without a copy. */
static enum error migrate_step(sqlite3 *database, const char *path, atomic_bool *stops,
                               const struct migration *migration)
{
    enum error error = OK;

    if (path != NULL) {
        char suffix[32];
        char copy[PATH_MAX];

        (void)snprintf(suffix, sizeof suffix, ".before-%04d", migration->version);
        if (!copy_find(database, path, suffix, copy)) {
            error = copy_make(database, path, suffix, stops, copy);
        }
        if (error != OK) {
            return error;
        }
        log_event(LOG_INFO, "migrating", LOG_INT("schema", migration->version),
                  LOG_TEXT("name", migration->name), LOG_TEXT("copy", copy), LOG_END);
    }
    error = connection_exec(database, "BEGIN IMMEDIATE");
    if (error != OK) {
        return error;
    }
    error = migrate_apply(database, migration);
    if (error == OK) {
        error = connection_exec(database, "COMMIT");
    }
    if (error != OK && sqlite3_get_autocommit(database) == 0) {
        /* Logged if it fails; the file is as it was either way. */
        (void)!connection_exec(database, "ROLLBACK");
    }
    return error;
}

enum error migrate_apply(sqlite3 *database, const struct migration *migration)
{
    char version[64];
    enum error error = connection_exec(database, migration->sql);

    if (error != OK) {
        return error;
    }
    (void)snprintf(version, sizeof version, "PRAGMA user_version=%d", migration->version);
    return connection_exec(database, version);
}
