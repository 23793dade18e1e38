/* library.c - the SQLite that is loaded, which need not be the one this was built with.
 *
 * The WAL-reset bug: while one connection resets the WAL by committing, a second checkpoint that
 * began before may note frames as copied that were not; they are lost, and the database with them.
 * It is in 3.7.0 (the first with a WAL) to 3.51.2, and fixed in 3.51.3, 3.50.7 and 3.44.6. With one
 * connection that writes and checkpoints, as here, it cannot happen. A distribution that fixes it
 * without a new number looks as if it had it, which is the safe mistake.
 */
#include "store/sqlite/library.h"

#include <sqlite3.h>
#include <stddef.h>
#include <stdio.h>

#include "store/copies.h"
#include "store/store.h"

#define FIRST_WITH_WAL 3007000
#define FIRST_WITHOUT_BUG 3051003

/* Older branches that got the fix: from their first version with it up to the next branch. */
static const struct {
    int first;
    int next_branch;
} fixed_branches[] = {{3044006, 3045000}, {3050007, 3051000}};

/* Called by main only, before any thread starts. */
const char *store_library_version(void)
{
    static char text[32];

    (void)snprintf(text, sizeof(text), "SQLite %s", sqlite3_libversion());
    return text;
}

bool store_library_has_wal_reset_bug(void)
{
    return library_has_wal_reset_bug(sqlite3_libversion_number());
}

bool library_has_wal_reset_bug(int version_number)
{
    for (size_t i = 0; i < sizeof fixed_branches / sizeof fixed_branches[0]; i++) {
        if (version_number >= fixed_branches[i].first &&
            version_number < fixed_branches[i].next_branch) {
            return false;
        }
    }
    return version_number >= FIRST_WITH_WAL && version_number < FIRST_WITHOUT_BUG;
}
