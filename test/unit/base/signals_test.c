/* signals_test.c - what a thread inherits, and that the mask comes back as it was. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/signals.h"

static void *mask_read(void *argument)
{
    assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, argument), 0);
    return NULL;
}

static void a_thread_begun_meanwhile_gets_no_signal_and_the_mask_comes_back(void **state)
{
    sigset_t first, before, after, of_thread;
    pthread_t thread;

    (void)state;
    sigemptyset(&first);
    sigaddset(&first, SIGUSR1);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, &first, NULL), 0);
    signals_block(&before);
    assert_int_equal(pthread_create(&thread, NULL, mask_read, &of_thread), 0);
    signals_restore(&before);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(sigismember(&of_thread, SIGTERM), 1);
    assert_int_equal(sigismember(&of_thread, SIGHUP), 1);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &after), 0);
    assert_int_equal(sigismember(&after, SIGUSR1), 1);
    assert_int_equal(sigismember(&after, SIGTERM), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thread_begun_meanwhile_gets_no_signal_and_the_mask_comes_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
