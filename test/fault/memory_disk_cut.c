/* memory_disk_cut.c - what was written in which order, and what is left of it without power.
 *
 *   changes 0 … n -- of each file, up to its last sync --> on the disk (settled)
 *                 -- behind it                         --> may be on the disk, or in part (pending)
 *
 * 1. A file here is an inode: its name is a change of the folder, which has an order and syncs of
 *    its own. Names that are not synced are lost from the last one on, as a journal of names is.
 * 2. Writes that overlap keep their order: the page cache holds one version of a page.
 * 3. What lies beside a write is never damaged (SQLITE_IOCAP_POWERSAFE_OVERWRITE, which SQLite
 *    takes for granted).
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/require.h"
#include "fault/memory_disk.h"
#include "fault/memory_disk_files.h"

#define SECTOR_BYTES 512u

struct change {
    enum disk_change kind;
    size_t file; /* number */
    size_t at;
    size_t len;
    unsigned char *bytes;
    char *path; /* of a name */
};

static struct {
    bool is_on;
    struct change *changes;
    size_t count;
    size_t capacity;
    size_t file_count;
} recording;

/* A file of the recording where the replay stands. */
struct inode {
    struct disk_file *settled;
    size_t *pending; /* numbers of changes */
    size_t pending_count;
    size_t pending_capacity;
    const char *path;
    bool has_name; /* settled */
};

static struct {
    size_t position;
    struct inode *inodes;
    size_t *names; /* pending changes of the folder */
    size_t name_count;
    size_t name_capacity;
} replay;

static void replay_begin(void);
static void replay_end(void);
static void replay_change(size_t number);
static void change_apply(struct disk_file *file, const struct change *change, enum disk_loss loss,
                         uint64_t *chance);
static void number_add(size_t **numbers, size_t *count, size_t *capacity, size_t number);
static void *larger(void *array, size_t *capacity, size_t size);

/* ---- files -----------------------------------------------------------------------------------*/

struct disk_file *disk_file_new(const char *path)
{
    struct disk_file *file = calloc(1, sizeof *file);

    REQUIRE(file != NULL && strlen(path) < sizeof file->path);
    (void)snprintf(file->path, sizeof file->path, "%s", path);
    file->has_name = true;
    file->number = recording.is_on ? recording.file_count++ : 0;
    return file;
}

void disk_file_free(struct disk_file *file)
{
    disk_file_index_free(file);
    free(file->bytes);
    free(file);
}

void disk_file_index_free(struct disk_file *file)
{
    for (size_t i = 0; i < file->index_count; i++) {
        free(file->index[i]);
    }
    free(file->index);
    file->index = NULL;
    file->index_count = 0;
}

void disk_file_write(struct disk_file *file, const void *bytes, size_t len, size_t at)
{
    if (len == 0) {
        return;
    }
    if (at + len > file->capacity) {
        size_t capacity = 2 * (at + len);
        unsigned char *grown = realloc(file->bytes, capacity);

        REQUIRE(grown != NULL);
        file->bytes = grown;
        file->capacity = capacity;
    }
    if (at > file->len) {
        memset(file->bytes + file->len, 0, at - file->len);
    }
    memcpy(file->bytes + at, bytes, len);
    file->len = at + len > file->len ? at + len : file->len;
}

void disk_file_truncate(struct disk_file *file, size_t len)
{
    if (len < file->len) {
        file->len = len;
    }
}

/* ---- recording -------------------------------------------------------------------------------*/

void memory_disk_record(void)
{
    memory_disk_forget();
    recording.is_on = true;
}

void memory_disk_forget(void)
{
    replay_end();
    for (size_t i = 0; i < recording.count; i++) {
        free(recording.changes[i].bytes);
        free(recording.changes[i].path);
    }
    free(recording.changes);
    memset(&recording, 0, sizeof recording);
}

void recording_add(enum disk_change kind, struct disk_file *file, size_t at, const void *bytes,
                   size_t len)
{
    if (!recording.is_on) {
        return;
    }
    if (recording.count == recording.capacity) {
        recording.changes =
            larger(recording.changes, &recording.capacity, sizeof *recording.changes);
    }
    struct change change = {.kind = kind, .file = file->number, .at = at, .len = len};

    if (len > 0) {
        change.bytes = malloc(len);
        REQUIRE(change.bytes != NULL);
        memcpy(change.bytes, bytes, len);
    }
    if (kind == CHANGE_NAME) {
        change.path = strdup(file->path);
        REQUIRE(change.path != NULL);
    }
    recording.changes[recording.count++] = change;
}

size_t memory_disk_change_count(void)
{
    return recording.count;
}

bool memory_disk_change_is_sync(size_t change)
{
    return recording.changes[change].kind == CHANGE_SYNC;
}

/* ---- cuts ------------------------------------------------------------------------------------*/

void memory_disk_cut(size_t change, enum disk_loss loss, uint64_t *chance)
{
    struct disk_file *list = NULL;

    recording.is_on = false;
    if (replay.inodes == NULL || change < replay.position) {
        replay_begin();
    }
    while (replay.position < change) {
        replay_change(replay.position++);
    }
    size_t kept_names = loss == LOSS_ALL    ? 0
                        : loss == LOSS_NONE ? replay.name_count
                                            : (size_t)chance_below(chance, replay.name_count + 1);

    for (size_t i = 0; i < recording.file_count; i++) {
        const struct inode *inode = &replay.inodes[i];
        bool has_name = inode->has_name;

        for (size_t k = 0; k < kept_names; k++) {
            const struct change *named = &recording.changes[replay.names[k]];

            if (named->file == i) {
                has_name = named->kind == CHANGE_NAME;
            }
        }
        if (!has_name) {
            continue;
        }
        struct disk_file *file = disk_file_new(inode->path);

        disk_file_write(file, inode->settled->bytes, inode->settled->len, 0);
        for (size_t k = 0; k < inode->pending_count && loss != LOSS_ALL; k++) {
            bool is_last = k + 1 == inode->pending_count;
            enum disk_loss of_this = loss;

            if (loss == LOSS_LAST) {
                of_this = is_last ? LOSS_SECTORS : LOSS_NONE;
            }
            change_apply(file, &recording.changes[inode->pending[k]], of_this, chance);
        }
        file->next = list;
        list = file;
    }
    memory_disk_take_over(list);
}

static void replay_begin(void)
{
    replay_end();
    replay.inodes = calloc(recording.file_count + 1, sizeof *replay.inodes);
    REQUIRE(replay.inodes != NULL);
    for (size_t i = 0; i < recording.file_count; i++) {
        replay.inodes[i].settled = disk_file_new("");
    }
}

static void replay_end(void)
{
    for (size_t i = 0; replay.inodes != NULL && i < recording.file_count; i++) {
        disk_file_free(replay.inodes[i].settled);
        free(replay.inodes[i].pending);
    }
    free(replay.inodes);
    free(replay.names);
    memset(&replay, 0, sizeof replay);
}

static void replay_change(size_t number)
{
    const struct change *change = &recording.changes[number];
    struct inode *inode = &replay.inodes[change->file];

    switch (change->kind) {
    case CHANGE_NAME:
        inode->path = change->path;
        number_add(&replay.names, &replay.name_count, &replay.name_capacity, number);
        break;
    case CHANGE_NO_NAME:
        number_add(&replay.names, &replay.name_count, &replay.name_capacity, number);
        break;
    case CHANGE_WRITE:
    case CHANGE_TRUNCATE:
        number_add(&inode->pending, &inode->pending_count, &inode->pending_capacity, number);
        break;
    case CHANGE_SYNC:
        for (size_t k = 0; k < inode->pending_count; k++) {
            change_apply(inode->settled, &recording.changes[inode->pending[k]], LOSS_NONE, NULL);
        }
        inode->pending_count = 0;
        break;
    case CHANGE_SYNC_FOLDER:
        for (size_t k = 0; k < replay.name_count; k++) {
            const struct change *named = &recording.changes[replay.names[k]];

            replay.inodes[named->file].has_name = named->kind == CHANGE_NAME;
        }
        replay.name_count = 0;
        break;
    }
}

static void change_apply(struct disk_file *file, const struct change *change, enum disk_loss loss,
                         uint64_t *chance)
{
    if (change->kind == CHANGE_TRUNCATE) {
        if (loss == LOSS_NONE || chance_below(chance, 2) == 0) {
            disk_file_truncate(file, change->at);
        }
        return;
    }
    if (loss == LOSS_NONE || (loss == LOSS_WRITES && chance_below(chance, 2) == 0)) {
        disk_file_write(file, change->bytes, change->len, change->at);
    }
    if (loss != LOSS_SECTORS) {
        return;
    }
    for (size_t done = 0; done < change->len;) {
        size_t at = change->at + done;
        size_t part = SECTOR_BYTES - at % SECTOR_BYTES;

        part = part < change->len - done ? part : change->len - done;
        if (chance_below(chance, 2) == 0) {
            disk_file_write(file, change->bytes + done, part, at);
        }
        done += part;
    }
}

static void number_add(size_t **numbers, size_t *count, size_t *capacity, size_t number)
{
    if (*count == *capacity) {
        *numbers = larger(*numbers, capacity, sizeof **numbers);
    }
    (*numbers)[(*count)++] = number;
}

static void *larger(void *array, size_t *capacity, size_t size)
{
    *capacity = *capacity == 0 ? 64 : 2 * *capacity;
    void *grown = realloc(array, *capacity * size);

    REQUIRE(grown != NULL);
    return grown;
}

uint64_t chance_below(uint64_t *state, uint64_t bound)
{
    uint64_t x = *state == 0 ? 0x9e3779b97f4a7c15u : *state;

    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *state = x;
    return (x * 0x2545f4914f6cdd1du >> 33) % bound;
}
