/* memory_disk.h - a disk in memory, as SQLite's default file layer, which loses power and fails.
 *
 * While it records, every change of a file is noted: writes, truncations, syncs, and names that
 * come and go. A cut then makes the disk what it could be had power failed behind any of them:
 *
 *   what was synced is there; of what came after a file's last sync, and of the names since the
 *   folder's, any part may be, each sector by itself.
 *
 * Or a call fails: the n-th of a kind, and all after it until healed.
 *
 * Uses:    sqlite3 (VFS: https://sqlite.org/vfs.html), base/require, libc.
 * Used by: test/fault's C tests.
 * Thread:  one.
 * Memory:  the files, and while recording every byte that was written.
 */
#ifndef MIGCHAT_TEST_MEMORY_DISK_H
#define MIGCHAT_TEST_MEMORY_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

/* Makes it the default layer: before anything else of the process uses SQLite. */
void memory_disk_register(void);
/* Removes every file, fault and recording. No file may be open. */
void memory_disk_clear(void);

/* ---- files ---------------------------------------------------------------------------------- */

/* Borrowed until the file is changed; ptr NULL without such a file. Names end with `suffix`. */
struct str memory_disk_file(const char *suffix);
/* Makes or replaces a file. */
void memory_disk_set_file(const char *path, struct str bytes);

/* A process is killed: between the two calls its files may be closed, and whatever that does to
 * them is undone by the second. */
void memory_disk_kill_begin(void);
void memory_disk_kill_end(void);

/* ---- losing power --------------------------------------------------------------------------- */

void memory_disk_record(void);
/* How many changes there were. */
size_t memory_disk_change_count(void);
/* Whether the change is a sync: a moment at which much is decided. */
bool memory_disk_change_is_sync(size_t change);

enum disk_loss {
    LOSS_ALL,    /* nothing that was not synced is there */
    LOSS_NONE,   /* everything is */
    LOSS_WRITES, /* any of the writes, whole: later ones without earlier ones, too */
    LOSS_LAST,   /* all but the last write, which is torn */
    LOSS_SECTORS /* any of the sectors of 512 bytes */
};
#define LOSS_COUNT 5u

/* The disk as it is when the power fails behind `change` changes of the recording (0: the empty
 * disk). `*chance` decides what is lost and is advanced. Going on from the cut before is quick,
 * going back starts over. */
void memory_disk_cut(size_t change, enum disk_loss loss, uint64_t *chance);
/* Gives up the recording. */
void memory_disk_forget(void);

/* ---- failing -------------------------------------------------------------------------------- */

enum disk_call {
    CALL_WRITE,
    CALL_SYNC,
    CALL_READ,
    CALL_TRUNCATE,
    CALL_OPEN,
    CALL_DELETE,
    CALL_INDEX /* shared memory of a WAL */
};
#define CALL_COUNT 7u

enum disk_fault {
    FAULT_EIO,
    FAULT_FULL, /* writes: nothing is written, ENOSPC */
    FAULT_SHORT /* writes: the first half is, then ENOSPC */
};

/* The n-th call of this kind from now on (1: the next) fails, and with `stays` all behind it. */
void memory_disk_fail(enum disk_call call, enum disk_fault fault, size_t n, bool stays);
/* How many calls of the kind there were since it was cleared or healed. */
size_t memory_disk_calls(enum disk_call call);
/* Whether a call has failed since memory_disk_fail. */
bool memory_disk_has_failed(void);
void memory_disk_heal(void);
/* While paused no call fails, and none is counted: for the test's own look at the files. */
void memory_disk_pause(bool is_paused);

/* A number below `bound` (above 0). The state is any number; xorshift64*. */
uint64_t chance_below(uint64_t *state, uint64_t bound);

#endif
