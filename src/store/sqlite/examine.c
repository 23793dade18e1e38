/* examine.c - the examination of store/examination.h, on a file that a server may have open. */
#include "store/examination.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "store/sqlite/adopt.h"
#include "store/sqlite/check.h"
#include "store/sqlite/connection.h"
#include "store/sqlite/source.h"

/* A seek for each account: the log has no index by time, and ends of logs are what is new. */
static const char NEWEST[] =
    "SELECT max((SELECT created_at_ms FROM log WHERE account_id = account.id"
    " ORDER BY seq DESC LIMIT 1)) FROM account";

enum error store_examine(const char *path, struct store_examination *out_examination,
                         char reason[REASON_MAX_BYTES])
{
    struct store_examination examination = {0};
    struct source source;

    reason[0] = '\0';
    enum error error = source_open_beside_server(path, &source, reason);
    if (error != OK) {
        return error;
    }
    error = source_must_be_ours(source.database, reason);
    if (error == OK) {
        error = connection_int(source.database, "PRAGMA user_version", &examination.schema);
    }
    if (error == OK) {
        error = check_pages(source.database, "PRAGMA quick_check(1)", reason);
    }
    if (error == OK) {
        error = connection_int(source.database, NEWEST, &examination.newest_at_ms);
    }
    if (error != OK && reason[0] == '\0') {
        (void)snprintf(reason, REASON_MAX_BYTES, "it cannot be read: %s",
                       sqlite3_errmsg(source.database));
    }
    source_close(&source);
    if (error == OK) {
        *out_examination = examination;
    }
    return error;
}

bool store_rust_copy_find(const char *path, unsigned place, char out_path[PATH_MAX])
{
    char prefix[PATH_MAX];
    char folder_path[PATH_MAX];
    struct str folder = path_folder(str_from(path));
    const char *slash = strrchr(path, '/');
    const struct dirent *found;
    bool is_found = false;

    (void)snprintf(prefix, sizeof prefix, "%s" ADOPT_COPY_SUFFIX, slash != NULL ? slash + 1 : path);
    (void)snprintf(folder_path, sizeof folder_path, "%.*s", STR_ARGS(folder));
    DIR *listing = opendir(folder_path);
    if (listing == NULL) {
        return false;
    }
    while (!is_found && (found = readdir(listing)) != NULL) {
        if (strncmp(found->d_name, prefix, strlen(prefix)) == 0 && place-- == 0) {
            int len = snprintf(out_path, PATH_MAX, "%s/%s", folder_path, found->d_name);

            is_found = len > 0 && len < PATH_MAX;
        }
    }
    (void)closedir(listing);
    return is_found;
}
