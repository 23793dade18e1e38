/* random_test.c - random bytes and letters: filled to the end, from the right alphabet, fair. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ctype.h>
#include <string.h>

#include "base/random.h"

static void the_whole_room_is_filled(void **state)
{
    unsigned char room[64 + 1];
    unsigned char seen[64] = {0};

    (void)state;
    room[64] = 0x5a;
    /* A byte that stays 0 in 20 fillings has one chance in 2^160. */
    for (int round = 0; round < 20; round++) {
        random_fill(room, 64);
        for (size_t i = 0; i < 64; i++) {
            seen[i] |= room[i];
        }
    }
    for (size_t i = 0; i < 64; i++) {
        assert_int_not_equal(seen[i], 0);
    }
    assert_int_equal(room[64], 0x5a);
}

static void letters_end_in_nul_and_none_is_rarer_than_another(void **state)
{
    static char letters[62 * 1000 + 1];
    unsigned counts[256] = {0};
    unsigned kinds = 0;

    (void)state;
    random_alphanumeric(letters, sizeof letters - 1);
    assert_int_equal(strlen(letters), sizeof letters - 1);
    for (size_t i = 0; i < sizeof letters - 1; i++) {
        assert_true(isalnum((unsigned char)letters[i]));
        counts[(unsigned char)letters[i]]++;
    }
    /* Expected 1,000 each, deviation 32: 250 is nearly 8 deviations. With a plain modulo the
     * first eight letters would come 1,211 times, 1,250 with five per 256. */
    for (size_t i = 0; i < 256; i++) {
        if (counts[i] > 0) {
            assert_in_range(counts[i], 800, 1200);
            kinds++;
        }
    }
    assert_int_equal(kinds, 62);
}

static void no_letters_are_an_empty_string(void **state)
{
    char letter = 'x';

    (void)state;
    random_alphanumeric(&letter, 0);
    assert_int_equal(letter, '\0');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_whole_room_is_filled),
        cmocka_unit_test(letters_end_in_nul_and_none_is_rarer_than_another),
        cmocka_unit_test(no_letters_are_an_empty_string),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
