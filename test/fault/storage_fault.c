/* storage_fault.c - loaded before libc (LD_PRELOAD): lets writes or syncs of the database fail or
 * wait.
 *
 * The folder in MIGCHAT_FAULT_FOLDER is the switch: while it holds a file `sync`, every fsync and
 * fdatasync of a file whose name has ".db" in it fails with EIO; while it holds a file `space`,
 * every write to such a file fails with ENOSPC. While it holds a file `hold`, syncs of such files
 * do not return; the first that waits makes a file `held` there. While it holds a file
 * `slow`, each sync of such a file takes as many milliseconds more as that says. While it holds a
 * file `exchanged`, every sync fails after two names were exchanged. While it holds a file
 * `accept`, there is no descriptor on the machine for who connects. A file
 * `accepts_without_descriptor` of eight bytes counts how often there was none, really or so.
 *
 * MIGCHAT_FAULT_AT ("KIND NUMBER ERRNO once|stays") lets a call fail that is counted from the
 * start. A file `nth` (struct nth) that is there then does so while the process runs.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

/* Shared with the test. */
struct nth {
    _Atomic int64_t left; /* calls of this kind up to the one that fails; 0: none */
    _Atomic int64_t has_failed;
    char kind[8];
    int64_t error;
};

static struct nth *nth;
static bool has_exchanged;

/* A file of the folder as memory; NULL when there is none, or no descriptor for it. */
static void *page_shared(const char *name, size_t bytes)
{
    const char *folder = getenv("MIGCHAT_FAULT_FOLDER");
    char path[4096];

    if (folder == NULL) {
        return NULL;
    }
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    int file = open(path, O_RDWR | O_CLOEXEC);

    if (file < 0) {
        return NULL;
    }
    void *page = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);

    close(file);
    return page == MAP_FAILED ? NULL : page;
}

__attribute__((constructor)) static void nth_open(void)
{
    nth = page_shared("nth", sizeof(*nth));
}

static bool fault_is_on(const char *name)
{
    const char *folder = getenv("MIGCHAT_FAULT_FOLDER");
    char path[4096];

    if (folder == NULL) {
        return false;
    }
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return access(path, F_OK) == 0;
}

static bool file_is_database(int file)
{
    char link[64];
    char path[4096];
    ssize_t len;

    snprintf(link, sizeof(link), "/proc/self/fd/%d", file);
    len = readlink(link, path, sizeof(path) - 1);
    if (len <= 0) {
        return false;
    }
    path[len] = '\0';
    return strstr(path, ".db") != NULL;
}

static bool fails(int file, const char *name, int error)
{
    int kept = errno;

    if (fault_is_on(name) && file_is_database(file)) {
        errno = error;
        return true;
    }
    errno = kept;
    return false;
}

static void tell(const char *name)
{
    char path[4096];

    snprintf(path, sizeof(path), "%s/%s", getenv("MIGCHAT_FAULT_FOLDER"), name);
    close(open(path, O_WRONLY | O_CREAT, 0600));
}

/* Sets errno. */
static bool is_nth(int file, const char *kind)
{
    int kept = errno;
    bool is_it = nth != NULL && atomic_load(&nth->left) > 0 &&
                 strncmp(kind, nth->kind, sizeof(nth->kind)) == 0 && file_is_database(file) &&
                 atomic_fetch_sub(&nth->left, 1) == 1;

    errno = is_it ? (int)nth->error : kept;
    if (is_it) {
        atomic_store(&nth->has_failed, 1);
    }
    return is_it;
}

/* Whether this is the call that is to fail, or one behind it; sets errno. */
static bool is_the_one(int file, const char *kind)
{
    if (is_nth(file, kind)) {
        return true;
    }
    static atomic_long calls;
    const char *setting = getenv("MIGCHAT_FAULT_AT");
    char wanted[16];
    char how[16];
    long number;
    int error;

    if (setting == NULL || sscanf(setting, "%15s %ld %d %15s", wanted, &number, &error, how) != 4 ||
        strcmp(kind, wanted) != 0) {
        return false;
    }
    int kept = errno;
    bool is_counted = file_is_database(file);
    long call = is_counted ? atomic_fetch_add(&calls, 1) + 1 : 0;

    if (call == number) {
        tell("failed");
    }
    bool fails = is_counted && call >= number && (call == number || strcmp(how, "once") != 0) &&
                 !fault_is_on("healed");

    errno = kept;
    if (!fails) {
        return false;
    }
    errno = error;
    return true;
}

static void wait_while_held(int file)
{
    const struct timespec pause = {.tv_nsec = 5 * 1000 * 1000};

    while (fault_is_on("hold") && file_is_database(file)) {
        tell("held");
        nanosleep(&pause, NULL);
    }
}

static void wait_while_slow(int file)
{
    char path[4096];
    FILE *slow;
    long pause_ms = 0;

    if (!fault_is_on("slow") || !file_is_database(file)) {
        return;
    }
    snprintf(path, sizeof(path), "%s/slow", getenv("MIGCHAT_FAULT_FOLDER"));
    slow = fopen(path, "r");
    if (slow == NULL || fscanf(slow, "%ld", &pause_ms) != 1) {
        abort();
    }
    fclose(slow);
    nanosleep(&(struct timespec){.tv_sec = pause_ms / 1000, .tv_nsec = pause_ms % 1000 * 1000000},
              NULL);
}

int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags)
{
    int (*next)(int, const char *, int, const char *, unsigned) =
        (int (*)(int, const char *, int, const char *, unsigned))dlsym(RTLD_NEXT, "renameat2");

    has_exchanged = has_exchanged || (flags & RENAME_EXCHANGE) != 0;
    return next(from_folder, from, to_folder, to, flags);
}

int fsync(int file)
{
    int (*next)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");

    wait_while_held(file);
    wait_while_slow(file);
    if (has_exchanged && fault_is_on("exchanged")) {
        errno = EIO;
        return -1;
    }
    return fails(file, "sync", EIO) || is_the_one(file, "sync") ? -1 : next(file);
}

int fdatasync(int file)
{
    int (*next)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");

    wait_while_held(file);
    wait_while_slow(file);
    return fails(file, "sync", EIO) || is_the_one(file, "sync") ? -1 : next(file);
}

ssize_t write(int file, const void *bytes, size_t len)
{
    ssize_t (*next)(int, const void *, size_t) =
        (ssize_t(*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");

    if (fails(file, "space", ENOSPC) || is_the_one(file, "write")) {
        return -1;
    }
    return next(file, bytes, is_the_one(file, "short") ? len / 2 : len);
}

ssize_t pwrite(int file, const void *bytes, size_t len, off_t at)
{
    ssize_t (*next)(int, const void *, size_t, off_t) =
        (ssize_t(*)(int, const void *, size_t, off_t))dlsym(RTLD_NEXT, "pwrite");

    if (fails(file, "space", ENOSPC) || is_the_one(file, "write")) {
        return -1;
    }
    return next(file, bytes, is_the_one(file, "short") ? len / 2 : len, at);
}

ssize_t pwrite64(int file, const void *bytes, size_t len, off64_t at)
{
    ssize_t (*next)(int, const void *, size_t, off64_t) =
        (ssize_t(*)(int, const void *, size_t, off64_t))dlsym(RTLD_NEXT, "pwrite64");

    if (fails(file, "space", ENOSPC) || is_the_one(file, "write")) {
        return -1;
    }
    return next(file, bytes, is_the_one(file, "short") ? len / 2 : len, at);
}

ssize_t pread64(int file, void *bytes, size_t len, off64_t at)
{
    ssize_t (*next)(int, void *, size_t, off64_t) =
        (ssize_t(*)(int, void *, size_t, off64_t))dlsym(RTLD_NEXT, "pread64");

    return is_the_one(file, "read") ? -1 : next(file, bytes, len, at);
}

ssize_t pread(int file, void *bytes, size_t len, off_t at)
{
    return pread64(file, bytes, len, at);
}

int ftruncate64(int file, off64_t size)
{
    int (*next)(int, off64_t) = (int (*)(int, off64_t))dlsym(RTLD_NEXT, "ftruncate64");

    return is_the_one(file, "truncate") ? -1 : next(file, size);
}

int ftruncate(int file, off_t size)
{
    return ftruncate64(file, size);
}

/* Where to count those who found no descriptor; NULL when nobody wants to know. Asked for at the
 * first accept: later there may be no descriptor for this file either. */
static _Atomic uint64_t *lacks_open(void)
{
    static _Atomic uint64_t *lacks;
    static bool is_open;

    if (!is_open) {
        lacks = page_shared("accepts_without_descriptor", sizeof(*lacks));
        is_open = true;
    }
    return lacks;
}

/* Called by the loop alone. */
int accept4(int listener, struct sockaddr *restrict address, socklen_t *restrict len, int flags)
{
    int (*next)(int, struct sockaddr *, socklen_t *, int) =
        (int (*)(int, struct sockaddr *, socklen_t *, int))dlsym(RTLD_NEXT, "accept4");
    int kept = errno;
    _Atomic uint64_t *lacks = lacks_open();
    bool has_none = fault_is_on("accept");

    errno = has_none ? ENFILE : kept;
    int socket = has_none ? -1 : next(listener, address, len, flags);

    if (socket < 0 && (errno == EMFILE || errno == ENFILE) && lacks != NULL) {
        atomic_fetch_add(lacks, 1);
    }
    return socket;
}
