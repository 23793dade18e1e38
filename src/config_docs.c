/* config_docs.c - the manual page and the configuration file, written from the two tables.
 *
 * Whatever an option or a command is called, takes or means is a row of CONFIG_MAP or COMMAND_MAP;
 * here is only what goes around it. The package is made of what these functions print, so nothing
 * of it is kept in the repository.
 */
#include <string.h>

#include "config_option.h"

static void man_append_text(struct buf *out, const char *text);
static void man_append_word(struct buf *out, const char *word);
static void man_append_command(struct buf *out, const char *words, const char *operands,
                               const char *help);
static void man_append_flag(struct buf *out, const char *flag, const char *help);
static void man_append_option(struct buf *out, enum option option);
static void man_append_variable(struct buf *out, enum option option);
static void conf_append_group(struct buf *out, const char *title);
static void conf_append_option(const struct config *config, enum option option, struct buf *out);

void config_write_man(struct buf *out)
{
    buf_append_format(out,
                      ".Dd %s\n"
                      ".Dt MIGCHAT-SERVER 1\n"
                      ".Os \"MigChat %s\"\n"
                      ".Sh NAME\n"
                      ".Nm migchat-server\n"
                      ".Nd self-hosted server for direct messages\n"
                      ".Sh SYNOPSIS\n"
                      ".Nm\n"
                      ".Op Ar command\n"
                      ".Op Fl \\-option Ar value ...\n"
                      ".Sh DESCRIPTION\n"
                      "One program, one database file: direct messages between accounts, over\n"
                      "HTTP and JSON.\n"
                      "Without a command it serves.\n"
                      "It speaks plain HTTP: where it faces the internet, a proxy with TLS stands\n"
                      "before it.\n"
                      ".Sh COMMANDS\n"
                      ".Bl -tag -width Ds\n",
                      MIGCHAT_DATE, MIGCHAT_VERSION);
#define MAN_COMMAND(name, words, operands, help) man_append_command(out, words, operands, help);
    COMMAND_MAP(MAN_COMMAND)
#undef MAN_COMMAND
    buf_append_str(out, STR(".El\n"
                            ".Sh OPTIONS\n"
                            "An option is a flag, an environment variable and a line of the\n"
                            "configuration file.\n"
                            "A flag wins over the environment, the environment over the file,\n"
                            "the file over the default.\n"
                            ".Bl -tag -width Ds\n"
                            ".It Fl \\-help , Fl h\n"
                            "Print commands and options.\n"
                            ".It Fl \\-version\n"
                            "Print the versions of the program and its libraries.\n"
                            ".El\n"
                            ".Ss Of commands\n"
                            ".Bl -tag -width Ds\n"));
#define MAN_FLAG(name, flag, help) man_append_flag(out, flag, help);
    COMMAND_FLAG_MAP(MAN_FLAG)
#undef MAN_FLAG
    /* Each group ends the list before it. */
#define MAN_GROUP(title) buf_append_str(out, STR(".El\n.Ss " title "\n.Bl -tag -width Ds\n"));
#define MAN_OPTION(name, flag, variable, kind, least, most, choices, initial, word, help)          \
    man_append_option(out, OPTION_##name);
    CONFIG_MAP(MAN_OPTION, MAN_GROUP)
#undef MAN_OPTION
#undef MAN_GROUP
    buf_append_str(out, STR(".El\n"
                            ".Sh ENVIRONMENT\n"
                            "An empty variable counts as none.\n"
                            ".Bl -tag -width Ds\n"));
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        man_append_variable(out, (enum option)i);
    }
    buf_append_str(out,
                   STR(".It Ev PORT\n"
                       "The port, where neither\n"
                       ".Ev MIGCHAT_PORT\n"
                       "nor the flag is given.\n"
                       ".It Ev RUST_LOG\n"
                       "The level of the log, where neither\n"
                       ".Ev MIGCHAT_LOG\n"
                       "nor the flag is given: a level, or a list with\n"
                       ".Ql migchat_server=LEVEL .\n"
                       ".El\n"
                       ".Sh FILES\n"
                       ".Bl -tag -width Ds\n"
                       ".It Pa " CONFIG_FILE_DEFAULT "\n"
                       "Settings, one\n"
                       ".Ql KEY=VALUE\n"
                       "a line, read where it exists.\n"
                       "Keys are the variables above or the flags without their dashes.\n"
                       "What follows a\n"
                       ".Ql #\n"
                       "is a comment.\n"
                       ".It Pa $CREDENTIALS_DIRECTORY/" CONFIG_CREDENTIAL "\n"
                       "The same, and wins over it: for settings that only root may read on disk.\n"
                       "The unit\n"
                       ".Pa migchat.service\n"
                       "hands over\n"
                       ".Pa /etc/credstore/" CONFIG_CREDENTIAL "\n"
                       "so.\n"
                       ".El\n"
                       ".Sh SIGNALS\n"
                       ".Bl -tag -width Ds\n"
                       ".It Dv SIGTERM , SIGINT\n"
                       "What is in flight is finished, then it ends; the second one ends it at\n"
                       "once.\n"
                       ".It Dv SIGHUP\n"
                       "The configuration is read again.\n"
                       "When it has a mistake, nothing changes and the log says why.\n"
                       "Else these options count from then on, and the log names others that\n"
                       "changed and need a restart:\n"
                       ".Bd -literal -offset indent -compact\n"));
    reloadable_write(out);
    buf_append_str(out,
                   STR(".Ed\n"
                       "At a terminal it ends the server, as the terminal is gone.\n"
                       ".El\n"
                       ".Sh EXIT STATUS\n"
                       ".Bl -tag -width Ds\n"
                       ".It 0\n"
                       "Done, or stopped as asked.\n"
                       ".It 1\n"
                       "It failed, could not start, or had to stop.\n"
                       ".It 2\n"
                       "Wrong usage or configuration.\n"
                       ".El\n"
                       ".Pp\n"
                       "After a second signal it is 128 and the signal's number.\n"
                       ".Sh EXAMPLES\n"
                       "Serve this machine alone, with the database in a folder of one's own:\n"
                       ".Pp\n"
                       ".Dl migchat-server --listen 127.0.0.1 --db ~/migchat.db\n"
                       ".Pp\n"
                       "Show every setting and where it comes from:\n"
                       ".Pp\n"
                       ".Dl migchat-server config dump\n"));
}

/* A line of text: never a request, whatever it begins with, and without escapes. */
static void man_append_text(struct buf *out, const char *text)
{
    if (text[0] == '.' || text[0] == '\'') {
        buf_append_str(out, STR("\\&"));
    }
    for (const char *at = text; *at != '\0'; at++) {
        if (*at == '\\') {
            buf_append_str(out, STR("\\e"));
        } else {
            buf_append_char(out, *at);
        }
    }
}

/* A word that is typed: its '-' is no hyphen. */
static void man_append_word(struct buf *out, const char *word)
{
    for (const char *at = word; *at != '\0'; at++) {
        if (*at == '-') {
            buf_append_char(out, '\\');
        }
        buf_append_char(out, *at);
    }
}

static void man_append_command(struct buf *out, const char *words, const char *operands,
                               const char *help)
{
    buf_append_str(out, STR(".It Cm "));
    man_append_word(out, words);
    if (operands[0] != '\0') {
        buf_append_str(out, STR(" Ar "));
        man_append_word(out, operands);
    }
    buf_append_char(out, '\n');
    man_append_text(out, help);
    buf_append_str(out, STR(".\n"));
}

static void man_append_flag(struct buf *out, const char *flag, const char *help)
{
    buf_append_str(out, STR(".It Fl \\-"));
    man_append_word(out, flag);
    buf_append_char(out, '\n');
    man_append_text(out, help);
    buf_append_str(out, STR(".\n"));
}

static void man_append_option(struct buf *out, enum option option)
{
    const struct option_row *row = &option_rows[option];

    buf_append_str(out, STR(".It Fl \\-"));
    man_append_word(out, row->flag);
    buf_append_str(out, STR(" Ar "));
    man_append_word(out, row->word);
    buf_append_char(out, '\n');
    man_append_text(out, row->help);
    buf_append_str(out, STR(".\n"));
    if (row->initial[0] != '\0') {
        buf_append_str(out, STR("Default:\n.Ql "));
        man_append_word(out, row->initial);
        buf_append_str(out, STR(" .\n"));
    }
}

static void man_append_variable(struct buf *out, enum option option)
{
    const struct option_row *row = &option_rows[option];

    buf_append_format(out, ".It Ev %s\n.Fl \\-", row->variable);
    man_append_word(out, row->flag);
    buf_append_char(out, '\n');
}

/* ---- the configuration file ------------------------------------------------------------------ */

void config_write_conf(const struct config *config, struct buf *out)
{
    buf_append_str(
        out,
        STR("# Settings of migchat-server, one KEY=VALUE a line; read from " CONFIG_FILE_DEFAULT
            "\n"
            "# or the file that --config names. The environment and flags win over it.\n"
            "#\n"
            "# Here is every option, with its default behind a '#'. Whether all is good tells\n"
            "#   migchat-server config check\n"
            "# and what counts, and why,\n"
            "#   migchat-server config dump\n"
            "# systemd (EnvironmentFile=) and docker (--env-file) can read it, too.\n"));
#define CONF_GROUP(title) conf_append_group(out, title);
#define CONF_OPTION(name, flag, variable, kind, least, most, choices, initial, word, help)         \
    conf_append_option(config, OPTION_##name, out);
    CONFIG_MAP(CONF_OPTION, CONF_GROUP)
#undef CONF_OPTION
#undef CONF_GROUP
}

static void conf_append_group(struct buf *out, const char *title)
{
    buf_append_format(out, "\n# ---- %s ----\n", title);
}

static void conf_append_option(const struct config *config, enum option option, struct buf *out)
{
    const struct option_row *row = &option_rows[option];
    const struct config_value *value = &config->values[option];
    bool is_set = value->source != SOURCE_DEFAULT;
    const char *text = is_set ? value->text.ptr : row->initial;

    /* A file cannot name the file. */
    if (option == OPTION_CONFIG) {
        return;
    }
    buf_append_format(out, "\n# %s\n", row->help);
    if (is_set && row->initial[0] != '\0') {
        buf_append_format(out, "# (default: %s)\n", row->initial);
    }
    bool needs_quotes = text[0] == '\0' || strpbrk(text, "# ") != NULL;
    const char *quote = needs_quotes ? "\"" : "";
    buf_append_format(out, "%s%s=%s%s%s\n", is_set ? "" : "#", row->variable, quote, text, quote);
}
