/* usage.c - a clock, a limit and two files of /proc, which are memory of the kernel and no disk. */
#include "base/usage.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"

#define NS_PER_S INT64_C(1000000000)
/* Seven numbers and their blanks. */
#define STATM_MAX_BYTES 160

static int64_t resident_read(void);
static int64_t descriptors_count(void);

void usage_read(struct usage *out_usage)
{
    struct timespec cpu = {0};
    struct rlimit limit = {0};

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    *out_usage = (struct usage){.cpu_ns = cpu.tv_sec * NS_PER_S + cpu.tv_nsec,
                                .resident_bytes = resident_read(),
                                .descriptors = descriptors_count(),
                                .descriptors_max = (int64_t)limit.rlim_cur};
}

/* The second number of statm, in pages. */
static int64_t resident_read(void)
{
    char text[STATM_MAX_BYTES];
    uint64_t pages;
    int file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);

    if (file < 0) {
        return -1;
    }
    ssize_t len = read(file, text, sizeof text);
    close(file);
    struct str rest = {text, len > 0 ? (size_t)len : 0};
    (void)str_cut(&rest, ' ');
    if (rest.ptr == NULL || !str_to_uint(str_cut(&rest, ' '), INT64_MAX / 4096, &pages)) {
        return -1;
    }
    return (int64_t)pages * sysconf(_SC_PAGESIZE);
}

static int64_t descriptors_count(void)
{
    struct stat folder;
    int64_t count = 0;

    if (stat("/proc/self/fd", &folder) != 0) {
        return -1;
    }
    if (folder.st_size > 0) {
        return folder.st_size; /* from Linux 6.2 on */
    }
    DIR *listing = opendir("/proc/self/fd");
    if (listing == NULL) {
        return -1;
    }
    while (count <= USAGE_DESCRIPTORS_COUNTED_MAX && readdir(listing) != NULL) {
        count++;
    }
    closedir(listing);
    /* Two are the folder and the one above it, one is the listing's own. */
    return count > USAGE_DESCRIPTORS_COUNTED_MAX ? -1 : count - 3;
}
