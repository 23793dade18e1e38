/* metrics_text_test.c - the lines of both texts, to the byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/metrics_text.h"

static void assert_text(enum metrics_form form, void (*write)(struct metrics_writer *writer),
                        const char *expected)
{
    struct buf out;
    struct metrics_writer writer = {.out = &out, .form = form};

    buf_init(&out, 16384);
    write(&writer);
    metrics_end(&writer);
    buf_append_char(&out, '\0');
    assert_string_equal(out.ptr, expected);
    buf_release(&out);
}

static void counter_and_facts(struct metrics_writer *writer)
{
    const struct metrics_label labels[] = {{"a", "plain"}, {"b", "q\"b\\n\n"}, {NULL, NULL}};

    metrics_family(writer, METRICS_COUNTER, "x_seconds", "seconds", "What it is.");
    metrics_seconds(writer, NULL, 1000000007);
    metrics_family(writer, METRICS_FACTS, "y", "", "More.");
    metrics_value(writer, labels, 1);
}

static void counters_and_facts_have_their_suffixes(void **state)
{
    (void)state;
    assert_text(METRICS_PROMETHEUS, counter_and_facts,
                "# HELP x_seconds_total What it is.\n"
                "# TYPE x_seconds_total counter\n"
                "x_seconds_total 1.000000007\n"
                "# HELP y_info More.\n"
                "# TYPE y_info gauge\n"
                "y_info{a=\"plain\",b=\"q\\\"b\\\\n\\n\"} 1\n");
    assert_text(METRICS_OPENMETRICS, counter_and_facts,
                "# HELP x_seconds What it is.\n"
                "# TYPE x_seconds counter\n"
                "# UNIT x_seconds seconds\n"
                "x_seconds_total 1.000000007\n"
                "# HELP y More.\n"
                "# TYPE y info\n"
                "y_info{a=\"plain\",b=\"q\\\"b\\\\n\\n\"} 1\n"
                "# EOF\n");
}

static void histogram_of_two(struct metrics_writer *writer)
{
    static struct {
        char first[CACHE_LINE_BYTES];
        struct histogram sizes;
    } parts[2];
    const struct metrics_label labels[] = {{"lane", "read"}, {NULL, NULL}};

    if (histogram_count(&parts[0].sizes) == 0) {
        histogram_add(&parts[0].sizes, &histogram_of_sizes, 1);
        histogram_add(&parts[1].sizes, &histogram_of_sizes, 100);
        histogram_add(&parts[1].sizes, &histogram_of_sizes, 1000);
    }
    metrics_family(writer, METRICS_HISTOGRAM, "z", "", "Sizes.");
    metrics_histogram(writer, labels, &histogram_of_sizes, &parts[0].sizes, 2, sizeof parts[0]);
}

static void the_parts_of_a_histogram_are_one(void **state)
{
    (void)state;
    assert_text(METRICS_PROMETHEUS, histogram_of_two,
                "# HELP z Sizes.\n"
                "# TYPE z histogram\n"
                "z_bucket{lane=\"read\",le=\"1.0\"} 1\n"
                "z_bucket{lane=\"read\",le=\"2.0\"} 1\n"
                "z_bucket{lane=\"read\",le=\"4.0\"} 1\n"
                "z_bucket{lane=\"read\",le=\"8.0\"} 1\n"
                "z_bucket{lane=\"read\",le=\"16.0\"} 1\n"
                "z_bucket{lane=\"read\",le=\"32.0\"} 1\n"
                "z_bucket{lane=\"read\",le=\"64.0\"} 1\n"
                "z_bucket{lane=\"read\",le=\"128.0\"} 2\n"
                "z_bucket{lane=\"read\",le=\"256.0\"} 2\n"
                "z_bucket{lane=\"read\",le=\"+Inf\"} 3\n"
                "z_sum{lane=\"read\"} 1101\n"
                "z_count{lane=\"read\"} 3\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counters_and_facts_have_their_suffixes),
        cmocka_unit_test(the_parts_of_a_histogram_are_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
