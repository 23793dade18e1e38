/* config_test.c - options: where values come from, which layer wins, what is refused and how. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "config.h"

#define MESSAGE_MAX_BYTES ((size_t)64 * 1024)
#define WORDS_MAX 8

/* One reading; begun by `read_with`, ended by `reading_end`. */
struct reading {
    struct config config;
    struct buf message;
    enum config_outcome outcome;
};

/* Flags and variables each end in NULL. Without MIGCHAT_CONFIG the machine's own file could speak
 * too, so that none is asked for. */
static void read_with(struct reading *reading, const char *const *flags,
                      const char *const *variables)
{
    const char *argv[WORDS_MAX + 2] = {"migchat-server"};
    const char *environment[WORDS_MAX + 2] = {"MIGCHAT_CONFIG=/dev/null"};
    int argc = 1;

    while (flags != NULL && flags[argc - 1] != NULL) {
        assert_true(argc <= WORDS_MAX);
        argv[argc] = flags[argc - 1];
        argc++;
    }
    for (size_t i = 0; variables != NULL && variables[i] != NULL; i++) {
        assert_true(i < WORDS_MAX);
        environment[i + 1] = variables[i];
        if (strncmp(variables[i], "MIGCHAT_CONFIG=", 15) == 0) {
            environment[0] = "UNRELATED=1";
        }
    }
    buf_init(&reading->message, MESSAGE_MAX_BYTES);
    reading->outcome = config_read(argc, argv, environment, &reading->config, &reading->message);
    buf_append_char(&reading->message, '\0');
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void reading_end(struct reading *reading)
{
    config_release(&reading->config);
    buf_release(&reading->message);
}

static void assert_says(const struct reading *reading, const char *part)
{
    if (strstr(reading->message.ptr, part) == NULL) {
        fail_msg("\"%s\" is not in: %s", part, reading->message.ptr);
    }
}

static void assert_origin(const struct reading *reading, enum option option, const char *origin)
{
    assert_string_equal(reading->config.values[option].origin.ptr, origin);
}

/* A file that exists only in memory; `variable` names it to config_read. */
struct file {
    int descriptor;
    char variable[64];
    const char *path;
};

static void file_write(struct file *file, const char *content)
{
    file->descriptor = memfd_create("config_test", 0);
    assert_true(file->descriptor >= 0);
    assert_int_equal(write(file->descriptor, content, strlen(content)), (ssize_t)strlen(content));
    snprintf(file->variable, sizeof file->variable, "MIGCHAT_CONFIG=/proc/self/fd/%d",
             file->descriptor);
    file->path = file->variable + strlen("MIGCHAT_CONFIG=");
}

static void without_anything_all_values_are_defaults(void **state)
{
    struct reading reading;

    (void)state;
    read_with(&reading, NULL, NULL);
    assert_int_equal(reading.outcome, CONFIG_READY);
    assert_string_equal(reading.message.ptr, "");
    assert_int_equal(reading.config.command, COMMAND_SERVE);
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (i != OPTION_CONFIG) {
            assert_int_equal(reading.config.values[i].source, SOURCE_DEFAULT);
        }
    }
    assert_string_equal(config_text(&reading.config, OPTION_LISTEN).ptr, "0.0.0.0");
    assert_int_equal(config_number(&reading.config, OPTION_PORT), 3000);
    assert_int_equal(config_number(&reading.config, OPTION_HEAD_TIMEOUT_MS), 10000);
    assert_int_equal(config_number(&reading.config, OPTION_MAX_BODY_BYTES), 262144);
    assert_int_equal(config_number(&reading.config, OPTION_MAX_MESSAGE_BYTES), 65536);
    assert_int_equal(config_number(&reading.config, OPTION_PASSWORD_COST), 12);
    assert_int_equal(config_number(&reading.config, OPTION_SYNC), SYNC_FULL);
    assert_int_equal(config_number(&reading.config, OPTION_RATE_LIMITS), SWITCH_ON);
    assert_int_equal(config_number(&reading.config, OPTION_LOG_LEVEL), LOG_INFO);
    assert_int_equal(config_number(&reading.config, OPTION_LOG_FORMAT), LOG_FORM_AUTO);
    assert_string_equal(config_text(&reading.config, OPTION_DB).ptr,
                        access("/data", F_OK) == 0 ? "/data/migchat.db" : "./data/migchat.db");
    reading_end(&reading);
}

static void choices_are_numbered_like_their_enums(void **state)
{
    struct reading reading;

    (void)state;
    read_with(
        &reading,
        WORDS("--sync", "normal", "--rate-limits=off", "--log-format", "json", "--log-level=ERROR"),
        NULL);
    assert_int_equal(reading.outcome, CONFIG_READY);
    assert_int_equal(config_number(&reading.config, OPTION_SYNC), SYNC_NORMAL);
    assert_int_equal(config_number(&reading.config, OPTION_RATE_LIMITS), SWITCH_OFF);
    assert_int_equal(config_number(&reading.config, OPTION_LOG_FORMAT), LOG_FORM_JSON);
    assert_int_equal(config_number(&reading.config, OPTION_LOG_LEVEL), LOG_ERROR);
    reading_end(&reading);
    read_with(&reading, WORDS("--log-format", "text"), NULL);
    assert_int_equal(config_number(&reading.config, OPTION_LOG_FORMAT), LOG_FORM_TEXT);
    reading_end(&reading);
}

static void a_flag_takes_its_value_in_both_ways_and_the_last_one_counts(void **state)
{
    struct reading reading;

    (void)state;
    read_with(&reading,
              WORDS("--head-timeout-ms", "1", "--body-timeout-ms=2", "--head-timeout-ms=3"), NULL);
    assert_int_equal(reading.outcome, CONFIG_READY);
    assert_int_equal(config_number(&reading.config, OPTION_HEAD_TIMEOUT_MS), 3);
    assert_int_equal(config_number(&reading.config, OPTION_BODY_TIMEOUT_MS), 2);
    assert_origin(&reading, OPTION_BODY_TIMEOUT_MS, "flag --body-timeout-ms");
    reading_end(&reading);
}

static void flags_win_over_environment_over_file_over_default(void **state)
{
    struct reading reading;
    struct file file;
    char origin[128];

    (void)state;
    file_write(&file, "port=1\nMIGCHAT_HEAD_TIMEOUT_MS=1\nidle-timeout-ms=1\n");
    read_with(&reading, WORDS("--port", "3"),
              WORDS(file.variable, "MIGCHAT_PORT=2", "MIGCHAT_HEAD_TIMEOUT_MS=2"));
    assert_string_equal(reading.message.ptr, "");
    assert_int_equal(config_number(&reading.config, OPTION_PORT), 3);
    assert_origin(&reading, OPTION_PORT, "flag --port");
    assert_int_equal(config_number(&reading.config, OPTION_HEAD_TIMEOUT_MS), 2);
    assert_origin(&reading, OPTION_HEAD_TIMEOUT_MS, "environment MIGCHAT_HEAD_TIMEOUT_MS");
    assert_int_equal(config_number(&reading.config, OPTION_IDLE_TIMEOUT_MS), 1);
    snprintf(origin, sizeof origin, "%s line 3", file.path);
    assert_origin(&reading, OPTION_IDLE_TIMEOUT_MS, origin);
    assert_origin(&reading, OPTION_BODY_TIMEOUT_MS, "default");
    reading_end(&reading);
    close(file.descriptor);
}

static void plain_port_counts_below_our_own_variable(void **state)
{
    struct reading reading;

    (void)state;
    read_with(&reading, NULL, WORDS("PORT=8080"));
    assert_int_equal(config_number(&reading.config, OPTION_PORT), 8080);
    assert_origin(&reading, OPTION_PORT, "environment PORT");
    reading_end(&reading);
    read_with(&reading, NULL, WORDS("MIGCHAT_PORT=1", "PORT=2"));
    assert_int_equal(config_number(&reading.config, OPTION_PORT), 1);
    reading_end(&reading);
}

static void an_empty_variable_counts_as_none(void **state)
{
    struct reading reading;

    (void)state;
    read_with(&reading, NULL, WORDS("MIGCHAT_PORT=", "PORT=", "MIGCHAT_LISTEN="));
    assert_int_equal(reading.outcome, CONFIG_READY);
    assert_int_equal(config_number(&reading.config, OPTION_PORT), 3000);
    reading_end(&reading);
}

static void rust_log_gives_our_directive_or_a_bare_level(void **state)
{
    static const struct {
        const char *variable;
        enum log_level level;
    } cases[] = {
        {"RUST_LOG=debug", LOG_DEBUG},
        {"RUST_LOG=migchat_server=warn", LOG_WARN},
        {"RUST_LOG=migchat_server=trace,tower_http=info", LOG_TRACE},
        {"RUST_LOG=error, migchat_server=debug ,tower_http=off", LOG_DEBUG},
        {"RUST_LOG=migchat_server=debug,error", LOG_DEBUG},
        {"RUST_LOG=tower_http=debug,sqlx=warn", LOG_INFO},
        {"RUST_LOG=migchat_server::handlers=trace", LOG_INFO},
        {"RUST_LOG=nonsense,=,,", LOG_INFO},
        {"RUST_LOG=migchat_server=loud", LOG_INFO},
    };
    struct reading reading;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        read_with(&reading, NULL, WORDS(cases[i].variable));
        assert_int_equal(reading.outcome, CONFIG_READY);
        assert_int_equal(config_number(&reading.config, OPTION_LOG_LEVEL), cases[i].level);
        reading_end(&reading);
    }
    read_with(&reading, NULL, WORDS("MIGCHAT_LOG=error", "RUST_LOG=debug"));
    assert_int_equal(config_number(&reading.config, OPTION_LOG_LEVEL), LOG_ERROR);
    reading_end(&reading);
}

static void the_file_takes_comments_quotes_and_both_kinds_of_keys(void **state)
{
    struct reading reading;
    struct file file;

    (void)state;
    file_write(&file, "# a comment\r\n"
                      "\r\n"
                      "  MIGCHAT_PORT = 4000   # the port\r\n"
                      "db=\"/a folder/b#c.db\"  # quoted\n"
                      "listen=::1\t# by a tab\n"
                      "cors-origins=https://a.example,https://b.example:8443#not-a-comment\n");
    read_with(&reading, NULL, WORDS(file.variable));
    assert_int_equal(reading.outcome, CONFIG_REFUSED);
    assert_says(&reading, "line 6)");
    assert_int_equal(config_number(&reading.config, OPTION_PORT), 4000);
    assert_string_equal(config_text(&reading.config, OPTION_DB).ptr, "/a folder/b#c.db");
    assert_string_equal(config_text(&reading.config, OPTION_LISTEN).ptr, "::1");
    reading_end(&reading);
    close(file.descriptor);
}

static void a_credential_wins_over_the_file_and_may_be_missing(void **state)
{
    char folder[] = "/tmp/migchat-credentials-XXXXXX";
    char variable[96], path[96];
    struct reading reading;
    struct file file;

    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(variable, sizeof variable, "CREDENTIALS_DIRECTORY=%s", folder);
    snprintf(path, sizeof path, "%s/migchat.conf", folder);
    file_write(&file, "port=1\nread-threads=5\n");
    read_with(&reading, NULL, WORDS(file.variable, variable));
    assert_int_equal(reading.outcome, CONFIG_READY);
    assert_int_equal(config_number(&reading.config, OPTION_PORT), 1);
    reading_end(&reading);

    FILE *credential = fopen(path, "w");
    assert_non_null(credential);
    assert_true(fputs("port=2\nhash-threads=3\n", credential) >= 0);
    assert_int_equal(fclose(credential), 0);
    read_with(&reading, NULL, WORDS(file.variable, variable, "MIGCHAT_HASH_THREADS=4"));
    assert_int_equal(reading.outcome, CONFIG_READY);
    assert_int_equal(config_number(&reading.config, OPTION_PORT), 2);
    assert_int_equal(config_number(&reading.config, OPTION_READ_THREADS), 5);
    assert_int_equal(config_number(&reading.config, OPTION_HASH_THREADS), 4);
    assert_non_null(strstr(reading.config.values[OPTION_PORT].origin.ptr, "migchat.conf line 1"));
    reading_end(&reading);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
    close(file.descriptor);
}

static void mistakes_in_the_file_are_told_with_their_lines(void **state)
{
    static const struct {
        const char *content;
        const char *part;
    } cases[] = {
        {"prot=1\n", "line 1: \"prot\" is not an option; did you mean port?"},
        {"\nMIGCHAT_PRT=1\n",
         "line 2: \"MIGCHAT_PRT\" is not an option; did you mean MIGCHAT_PORT?"},
        {"zzzzzzzz=1\n", "line 1: \"zzzzzzzz\" is not an option\n"},
        {"port\n", "line 1: \"port\" has no '='"},
        {"port=1\nMIGCHAT_PORT=2\n", "line 2: port was set in line 1 already"},
        {"config=/x\n", "line 1: \"config\" cannot be set in a file"},
        {"db=\"/x\n", "line 1: \"db\" has a quote without its other half"},
        {"db=\"/x\" y\n", "line 1: \"db\" has a quote without its other half, or something"},
        {"port=99999\n", "port: \"99999\" is not a whole number from 0 to 65535"},
        {"db=\n", "db: \"\" is not a text of 1 to 4096 bytes"},
    };
    struct reading reading;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct file file;
        file_write(&file, cases[i].content);
        read_with(&reading, NULL, WORDS(file.variable));
        assert_int_equal(reading.outcome, CONFIG_REFUSED);
        assert_says(&reading, cases[i].part);
        reading_end(&reading);
        close(file.descriptor);
    }
}

static void a_file_that_cannot_be_read_is_refused(void **state)
{
    struct reading reading;

    (void)state;
    read_with(&reading, WORDS("--config", "/nowhere/migchat.conf"), NULL);
    assert_int_equal(reading.outcome, CONFIG_REFUSED);
    assert_says(&reading, "config: /nowhere/migchat.conf cannot be read: No such file");
    reading_end(&reading);
    read_with(&reading, WORDS("--config=/"), NULL);
    assert_int_equal(reading.outcome, CONFIG_REFUSED);
    assert_says(&reading, "config: / cannot be read: Is a directory");
    reading_end(&reading);
    read_with(&reading, WORDS("--config=/dev/zero"), NULL);
    assert_int_equal(reading.outcome, CONFIG_REFUSED);
    assert_says(&reading, "cannot be read: File too large");
    reading_end(&reading);
    read_with(&reading, WORDS("--config="), NULL);
    assert_int_equal(reading.outcome, CONFIG_READY);
    reading_end(&reading);
}

static void wrong_usage_is_refused_with_the_nearest_match(void **state)
{
    static const struct {
        const char *words[4]; /* ends in NULL */
        const char *part;
    } cases[] = {
        {{"--prot", "1"}, "\"--prot\" is not an option; did you mean --port?\n"},
        {{"--head-timeout=5"}, "did you mean --head-timeout-ms?\n"},
        {{"-port", "1"}, "\"-port\" is not an option; did you mean --port?\n"},
        {{"--zzzzzzzzzz"}, "\"--zzzzzzzzzz\" is not an option; --help lists all\n"},
        {{"--"}, "\"--\" is not an option"},
        {{"--port"}, "--port needs a value: --port PORT\n"},
        {{"--port", "--db", "x"}, "--port needs a value"},
        {{"srve"}, "\"srve\" is not a command; did you mean serve?\n"},
        {{"config"}, "config needs to know what: config check, or config dump\n"},
        {{"config", "chck"}, "config needs to know what"},
        {{"serve", "now"}, "\"now\" is one word too many\n"},
    };
    struct reading reading;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        read_with(&reading, cases[i].words, NULL);
        assert_int_equal(reading.outcome, CONFIG_REFUSED);
        assert_says(&reading, cases[i].part);
        reading_end(&reading);
    }
}

static void wrong_values_are_refused_with_option_value_and_origin(void **state)
{
    static const struct {
        const char *variable;
        const char *part;
    } cases[] = {
        {"MIGCHAT_PORT=65536",
         "port: \"65536\" is not a whole number from 0 to 65535 (environment MIGCHAT_PORT)\n"},
        {"PORT=http", "port: \"http\" is not a whole number from 0 to 65535 (environment PORT)\n"},
        {"MIGCHAT_PASSWORD_COST=3", "is not a whole number from 4 to 16"},
        {"MIGCHAT_PASSWORD_COST=17", "is not a whole number from 4 to 16"},
        {"MIGCHAT_READ_THREADS=0", "is not a whole number from 1 to 64"},
        {"MIGCHAT_HEAD_TIMEOUT_MS=-1", "is not a whole number"},
        {"MIGCHAT_RATE_LIMITS=yes", "\"yes\" is not one of on|off"},
        {"MIGCHAT_SYNC=off", "\"off\" is not one of full|normal"},
        {"MIGCHAT_LOG=loud", "\"loud\" is not trace, debug, info, warn, error or off"},
        {"MIGCHAT_LISTEN=localhost", "\"localhost\" is not an IPv4 or IPv6 address"},
        {"MIGCHAT_LISTEN=1.2.3", "is not an IPv4 or IPv6 address"},
        {"MIGCHAT_LISTEN=127.0.0.1%eth0", "is not an IPv4 or IPv6 address"},
        {"MIGCHAT_CORS_ORIGINS=https://a.example/", "is not *, none, or a list"},
        {"MIGCHAT_CORS_ORIGINS=a.example", "is not *, none, or a list"},
        {"MIGCHAT_CORS_ORIGINS=https://A.example", "is not *, none, or a list"},
        {"MIGCHAT_CORS_ORIGINS=https://a.example,", "is not *, none, or a list"},
        {"MIGCHAT_CORS_ORIGINS=*,https://a.example", "is not *, none, or a list"},
        {"MIGCHAT_DB=a\tb\nc", ""},
        {"MIGCHAT_PORT=1\n2", "port: \"1?2\" is not"},
    };
    struct reading reading;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        read_with(&reading, NULL, WORDS(cases[i].variable));
        assert_int_equal(reading.outcome, cases[i].part[0] == '\0' ? CONFIG_READY : CONFIG_REFUSED);
        assert_says(&reading, cases[i].part);
        reading_end(&reading);
    }
}

static void all_mistakes_are_told_at_once(void **state)
{
    struct reading reading;

    (void)state;
    read_with(&reading, WORDS("--prot=1", "--password-cost=99"), WORDS("MIGCHAT_SYNC=maybe"));
    assert_int_equal(reading.outcome, CONFIG_REFUSED);
    assert_says(&reading, "--prot");
    assert_says(&reading, "password-cost");
    assert_says(&reading, "sync");
    reading_end(&reading);
}

static void an_unknown_variable_is_only_a_warning(void **state)
{
    struct reading reading;

    (void)state;
    read_with(&reading, NULL, WORDS("MIGCHAT_PROT=1", "OTHER_PORT=2"));
    assert_int_equal(reading.outcome, CONFIG_READY);
    assert_string_equal(reading.message.ptr, "\"MIGCHAT_PROT\" in the environment is not an "
                                             "option; did you mean MIGCHAT_PORT?\n");
    reading_end(&reading);
}

static void values_that_do_not_fit_together_are_warned_of(void **state)
{
    struct reading reading;

    (void)state;
    read_with(&reading, WORDS("--max-body-bytes=1000", "--max-bodies-bytes=999"), NULL);
    assert_int_equal(reading.outcome, CONFIG_READY);
    assert_says(&reading, "max-message-bytes is above max-body-bytes");
    assert_says(&reading, "max-bodies-bytes is below max-body-bytes");
    reading_end(&reading);
}

/* A name that is too long for an admin socket beside the database matters to who opens one. */
static void a_long_name_is_warned_of_where_it_matters(void **state)
{
    static const char *const commands[][3] = {
        {"serve"}, {"config", "check"}, {"verify", "backup.db"}, {"config", "dump"}, {"routes"}};
    char database[200] = "--db=/tmp/";
    struct reading reading;

    (void)state;
    memset(database + strlen(database), 'x', sizeof database - strlen(database) - 1);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        const char *const words[] = {database, commands[i][0], commands[i][1], NULL};

        read_with(&reading, words, NULL);
        assert_int_equal(reading.outcome, CONFIG_READY);
        if (i < 2) {
            assert_says(&reading, "too long for an admin socket");
        } else {
            assert_string_equal(reading.message.ptr, "");
        }
        reading_end(&reading);
    }
}

static void origins_are_all_none_or_a_list(void **state)
{
    struct str origins[CONFIG_ORIGINS_MAX];
    struct reading reading;
    bool allows_all;

    (void)state;
    read_with(&reading, NULL, NULL);
    assert_int_equal(config_origins(&reading.config, origins, &allows_all), 0);
    assert_true(allows_all);
    reading_end(&reading);
    read_with(&reading, WORDS("--cors-origins", "none"), NULL);
    assert_int_equal(config_origins(&reading.config, origins, &allows_all), 0);
    assert_false(allows_all);
    reading_end(&reading);
    read_with(&reading,
              WORDS("--cors-origins", "https://a.example, http://localhost:8080,http://[::1]:1"),
              NULL);
    assert_int_equal(reading.outcome, CONFIG_READY);
    assert_int_equal(config_origins(&reading.config, origins, &allows_all), 3);
    assert_false(allows_all);
    assert_true(str_equal(origins[0], STR("https://a.example")));
    assert_true(str_equal(origins[1], STR("http://localhost:8080")));
    assert_true(str_equal(origins[2], STR("http://[::1]:1")));
    reading_end(&reading);
}

static void addresses_are_ipv4_or_ipv6(void **state)
{
    static const char *const good[] = {"127.0.0.1", "::", "::1", "fe80::1%eth0", "::ffff:1.2.3.4"};
    struct reading reading;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        read_with(&reading, WORDS("--listen", good[i]), NULL);
        assert_int_equal(reading.outcome, CONFIG_READY);
        reading_end(&reading);
    }
}

static void commands_are_understood_before_and_behind_flags(void **state)
{
    static const struct {
        const char *words[5]; /* ends in NULL */
        enum config_command command;
    } cases[] = {
        {{"serve"}, COMMAND_SERVE},
        {{"config", "check"}, COMMAND_CHECK},
        {{"config", "dump"}, COMMAND_DUMP},
        {{"--port", "1", "config", "dump"}, COMMAND_DUMP},
        {{"config", "dump", "--port", "1"}, COMMAND_DUMP},
        {{"routes"}, COMMAND_ROUTES},
        {{"errors"}, COMMAND_ERRORS},
        {{"help"}, COMMAND_HELP},
        {{"-h"}, COMMAND_HELP},
        {{"--nonsense", "--help"}, COMMAND_HELP},
        {{"--version"}, COMMAND_VERSION},
    };
    struct reading reading;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        read_with(&reading, cases[i].words, NULL);
        assert_int_equal(reading.outcome, CONFIG_READY);
        assert_int_equal(reading.config.command, cases[i].command);
        reading_end(&reading);
    }
}

static void a_dump_read_as_a_file_gives_the_same_values(void **state)
{
    struct reading first, second;
    struct file file;
    struct buf dump;

    (void)state;
    read_with(&first,
              WORDS("--port=1", "--db=/a b/c #d.db", "--sync=normal", "--log-level=WARNING",
                    "--cors-origins=https://a.example, https://b.example", "--listen=::1"),
              NULL);
    assert_int_equal(first.outcome, CONFIG_READY);
    buf_init(&dump, MESSAGE_MAX_BYTES);
    config_write_dump(&first.config, &dump);
    buf_append_char(&dump, '\0');
    assert_non_null(strstr(dump.ptr, "MIGCHAT_PORT=1  "));
    assert_non_null(strstr(dump.ptr, "# flag --port\n"));
    file_write(&file, dump.ptr);
    read_with(&second, NULL, WORDS(file.variable));
    assert_string_equal(second.message.ptr, "");
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (i != OPTION_CONFIG) {
            assert_string_equal(first.config.values[i].text.ptr, second.config.values[i].text.ptr);
            assert_int_equal(first.config.values[i].number, second.config.values[i].number);
            assert_int_equal(second.config.values[i].source, SOURCE_FILE);
        }
    }
    buf_release(&dump);
    reading_end(&first);
    reading_end(&second);
    close(file.descriptor);
}

static void help_shows_every_option_with_its_default_on_short_lines(void **state)
{
    struct buf help;

    (void)state;
    buf_init(&help, MESSAGE_MAX_BYTES);
    config_write_help(&help);
    buf_append_char(&help, '\0');
    assert_false(help.overflowed);
#define FLAG_IS_SHOWN(name, flag, variable, kind, least, most, choices, initial, word, text)       \
    assert_true(strstr(help.ptr, "\n  --" flag " " word "  ") != NULL ||                           \
                strstr(help.ptr, "\n  --" flag " " word "\n      ") != NULL);
#define GROUP_IS_SHOWN(title) assert_non_null(strstr(help.ptr, "\n\n" title "\n"));
    CONFIG_MAP(FLAG_IS_SHOWN, GROUP_IS_SHOWN)
#undef FLAG_IS_SHOWN
#undef GROUP_IS_SHOWN
    assert_non_null(strstr(help.ptr, "[3000]"));
    for (struct str rest = buf_str(&help); rest.ptr != NULL;) {
        assert_in_range(str_cut(&rest, '\n').len, 0, 120);
    }
    buf_release(&help);
}

/* Every variable is MIGCHAT_ and the flag in upper case, but that of the log's level. */
static void names_follow_one_rule(void **state)
{
    (void)state;
#define NAME_FITS(name, flag, variable, kind, least, most, choices, initial, word, text)           \
    {                                                                                              \
        char expected[64] = "MIGCHAT_";                                                            \
        for (size_t i = 0; i < sizeof(flag); i++) {                                                \
            char c = (flag)[i];                                                                    \
            expected[8 + i] = c == '-' ? '_' : (char)(c >= 'a' && c <= 'z' ? c - 32 : c);          \
        }                                                                                          \
        assert_string_equal(OPTION_##name == OPTION_LOG_LEVEL ? "MIGCHAT_LOG" : expected,          \
                            variable);                                                             \
    }
#define NO_GROUP(title)
    CONFIG_MAP(NAME_FITS, NO_GROUP)
#undef NAME_FITS
#undef NO_GROUP
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_anything_all_values_are_defaults),
        cmocka_unit_test(choices_are_numbered_like_their_enums),
        cmocka_unit_test(a_flag_takes_its_value_in_both_ways_and_the_last_one_counts),
        cmocka_unit_test(flags_win_over_environment_over_file_over_default),
        cmocka_unit_test(plain_port_counts_below_our_own_variable),
        cmocka_unit_test(an_empty_variable_counts_as_none),
        cmocka_unit_test(rust_log_gives_our_directive_or_a_bare_level),
        cmocka_unit_test(the_file_takes_comments_quotes_and_both_kinds_of_keys),
        cmocka_unit_test(a_credential_wins_over_the_file_and_may_be_missing),
        cmocka_unit_test(mistakes_in_the_file_are_told_with_their_lines),
        cmocka_unit_test(a_file_that_cannot_be_read_is_refused),
        cmocka_unit_test(wrong_usage_is_refused_with_the_nearest_match),
        cmocka_unit_test(wrong_values_are_refused_with_option_value_and_origin),
        cmocka_unit_test(all_mistakes_are_told_at_once),
        cmocka_unit_test(an_unknown_variable_is_only_a_warning),
        cmocka_unit_test(values_that_do_not_fit_together_are_warned_of),
        cmocka_unit_test(a_long_name_is_warned_of_where_it_matters),
        cmocka_unit_test(origins_are_all_none_or_a_list),
        cmocka_unit_test(addresses_are_ipv4_or_ipv6),
        cmocka_unit_test(commands_are_understood_before_and_behind_flags),
        cmocka_unit_test(a_dump_read_as_a_file_gives_the_same_values),
        cmocka_unit_test(help_shows_every_option_with_its_default_on_short_lines),
        cmocka_unit_test(names_follow_one_rule),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
