/* allocation_fault.c - loaded before libc (LD_PRELOAD): lets the n-th allocation fail.
 *
 * The file in MIGCHAT_ALLOCATIONS is mapped and has four numbers of 64 bits: which allocation from
 * now on is to fail (counted down to 0, then none is), how many have failed, how many there were,
 * and how many are alive in the process that began last. Whoever wrote the first can look at the
 * others while the process runs.
 *
 * Allocations of this library's own come before it is ready and do not count.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* What glibc itself calls; there is nothing to look up, which would allocate. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *block, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);
extern void __libc_free(void *block);

struct shown {
    atomic_long left;
    atomic_long failed;
    atomic_long count;
    atomic_long alive;
};

static struct shown *_Atomic shown;

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("MIGCHAT_ALLOCATIONS");
    int file = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);

    if (file < 0) {
        return;
    }
    struct shown *mapped = mmap(NULL, sizeof *mapped, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);

    close(file);
    shown = mapped == MAP_FAILED ? NULL : mapped;
    if (shown != NULL) {
        mapped->alive = 0;
    }
}

static bool fails(void)
{
    struct shown *to = shown;

    if (to == NULL) {
        return false;
    }
    atomic_fetch_add(&to->count, 1);
    if (atomic_load(&to->left) <= 0 || atomic_fetch_sub(&to->left, 1) != 1) {
        return false;
    }
    atomic_fetch_add(&to->failed, 1);
    errno = ENOMEM;
    return true;
}

static void *counted(void *block)
{
    struct shown *to = shown;

    if (to != NULL && block != NULL) {
        atomic_fetch_add(&to->alive, 1);
    }
    return block;
}

void *malloc(size_t size)
{
    return fails() ? NULL : counted(__libc_malloc(size));
}

void *calloc(size_t count, size_t size)
{
    return fails() ? NULL : counted(__libc_calloc(count, size));
}

void *realloc(void *block, size_t size)
{
    if (block == NULL) {
        return malloc(size);
    }
    return fails() ? NULL : __libc_realloc(block, size);
}

void *memalign(size_t alignment, size_t size)
{
    return fails() ? NULL : counted(__libc_memalign(alignment, size));
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return memalign(alignment, size);
}

int posix_memalign(void **out, size_t alignment, size_t size)
{
    *out = memalign(alignment, size);
    return *out == NULL ? ENOMEM : 0;
}

void free(void *block)
{
    struct shown *to = shown;

    if (to != NULL && block != NULL) {
        atomic_fetch_sub(&to->alive, 1);
    }
    __libc_free(block);
}
