/* count_syncs.c - loaded before libc (LD_PRELOAD): counts fsync and fdatasync into a shared page,
 * and when the last ones ended.
 *
 * The file named in BENCH_SYNC_COUNT is the page: as much of it as the file has is seen by others.
 * The calls themselves are made as they were asked for.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define ENDS_KEPT 64

/* realtime.py reads it. */
struct page {
    atomic_uint_least64_t begun;
    atomic_uint_least64_t ended;
    atomic_uint_least64_t
        ended_at_ns[ENDS_KEPT]; /* monotonic; of the n-th at n modulo their number */
};

static struct page *page;
static int (*next_fsync)(int file);
static int (*next_fdatasync)(int file);

__attribute__((constructor)) static void counter_map(void)
{
    const char *path = getenv("BENCH_SYNC_COUNT");
    int file = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);

    next_fsync = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    next_fdatasync = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    if (file >= 0) {
        void *mapped = mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);

        page = mapped == MAP_FAILED ? NULL : mapped;
        (void)close(file);
    }
}

static int sync_counted(int (*sync)(int file), int file)
{
    struct timespec now;

    if (page == NULL) {
        return sync(file);
    }
    atomic_fetch_add(&page->begun, 1);
    int result = sync(file);
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t number = atomic_load(&page->ended);
    atomic_store(&page->ended_at_ns[number % ENDS_KEPT],
                 (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec);
    atomic_store(&page->ended, number + 1);
    return result;
}

int fsync(int file)
{
    return sync_counted(next_fsync, file);
}

int fdatasync(int file)
{
    return sync_counted(next_fdatasync, file);
}
