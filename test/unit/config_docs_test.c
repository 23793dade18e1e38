/* config_docs_test.c - manual page, configuration file and completions name every row of the
 * tables; whether shells and man understand them is for test/deploy and test/deb. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "config.h"

#define TEXT_MAX_BYTES ((size_t)256 * 1024)
#define PART_MAX_BYTES 512u

/* `word` as it stands in mdoc: with "\-" for each '-'. */
static const char *typed_in_man(const char *word, char out[PART_MAX_BYTES])
{
    size_t at = 0;

    for (; *word != '\0'; word++) {
        assert_true(at + 2 < PART_MAX_BYTES);
        if (*word == '-') {
            out[at++] = '\\';
        }
        out[at++] = *word;
    }
    out[at] = '\0';
    return out;
}

static void assert_has(const struct buf *text, const char *before, const char *word,
                       const char *after)
{
    char part[PART_MAX_BYTES];

    assert_true(snprintf(part, sizeof part, "%s%s%s", before, word, after) < (int)sizeof part);
    if (strstr(text->ptr, part) == NULL) {
        fail_msg("\"%s\" is not in: %s", part, text->ptr);
    }
}

static void written(struct buf *text, void (*write)(struct buf *out))
{
    buf_init(text, TEXT_MAX_BYTES);
    write(text);
    buf_append_char(text, '\0');
    assert_false(text->overflowed);
}

#define NO_GROUP(title)

static void the_manual_page_names_every_option_and_command(void **state)
{
    char typed[PART_MAX_BYTES];
    struct buf text;

    (void)state;
    written(&text, config_write_man);
#define COMMAND_IS_TOLD(name, words, operands, help)                                               \
    assert_has(&text, "\n.It Cm ", typed_in_man(words, typed), "");                                \
    assert_has(&text, "\n", help, ".\n");
#define OPTION_IS_TOLD(name, flag, variable, kind, least, most, choices, initial, word, help)      \
    assert_has(&text, "\n.It Fl \\-", typed_in_man(flag, typed), " Ar ");                          \
    assert_has(&text, "\n", help, ".\n");                                                          \
    assert_has(&text, "\n.It Ev ", variable, "\n");                                                \
    if ((initial)[0] != '\0') {                                                                    \
        assert_has(&text, "\n.Ql ", typed_in_man(initial, typed), " .\n");                         \
    }
#define GROUP_IS_TOLD(title) assert_has(&text, "\n.Ss ", title, "\n");
    COMMAND_MAP(COMMAND_IS_TOLD)
    CONFIG_MAP(OPTION_IS_TOLD, GROUP_IS_TOLD)
#undef COMMAND_IS_TOLD
#undef OPTION_IS_TOLD
#undef GROUP_IS_TOLD
    buf_release(&text);
}

static void conf_write(struct buf *text, const char *const *argv, int argc)
{
    static const char *const environment[] = {"MIGCHAT_CONFIG=/dev/null", NULL};
    struct config config;
    struct buf message;

    buf_init(&message, TEXT_MAX_BYTES);
    assert_int_equal(config_read(argc, argv, environment, &config, &message), CONFIG_READY);
    buf_init(text, TEXT_MAX_BYTES);
    config_write_conf(&config, text);
    buf_append_char(text, '\0');
    config_release(&config);
    buf_release(&message);
}

static void the_file_has_every_option_switched_off(void **state)
{
    static const char *const argv[] = {"migchat-server", "docs", "conf", NULL};
    struct buf text;

    (void)state;
    conf_write(&text, argv, 3);
#define OPTION_IS_OFF(name, flag, variable, kind, least, most, choices, initial, word, help)       \
    if (OPTION_##name != OPTION_CONFIG) {                                                          \
        assert_has(&text, "\n#" variable "=", (initial)[0] != '\0' ? (initial) : "\"\"", "\n");    \
        assert_has(&text, "\n# ", help, "\n");                                                     \
    }
    CONFIG_MAP(OPTION_IS_OFF, NO_GROUP)
#undef OPTION_IS_OFF
    for (struct str rest = buf_str(&text); rest.ptr != NULL;) {
        struct str line = str_cut(&rest, '\n');
        assert_true(line.len <= 1 || line.ptr[0] == '#');
    }
    buf_release(&text);
}

static void in_the_file_what_is_set_is_switched_on(void **state)
{
    static const char *const argv[] = {"migchat-server", "docs",     "conf",
                                       "--db=/a b#c",    "--port=0", NULL};
    struct buf text;

    (void)state;
    conf_write(&text, argv, 5);
    assert_has(&text, "\nMIGCHAT_DB=", "\"/a b#c\"", "\n");
    assert_has(&text, "\n# (default: 3000)\nMIGCHAT_PORT=", "0", "\n");
    assert_has(&text, "\n#MIGCHAT_LISTEN=", "0.0.0.0", "\n");
    buf_release(&text);
}

static void completions_know_every_option_and_command(void **state)
{
    struct buf bash, zsh, fish;

    (void)state;
    written(&bash, config_write_bash);
    written(&zsh, config_write_zsh);
    written(&fish, config_write_fish);
#define OPTION_IS_KNOWN(name, flag, variable, kind, least, most, choices, initial, word, help)     \
    assert_has(&bash, " --", flag, "");                                                            \
    assert_has(&bash, "    --", flag, ")\n");                                                      \
    assert_has(&zsh, "    '--", flag, "=[");                                                       \
    assert_has(&fish, " -l ", flag, " -");
    CONFIG_MAP(OPTION_IS_KNOWN, NO_GROUP)
#undef OPTION_IS_KNOWN
    static const char *const commands[] = {
#define COMMAND_WORDS(name, words, operands, help) words,
        COMMAND_MAP(COMMAND_WORDS)
#undef COMMAND_WORDS
    };
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        const char *last = strrchr(commands[i], ' ');
        last = last == NULL ? commands[i] : last + 1;
        assert_has(&bash, "", last, "");
        assert_has(&zsh, "", last, ":'");
        assert_has(&fish, " -a ", last, " -d '");
    }
    buf_release(&bash);
    buf_release(&zsh);
    buf_release(&fish);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_manual_page_names_every_option_and_command),
        cmocka_unit_test(the_file_has_every_option_switched_off),
        cmocka_unit_test(in_the_file_what_is_set_is_switched_on),
        cmocka_unit_test(completions_know_every_option_and_command),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
