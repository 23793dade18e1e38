/* tally.c - the two forms of histograms. */
#include "base/tally.h"

#define MICROSECOND UINT64_C(1000)
#define MILLISECOND (1000 * MICROSECOND)

const struct histogram_form histogram_of_durations = {
    .bound_count = 15,
    .bounds = {100 * MICROSECOND, 500 * MICROSECOND, MILLISECOND, 2500 * MICROSECOND,
               5 * MILLISECOND, 10 * MILLISECOND, 25 * MILLISECOND, 50 * MILLISECOND,
               100 * MILLISECOND, 250 * MILLISECOND, 500 * MILLISECOND, 1000 * MILLISECOND,
               2500 * MILLISECOND, 5000 * MILLISECOND, 10000 * MILLISECOND},
    .labels = {"0.0001", "0.0005", "0.001", "0.0025", "0.005", "0.01", "0.025", "0.05", "0.1",
               "0.25", "0.5", "1.0", "2.5", "5.0", "10.0"}};

const struct histogram_form histogram_of_sizes = {
    .bound_count = 9,
    .bounds = {1, 2, 4, 8, 16, 32, 64, 128, 256},
    .labels = {"1.0", "2.0", "4.0", "8.0", "16.0", "32.0", "64.0", "128.0", "256.0"}};

uint64_t histogram_count(const struct histogram *histogram)
{
    uint64_t count = 0;

    for (unsigned i = 0; i <= HISTOGRAM_BOUNDS_MAX; i++) {
        count += tally_read(&histogram->buckets[i]);
    }
    return count;
}
