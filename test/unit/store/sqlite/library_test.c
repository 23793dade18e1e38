/* library_test.c - which versions of SQLite have the WAL-reset bug. */
#include "scratch.h"

#include "store/copies.h"
#include "store/sqlite/library.h"

static void versions_without_the_fix_have_the_bug(void **state)
{
    static const int versions[] = {
        3007000, 3040001, /* Debian 12 */ 3044005,
        3045000, 3046001, /* Debian 13 */
        3049002, 3050000, 3050006,
        3051000, 3051002,
    };

    (void)state;
    for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++) {
        if (!library_has_wal_reset_bug(versions[i])) {
            fail_msg("%d", versions[i]);
        }
    }
}

static void versions_before_the_wal_or_with_the_fix_have_not(void **state)
{
    static const int versions[] = {3006023, 3044006, 3044999, 3050007, 3050999,
                                   3051003, 3052000, 3053001, 4000000};

    (void)state;
    for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++) {
        if (library_has_wal_reset_bug(versions[i])) {
            fail_msg("%d", versions[i]);
        }
    }
}

static void the_library_that_is_loaded_is_the_one_judged(void **state)
{
    (void)state;
    assert_int_equal(store_library_has_wal_reset_bug(),
                     library_has_wal_reset_bug(sqlite3_libversion_number()));
    assert_string_equal(store_library_version() + strlen("SQLite "), sqlite3_libversion());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(versions_without_the_fix_have_the_bug),
        cmocka_unit_test(versions_before_the_wal_or_with_the_fix_have_not),
        cmocka_unit_test(the_library_that_is_loaded_is_the_one_judged),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
