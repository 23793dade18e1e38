/* library.h - which SQLite this is, and which ones may share a database with another checkpointer.
 *
 * Uses: sqlite3. Used by: store/sqlite only. Thread: any.
 */
#ifndef MIGCHAT_STORE_SQLITE_LIBRARY_H
#define MIGCHAT_STORE_SQLITE_LIBRARY_H

#include <stdbool.h>

/* Of a version as sqlite3_libversion_number has it, 3051003 for 3.51.3: whether it has the
 * WAL-reset bug (https://sqlite.org/wal.html#walresetbug). */
bool library_has_wal_reset_bug(int version_number);

#endif
