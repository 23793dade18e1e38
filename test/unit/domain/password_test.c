/* password_test.c - bcrypt against hashes made elsewhere, its limits, and its even time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "domain/password.h"

/* The least cost: the tests are about rules, not about work. */
#define COST PASSWORD_COST_MIN
#define EIGHTY_BYTES                                                                               \
    "01234567890123456789012345678901234567890123456789012345678901234567890123456789"

static struct password_scratch *scratch;

static int scratch_open(void **state)
{
    (void)state;
    scratch = password_scratch_new();
    return 0;
}

static int scratch_close(void **state)
{
    (void)state;
    password_scratch_free(scratch);
    return 0;
}

static bool matches(struct str password, const char *hash)
{
    return password_matches(scratch, password, str_from(hash), COST);
}

static struct str hash_new(struct str password, struct arena *arena)
{
    struct str hash = {NULL, 0};

    assert_int_equal(password_hash(scratch, password, COST, arena, &hash), OK);
    return hash;
}

static int64_t cpu_ns(void)
{
    struct timespec now;

    assert_int_equal(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now), 0);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void only_1_to_72_bytes_without_nul_can_be_set(void **state)
{
    (void)state;
    assert_int_equal(password_check(STR(""), 0), ERROR_PASSWORD_EMPTY);
    assert_int_equal(password_check((struct str){NULL, 0}, 8), ERROR_PASSWORD_EMPTY);
    assert_int_equal(password_check(STR("x"), 1), OK);
    assert_int_equal(password_check(STR("1234567"), 8), ERROR_PASSWORD_TOO_SHORT);
    assert_int_equal(password_check(STR("12345678"), 8), OK);
    assert_int_equal(password_check((struct str){EIGHTY_BYTES, 72}, 8), OK);
    assert_int_equal(password_check((struct str){EIGHTY_BYTES, 73}, 8), ERROR_PASSWORD_TOO_LONG);
    assert_int_equal(password_check(STR("a\0b"), 1), ERROR_PASSWORD_NOT_ALLOWED);
    assert_int_equal(password_check(STR("\0"), 1), ERROR_PASSWORD_NOT_ALLOWED);
}

static void a_hash_matches_its_password_only(void **state)
{
    struct arena arena;

    (void)state;
    arena_init(&arena);
    struct str hash = hash_new(STR("correct horse"), &arena);
    assert_int_equal(hash.len, 60);
    assert_memory_equal(hash.ptr, "$2b$04$", 7);
    assert_true(password_matches(scratch, STR("correct horse"), hash, COST));
    assert_false(password_matches(scratch, STR("correct hors"), hash, COST));
    assert_false(password_matches(scratch, STR("Correct horse"), hash, COST));
    assert_false(password_matches(scratch, STR(""), hash, COST));
    assert_false(str_equal(hash_new(STR("correct horse"), &arena), hash)); /* another salt */
    arena_release(&arena);
}

static void what_cannot_be_set_is_not_hashed(void **state)
{
    struct arena arena;
    struct str hash = STR("untouched");

    (void)state;
    arena_init(&arena);
    assert_int_equal(password_hash(scratch, STR(EIGHTY_BYTES), COST, &arena, &hash),
                     ERROR_PASSWORD_TOO_LONG);
    assert_int_equal(password_hash(scratch, STR("a\0b"), COST, &arena, &hash),
                     ERROR_PASSWORD_NOT_ALLOWED);
    assert_int_equal(password_hash(scratch, STR(""), COST, &arena, &hash), ERROR_PASSWORD_EMPTY);
    assert_int_equal(password_hash(scratch, STR("x"), 99, &arena, &hash), ERROR_INTERNAL);
    assert_string_equal(hash.ptr, "untouched");
    arena_release(&arena);
}

/* The first four were made by the bcrypt crate that the Rust server used; it cut at 72 bytes. */
static void hashes_made_elsewhere_are_verified(void **state)
{
    (void)state;
    assert_true(matches(STR("correct horse battery staple"),
                        "$2b$04$zHnjokn2eHSRjxarJy7C2Oyl3xCpi3OonMpy.4qTi.NDHUg2BxBQm"));
    assert_true(matches(STR("correct horse battery staple"),
                        "$2a$04$ev2ulbiYOPl6peCqpLj0mufbo0ehU57RcJnBThkR0bIpvh/GSztHe"));
    assert_true(matches(STR("p\xc3\xa4"
                            "55w\xc3\xb6rd \xe2\x98\x83"),
                        "$2b$04$xpKpt2N3K3WsLzceycJulu8Rz7nN/iAWc8/yy9ZD8FW06OxEe.Ih."));
    assert_true(
        matches(STR(EIGHTY_BYTES), "$2b$04$9o/hm6BVBHqRkg/dlLIxAug/QyM9ZK1Ps1QcW22S6Xubuf0jtVy0i"));
    assert_true(matches((struct str){EIGHTY_BYTES, 72},
                        "$2b$04$9o/hm6BVBHqRkg/dlLIxAug/QyM9ZK1Ps1QcW22S6Xubuf0jtVy0i"));
    assert_false(matches((struct str){EIGHTY_BYTES, 71},
                         "$2b$04$9o/hm6BVBHqRkg/dlLIxAug/QyM9ZK1Ps1QcW22S6Xubuf0jtVy0i"));

    /* The published vectors of crypt_blowfish. */
    assert_true(
        matches(STR("U*U"), "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"));
    assert_true(
        matches(STR("U*U*U"), "$2a$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a"));
    assert_true(matches(STR(""), "$2a$05$CCCCCCCCCCCCCCCCCCCCC.7uG0VCzI2bS7j6ymqJi9CdcdxiRTWNy"));
    assert_true(matches(STR("\xff\xff\xa3"),
                        "$2y$05$/OK.fbVrR/bpIqNJ5ianF.CE5elHaaO4EbggVDjb8P19RukzXSM3e"));
}

static void a_password_with_nul_never_matches(void **state)
{
    struct arena arena;

    (void)state;
    arena_init(&arena);
    struct str hash = hash_new(STR("abc"), &arena);
    assert_false(password_matches(scratch, STR("abc\0"), hash, COST));
    assert_false(password_matches(scratch, STR("abc\0def"), hash, COST));
    assert_true(password_matches(scratch, STR("abc"), hash, COST));
    arena_release(&arena);
}

static void text_that_is_no_bcrypt_hash_never_matches(void **state)
{
    static const char *const hashes[] = {
        "",
        "secret",
        "$2b$04$",
        "$2x$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "$2b$3$$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "$2b$03$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "$2b$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "$2b$05$CCCCCCCCCCCCCCCCCCCC:.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOe",
        "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeWW",
        "$6$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(hashes) / sizeof(hashes[0]); i++) {
        assert_false(matches(STR("U*U"), hashes[i]));
        assert_false(matches(STR(""), hashes[i]));
        assert_false(matches(STR("secret"), hashes[i]));
    }
}

/* The least of several runs, so that a busy machine does not decide. */
static int64_t least_cpu_ns(struct str password, struct str hash, unsigned cost)
{
    int64_t least = INT64_MAX;

    for (size_t i = 0; i < 7; i++) {
        int64_t start = cpu_ns();

        assert_false(password_matches(scratch, password, hash, cost));
        int64_t taken = cpu_ns() - start;
        least = taken < least ? taken : least;
    }
    return least;
}

static void an_unknown_name_costs_what_a_wrong_password_costs(void **state)
{
    struct arena arena;
    struct str hash;
    unsigned cost = 8;

    (void)state;
    arena_init(&arena);
    assert_int_equal(password_hash(scratch, STR("right"), cost, &arena, &hash), OK);
    int64_t wrong_ns = least_cpu_ns(STR("wrong"), hash, cost);
    int64_t unknown_ns = least_cpu_ns(STR("wrong"), STR(""), cost);
    int64_t nul_ns = least_cpu_ns(STR("ri\0ght"), hash, cost);
    int64_t garbage_ns = least_cpu_ns(STR("wrong"), STR("$6$garbage"), cost);
    assert_in_range(unknown_ns, wrong_ns / 2, wrong_ns * 2);
    assert_in_range(nul_ns, wrong_ns / 2, wrong_ns * 2);
    assert_in_range(garbage_ns, wrong_ns / 2, wrong_ns * 2);
    arena_release(&arena);
}

static void a_wrong_password_of_a_weaker_hash_costs_as_much(void **state)
{
    struct arena arena;
    struct str weak;
    unsigned cost = 8;

    (void)state;
    arena_init(&arena);
    assert_int_equal(password_hash(scratch, STR("right"), cost - 3, &arena, &weak), OK);
    int64_t weak_ns = least_cpu_ns(STR("wrong"), weak, cost);
    int64_t unknown_ns = least_cpu_ns(STR("wrong"), STR(""), cost);
    assert_in_range(unknown_ns, weak_ns / 2, weak_ns * 2);
    assert_true(password_matches(scratch, STR("right"), weak, cost));
    arena_release(&arena);
}

static void a_hash_tells_its_cost(void **state)
{
    (void)state;
    assert_int_equal(
        password_hash_cost(STR("$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW")), 5);
    assert_int_equal(
        password_hash_cost(STR("$2b$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW")), 0);
    assert_int_equal(password_hash_cost(STR("secret")), 0);
}

static void a_hash_of_less_cost_is_weak(void **state)
{
    struct str hash = STR("$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW");

    (void)state;
    assert_false(password_hash_is_weak(hash, 4));
    assert_false(password_hash_is_weak(hash, 5));
    assert_true(password_hash_is_weak(hash, 6));
    assert_true(password_hash_is_weak(hash, 12));
    assert_false(password_hash_is_weak(STR(""), 12));
    assert_false(password_hash_is_weak(STR("secret"), 12));
}

static void the_scratch_is_wiped_after_use(void **state)
{
    static const size_t least_scratch_bytes = 32768; /* crypt.h: crypt_data is so large for ever */
    struct arena arena;

    (void)state;
    arena_init(&arena);
    struct str hash = hash_new(STR("correct horse"), &arena);
    for (size_t i = 0; i < least_scratch_bytes; i++) {
        assert_int_equal(((const unsigned char *)scratch)[i], 0);
    }
    assert_true(password_matches(scratch, STR("correct horse"), hash, COST));
    for (size_t i = 0; i < least_scratch_bytes; i++) {
        assert_int_equal(((const unsigned char *)scratch)[i], 0);
    }
    arena_release(&arena);
}

static void the_library_says_its_version(void **state)
{
    (void)state;
    assert_memory_equal(password_library_version(), "libxcrypt 4.", strlen("libxcrypt 4."));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_1_to_72_bytes_without_nul_can_be_set),
        cmocka_unit_test(a_hash_matches_its_password_only),
        cmocka_unit_test(what_cannot_be_set_is_not_hashed),
        cmocka_unit_test(hashes_made_elsewhere_are_verified),
        cmocka_unit_test(a_password_with_nul_never_matches),
        cmocka_unit_test(text_that_is_no_bcrypt_hash_never_matches),
        cmocka_unit_test(an_unknown_name_costs_what_a_wrong_password_costs),
        cmocka_unit_test(a_wrong_password_of_a_weaker_hash_costs_as_much),
        cmocka_unit_test(a_hash_tells_its_cost),
        cmocka_unit_test(a_hash_of_less_cost_is_weak),
        cmocka_unit_test(the_scratch_is_wiped_after_use),
        cmocka_unit_test(the_library_says_its_version),
    };

    return cmocka_run_group_tests(tests, scratch_open, scratch_close);
}
