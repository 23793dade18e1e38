/* tally_test.c - a value is in the bucket whose bound is the first that is not below it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "base/tally.h"

static const struct histogram_form *const forms[] = {&histogram_of_durations, &histogram_of_sizes};
/* What a unit of the form is in the unit of its labels. */
static const double per_label[] = {1e9, 1};

static void a_bound_is_the_last_value_of_its_bucket(void **state)
{
    (void)state;
    for (size_t f = 0; f < 2; f++) {
        struct histogram histogram = {0};
        uint64_t sum = 0;

        for (unsigned i = 0; i < forms[f]->bound_count; i++) {
            histogram_add(&histogram, forms[f], forms[f]->bounds[i]);
            histogram_add(&histogram, forms[f], forms[f]->bounds[i] + 1);
            sum += 2 * forms[f]->bounds[i] + 1;
        }
        assert_int_equal(tally_read(&histogram.buckets[0]), 1);
        /* Of sizes 1 + 1 is the next bound. */
        for (unsigned i = 1; i < forms[f]->bound_count; i++) {
            assert_int_equal(tally_read(&histogram.buckets[i]), 2);
        }
        assert_int_equal(tally_read(&histogram.buckets[forms[f]->bound_count]), 1);
        assert_int_equal(tally_read(&histogram.sum), sum);
        assert_int_equal(histogram_count(&histogram), 2 * forms[f]->bound_count);
    }
}

static void bounds_rise_and_are_what_their_labels_say(void **state)
{
    (void)state;
    for (size_t f = 0; f < 2; f++) {
        assert_in_range(forms[f]->bound_count, 1, HISTOGRAM_BOUNDS_MAX);
        for (unsigned i = 0; i < forms[f]->bound_count; i++) {
            double labelled = strtod(forms[f]->labels[i], NULL) * per_label[f];

            assert_true(i == 0 || forms[f]->bounds[i] > forms[f]->bounds[i - 1]);
            assert_int_equal(forms[f]->bounds[i], (uint64_t)(labelled + 0.5));
        }
    }
}

static void what_falls_is_set(void **state)
{
    struct tally tally = {0};

    (void)state;
    tally_add(&tally, 5);
    tally_add(&tally, UINT64_MAX);
    assert_int_equal(tally_read(&tally), 4);
    tally_set(&tally, 9);
    assert_int_equal(tally_read(&tally), 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bound_is_the_last_value_of_its_bucket),
        cmocka_unit_test(bounds_rise_and_are_what_their_labels_say),
        cmocka_unit_test(what_falls_is_set),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
