/* memory_disk_files.h - what the two halves of the memory disk share: files, and the recording.
 *
 * Uses: libc. Used by: memory_disk.c, memory_disk_cut.c only. Thread: one.
 */
#ifndef MIGCHAT_TEST_MEMORY_DISK_FILES_H
#define MIGCHAT_TEST_MEMORY_DISK_FILES_H

#include <stdbool.h>
#include <stddef.h>

struct disk_file {
    struct disk_file *next;
    char path[512];
    bool has_name; /* else it is deleted, and lives while it is open */
    size_t number; /* of the recording */
    unsigned char *bytes;
    size_t len;
    size_t capacity;
    void **index; /* regions of a WAL's shared memory, with the database's file; no cut keeps it */
    size_t index_count;
};

struct disk_file *disk_file_new(const char *path);
void disk_file_free(struct disk_file *file);
void disk_file_index_free(struct disk_file *file);
void disk_file_write(struct disk_file *file, const void *bytes, size_t len, size_t at);
void disk_file_truncate(struct disk_file *file, size_t len);

enum disk_change {
    CHANGE_NAME,
    CHANGE_NO_NAME,
    CHANGE_WRITE,
    CHANGE_TRUNCATE,
    CHANGE_SYNC,
    CHANGE_SYNC_FOLDER
};

/* Nothing while it does not record. */
void recording_add(enum disk_change kind, struct disk_file *file, size_t at, const void *bytes,
                   size_t len);
/* The disk is these files now; they are its own from here on. */
void memory_disk_take_over(struct disk_file *list);

#endif
