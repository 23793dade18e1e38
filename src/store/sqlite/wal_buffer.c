/* wal_buffer.c - a VFS that is the default one but for the WAL's file, whose writes it gathers.
 *
 *   xWrite -- goes on where the last one ended --> gathered
 *          -- elsewhere (a frame or a checksum written again) --> at once
 *   commit frame complete, no room, or anything else is asked of the file --> gathered is written
 *
 * 1. Readers, on descriptors of their own, look at a frame only after the writer has moved the
 *    index, which it does after the commit frame was written (and, by synchronous=FULL, synced). So
 *    nothing is gathered beyond the write that completes a commit frame: one whose header says how
 *    large the database is then (https://sqlite.org/fileformat2.html#the_write_ahead_log).
 * 2. A frame is two writes, the header and the page, where SQLite does not pad commits to sectors;
 *    where it does (no SQLITE_IOCAP_POWERSAFE_OVERWRITE), nothing is gathered.
 * 3. Whoever reads this file through this layer (the writer after a spill, a checkpoint) finds
 *    everything in the file.
 * 4. A write that fails where SQLite writes, syncs, truncates or closes is a failed write like any
 *    other: SQLite gives the transaction up, and what was gathered is forgotten. After a failed
 *    read it may go on and commit, so there the bytes are kept, and the next write tries again.
 */
#include "store/sqlite/wal_buffer.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <string.h>

#define FRAME_HEADER_BYTES 24
/* Where a frame's header has the size of the database after a commit, 0 in all other frames. */
#define FRAME_COMMIT_AT 4
#define FRAME_COMMIT_BYTES 4

struct wal_file {
    sqlite3_file base; /* first: SQLite's view of it */
    char *bytes;       /* NULL until the first write */
    int len;
    sqlite3_int64 next_at; /* in the file, behind the last write */
    bool gathers;          /* see 2 */
    bool ends_commit;      /* the last write was a commit frame's header */
    sqlite3_file *target;  /* the default layer's file, behind this struct */
};

static int wal_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *file, int flags,
                    int *out_flags);
static int wal_close(sqlite3_file *file);
static int wal_read(sqlite3_file *file, void *bytes, int len, sqlite3_int64 at);
static int wal_write(sqlite3_file *file, const void *bytes, int len, sqlite3_int64 at);
static int wal_truncate(sqlite3_file *file, sqlite3_int64 size);
static int wal_sync(sqlite3_file *file, int flags);
static int wal_size(sqlite3_file *file, sqlite3_int64 *out_size);
static int wal_lock(sqlite3_file *file, int level);
static int wal_unlock(sqlite3_file *file, int level);
static int wal_check_lock(sqlite3_file *file, int *out_is_locked);
static int wal_control(sqlite3_file *file, int operation, void *argument);
static int wal_sector_bytes(sqlite3_file *file);
static int wal_device(sqlite3_file *file);
static bool header_ends_commit(const unsigned char *header);
static int gathered_write(struct wal_file *wal);
static int gathered_end(struct wal_file *wal);
static struct wal_file *wal_of(sqlite3_file *file);

static sqlite3_vfs layer;
static sqlite3_vfs *below;

/* Version 1: a WAL has no shared memory of its own and is not mapped. */
static const sqlite3_io_methods methods = {
    .iVersion = 1,
    .xClose = wal_close,
    .xRead = wal_read,
    .xWrite = wal_write,
    .xTruncate = wal_truncate,
    .xSync = wal_sync,
    .xFileSize = wal_size,
    .xLock = wal_lock,
    .xUnlock = wal_unlock,
    .xCheckReservedLock = wal_check_lock,
    .xFileControl = wal_control,
    .xSectorSize = wal_sector_bytes,
    .xDeviceCharacteristics = wal_device,
};

const char *wal_buffer_register(void)
{
    below = sqlite3_vfs_find(NULL);
    if (below == NULL) {
        return NULL;
    }
    layer = *below;
    layer.zName = "wal-buffer";
    layer.pNext = NULL;
    layer.szOsFile = (int)sizeof(struct wal_file) + below->szOsFile;
    layer.xOpen = wal_open;
    return sqlite3_vfs_register(&layer, 0) == SQLITE_OK ? layer.zName : NULL;
}

static int wal_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *file, int flags,
                    int *out_flags)
{
    struct wal_file *wal = wal_of(file);

    (void)vfs;
    if ((flags & SQLITE_OPEN_WAL) == 0) {
        return below->xOpen(below, path, file, flags, out_flags);
    }
    memset(wal, 0, sizeof *wal);
    wal->target = (sqlite3_file *)(void *)(wal + 1);
    int code = below->xOpen(below, path, wal->target, flags, out_flags);

    if (code != SQLITE_OK) {
        return code; /* without methods SQLite does not close it */
    }
    wal->base.pMethods = &methods;
    wal->next_at = -1;
    wal->gathers = (wal_device(file) & SQLITE_IOCAP_POWERSAFE_OVERWRITE) != 0;
    return SQLITE_OK;
}

static int wal_close(sqlite3_file *file)
{
    struct wal_file *wal = wal_of(file);
    int written = gathered_end(wal);
    int code = wal->target->pMethods->xClose(wal->target);

    sqlite3_free(wal->bytes);
    wal->bytes = NULL;
    return written != SQLITE_OK ? written : code;
}

static int wal_write(sqlite3_file *file, const void *bytes, int len, sqlite3_int64 at)
{
    struct wal_file *wal = wal_of(file);
    bool is_next = at == wal->next_at;
    bool ends_commit = wal->ends_commit;
    int code = SQLITE_OK;

    if (!is_next || len > (int)WAL_BUFFER_BYTES - wal->len) {
        code = gathered_end(wal);
    }
    if (code != SQLITE_OK) {
        return code;
    }
    wal->next_at = at + len;
    wal->ends_commit = len == FRAME_HEADER_BYTES && header_ends_commit(bytes);
    if (wal->bytes == NULL && wal->gathers) {
        wal->bytes = sqlite3_malloc((int)WAL_BUFFER_BYTES);
    }
    if (!is_next || wal->bytes == NULL || len > (int)WAL_BUFFER_BYTES) {
        return wal->target->pMethods->xWrite(wal->target, bytes, len, at);
    }
    memcpy(wal->bytes + wal->len, bytes, (size_t)len);
    wal->len += len;
    return ends_commit ? gathered_end(wal) : SQLITE_OK;
}

static bool header_ends_commit(const unsigned char *header)
{
    static const unsigned char none[FRAME_COMMIT_BYTES];

    return memcmp(header + FRAME_COMMIT_AT, none, sizeof none) != 0;
}

/* Keeps what it could not write. */
static int gathered_write(struct wal_file *wal)
{
    if (wal->len == 0) {
        return SQLITE_OK;
    }
    int code =
        wal->target->pMethods->xWrite(wal->target, wal->bytes, wal->len, wal->next_at - wal->len);

    if (code == SQLITE_OK) {
        wal->len = 0;
    }
    return code;
}

static int gathered_end(struct wal_file *wal)
{
    int code = gathered_write(wal);

    wal->len = 0;
    return code;
}

static int wal_read(sqlite3_file *file, void *bytes, int len, sqlite3_int64 at)
{
    struct wal_file *wal = wal_of(file);
    int code = gathered_write(wal);

    return code != SQLITE_OK ? code : wal->target->pMethods->xRead(wal->target, bytes, len, at);
}

static int wal_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    struct wal_file *wal = wal_of(file);
    int code = gathered_end(wal);

    return code != SQLITE_OK ? code : wal->target->pMethods->xTruncate(wal->target, size);
}

static int wal_sync(sqlite3_file *file, int flags)
{
    struct wal_file *wal = wal_of(file);
    int code = gathered_end(wal);

    return code != SQLITE_OK ? code : wal->target->pMethods->xSync(wal->target, flags);
}

static int wal_size(sqlite3_file *file, sqlite3_int64 *out_size)
{
    struct wal_file *wal = wal_of(file);
    int code = gathered_write(wal);

    return code != SQLITE_OK ? code : wal->target->pMethods->xFileSize(wal->target, out_size);
}

static int wal_lock(sqlite3_file *file, int level)
{
    sqlite3_file *target = wal_of(file)->target;

    return target->pMethods->xLock(target, level);
}

static int wal_unlock(sqlite3_file *file, int level)
{
    sqlite3_file *target = wal_of(file)->target;

    return target->pMethods->xUnlock(target, level);
}

static int wal_check_lock(sqlite3_file *file, int *out_is_locked)
{
    sqlite3_file *target = wal_of(file)->target;

    return target->pMethods->xCheckReservedLock(target, out_is_locked);
}

static int wal_control(sqlite3_file *file, int operation, void *argument)
{
    sqlite3_file *target = wal_of(file)->target;

    return target->pMethods->xFileControl(target, operation, argument);
}

static int wal_sector_bytes(sqlite3_file *file)
{
    sqlite3_file *target = wal_of(file)->target;

    return target->pMethods->xSectorSize(target);
}

static int wal_device(sqlite3_file *file)
{
    sqlite3_file *target = wal_of(file)->target;

    return target->pMethods->xDeviceCharacteristics(target);
}

static struct wal_file *wal_of(sqlite3_file *file)
{
    return (struct wal_file *)(void *)file;
}
