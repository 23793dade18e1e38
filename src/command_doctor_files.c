/* command_doctor_files.c - the files as the disk has them.
 *
 * The database's owner is whom the server runs as; everything beside it must be that one's, or the
 * server could not write it, and nobody else's to open.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/str.h"
#include "command_doctor.h"
#include "store/examination.h"

#define MODE_BITS 07777u
#define OTHERS (S_IRWXG | S_IRWXO)
#define OTHERS_WRITE (S_IWGRP | S_IWOTH)

static void folder_check(struct doctor *doctor, const char *path, bool has_database, uid_t owner);
static bool file_check(struct doctor *doctor, const char *name, const char *path, uid_t owner);
static void copies_check(struct doctor *doctor, const char *path);
static void disk_check(struct doctor *doctor, const char *folder, uint64_t database_bytes);

void doctor_files_check(struct doctor *doctor)
{
    static const struct {
        const char *name;
        const char *suffix;
    } companions[] = {{"WAL", "-wal"}, {"WAL index", "-shm"}, {"lock", ".lock"}};
    const char *given = config_text(doctor->config, OPTION_DB).ptr;
    char path[PATH_MAX];
    char folder[PATH_MAX];
    char socket[CONFIG_SOCKET_MAX_BYTES];
    struct stat database = {0};
    char companion[PATH_MAX];

    bool has_database = realpath(given, path) != NULL && stat(path, &database) == 0;
    if (!has_database) {
        (void)snprintf(path, sizeof path, "%s", given);
    }
    struct str name = path_folder(str_from(path));
    (void)snprintf(folder, sizeof folder, "%.*s", STR_ARGS(name));
    folder_check(doctor, folder, has_database, database.st_uid);
    if (has_database) {
        (void)file_check(doctor, "database", path, database.st_uid);
    }
    for (size_t i = 0; has_database && i < sizeof companions / sizeof companions[0]; i++) {
        if (snprintf(companion, sizeof companion, "%s%s", path, companions[i].suffix) <
            (int)sizeof companion) {
            (void)file_check(doctor, companions[i].name, companion, database.st_uid);
        }
    }
    if (has_database && config_admin_socket(doctor->config, socket)) {
        (void)file_check(doctor, "admin socket", socket, database.st_uid);
    }
    copies_check(doctor, path);
    disk_check(doctor, folder, has_database ? (uint64_t)database.st_size : 0);
}

/* Who may write there may put another file in the database's place. */
static void folder_check(struct doctor *doctor, const char *path, bool has_database, uid_t owner)
{
    struct stat found;

    if (stat(path, &found) != 0) {
        doctor_tell(doctor, FINDING_FAIL, "folder", "make it, or give the database with --db",
                    "%s: %s", path, strerror(errno));
    } else if ((found.st_mode & OTHERS_WRITE) != 0) {
        doctor_tell(doctor, FINDING_FAIL, "folder", "chmod go-w it",
                    "others may write to %s (%04o)", path, (unsigned)found.st_mode & MODE_BITS);
    } else if (has_database && found.st_uid != owner) {
        doctor_tell(doctor, FINDING_WARN, "folder", "chown it to the database's owner",
                    "%s is of user %u, the database of user %u", path, (unsigned)found.st_uid,
                    (unsigned)owner);
    } else {
        doctor_tell(doctor, FINDING_OK, "folder", NULL, "%s (%04o)", path,
                    (unsigned)found.st_mode & MODE_BITS);
    }
}

/* Nothing is told of a file that is not there. */
static bool file_check(struct doctor *doctor, const char *name, const char *path, uid_t owner)
{
    struct stat found;

    if (lstat(path, &found) != 0) {
        return false;
    }
    if ((found.st_mode & OTHERS) != 0) {
        doctor_tell(doctor, FINDING_FAIL, name, "chmod 600 it", "others may open %s (%04o)", path,
                    (unsigned)found.st_mode & MODE_BITS);
    } else if (found.st_uid != owner) {
        doctor_tell(doctor, FINDING_FAIL, name, "chown it to the database's owner",
                    "%s is of user %u, the database of user %u", path, (unsigned)found.st_uid,
                    (unsigned)owner);
    } else if (found.st_nlink > 1) {
        doctor_tell(doctor, FINDING_FAIL, name,
                    "run a restore that was interrupted again, or remove the other name",
                    "%s has a second name (hard link)", path);
    } else {
        doctor_tell(doctor, FINDING_OK, name, NULL, "%s (%04o)", path,
                    (unsigned)found.st_mode & MODE_BITS);
    }
    return true;
}

static void copies_check(struct doctor *doctor, const char *path)
{
    char copy[PATH_MAX];
    unsigned count = 0;

    for (; store_rust_copy_find(path, count, copy); count++) {
        doctor_tell(doctor, FINDING_WARN, "old copy", "remove it when all is well",
                    "%s holds tokens in clear", copy);
    }
    if (count == 0) {
        doctor_tell(doctor, FINDING_OK, "old copy", NULL, "none with tokens in clear");
    }
}

static void disk_check(struct doctor *doctor, const char *folder, uint64_t database_bytes)
{
    uint64_t floor_bytes = config_number(doctor->config, OPTION_DISK_FLOOR_BYTES);
    struct statvfs disk;

    if (statvfs(folder, &disk) != 0) {
        doctor_tell(doctor, FINDING_FAIL, "disk", "see that it is mounted", "%s: %s", folder,
                    strerror(errno));
        return;
    }
    uint64_t free_bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
    if (free_bytes < floor_bytes) {
        doctor_tell(doctor, FINDING_FAIL, "disk", "make room",
                    "%llu bytes are free, below the floor of %llu", (unsigned long long)free_bytes,
                    (unsigned long long)floor_bytes);
    } else if (free_bytes < floor_bytes + database_bytes) {
        doctor_tell(doctor, FINDING_WARN, "disk", "make room",
                    "%llu bytes are free: a backup here would not fit",
                    (unsigned long long)free_bytes);
    } else {
        doctor_tell(doctor, FINDING_OK, "disk", NULL, "%llu bytes are free",
                    (unsigned long long)free_bytes);
    }
}
