/* memory_disk.c - the file layer: files in memory, their locks and shared memory, and faults.
 *
 * 1. One thread, but more than one connection: a file's locks are kept by handle.
 * 2. Paths are made absolute by the layer below, which finds real (empty) files there.
 * 3. What is recorded, and what a cut makes of it, is memory_disk_cut.c.
 */
#include "fault/memory_disk.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/require.h"
#include "fault/memory_disk_files.h"

#define INDEX_REGIONS_MAX 64
#define INDEX_REGION_BYTES 32768

struct handle {
    sqlite3_file base; /* first: SQLite's view of it */
    struct disk_file *file;
    int level;
    unsigned shared_slots;
    unsigned exclusive_slots;
    bool syncs_folder; /* SQLite's own layer syncs the folder with a new journal or WAL */
    bool is_deleted_on_close;
};

static int disk_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *file, int flags,
                     int *out_flags);
static int disk_delete(sqlite3_vfs *vfs, const char *path, int syncs_folder);
static int disk_access(sqlite3_vfs *vfs, const char *path, int flags, int *out_result);
static int disk_last_error(sqlite3_vfs *vfs, int size, char *out_text);
static int handle_close(sqlite3_file *file);
static int handle_read(sqlite3_file *file, void *bytes, int len, sqlite3_int64 at);
static int handle_write(sqlite3_file *file, const void *bytes, int len, sqlite3_int64 at);
static int handle_truncate(sqlite3_file *file, sqlite3_int64 size);
static int handle_sync(sqlite3_file *file, int flags);
static int handle_size(sqlite3_file *file, sqlite3_int64 *out_size);
static int handle_lock(sqlite3_file *file, int level);
static int handle_unlock(sqlite3_file *file, int level);
static int handle_check_lock(sqlite3_file *file, int *out_is_locked);
static int handle_control(sqlite3_file *file, int operation, void *argument);
static int handle_sector_bytes(sqlite3_file *file);
static int handle_device(sqlite3_file *file);
static int handle_index_map(sqlite3_file *file, int region, int bytes, int extends,
                            void volatile **out_at);
static int handle_index_lock(sqlite3_file *file, int offset, int count, int flags);
static void handle_index_barrier(sqlite3_file *file);
static int handle_index_unmap(sqlite3_file *file, int is_removed);
static bool call_fails(enum disk_call call);
static void handles_note(struct handle *handle, bool is_open);
static void file_drop_if_gone(struct disk_file *file);

static sqlite3_vfs layer;
static sqlite3_vfs *below;
static struct disk_file *files; /* a list of those with a name or a handle */
static struct disk_file *kept;  /* while it is killed */

/* Open handles, to see whose locks are in the way. */
#define HANDLES_MAX 32u
static struct handle *handles[HANDLES_MAX];

static struct {
    size_t calls[CALL_COUNT];
    size_t fails_at; /* 0: never */
    enum disk_call call;
    enum disk_fault fault;
    bool stays;
    bool has_failed;
    bool is_paused;
    int system_error;
} faults;

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = handle_close,
    .xRead = handle_read,
    .xWrite = handle_write,
    .xTruncate = handle_truncate,
    .xSync = handle_sync,
    .xFileSize = handle_size,
    .xLock = handle_lock,
    .xUnlock = handle_unlock,
    .xCheckReservedLock = handle_check_lock,
    .xFileControl = handle_control,
    .xSectorSize = handle_sector_bytes,
    .xDeviceCharacteristics = handle_device,
    .xShmMap = handle_index_map,
    .xShmLock = handle_index_lock,
    .xShmBarrier = handle_index_barrier,
    .xShmUnmap = handle_index_unmap,
};

/* ---- the layer -------------------------------------------------------------------------------*/

void memory_disk_register(void)
{
    below = sqlite3_vfs_find(NULL);
    REQUIRE(below != NULL);
    layer = *below;
    layer.iVersion = 1;
    layer.zName = "memory-disk";
    layer.pNext = NULL;
    layer.szOsFile = (int)sizeof(struct handle);
    layer.xOpen = disk_open;
    layer.xDelete = disk_delete;
    layer.xAccess = disk_access;
    layer.xGetLastError = disk_last_error;
    REQUIRE(sqlite3_vfs_register(&layer, 1) == SQLITE_OK);
}

void memory_disk_clear(void)
{
    for (size_t i = 0; i < HANDLES_MAX; i++) {
        REQUIRE(handles[i] == NULL);
    }
    while (files != NULL) {
        struct disk_file *next = files->next;

        disk_file_free(files);
        files = next;
    }
    memory_disk_heal();
    memory_disk_forget();
}

static struct disk_file *file_find(const char *path)
{
    struct disk_file *file = files;

    while (file != NULL && (!file->has_name || strcmp(file->path, path) != 0)) {
        file = file->next;
    }
    return file;
}

static struct disk_file *file_make(const char *path)
{
    struct disk_file *file = disk_file_new(path);

    file->next = files;
    files = file;
    return file;
}

struct str memory_disk_file(const char *suffix)
{
    size_t len = strlen(suffix);

    for (struct disk_file *file = files; file != NULL; file = file->next) {
        size_t path_len = strlen(file->path);

        if (file->has_name && path_len >= len && strcmp(file->path + path_len - len, suffix) == 0) {
            return (struct str){(const char *)file->bytes, file->len};
        }
    }
    return (struct str){NULL, 0};
}

void memory_disk_set_file(const char *path, struct str bytes)
{
    struct disk_file *file = file_find(path);

    if (file == NULL) {
        file = file_make(path);
    }
    disk_file_truncate(file, 0);
    disk_file_write(file, bytes.ptr, bytes.len, 0);
}

void memory_disk_kill_begin(void)
{
    REQUIRE(kept == NULL);
    for (const struct disk_file *file = files; file != NULL; file = file->next) {
        if (file->has_name) {
            struct disk_file *copy = disk_file_new(file->path);

            disk_file_write(copy, file->bytes, file->len, 0);
            copy->next = kept;
            kept = copy;
        }
    }
}

void memory_disk_kill_end(void)
{
    memory_disk_take_over(kept);
    kept = NULL;
}

static int disk_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *opened, int flags,
                     int *out_flags)
{
    struct handle *handle = (struct handle *)(void *)opened;
    struct disk_file *file = path == NULL ? NULL : file_find(path);
    bool is_new = file == NULL;

    (void)vfs;
    memset(handle, 0, sizeof *handle);
    if (call_fails(CALL_OPEN)) {
        return SQLITE_CANTOPEN;
    }
    /* The database's own file was made by the server, empty, outside of SQLite. */
    if (is_new && (flags & (SQLITE_OPEN_CREATE | SQLITE_OPEN_MAIN_DB)) == 0) {
        return SQLITE_CANTOPEN;
    }
    if (is_new) {
        file = file_make(path == NULL ? "" : path);
        file->has_name = path != NULL;
        if (path != NULL) {
            recording_add(CHANGE_NAME, file, 0, NULL, 0);
        }
    }
    handle->base.pMethods = &methods;
    handle->file = file;
    handle->syncs_folder = is_new && (flags & (SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL)) != 0;
    handle->is_deleted_on_close = (flags & SQLITE_OPEN_DELETEONCLOSE) != 0;
    handles_note(handle, true);
    if (out_flags != NULL) {
        *out_flags = flags;
    }
    return SQLITE_OK;
}

static void handles_note(struct handle *handle, bool is_open)
{
    for (size_t i = 0; i < HANDLES_MAX; i++) {
        if (handles[i] == (is_open ? NULL : handle)) {
            handles[i] = is_open ? handle : NULL;
            return;
        }
    }
    REQUIRE(false);
}

static int disk_delete(sqlite3_vfs *vfs, const char *path, int syncs_folder)
{
    struct disk_file *file = file_find(path);

    (void)vfs;
    if (call_fails(CALL_DELETE)) {
        return SQLITE_IOERR_DELETE;
    }
    if (file == NULL) {
        return SQLITE_IOERR_DELETE_NOENT;
    }
    file->has_name = false;
    recording_add(CHANGE_NO_NAME, file, 0, NULL, 0);
    if (syncs_folder) {
        recording_add(CHANGE_SYNC_FOLDER, file, 0, NULL, 0);
    }
    file_drop_if_gone(file);
    return SQLITE_OK;
}

static int disk_access(sqlite3_vfs *vfs, const char *path, int flags, int *out_result)
{
    struct disk_file *file = file_find(path);

    (void)vfs;
    /* SQLite takes an empty file for none, as its own layer does. */
    *out_result = file != NULL && (flags != SQLITE_ACCESS_EXISTS || file->len > 0);
    return SQLITE_OK;
}

static int disk_last_error(sqlite3_vfs *vfs, int size, char *out_text)
{
    (void)vfs;
    (void)size;
    (void)out_text;
    return faults.system_error;
}

/* ---- a file ----------------------------------------------------------------------------------*/

static struct handle *handle_of(sqlite3_file *file)
{
    return (struct handle *)(void *)file;
}

static int handle_close(sqlite3_file *file)
{
    struct handle *handle = handle_of(file);

    if (handle->is_deleted_on_close) {
        handle->file->has_name = false;
    }
    handles_note(handle, false);
    file_drop_if_gone(handle->file);
    return SQLITE_OK;
}

/* Without a name and a handle: nobody can come to it any more. */
static void file_drop_if_gone(struct disk_file *file)
{
    struct disk_file **place = &files;

    for (size_t i = 0; i < HANDLES_MAX; i++) {
        if (file->has_name || (handles[i] != NULL && handles[i]->file == file)) {
            return;
        }
    }
    while (*place != file) {
        place = &(*place)->next;
    }
    *place = file->next;
    disk_file_free(file);
}

static int handle_read(sqlite3_file *file, void *bytes, int len, sqlite3_int64 at)
{
    struct disk_file *target = handle_of(file)->file;

    if (call_fails(CALL_READ)) {
        return SQLITE_IOERR_READ;
    }
    size_t there = (size_t)at < target->len ? target->len - (size_t)at : 0;

    if (there >= (size_t)len) {
        memcpy(bytes, target->bytes + at, (size_t)len);
        return SQLITE_OK;
    }
    memset(bytes, 0, (size_t)len);
    if (there > 0) {
        memcpy(bytes, target->bytes + at, there);
    }
    return SQLITE_IOERR_SHORT_READ;
}

static int handle_write(sqlite3_file *file, const void *bytes, int len, sqlite3_int64 at)
{
    struct disk_file *target = handle_of(file)->file;
    int code = SQLITE_OK;

    if (call_fails(CALL_WRITE)) {
        if (faults.fault == FAULT_EIO) {
            return SQLITE_IOERR_WRITE;
        }
        if (faults.fault == FAULT_FULL) {
            return SQLITE_FULL;
        }
        len /= 2;
        code = SQLITE_FULL;
    }
    disk_file_write(target, bytes, (size_t)len, (size_t)at);
    recording_add(CHANGE_WRITE, target, (size_t)at, bytes, (size_t)len);
    return code;
}

static int handle_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    struct disk_file *target = handle_of(file)->file;

    if (call_fails(CALL_TRUNCATE)) {
        return SQLITE_IOERR_TRUNCATE;
    }
    disk_file_truncate(target, (size_t)size);
    recording_add(CHANGE_TRUNCATE, target, (size_t)size, NULL, 0);
    return SQLITE_OK;
}

static int handle_sync(sqlite3_file *file, int flags)
{
    struct handle *handle = handle_of(file);

    (void)flags;
    if (call_fails(CALL_SYNC)) {
        return SQLITE_IOERR_FSYNC;
    }
    recording_add(CHANGE_SYNC, handle->file, 0, NULL, 0);
    if (handle->syncs_folder) {
        recording_add(CHANGE_SYNC_FOLDER, handle->file, 0, NULL, 0);
        handle->syncs_folder = false;
    }
    return SQLITE_OK;
}

static int handle_size(sqlite3_file *file, sqlite3_int64 *out_size)
{
    *out_size = (sqlite3_int64)handle_of(file)->file->len;
    return SQLITE_OK;
}

static int handle_control(sqlite3_file *file, int operation, void *argument)
{
    (void)file;
    (void)operation;
    (void)argument;
    return SQLITE_NOTFOUND;
}

static int handle_sector_bytes(sqlite3_file *file)
{
    (void)file;
    return 4096; /* as SQLite's own layer says */
}

static int handle_device(sqlite3_file *file)
{
    (void)file;
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

/* ---- locks -----------------------------------------------------------------------------------*/

static int handle_lock(sqlite3_file *file, int level)
{
    struct handle *handle = handle_of(file);

    for (size_t i = 0; i < HANDLES_MAX; i++) {
        const struct handle *other = handles[i];

        if (other == NULL || other == handle || other->file != handle->file) {
            continue;
        }
        if (other->level == SQLITE_LOCK_EXCLUSIVE ||
            (level == SQLITE_LOCK_EXCLUSIVE && other->level >= SQLITE_LOCK_SHARED) ||
            (level == SQLITE_LOCK_RESERVED && other->level >= SQLITE_LOCK_RESERVED)) {
            return SQLITE_BUSY;
        }
    }
    handle->level = level > handle->level ? level : handle->level;
    return SQLITE_OK;
}

static int handle_unlock(sqlite3_file *file, int level)
{
    struct handle *handle = handle_of(file);

    handle->level = level < handle->level ? level : handle->level;
    return SQLITE_OK;
}

static int handle_check_lock(sqlite3_file *file, int *out_is_locked)
{
    const struct handle *handle = handle_of(file);

    *out_is_locked = 0;
    for (size_t i = 0; i < HANDLES_MAX; i++) {
        if (handles[i] != NULL && handles[i]->file == handle->file &&
            handles[i]->level >= SQLITE_LOCK_RESERVED) {
            *out_is_locked = 1;
        }
    }
    return SQLITE_OK;
}

/* ---- the index of a WAL ----------------------------------------------------------------------*/

static int handle_index_map(sqlite3_file *file, int region, int bytes, int extends,
                            void volatile **out_at)
{
    struct disk_file *target = handle_of(file)->file;

    *out_at = NULL;
    if (call_fails(CALL_INDEX)) {
        return SQLITE_IOERR_SHMMAP;
    }
    REQUIRE(bytes == INDEX_REGION_BYTES && region < INDEX_REGIONS_MAX);
    if (target->index == NULL) {
        target->index = calloc(INDEX_REGIONS_MAX, sizeof *target->index);
        REQUIRE(target->index != NULL);
        target->index_count = INDEX_REGIONS_MAX;
    }
    if (target->index[region] == NULL && extends) {
        target->index[region] = calloc(1, INDEX_REGION_BYTES);
        REQUIRE(target->index[region] != NULL);
    }
    *out_at = target->index[region];
    return SQLITE_OK;
}

static int handle_index_lock(sqlite3_file *file, int offset, int count, int flags)
{
    struct handle *handle = handle_of(file);
    unsigned slots = ((1u << count) - 1u) << offset;

    if (flags & SQLITE_SHM_UNLOCK) {
        handle->shared_slots &= ~slots;
        handle->exclusive_slots &= ~slots;
        return SQLITE_OK;
    }
    for (size_t i = 0; i < HANDLES_MAX; i++) {
        const struct handle *other = handles[i];

        if (other != NULL && other != handle && other->file == handle->file &&
            ((other->exclusive_slots & slots) != 0 ||
             ((flags & SQLITE_SHM_EXCLUSIVE) && (other->shared_slots & slots) != 0))) {
            return SQLITE_BUSY;
        }
    }
    if (flags & SQLITE_SHM_EXCLUSIVE) {
        handle->exclusive_slots |= slots;
    } else {
        handle->shared_slots |= slots;
    }
    return SQLITE_OK;
}

static void handle_index_barrier(sqlite3_file *file)
{
    (void)file; /* one thread */
}

static int handle_index_unmap(sqlite3_file *file, int is_removed)
{
    struct handle *handle = handle_of(file);

    handle->shared_slots = 0;
    handle->exclusive_slots = 0;
    if (is_removed) {
        disk_file_index_free(handle->file);
    }
    return SQLITE_OK;
}

/* ---- faults ----------------------------------------------------------------------------------*/

static bool call_fails(enum disk_call call)
{
    if (faults.is_paused) {
        return false;
    }
    size_t number = ++faults.calls[call];
    bool fails = faults.fails_at > 0 && call == faults.call &&
                 (faults.stays ? number >= faults.fails_at : number == faults.fails_at);

    if (fails) {
        faults.has_failed = true;
        faults.system_error = faults.fault == FAULT_EIO ? EIO : ENOSPC;
    }
    return fails;
}

void memory_disk_fail(enum disk_call call, enum disk_fault fault, size_t n, bool stays)
{
    faults.call = call;
    faults.fault = fault;
    faults.fails_at = faults.calls[call] + n;
    faults.stays = stays;
    faults.has_failed = false;
}

size_t memory_disk_calls(enum disk_call call)
{
    return faults.calls[call];
}

bool memory_disk_has_failed(void)
{
    return faults.has_failed;
}

void memory_disk_pause(bool is_paused)
{
    faults.is_paused = is_paused;
}

void memory_disk_heal(void)
{
    memset(&faults, 0, sizeof faults);
}

/* ---- for the cuts ----------------------------------------------------------------------------*/

void memory_disk_take_over(struct disk_file *list)
{
    for (size_t i = 0; i < HANDLES_MAX; i++) {
        REQUIRE(handles[i] == NULL);
    }
    while (files != NULL) {
        struct disk_file *next = files->next;

        disk_file_free(files);
        files = next;
    }
    files = list;
}
