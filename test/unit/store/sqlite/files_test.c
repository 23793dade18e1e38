/* files_test.c - a lock is taken on a file that still has its name. */
#include "scratch.h"

#include "store/sqlite/files.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

static int made(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    return fd;
}

static void a_file_is_locked_by_one(void **state)
{
    struct scratch *s = *state;
    int first = made(s->path);
    int second = open(s->path, O_RDONLY | O_CLOEXEC);

    assert_true(file_lock(first, s->path));
    assert_false(file_lock(second, s->path));
    assert_int_equal(errno, EWOULDBLOCK);
    assert_int_equal(close(first), 0);
    assert_true(file_lock(second, s->path));
    assert_int_equal(close(second), 0);
}

/* Of two exports one made the file, and before it locked it the other took it for a dead one's. */
static void a_file_that_is_gone_or_another_one_is_not_locked(void **state)
{
    struct scratch *s = *state;
    int gone = made(s->path);

    assert_int_equal(unlink(s->path), 0);
    assert_false(file_lock(gone, s->path));
    assert_int_equal(errno, EWOULDBLOCK);
    assert_int_equal(close(gone), 0);

    int before = made(s->path);

    assert_int_equal(unlink(s->path), 0);
    int after = made(s->path);

    assert_false(file_lock(before, s->path));
    assert_true(file_lock(after, s->path));
    assert_int_equal(close(before), 0);
    assert_int_equal(close(after), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH_CASE(a_file_is_locked_by_one),
        SCRATCH_CASE(a_file_that_is_gone_or_another_one_is_not_locked),
    };

    log_setup(LOG_OFF, LOG_FORM_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
