/* log_test.c - log lines: both forms, escaping, cutting, levels. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

/* Reads back what was written to descriptor 2 between capture_start and capture_end. */
struct capture {
    int kept_stderr;
    FILE *file;
    char text[16 * 1024];
};

static void capture_start(struct capture *capture)
{
    capture->file = tmpfile();
    assert_non_null(capture->file);
    capture->kept_stderr = dup(STDERR_FILENO);
    assert_true(capture->kept_stderr >= 0);
    assert_true(dup2(fileno(capture->file), STDERR_FILENO) >= 0);
}

static void capture_end(struct capture *capture)
{
    assert_true(dup2(capture->kept_stderr, STDERR_FILENO) >= 0);
    close(capture->kept_stderr);
    rewind(capture->file);
    size_t len = fread(capture->text, 1, sizeof capture->text - 1, capture->file);
    capture->text[len] = '\0';
    fclose(capture->file);
}

static void an_event_is_one_json_object_on_one_line(void **state)
{
    struct capture capture;

    (void)state;
    log_setup(LOG_INFO, LOG_FORM_JSON);
    capture_start(&capture);
    log_event(LOG_INFO, "listening", LOG_TEXT("address", "0.0.0.0"), LOG_INT("port", 3000),
              LOG_STR("last", STR("x")), LOG_END);
    log_event(LOG_WARN, "bare", LOG_END);
    log_event(LOG_ERROR, "number", LOG_INT("least", INT64_MIN), LOG_END);
    capture_end(&capture);
    char *line = capture.text;
    assert_non_null(strchr(line, '\n'));
    *strchr(line, '\n') = '\0';
    assert_memory_equal(line, "{\"ts\":\"20", 9);
    assert_string_equal(line + 7 + 24, "\",\"level\":\"info\",\"event\":\"listening\","
                                       "\"address\":\"0.0.0.0\",\"port\":3000,\"last\":\"x\"}");
    line += strlen(line) + 1;
    assert_memory_equal(line + 7 + 24, "\",\"level\":\"warn\",\"event\":\"bare\"}\n", 33);
    line = strchr(line, '\n') + 1;
    assert_string_equal(line + 7 + 24, "\",\"level\":\"error\",\"event\":\"number\","
                                       "\"least\":-9223372036854775808}\n");
}

static void the_text_form_is_for_people(void **state)
{
    struct capture capture;

    (void)state;
    log_setup(LOG_INFO, LOG_FORM_TEXT);
    capture_start(&capture);
    log_event(LOG_INFO, "listening", LOG_TEXT("address", "0.0.0.0"), LOG_INT("port", 3000),
              LOG_TEXT("note", "two words"), LOG_TEXT("none", ""), LOG_END);
    capture_end(&capture);
    assert_int_equal(capture.text[2], ':');
    assert_int_equal(capture.text[8], '.');
    assert_string_equal(
        capture.text + 12,
        " info  listening address=0.0.0.0 port=3000 note=\"two words\" none=\"\"\n");
}

static void the_journal_gets_priorities_and_no_time(void **state)
{
    struct capture capture;

    (void)state;
    log_setup(LOG_TRACE, LOG_FORM_JOURNAL);
    capture_start(&capture);
    log_event(LOG_TRACE, "a", LOG_END);
    log_event(LOG_DEBUG, "b", LOG_END);
    log_event(LOG_INFO, "listening", LOG_TEXT("address", "::"), LOG_INT("port", 1), LOG_END);
    log_event(LOG_WARN, "c", LOG_TEXT("reason", "two\n<0>lines"), LOG_END);
    log_event(LOG_ERROR, "d", LOG_END);
    capture_end(&capture);
    assert_string_equal(capture.text, "<7>a\n<7>b\n<6>listening address=:: port=1\n"
                                      "<4>c reason=\"two\\u{a}<0>lines\"\n<3>d\n");
}

static void the_form_is_the_journals_only_on_its_own_socket(void **state)
{
    struct capture capture;
    struct stat file;
    char named[64];

    (void)state;
    capture_start(&capture);
    assert_int_equal(fstat(STDERR_FILENO, &file), 0);
    for (int other = 0; other <= 1; other++) {
        (void)snprintf(named, sizeof named, "%llu:%llu", (unsigned long long)file.st_dev,
                       (unsigned long long)file.st_ino + (unsigned)other);
        setenv("JOURNAL_STREAM", named, 1);
        log_setup(LOG_INFO, LOG_FORM_AUTO);
        log_event(LOG_INFO, "e", LOG_END);
    }
    unsetenv("JOURNAL_STREAM");
    log_setup(LOG_INFO, LOG_FORM_AUTO);
    log_event(LOG_INFO, "e", LOG_END);
    capture_end(&capture);
    assert_memory_equal(capture.text, "<6>e\n{\"ts\":\"", 12);
    assert_non_null(strstr(capture.text + 12, "\n{\"ts\":\""));
}

static void nothing_a_client_sends_forges_a_line_or_moves_a_cursor(void **state)
{
    static const struct {
        enum log_form form;
        const char *expected;
    } cases[] = {
        {LOG_FORM_JSON, "\"v\":\"a\\u000ab\\\"\\\\\\u001b[2J\\u007f\xc3\xa9\xef\xbf\xbd"
                        "\\u0085\\u202e\\udb40\\udc01\"}\n"},
        {LOG_FORM_TEXT, "v=\"a\\u{a}b\\\"\\\\\\u{1b}[2J\\u{7f}\xc3\xa9\xef\xbf\xbd"
                        "\\u{85}\\u{202e}\\u{e0001}\"\n"},
    };
    struct capture capture;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        log_setup(LOG_INFO, cases[i].form);
        capture_start(&capture);
        log_event(LOG_INFO, "e",
                  LOG_TEXT("v", "a\nb\"\\\x1b[2J\x7f\xc3\xa9\xff\xc2\x85\xe2\x80\xae"
                                "\xf3\xa0\x80\x81"),
                  LOG_END);
        capture_end(&capture);
        assert_non_null(strstr(capture.text, cases[i].expected));
        assert_ptr_equal(strchr(capture.text, '\n'), capture.text + strlen(capture.text) - 1);
    }
}

static void a_long_line_is_cut_and_still_json(void **state)
{
    struct capture capture;

    (void)state;
    log_setup(LOG_INFO, LOG_FORM_JSON);
    /* Lengths around the limit, so that each part of what follows is what does not fit. */
    for (size_t len = 3950; len < 4100; len++) {
        char *longest = malloc(len);
        assert_non_null(longest);
        memset(longest, 'x', len);
        longest[len - 1] = '\n';
        capture_start(&capture);
        log_event(LOG_INFO, "e", LOG_STR("v", ((struct str){longest, len})), LOG_INT("n", 12345),
                  LOG_TEXT("w", "y"), LOG_END);
        capture_end(&capture);
        size_t line_len = strlen(capture.text);
        assert_in_range(line_len, 1, 4096);
        assert_int_equal(capture.text[line_len - 1], '\n');
        assert_int_equal(capture.text[line_len - 2], '}');
        assert_non_null(strchr("\"5", capture.text[line_len - 3]));
        char *value_end = strrchr(capture.text, 'x');
        assert_true(value_end[1] == '"' || strncmp(value_end + 1, "\\u000a\"", 7) == 0);
        char *after = strchr(value_end, '"') + 1;
        assert_true(strcmp(after, "}\n") == 0 || strcmp(after, ",\"n\":12345}\n") == 0 ||
                    strcmp(after, ",\"n\":12345,\"w\":\"y\"}\n") == 0 ||
                    strcmp(after, ",\"n\":12345,\"w\":\"\"}\n") == 0);
        free(longest);
    }
}

static void lines_below_the_level_are_not_written(void **state)
{
    struct capture capture;

    (void)state;
    log_setup(LOG_WARN, LOG_FORM_JSON);
    capture_start(&capture);
    log_event(LOG_INFO, "quiet", LOG_END);
    log_setup(LOG_OFF, LOG_FORM_JSON);
    log_event(LOG_ERROR, "silent", LOG_END);
    capture_end(&capture);
    assert_string_equal(capture.text, "");
    assert_false(log_is_on(LOG_ERROR));
    log_setup(LOG_INFO, LOG_FORM_JSON);
    assert_true(log_is_on(LOG_INFO));
    assert_false(log_is_on(LOG_DEBUG));
}

static void levels_have_names(void **state)
{
    enum log_level level = LOG_OFF;

    (void)state;
    assert_true(log_level_from(STR("WARNING"), &level));
    assert_int_equal(level, LOG_WARN);
    for (int i = LOG_TRACE; i <= LOG_OFF; i++) {
        assert_true(log_level_from(str_from(log_level_name((enum log_level)i)), &level));
        assert_int_equal(level, i);
    }
    assert_false(log_level_from(STR("loud"), &level));
    assert_false(log_level_from(STR(""), &level));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_is_one_json_object_on_one_line),
        cmocka_unit_test(the_text_form_is_for_people),
        cmocka_unit_test(the_journal_gets_priorities_and_no_time),
        cmocka_unit_test(the_form_is_the_journals_only_on_its_own_socket),
        cmocka_unit_test(nothing_a_client_sends_forges_a_line_or_moves_a_cursor),
        cmocka_unit_test(a_long_line_is_cut_and_still_json),
        cmocka_unit_test(lines_below_the_level_are_not_written),
        cmocka_unit_test(levels_have_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
