/* fingerprint_test.c - stored fingerprints must stay what they are, whatever version is linked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/fingerprint.h"

static void assert_fingerprint(struct str first, struct str second, const char *expected)
{
    struct fingerprint found;
    char text[2 * FINGERPRINT_LEN + 1];

    fingerprint_of_pair(first, second, &found);
    for (size_t i = 0; i < FINGERPRINT_LEN; i++) {
        snprintf(text + 2 * i, 3, "%02x", found.bytes[i]);
    }
    assert_string_equal(text, expected);
}

/* Values by another binding of xxHash. */
static void fingerprints_are_what_they_were(void **state)
{
    char long_text[1000];

    (void)state;
    memset(long_text, 'm', sizeof long_text);
    assert_fingerprint(STR("grace"), STR("Hello, Grace"), "e945976ee6585cce9aa0f2bbcc9cb855");
    assert_fingerprint(STR(""), (struct str){NULL, 0}, "7a3edd697cf3f9535310e30cce3262d6");
    assert_fingerprint(STR("grace"), (struct str){long_text, sizeof long_text},
                       "3a66385d27d00a5162505a5858dda069");
}

static void pairs_cut_elsewhere_differ(void **state)
{
    struct fingerprint here, there;

    (void)state;
    fingerprint_of_pair(STR("ab"), STR("c"), &here);
    fingerprint_of_pair(STR("a"), STR("bc"), &there);
    assert_memory_not_equal(here.bytes, there.bytes, FINGERPRINT_LEN);
    fingerprint_of_pair(STR("c"), STR("ab"), &there);
    assert_memory_not_equal(here.bytes, there.bytes, FINGERPRINT_LEN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fingerprints_are_what_they_were),
        cmocka_unit_test(pairs_cut_elsewhere_differ),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
