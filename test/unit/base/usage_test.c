/* usage_test.c - what the kernel says of this very program. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/usage.h"

static void a_descriptor_more_is_one_more(void **state)
{
    struct usage before, with_two_more, after;
    int pair[2];

    (void)state;
    usage_read(&before);
    assert_int_equal(pipe(pair), 0);
    usage_read(&with_two_more);
    close(pair[0]);
    close(pair[1]);
    usage_read(&after);
    assert_in_range(before.descriptors, 3, before.descriptors_max);
    assert_int_equal(with_two_more.descriptors, before.descriptors + 2);
    assert_int_equal(after.descriptors, before.descriptors);
}

static void more_descriptors_than_are_counted_are_not_told(void **state)
{
    struct rlimit limit;
    struct usage usage;
    int last = -1;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_max < USAGE_DESCRIPTORS_COUNTED_MAX + 10) {
        skip(); /* so many cannot be open here at all */
    }
    for (int i = 0; i < USAGE_DESCRIPTORS_COUNTED_MAX; i++) {
        last = dup(STDIN_FILENO);
        assert_true(last >= 0);
    }
    usage_read(&usage);
    /* From Linux 6.2 on nobody counts them one by one. */
    assert_true(usage.descriptors == -1 || usage.descriptors >= USAGE_DESCRIPTORS_COUNTED_MAX);
    for (; last > STDERR_FILENO; last--) {
        close(last);
    }
}

static void time_and_memory_are_ours(void **state)
{
    struct usage first, second;
    volatile uint64_t work = 0;

    (void)state;
    usage_read(&first);
    for (int i = 0; i < 1000000; i++) {
        work += (uint64_t)i;
    }
    usage_read(&second);
    assert_true(second.cpu_ns > first.cpu_ns);
    assert_in_range(first.resident_bytes, 100 * 1024, INT64_MAX);
    assert_int_equal(first.resident_bytes % 4096, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_descriptor_more_is_one_more),
        cmocka_unit_test(time_and_memory_are_ours),
        cmocka_unit_test(more_descriptors_than_are_counted_are_not_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
