/* count_syncs.c - loaded before libc (LD_PRELOAD): counts fsync and fdatasync into a shared page.
 *
 * The file named in BENCH_SYNC_COUNT, 8 bytes long, is the counter. The calls themselves are made
 * as they were asked for.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static atomic_uint_least64_t *counter;
static int (*next_fsync)(int file);
static int (*next_fdatasync)(int file);

__attribute__((constructor)) static void counter_map(void)
{
    const char *path = getenv("BENCH_SYNC_COUNT");
    int file = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);

    next_fsync = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    next_fdatasync = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    if (file >= 0) {
        void *page = mmap(NULL, sizeof *counter, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);

        counter = page == MAP_FAILED ? NULL : page;
        (void)close(file);
    }
}

static void count(void)
{
    if (counter != NULL) {
        (void)atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
    }
}

int fsync(int file)
{
    count();
    return next_fsync(file);
}

int fdatasync(int file)
{
    count();
    return next_fdatasync(file);
}
