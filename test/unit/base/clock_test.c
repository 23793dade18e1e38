/* clock_test.c - times as text, compared with fixed examples and with libc's calendar. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <time.h>

#include "base/clock.h"

#define MS_PER_DAY (24LL * 60 * 60 * 1000)

static void assert_read(const char *text, int64_t expected_ms)
{
    int64_t wall_ms = -1;

    if (!time_from_rfc3339(str_from(text), &wall_ms)) {
        fail_msg("not read: %s", text);
    }
    if (wall_ms != expected_ms) {
        fail_msg("%s: %lld, not %lld", text, (long long)wall_ms, (long long)expected_ms);
    }
}

static void known_moments_are_written_as_the_standards_say(void **state)
{
    char text[TIME_RFC3339_LEN + 1];
    char date[TIME_IMF_FIXDATE_LEN + 1];

    (void)state;
    time_to_rfc3339(1762171200123, text);
    assert_string_equal(text, "2025-11-03T12:00:00.123Z");
    time_to_rfc3339(-1, text);
    assert_string_equal(text, "1969-12-31T23:59:59.999Z");
    time_to_imf_fixdate(784111777000, date);
    assert_string_equal(date, "Sun, 06 Nov 1994 08:49:37 GMT");
    time_to_imf_fixdate(0, date);
    assert_string_equal(date, "Thu, 01 Jan 1970 00:00:00 GMT");
}

static void times_beyond_the_four_digit_years_are_clamped(void **state)
{
    char text[TIME_RFC3339_LEN + 1];
    char date[TIME_IMF_FIXDATE_LEN + 1];

    (void)state;
    time_to_rfc3339(INT64_MAX, text);
    assert_string_equal(text, "9999-12-31T23:59:59.999Z");
    time_to_rfc3339(INT64_MIN, text);
    assert_string_equal(text, "0000-01-01T00:00:00.000Z");
    time_to_imf_fixdate(INT64_MIN, date);
    assert_string_equal(date, "Sat, 01 Jan 0000 00:00:00 GMT");
}

static void every_day_of_four_eras_agrees_with_libc_and_reads_back(void **state)
{
    (void)state;
    for (int64_t day = -719528; day < 2932897; day += 1) {
        int64_t wall_ms = day * MS_PER_DAY + (day * 7919 % MS_PER_DAY + MS_PER_DAY) % MS_PER_DAY;
        char text[TIME_RFC3339_LEN + 1], expected[64];
        char date[TIME_IMF_FIXDATE_LEN + 1];
        struct tm parts;
        int64_t read_ms;
        /* The full calendar costs a minute under sanitizers; turns of years are all visited. */
        if (day % 97 != 0 && (day + 719528) % 365 > 60) {
            continue;
        }
        int64_t floor_ms = (wall_ms % 1000 + 1000) % 1000;
        time_t seconds = (time_t)((wall_ms - floor_ms) / 1000);
        assert_non_null(gmtime_r(&seconds, &parts));
        time_to_rfc3339(wall_ms, text);
        assert_true(strftime(expected, sizeof expected, "-%m-%dT%H:%M:%S.", &parts) > 0);
        assert_memory_equal(text + 4, expected, strlen(expected));
        assert_int_equal((text[0] - '0') * 1000 + (text[1] - '0') * 100 + (text[2] - '0') * 10 +
                             (text[3] - '0'),
                         parts.tm_year + 1900);
        time_to_imf_fixdate(wall_ms, date);
        assert_true(strftime(expected, sizeof expected, "%a, %d %b ", &parts) > 0);
        assert_memory_equal(date, expected, strlen(expected));
        assert_true(time_from_rfc3339(str_from(text), &read_ms));
        assert_true(read_ms == wall_ms);
    }
}

/* Around the ends of days, back and forth, and at both ends of time. */
static void a_writer_writes_what_each_time_alone_would_be(void **state)
{
    static const int64_t steps_ms[] = {1,  MS_PER_DAY - 1,  1, -1, -MS_PER_DAY, MS_PER_DAY,
                                       -2, 40 * MS_PER_DAY, 0, 1,  3600000,     -7};
    static const int64_t ends_ms[] = {
        INT64_MAX,      -1, INT64_MIN, INT64_MIN + 1, 0, 253402300800000, 253402300799999,
        -62167219200001};
    struct time_writer writer;
    int64_t wall_ms = 1762128000000 - 3 * MS_PER_DAY;
    char text[TIME_RFC3339_LEN + 1];

    (void)state;
    time_writer_init(&writer);
    for (size_t i = 0; i < 1000; i++) {
        size_t ends = sizeof ends_ms / sizeof ends_ms[0];
        int64_t at_ms = i % 5 == 4 ? ends_ms[i / 5 % ends] : wall_ms;
        struct str written = time_write_rfc3339(&writer, at_ms);

        time_to_rfc3339(at_ms, text);
        assert_int_equal(written.len, TIME_RFC3339_LEN);
        assert_memory_equal(written.ptr, text, TIME_RFC3339_LEN);
        wall_ms += steps_ms[i % (sizeof steps_ms / sizeof steps_ms[0])];
    }
}

static void all_forms_of_the_rust_server_and_sqlite_are_read(void **state)
{
    (void)state;
    assert_read("2025-11-03T12:00:00.123Z", 1762171200123);
    assert_read("2025-11-03T12:00:00Z", 1762171200000);
    assert_read("2025-11-03t12:00:00z", 1762171200000);
    assert_read("2025-11-03T12:00:00.123456789+00:00", 1762171200123);
    assert_read("2025-11-03T12:00:00.1+00:00", 1762171200100);
    assert_read("2025-11-03T14:30:00.000+02:30", 1762171200000);
    assert_read("2025-11-03T09:00:00-03:00", 1762171200000);
    assert_read("2025-11-03T12:00:00-00:00", 1762171200000);
    assert_read("2025-11-03 12:00:00", 1762171200000);
    assert_read("2025-11-03 12:00:00.5", 1762171200500);
    assert_read("2024-02-29T00:00:00Z", 1709164800000);
    assert_read("2016-12-31T23:59:60Z", 1483228800000);
    assert_read("1969-12-31T23:59:59.999Z", -1);
    assert_read("0000-01-01T00:00:00Z", -62167219200000);
}

static void what_is_no_time_leaves_the_result_alone(void **state)
{
    static const char *const wrong[] = {
        "",
        "2025-11-03",
        "2025-11-03T12:00Z",
        "2025-11-03T12:00:00.Z",
        "2025-11-03T12:00:00.1234567890Z",
        "2025-11-03T12:00:00+0000",
        "2025-11-03T12:00:00+24:00",
        "2025-11-03T12:00:00+00:60",
        "2025-11-03T12:00:00Zx",
        "2025-11-03T12:00:00+00:00x",
        "2025-11-03X12:00:00Z",
        "2025-13-03T12:00:00Z",
        "2025-00-03T12:00:00Z",
        "2025-11-31T12:00:00Z",
        "2025-11-00T12:00:00Z",
        "2025-02-29T12:00:00Z",
        "1900-02-29T12:00:00Z",
        "2025-11-03T24:00:00Z",
        "2025-11-03T12:60:00Z",
        "2025-11-03T12:00:61Z",
        "25-11-03T12:00:00Z",
        "-025-11-03T12:00:00Z",
        " 2025-11-03T12:00:00Z",
        "2025-11-03T12:00:00 Z",
    };
    int64_t wall_ms = 77;

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        if (time_from_rfc3339(str_from(wrong[i]), &wall_ms)) {
            fail_msg("read: %s", wrong[i]);
        }
    }
    assert_false(time_from_rfc3339(STR("2025-11-03\00012:00:00Z"), &wall_ms));
    assert_int_equal(wall_ms, 77);
}

static void the_clocks_run(void **state)
{
    (void)state;
    assert_true(clock_wall_ms() > 1700000000000);
    int64_t before_ms = clock_monotonic_ms();
    assert_true(clock_monotonic_ms() >= before_ms);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_moments_are_written_as_the_standards_say),
        cmocka_unit_test(times_beyond_the_four_digit_years_are_clamped),
        cmocka_unit_test(every_day_of_four_eras_agrees_with_libc_and_reads_back),
        cmocka_unit_test(a_writer_writes_what_each_time_alone_would_be),
        cmocka_unit_test(all_forms_of_the_rust_server_and_sqlite_are_read),
        cmocka_unit_test(what_is_no_time_leaves_the_result_alone),
        cmocka_unit_test(the_clocks_run),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
