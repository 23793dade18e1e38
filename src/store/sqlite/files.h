/* files.h - files of ours as the disk has them: made, synced, and why that failed.
 *
 * Uses:    base. Used by: store/sqlite only. Thread: any.
 */
#ifndef MIGCHAT_STORE_SQLITE_FILES_H
#define MIGCHAT_STORE_SQLITE_FILES_H

#include <stdbool.h>

#include "base/error.h"

/* Makes an empty file, 0600, where there is none of this name. */
MUST_CHECK enum error file_make(const char *path);
/* Syncs a file that no connection of this process has open. `flags` as for open. */
MUST_CHECK enum error file_sync(const char *path, int flags);
/* Syncs the folder that `path` (with at least one slash) lies in: its names are on the disk then.
 */
MUST_CHECK enum error folder_sync(const char *path);
/* Gives a file of the same folder another name, which must be free: errno says EEXIST otherwise. */
MUST_CHECK bool file_rename(const char *from, const char *to);
/* Locks an open file until it is closed. False, and errno says EWOULDBLOCK, when another has it or
 * `path` is not its name any more: who had the lock before may have removed it. */
MUST_CHECK bool file_lock(int fd, const char *path);
/* Logs errno and translates it. */
MUST_CHECK enum error file_failed(const char *doing, const char *path);

#endif
