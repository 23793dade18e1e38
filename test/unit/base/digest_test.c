/* digest_test.c - SHA-256 by the examples of FIPS 180-4, and parts that cannot be confused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/digest.h"

static void assert_digest(const struct sha256 *digest, const char *hex)
{
    char text[2 * SHA256_LEN + 1];

    for (size_t i = 0; i < SHA256_LEN; i++) {
        snprintf(text + 2 * i, 3, "%02x", digest->bytes[i]);
    }
    assert_string_equal(text, hex);
}

static void the_examples_of_the_standard_hold(void **state)
{
    struct sha256 digest;

    (void)state;
    sha256_of(STR("abc"), &digest);
    assert_digest(&digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    sha256_of((struct str){NULL, 0}, &digest);
    assert_digest(&digest, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    sha256_of(STR("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"), &digest);
    assert_digest(&digest, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

static void parts_are_preceded_by_their_length(void **state)
{
    const struct str parts[] = {{"ab", 2}, {NULL, 0}};
    struct sha256 of_parts, of_bytes;

    (void)state;
    sha256_of_parts(parts, 2, &of_parts);
    sha256_of(STR("\0\0\0\0\0\0\0\2ab\0\0\0\0\0\0\0\0"), &of_bytes);
    assert_memory_equal(of_parts.bytes, of_bytes.bytes, SHA256_LEN);
}

static void parts_cut_elsewhere_give_another_digest(void **state)
{
    const struct str here[] = {{"ab", 2}, {"c", 1}};
    const struct str there[] = {{"a", 1}, {"bc", 2}};
    struct sha256 of_here, of_there;

    (void)state;
    sha256_of_parts(here, 2, &of_here);
    sha256_of_parts(there, 2, &of_there);
    assert_memory_not_equal(of_here.bytes, of_there.bytes, SHA256_LEN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_examples_of_the_standard_hold),
        cmocka_unit_test(parts_are_preceded_by_their_length),
        cmocka_unit_test(parts_cut_elsewhere_give_another_digest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
