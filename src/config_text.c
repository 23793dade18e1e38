/* config_text.c - what the options look like to people: --help and `config dump`. */
#include <string.h>

#include "config_option.h"

#define HELP_COLUMN 30u
#define DUMP_COLUMN 44u

static void help_append_option(struct buf *out, enum option option);

void config_write_help(struct buf *out)
{
    buf_append_str(out,
                   STR("MigChat: a direct-message server in one binary and one database file.\n"
                       "\n"
                       "usage: migchat-server [COMMAND] [OPTION]...\n"
                       "\n"));
    commands_write_help(out);
#define HELP_GROUP(title) buf_append_str(out, STR("\n" title "\n"));
#define HELP_OPTION(name, flag, variable, kind, least, most, choices, initial, word, help)         \
    help_append_option(out, OPTION_##name);
    CONFIG_MAP(HELP_OPTION, HELP_GROUP)
#undef HELP_OPTION
#undef HELP_GROUP
    buf_append_str(
        out,
        STR("\n"
            "An option is also an environment variable, --max-body-bytes as "
            "MIGCHAT_MAX_BODY_BYTES\n"
            "(--log-level as MIGCHAT_LOG), and a line of the file, as MIGCHAT_MAX_BODY_BYTES=VALUE "
            "or\n"
            "max-body-bytes=VALUE. A flag wins over the environment, that over the file, that "
            "over\n"
            "the default. An empty variable counts as none.\n"
            "\n"
            "SIGHUP has the file read again; without a mistake in it these count from then on:\n"));
    reloadable_write(out);
    buf_append_str(
        out,
        STR("\n"
            "exit status: 0 stopped as asked, 1 could not start or had to stop, 2 wrong usage or\n"
            "configuration, 128 and the signal's number after a second signal\n"));
}

static void help_append_option(struct buf *out, enum option option)
{
    const struct option_row *row = &option_rows[option];
    size_t line_at = out->len;

    buf_append_format(out, "  --%s %s", row->flag, row->word);
    if (out->len - line_at + 2 > HELP_COLUMN) {
        /* A long one has a line of its own. */
        buf_append_char(out, '\n');
        line_at = out->len;
    }
    text_pad(out, line_at, HELP_COLUMN);
    buf_append_format(out, "%s", row->help);
    if (row->initial[0] != '\0') {
        buf_append_format(out, " [%s]", row->initial);
    }
    buf_append_char(out, '\n');
}

void config_write_dump(const struct config *config, struct buf *out)
{
    const struct config_value *file = &config->values[OPTION_CONFIG];

    if (file->text.len > 0) {
        buf_append_format(out, "# file %s, from %s\n", file->text.ptr, file->origin.ptr);
    }
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const struct config_value *value = &config->values[i];
        if (i == OPTION_CONFIG) {
            continue;
        }
        size_t line_at = out->len;
        bool needs_quotes = value->text.len == 0 || memchr(value->text.ptr, '#', value->text.len);
        const char *quote = needs_quotes ? "\"" : "";
        buf_append_format(out, "%s=%s%s%s", option_rows[i].variable, quote, value->text.ptr, quote);
        text_pad(out, line_at, DUMP_COLUMN);
        buf_append_format(out, "  # %s\n", value->origin.ptr);
    }
}

void text_pad(struct buf *out, size_t line_at, size_t column)
{
    while (!out->overflowed && out->len - line_at < column) {
        buf_append_char(out, ' ');
    }
}
