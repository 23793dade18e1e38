/* clock.c - the two clocks, and the proleptic Gregorian calendar without libc's.
 *
 * Days are counted within eras of 400 years (146,097 days) that begin on 1 March, so that a leap
 * day is the last day of its year and months before it need no case of their own.
 */
#include "base/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/digits.h"
#include "base/require.h"

#define MS_PER_S 1000LL
#define NS_PER_S UINT64_C(1000000000)
#define MS_PER_DAY (24LL * 60 * 60 * MS_PER_S)
#define S_PER_DAY (24LL * 60 * 60)
#define DAYS_PER_ERA 146097LL
#define DAYS_0000_TO_1970 719528LL       /* from 0000-01-01 */
#define DAYS_MARCH_0000_TO_1970 719468LL /* from 0000-03-01 */
#define YEAR_0000_MS (-DAYS_0000_TO_1970 * MS_PER_DAY)
#define DAYS_10000_YEARS (25 * DAYS_PER_ERA)
#define YEAR_10000_MS (YEAR_0000_MS + DAYS_10000_YEARS * MS_PER_DAY)
#define FRACTION_DIGITS_MAX 9u

struct calendar_time {
    int year, month, day; /* month and day from 1 */
    int64_t in_day_ms;
    int weekday; /* 0 is Sunday */
};

static int64_t clock_read_ms(clockid_t id);
static int64_t time_clamped(int64_t wall_ms);
static struct calendar_time calendar_from_ms(int64_t wall_ms);
static int64_t days_from_civil(int year, int month, int day);
static int month_days(int year, int month);
static bool take_number(struct str *rest, size_t digits, int max, int *out_number);
static bool take_char(struct str *rest, const char *allowed);
static bool take_fraction_ms(struct str *rest, int *out_ms);
static bool take_offset_s(struct str *rest, int64_t *out_offset_s);

int64_t clock_wall_ms(void)
{
    return clock_read_ms(CLOCK_REALTIME);
}

int64_t clock_monotonic_ms(void)
{
    return clock_read_ms(CLOCK_MONOTONIC);
}

uint64_t clock_monotonic_ns(void)
{
    struct timespec now;

    REQUIRE(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static int64_t clock_read_ms(clockid_t id)
{
    struct timespec now;

    REQUIRE(clock_gettime(id, &now) == 0);
    return (int64_t)now.tv_sec * MS_PER_S + now.tv_nsec / 1000000;
}

void time_to_rfc3339(int64_t wall_ms, char out[TIME_RFC3339_LEN + 1])
{
    struct time_writer writer;

    time_writer_init(&writer);
    (void)time_write_rfc3339(&writer, wall_ms);
    memcpy(out, writer.text, TIME_RFC3339_LEN + 1);
}

void time_writer_init(struct time_writer *writer)
{
    *writer = (struct time_writer){0, "1970-01-01T00:00:00.000Z"};
}

/* By hand: a list writes one for each row, and snprintf took half of a list's time. */
struct str time_write_rfc3339(struct time_writer *writer, int64_t wall_ms)
{
    int64_t in_day_ms = time_clamped(wall_ms) - writer->day_starts_ms;

    if (in_day_ms < 0 || in_day_ms >= MS_PER_DAY) {
        struct calendar_time t = calendar_from_ms(wall_ms);

        digits_write_pair(writer->text, (unsigned)t.year / 100);
        digits_write_pair(writer->text + 2, (unsigned)t.year % 100);
        digits_write_pair(writer->text + 5, (unsigned)t.month);
        digits_write_pair(writer->text + 8, (unsigned)t.day);
        in_day_ms = t.in_day_ms;
        writer->day_starts_ms = time_clamped(wall_ms) - in_day_ms;
    }
    unsigned ms = (unsigned)in_day_ms;
    unsigned seconds = ms / 1000;
    unsigned minutes = seconds / 60;

    digits_write_pair(writer->text + 11, minutes / 60);
    digits_write_pair(writer->text + 14, minutes % 60);
    digits_write_pair(writer->text + 17, seconds % 60);
    digits_write_pair(writer->text + 20, ms % 1000 / 10);
    writer->text[22] = (char)('0' + ms % 10);
    return (struct str){writer->text, TIME_RFC3339_LEN};
}

/* It is printed into a larger room first: the compiler cannot see how small the numbers are. */
#define TIME_ROOM_BYTES 128

void time_to_imf_fixdate(int64_t wall_ms, char out[TIME_IMF_FIXDATE_LEN + 1])
{
    static const char weekdays[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    struct calendar_time t = calendar_from_ms(wall_ms);
    int in_day_s = (int)(t.in_day_ms / MS_PER_S);
    char room[TIME_ROOM_BYTES];
    int len = snprintf(room, sizeof room, "%s, %02d %s %04d %02d:%02d:%02d GMT",
                       weekdays[t.weekday], t.day, months[t.month - 1], t.year, in_day_s / 3600,
                       in_day_s / 60 % 60, in_day_s % 60);

    REQUIRE(len == (int)TIME_IMF_FIXDATE_LEN);
    memcpy(out, room, TIME_IMF_FIXDATE_LEN + 1);
}

static int64_t time_clamped(int64_t wall_ms)
{
    if (wall_ms < YEAR_0000_MS) {
        return YEAR_0000_MS;
    }
    return wall_ms >= YEAR_10000_MS ? YEAR_10000_MS - 1 : wall_ms;
}

static struct calendar_time calendar_from_ms(int64_t wall_ms)
{
    /* From here on counted from 0000-01-01, where nothing is negative. */
    int64_t since_ms = time_clamped(wall_ms) - YEAR_0000_MS;
    int64_t days = since_ms / MS_PER_DAY;
    /* 0000-01-01 is 60 days before the era that begins on 0000-03-01. */
    int64_t era_days = days - 60 + DAYS_PER_ERA;
    int64_t era = era_days / DAYS_PER_ERA - 1;
    int64_t day_of_era = era_days % DAYS_PER_ERA;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year =
        day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100); /* from 1 March */
    int64_t month_of_year = (5 * day_of_year + 2) / 153;                        /* 0 is March */
    int64_t month = month_of_year < 10 ? month_of_year + 3 : month_of_year - 9;

    return (struct calendar_time){
        .year = (int)(era * 400 + year_of_era + (month <= 2 ? 1 : 0)),
        .month = (int)month,
        .day = (int)(day_of_year - (153 * month_of_year + 2) / 5 + 1),
        .in_day_ms = since_ms % MS_PER_DAY,
        .weekday = (int)((days + 6) % 7), /* 0000-01-01 was a Saturday */
    };
}

bool time_from_rfc3339(struct str text, int64_t *out_wall_ms)
{
    struct str rest = text;
    int year, month, day, hour, minute, second, ms;
    int64_t offset_s;

    if (!take_number(&rest, 4, 9999, &year) || !take_char(&rest, "-") ||
        !take_number(&rest, 2, 12, &month) || !take_char(&rest, "-") ||
        !take_number(&rest, 2, 31, &day) || !take_char(&rest, "Tt ") ||
        !take_number(&rest, 2, 23, &hour) || !take_char(&rest, ":") ||
        !take_number(&rest, 2, 59, &minute) || !take_char(&rest, ":") ||
        !take_number(&rest, 2, 60, &second) || !take_fraction_ms(&rest, &ms) ||
        !take_offset_s(&rest, &offset_s)) {
        return false;
    }
    if (month == 0 || day == 0 || day > month_days(year, month)) {
        return false;
    }
    /* A leap second (60) counts as the first second of the next minute. */
    int64_t seconds = days_from_civil(year, month, day) * S_PER_DAY + hour * 3600LL +
                      minute * 60LL + second - offset_s;
    *out_wall_ms = seconds * MS_PER_S + ms;
    return true;
}

static int64_t days_from_civil(int year, int month, int day)
{
    /* One era more keeps January and February of the year 0 from being negative. */
    int64_t march_year = (int64_t)year + 400 - (month <= 2 ? 1 : 0);
    int64_t era = march_year / 400;
    int64_t year_of_era = march_year % 400;
    int64_t month_of_year = month > 2 ? month - 3 : month + 9;
    int64_t day_of_year = (153 * month_of_year + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

    return (era - 1) * DAYS_PER_ERA + day_of_era - DAYS_MARCH_0000_TO_1970;
}

static int month_days(int year, int month)
{
    static const int days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

    return month == 2 && is_leap ? 29 : days[month - 1];
}

static bool take_number(struct str *rest, size_t digits, int max, int *out_number)
{
    uint64_t number;

    if (rest->len < digits ||
        !str_to_uint((struct str){rest->ptr, digits}, (uint64_t)max, &number)) {
        return false;
    }
    rest->ptr += digits;
    rest->len -= digits;
    *out_number = (int)number;
    return true;
}

static bool take_char(struct str *rest, const char *allowed)
{
    if (rest->len == 0 || rest->ptr[0] == '\0' || strchr(allowed, rest->ptr[0]) == NULL) {
        return false;
    }
    rest->ptr++;
    rest->len--;
    return true;
}

/* Nothing, or a point and 1 to 9 digits. */
static bool take_fraction_ms(struct str *rest, int *out_ms)
{
    int ms = 0, weight_ms = 100;
    size_t digits = 0;

    if (take_char(rest, ".")) {
        while (digits < rest->len && rest->ptr[digits] >= '0' && rest->ptr[digits] <= '9') {
            ms += (rest->ptr[digits] - '0') * weight_ms;
            weight_ms /= 10;
            digits++;
        }
        if (digits == 0 || digits > FRACTION_DIGITS_MAX) {
            return false;
        }
        rest->ptr += digits;
        rest->len -= digits;
    }
    *out_ms = ms;
    return true;
}

/* The end (UTC), "Z", or "+hh:mm"; nothing may follow. */
static bool take_offset_s(struct str *rest, int64_t *out_offset_s)
{
    int hours, minutes;

    if (rest->len == 0 || take_char(rest, "Zz")) {
        *out_offset_s = 0;
        return rest->len == 0;
    }
    bool is_west = rest->ptr[0] == '-';
    if (!take_char(rest, "+-") || !take_number(rest, 2, 23, &hours) || !take_char(rest, ":") ||
        !take_number(rest, 2, 59, &minutes)) {
        return false;
    }
    int64_t offset_s = hours * 3600LL + minutes * 60LL;
    *out_offset_s = is_west ? -offset_s : offset_s;
    return rest->len == 0;
}
