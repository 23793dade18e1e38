/* code_pages_test.c - pages of code go, and come back with what was in them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/code_pages.h"

#define CODE_BYTES_FIRST (256 * 1024)

static const char text[] = "a constant of the program";
static char written[] = "a variable of the program";

/* What is resident, without the inexactness that statm has (proc(5)). */
static long resident_bytes(void)
{
    FILE *file = fopen("/proc/self/smaps_rollup", "re");
    char line[256];
    long kib = -1;

    assert_non_null(file);
    while (kib < 0 && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "Rss:", 4) == 0) {
            assert_int_equal(sscanf(line, "Rss: %ld kB", &kib), 1);
        }
    }
    assert_int_equal(fclose(file), 0);
    assert_true(kib >= 0);
    return kib * 1024;
}

static void what_is_not_in_use_is_given_back(void **state)
{
    (void)state;
    /* The second time also what reads it has been loaded. */
    (void)resident_bytes();
    long before = resident_bytes();

    code_pages_release();
    assert_true(resident_bytes() <= before - CODE_BYTES_FIRST);
}

static void all_is_as_it_was(void **state)
{
    (void)state;
    written[0] = 'A';
    for (int round = 0; round < 100; round++) {
        code_pages_release();
        assert_string_equal(text, "a constant of the program");
        assert_string_equal(written, "A variable of the program");
        assert_true(getpid() > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_in_use_is_given_back),
        cmocka_unit_test(all_is_as_it_was),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
