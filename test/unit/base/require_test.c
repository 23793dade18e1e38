/* require_test.c - a false condition ends the process and says where. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/require.h"

static void a_false_condition_aborts_and_names_itself(void **state)
{
    int ends[2];
    char words[512] = "";
    size_t len = 0;
    int status;

    (void)state;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        const struct rlimit no_core = {0, 0};
        setrlimit(RLIMIT_CORE, &no_core);
        /* cmocka and the sanitizers catch SIGABRT; here it is wanted as the kernel gives it. */
        signal(SIGABRT, SIG_DFL);
        dup2(ends[1], STDERR_FILENO);
        REQUIRE(1 + 1 == 3);
        _exit(0);
    }
    close(ends[1]);
    for (;;) {
        ssize_t took = read(ends[0], words + len, sizeof words - 1 - len);
        if (took <= 0) {
            break;
        }
        len += (size_t)took;
    }
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    assert_non_null(strstr(words, "require_test.c:"));
    assert_non_null(strstr(words, "not true: 1 + 1 == 3\n"));
}

static void a_true_condition_does_nothing(void **state)
{
    (void)state;
    REQUIRE(1 + 1 == 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_false_condition_aborts_and_names_itself),
        cmocka_unit_test(a_true_condition_does_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
