/* log.c - one event becomes one line on the stack and one write(2).
 *
 * 1. A line never exceeds LINE_MAX_BYTES; room for its end is kept back, so a cut line is still
 *    a whole JSON object. Once something did not fit, nothing more is added.
 * 2. What a client may have chosen cannot forge a line or move a terminal's cursor: control and
 *    format characters (line ends and changes of direction among them) and bytes that are not
 *    UTF-8 are escaped in both forms.
 */
#include "base/log.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/require.h"
#include "base/utf8.h"

#define LINE_MAX_BYTES 4096u
#define LINE_END_BYTES 3u /* quote, brace, line feed */
#define ESCAPE_MAX_BYTES 16u
#define NAME_MAX_BYTES 128u /* a value's name with its punctuation, or with its number */
#define TIME_OF_DAY_AT 11u  /* in "2025-11-03T12:00:00.123Z" */
#define TIME_OF_DAY_LEN 12u /* without the Z */

struct line {
    char bytes[LINE_MAX_BYTES];
    size_t len;
    bool is_cut;
};

typedef size_t (*character_escape)(uint32_t code_point, char out[ESCAPE_MAX_BYTES]);

static enum log_form form_found(void);
static bool stderr_is_journal(void);
static void write_json(struct line *line, const char *ts, enum log_level level, const char *event,
                       const struct log_value *values);
static void write_text(struct line *line, const char *ts, enum log_level level, const char *event,
                       const struct log_value *values);
static void write_journal(struct line *line, enum log_level level, const char *event,
                          const struct log_value *values);
static void write_text_values(struct line *line, const char *event, const struct log_value *values);
static bool text_is_plain(struct str text);
static void put_escaped(struct line *line, struct str text, character_escape escape);
static size_t escape_json(uint32_t code_point, char out[ESCAPE_MAX_BYTES]);
static size_t escape_text(uint32_t code_point, char out[ESCAPE_MAX_BYTES]);
static void put_int(struct line *line, int64_t number);
static void put_text(struct line *line, const char *text);
static void put(struct line *line, const char *bytes, size_t len);
static void put_end(struct line *line, const char *end);
static void line_send(const struct line *line);

static const char *const level_names[] = {"trace", "debug", "info", "warn", "error", "off"};

/* Of syslog(3), which the journal takes over. */
static const char priorities[] = {'7', '7', '6', '4', '3'};

/* Read by all threads; each is right by itself, so nothing has to be seen together. */
static _Atomic(enum log_level) level_least = LOG_INFO;
static _Atomic(enum log_form) form_used = LOG_FORM_JSON;

void log_setup(enum log_level least, enum log_form form)
{
    atomic_store_explicit(&form_used, form == LOG_FORM_AUTO ? form_found() : form,
                          memory_order_relaxed);
    atomic_store_explicit(&level_least, least, memory_order_relaxed);
}

static enum log_form form_found(void)
{
    if (stderr_is_journal()) {
        return LOG_FORM_JOURNAL;
    }
    return isatty(STDERR_FILENO) != 0 ? LOG_FORM_TEXT : LOG_FORM_JSON;
}

/* The variable may be inherited by something whose stderr goes elsewhere, so it names the socket:
 * device and inode. */
static bool stderr_is_journal(void)
{
    const char *named = getenv("JOURNAL_STREAM");
    struct stat file;
    char own[64];

    if (named == NULL || fstat(STDERR_FILENO, &file) != 0) {
        return false;
    }
    (void)snprintf(own, sizeof own, "%llu:%llu", (unsigned long long)file.st_dev,
                   (unsigned long long)file.st_ino);
    return strcmp(named, own) == 0;
}

bool log_is_on(enum log_level level)
{
    return level >= atomic_load_explicit(&level_least, memory_order_relaxed) && level < LOG_OFF;
}

void log_values(enum log_level level, const char *event, const struct log_value *values)
{
    struct line line;
    char ts[TIME_RFC3339_LEN + 1];
    int kept_errno = errno;

    line.len = 0;
    line.is_cut = false;
    time_to_rfc3339(clock_wall_ms(), ts);
    switch (atomic_load_explicit(&form_used, memory_order_relaxed)) {
    case LOG_FORM_TEXT:
        write_text(&line, ts, level, event, values);
        break;
    case LOG_FORM_JOURNAL:
        write_journal(&line, level, event, values);
        break;
    case LOG_FORM_AUTO:
    case LOG_FORM_JSON:
        write_json(&line, ts, level, event, values);
        break;
    }
    line_send(&line);
    errno = kept_errno;
}

static void write_json(struct line *line, const char *ts, enum log_level level, const char *event,
                       const struct log_value *values)
{
    put_text(line, "{\"ts\":\"");
    put_text(line, ts);
    put_text(line, "\",\"level\":\"");
    put_text(line, log_level_name(level));
    put_text(line, "\",\"event\":\"");
    put_text(line, event);
    bool is_in_string = true; /* of the event, then of the value before */
    for (const struct log_value *value = values; value->kind != LOG_VALUE_END; value++) {
        char opening[NAME_MAX_BYTES];
        int len;
        if (value->kind == LOG_VALUE_STR) {
            len = snprintf(opening, sizeof opening, "%s,\"%s\":\"", is_in_string ? "\"" : "",
                           value->name);
        } else {
            len = snprintf(opening, sizeof opening, "%s,\"%s\":%lld", is_in_string ? "\"" : "",
                           value->name, (long long)value->number);
        }
        REQUIRE(len > 0 && (size_t)len < sizeof opening);
        put(line, opening, (size_t)len);
        if (line->is_cut) {
            break;
        }
        is_in_string = value->kind == LOG_VALUE_STR;
        if (is_in_string) {
            put_escaped(line, value->text, escape_json);
        }
    }
    put_end(line, is_in_string ? "\"}\n" : "}\n");
}

static void write_text(struct line *line, const char *ts, enum log_level level, const char *event,
                       const struct log_value *values)
{
    put(line, ts + TIME_OF_DAY_AT, TIME_OF_DAY_LEN);
    put_text(line, " ");
    put_text(line, log_level_name(level));
    put_text(line, strlen(log_level_name(level)) < strlen("error") ? "  " : " ");
    write_text_values(line, event, values);
}

static void write_journal(struct line *line, enum log_level level, const char *event,
                          const struct log_value *values)
{
    const char prefix[] = {'<', priorities[level], '>'};

    put(line, prefix, sizeof prefix);
    write_text_values(line, event, values);
}

static void write_text_values(struct line *line, const char *event, const struct log_value *values)
{
    put_text(line, event);
    for (const struct log_value *value = values; value->kind != LOG_VALUE_END; value++) {
        put_text(line, " ");
        put_text(line, value->name);
        put_text(line, "=");
        if (value->kind == LOG_VALUE_INT) {
            put_int(line, value->number);
        } else if (text_is_plain(value->text)) {
            put(line, value->text.ptr, value->text.len);
        } else {
            put_text(line, "\"");
            put_escaped(line, value->text, escape_text);
            put_text(line, "\"");
        }
    }
    put_end(line, "\n");
}

/* Visible ASCII that needs no quotes around it. */
static bool text_is_plain(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c <= ' ' || c > '~' || c == '"' || c == '\\' || c == '=') {
            return false;
        }
    }
    return text.len > 0;
}

static void put_escaped(struct line *line, struct str text, character_escape escape)
{
    while (text.len > 0 && !line->is_cut) {
        struct str rest = text;
        uint32_t code_point;
        char escaped[ESCAPE_MAX_BYTES];

        if (!utf8_next(&rest, &code_point)) {
            /* One bad byte is one replacement character; then it is tried again behind it. */
            code_point = 0xfffd;
            rest = (struct str){text.ptr + 1, text.len - 1};
        }
        put(line, escaped, escape(code_point, escaped));
        text = rest;
    }
}

static size_t escape_json(uint32_t code_point, char out[ESCAPE_MAX_BYTES])
{
    int len;

    if (code_point == '"' || code_point == '\\') {
        len = snprintf(out, ESCAPE_MAX_BYTES, "\\%c", (char)code_point);
    } else if (!unicode_is_control_or_format(code_point)) {
        return utf8_encode(code_point, out);
    } else if (code_point < 0x10000) {
        len = snprintf(out, ESCAPE_MAX_BYTES, "\\u%04x", (unsigned)code_point);
    } else {
        uint32_t above = code_point - 0x10000;
        len = snprintf(out, ESCAPE_MAX_BYTES, "\\u%04x\\u%04x", (unsigned)(0xd800 + (above >> 10)),
                       (unsigned)(0xdc00 + (above & 0x3ff)));
    }
    REQUIRE(len > 0);
    return (size_t)len;
}

static size_t escape_text(uint32_t code_point, char out[ESCAPE_MAX_BYTES])
{
    int len;

    if (code_point == '"' || code_point == '\\') {
        len = snprintf(out, ESCAPE_MAX_BYTES, "\\%c", (char)code_point);
    } else if (!unicode_is_control_or_format(code_point)) {
        return utf8_encode(code_point, out);
    } else {
        len = snprintf(out, ESCAPE_MAX_BYTES, "\\u{%x}", (unsigned)code_point);
    }
    REQUIRE(len > 0);
    return (size_t)len;
}

static void put_int(struct line *line, int64_t number)
{
    char digits[32];
    int len = snprintf(digits, sizeof digits, "%lld", (long long)number);

    REQUIRE(len > 0);
    put(line, digits, (size_t)len);
}

static void put_text(struct line *line, const char *text)
{
    put(line, text, strlen(text));
}

/* All of it, or nothing and the line is cut here. */
static void put(struct line *line, const char *bytes, size_t len)
{
    if (line->is_cut || len > LINE_MAX_BYTES - LINE_END_BYTES - line->len) {
        line->is_cut = true;
        return;
    }
    memcpy(line->bytes + line->len, bytes, len);
    line->len += len;
}

static void put_end(struct line *line, const char *end)
{
    size_t len = strlen(end);

    REQUIRE(len <= LINE_MAX_BYTES - line->len);
    memcpy(line->bytes + line->len, end, len);
    line->len += len;
}

/* A log that cannot be written must not stop the server: what is left is dropped. */
static void line_send(const struct line *line)
{
    size_t sent = 0;

    while (sent < line->len) {
        ssize_t took = write(STDERR_FILENO, line->bytes + sent, line->len - sent);
        if (took < 0 && errno == EINTR) {
            continue;
        }
        if (took <= 0) {
            return;
        }
        sent += (size_t)took;
    }
}

bool log_level_from(struct str name, enum log_level *out_level)
{
    for (size_t i = 0; i < sizeof level_names / sizeof level_names[0]; i++) {
        if (str_equal_ascii_case(name, str_from(level_names[i]))) {
            *out_level = (enum log_level)i;
            return true;
        }
    }
    if (str_equal_ascii_case(name, STR("warning"))) {
        *out_level = LOG_WARN;
        return true;
    }
    return false;
}

const char *log_level_name(enum log_level level)
{
    REQUIRE((size_t)level < sizeof level_names / sizeof level_names[0]);
    return level_names[level];
}
