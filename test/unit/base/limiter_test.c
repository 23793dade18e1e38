/* limiter_test.c - the limiter against a bucket that counts, and its bounds. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/limiter.h"
#include "base/random.h"

#define STEPS 1000000
#define KEYS 16
#define MS INT64_C(1000000)
#define INTERVAL_NS (100 * MS)
#define BURST 5
#define MANY 180000u /* two thirds of a table of 2^18 */
#define LARGEST_BYTES ((size_t)LIMITER_KEYS_MAX * 16 + 1024)

/* A bucket as one would write it down: so many are in it, and one comes back each interval after
 * the first was taken of a full one. */
struct bucket {
    unsigned left;
    int64_t next_at_ns; /* when one more comes back; of a bucket that is not full */
};

static bool bucket_take(struct bucket *bucket, int64_t now_ns)
{
    while (bucket->left < BURST && bucket->next_at_ns <= now_ns) {
        bucket->left++;
        bucket->next_at_ns += INTERVAL_NS;
    }
    if (bucket->left == 0) {
        return false;
    }
    if (bucket->left == BURST) {
        bucket->next_at_ns = now_ns + INTERVAL_NS;
    }
    bucket->left--;
    return true;
}

static uint64_t key(uint64_t number)
{
    return number_mixed(number + 1);
}

static bool take(struct limiter *limiter, uint64_t number, int64_t now_ns)
{
    int64_t wait_ns = 0;

    return limiter_take(limiter, key(number), now_ns, INTERVAL_NS, BURST, &wait_ns);
}

static void a_million_steps_are_exact(void **state)
{
    (void)state;
    struct limiter *limiter = limiter_new();
    struct bucket buckets[KEYS];
    uint64_t random = 42;
    int64_t now_ns = 1;
    unsigned refused = 0;

    for (unsigned i = 0; i < KEYS; i++) {
        buckets[i] = (struct bucket){.left = BURST};
    }
    for (unsigned i = 0; i < STEPS; i++) {
        random = number_mixed(random + i);
        unsigned at = (unsigned)(random % KEYS);
        bool is_wanted = bucket_take(&buckets[at], now_ns);

        assert_int_equal(take(limiter, at, now_ns), is_wanted);
        refused += !is_wanted;
        now_ns += (int64_t)(random >> 32) % (10 * MS);
    }
    assert_in_range(refused, STEPS / 10, STEPS - STEPS / 10);
    limiter_free(limiter);
}

static void who_is_refused_is_told_when_there_is_one_again(void **state)
{
    (void)state;
    struct limiter *limiter = limiter_new();
    int64_t now_ns = 7 * MS;
    int64_t wait_ns = 0;

    for (unsigned i = 0; i < BURST; i++) {
        assert_true(take(limiter, 1, now_ns));
    }
    now_ns += INTERVAL_NS / 4;
    assert_false(limiter_take(limiter, key(1), now_ns, INTERVAL_NS, BURST, &wait_ns));
    assert_int_equal(wait_ns, INTERVAL_NS - INTERVAL_NS / 4);
    assert_false(take(limiter, 1, now_ns + wait_ns - 1));
    assert_true(take(limiter, 1, now_ns + wait_ns));
    assert_false(take(limiter, 1, now_ns + wait_ns));
    assert_true(take(limiter, 2, now_ns));
    limiter_free(limiter);
}

static void refusals_cost_nothing_more(void **state)
{
    (void)state;
    struct limiter *limiter = limiter_new();
    int64_t now_ns = 0;

    for (unsigned i = 0; i < 100; i++) {
        (void)take(limiter, 1, now_ns);
    }
    assert_true(take(limiter, 1, now_ns + INTERVAL_NS));
    limiter_free(limiter);
}

static void those_that_are_full_again_leave_their_room(void **state)
{
    (void)state;
    struct limiter *limiter = limiter_new();
    size_t before = limiter_bytes(limiter);
    int64_t now_ns = 0;

    for (uint64_t i = 0; i < 100000; i++) {
        assert_true(take(limiter, i, now_ns));
        now_ns += INTERVAL_NS; /* one at a time is not full */
    }
    assert_int_equal(limiter_bytes(limiter), before);
    limiter_free(limiter);
}

static void all_that_fit_are_remembered_as_it_grows(void **state)
{
    (void)state;
    struct limiter *limiter = limiter_new();

    for (unsigned round = 0; round < BURST; round++) {
        for (uint64_t i = 0; i < MANY; i++) {
            assert_true(take(limiter, i, 1));
        }
    }
    for (uint64_t i = 0; i < MANY; i++) {
        assert_false(take(limiter, i, 1));
    }
    /* And not much more than they need. */
    assert_in_range(limiter_bytes(limiter), MANY * 16, MANY * 16 * 2);
    limiter_free(limiter);
}

/* Some are forgotten then: none is refused that should not be, and it does not grow. */
static void a_million_addresses_at_once_take_bounded_memory(void **state)
{
    (void)state;
    struct limiter *limiter = limiter_new();

    for (uint64_t i = 0; i < 1000000; i++) {
        assert_true(take(limiter, i, 1));
    }
    assert_in_range(limiter_bytes(limiter), LARGEST_BYTES / 2, LARGEST_BYTES);
    size_t largest = limiter_bytes(limiter);
    unsigned remembered = 0;
    for (uint64_t i = 0; i < 1000000; i++) {
        for (unsigned again = 0; again < BURST; again++) {
            remembered += !take(limiter, i, 1);
        }
    }
    assert_true(remembered > 0);
    assert_int_equal(limiter_bytes(limiter), largest);
    print_message("a million addresses: %zu KiB\n", largest / 1024);
    limiter_free(limiter);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_million_steps_are_exact),
        cmocka_unit_test(who_is_refused_is_told_when_there_is_one_again),
        cmocka_unit_test(refusals_cost_nothing_more),
        cmocka_unit_test(those_that_are_full_again_leave_their_room),
        cmocka_unit_test(all_that_fit_are_remembered_as_it_grows),
        cmocka_unit_test(a_million_addresses_at_once_take_bounded_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
