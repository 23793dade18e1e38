/* config_command.c - which command the words of a command line are.
 *
 * The longest row of COMMAND_MAP whose words they begin with; the rest are its operands, exactly as
 * many as it names. A flag among them is looked for by itself.
 */
#include <stdio.h>
#include <string.h>

#include "config_option.h"

const struct command_row command_rows[COMMAND_COUNT] = {
#define COMMAND_ROW(name, words, operands, help) {words, operands, help},
    COMMAND_MAP(COMMAND_ROW)
#undef COMMAND_ROW
};

const struct command_flag_row command_flag_rows[FLAG_COUNT] = {
#define COMMAND_FLAG_ROW(name, flag, help) {flag, help},
    COMMAND_FLAG_MAP(COMMAND_FLAG_ROW)
#undef COMMAND_FLAG_ROW
};

#define HELP_USAGE "migchat-server "
#define HELP_USAGE_COLUMN 40u
#define FIRST_WORD_MAX_BYTES 16u
/* With its brackets and dashes. */
#define FLAG_MAX_BYTES 32u

static size_t words_match(const char *wanted, const struct str *words, size_t count);
static size_t operands_count(const char *operands);
static struct str operands_flag(const char *operands);
static bool operands_take(const struct command_row *row, const struct str *words, size_t count,
                          struct str out_operands[COMMAND_OPERANDS_MAX], struct buf *message);
static void append_usage(struct buf *out, const struct command_row *row);
static void command_unknown(const struct str *words, struct buf *message);

bool command_read(const struct str *words, size_t count, enum config_command *out_command,
                  struct str out_operands[COMMAND_OPERANDS_MAX], struct buf *message)
{
    size_t matched_most = 0;
    size_t best = 0;

    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        size_t matched = words_match(command_rows[i].words, words, count);
        if (matched > matched_most) {
            matched_most = matched;
            best = i;
        }
    }
    if (matched_most == 0) {
        command_unknown(words, message);
        return false;
    }
    *out_command = (enum config_command)best;
    return operands_take(&command_rows[best], words + matched_most, count - matched_most,
                         out_operands, message);
}

/* How many words they are, if all of `wanted` are there; else 0. */
static size_t words_match(const char *wanted, const struct str *words, size_t count)
{
    struct str rest = str_from(wanted);
    size_t matched = 0;

    while (rest.ptr != NULL) {
        if (matched == count || !str_equal(str_cut(&rest, ' '), words[matched])) {
            return 0;
        }
        matched++;
    }
    return matched;
}

/* Without the flags among them. */
static size_t operands_count(const char *operands)
{
    struct str rest = str_from(operands);
    size_t count = 0;

    while (rest.ptr != NULL) {
        struct str word = str_cut(&rest, ' ');

        count += word.len > 0 && word.ptr[0] != '-' && word.ptr[0] != '[';
    }
    return count;
}

/* ptr NULL where there is none. */
static struct str operands_flag(const char *operands)
{
    struct str rest = str_from(operands);

    while (rest.ptr != NULL) {
        struct str word = str_cut(&rest, ' ');

        if (str_starts_with(word, STR("--"))) {
            return word;
        }
    }
    return (struct str){NULL, 0};
}

bool command_flag_is_known(struct str argument)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        struct str flag = operands_flag(command_rows[i].operands);

        if (flag.ptr != NULL && str_equal(argument, flag)) {
            return true;
        }
    }
    return false;
}

bool command_flag_check(enum config_command command, struct str flag, struct buf *message)
{
    const struct command_row *row = &command_rows[command];
    struct str wanted = operands_flag(row->operands);

    if (wanted.ptr == NULL && flag.ptr == NULL) {
        return true;
    }
    if (wanted.ptr != NULL && flag.ptr != NULL && str_equal(wanted, flag)) {
        return true;
    }
    if (wanted.ptr == NULL) {
        buf_append_format(message, "%s takes no %.*s\n", row->words, STR_ARGS(flag));
    } else {
        buf_append_format(message, "%s needs %.*s: ", row->words, STR_ARGS(wanted));
        append_usage(message, row);
        buf_append_char(message, '\n');
    }
    return false;
}

static bool operands_take(const struct command_row *row, const struct str *words, size_t count,
                          struct str out_operands[COMMAND_OPERANDS_MAX], struct buf *message)
{
    size_t wanted = operands_count(row->operands);

    if (count > wanted) {
        message_quote(message, words[wanted]);
        buf_append_str(message, STR(" is one word too many\n"));
        return false;
    }
    if (count < wanted) {
        buf_append_format(message, "%s needs %s: ", row->words, row->operands);
        append_usage(message, row);
        buf_append_char(message, '\n');
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        out_operands[i] = words[i];
    }
    return true;
}

static void append_usage(struct buf *out, const struct command_row *row)
{
    buf_append_format(out, HELP_USAGE "%s%s%s", row->words, row->operands[0] != '\0' ? " " : "",
                      row->operands);
}

/* Of a group like `config` all are told; else the nearest command there is. */
static void command_unknown(const struct str *words, struct buf *message)
{
    char firsts[COMMAND_COUNT][FIRST_WORD_MAX_BYTES];
    const char *names[COMMAND_COUNT];
    size_t told = 0;

    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        struct str rest = str_from(command_rows[i].words);
        struct str first = str_cut(&rest, ' ');

        snprintf(firsts[i], sizeof firsts[i], "%.*s", STR_ARGS(first));
        names[i] = firsts[i];
        if (!str_equal(first, words[0])) {
            continue;
        }
        if (told == 0) {
            buf_append_format(message, "%s needs to know what: ", words[0].ptr);
        }
        buf_append_format(message, "%s%s", told > 0 ? ", or " : "", command_rows[i].words);
        told++;
    }
    if (told > 0) {
        buf_append_char(message, '\n');
        return;
    }
    message_quote(message, words[0]);
    buf_append_str(message, STR(" is not a command"));
    message_nearest(message, "", word_nearest(words[0], names, COMMAND_COUNT));
}

void message_nearest(struct buf *message, const char *before, const char *nearest)
{
    if (nearest != NULL) {
        buf_append_format(message, "; did you mean %s%s?\n", before, nearest);
    } else {
        buf_append_str(message, STR("; --help lists all\n"));
    }
}

/* ---- their flags -----------------------------------------------------------------------------*/

bool command_flag_find(struct str name, enum command_flag *out_flag)
{
    for (size_t i = 0; i < FLAG_COUNT; i++) {
        if (str_equal(name, str_from(command_flag_rows[i].flag))) {
            *out_flag = (enum command_flag)i;
            return true;
        }
    }
    return false;
}

bool command_flags_check(enum config_command command, const bool given[FLAG_COUNT],
                         struct buf *message)
{
    const struct command_row *row = &command_rows[command];
    bool is_good = true;

    for (size_t i = 0; i < FLAG_COUNT; i++) {
        char wanted[FLAG_MAX_BYTES];

        snprintf(wanted, sizeof wanted, "[--%s]", command_flag_rows[i].flag);
        if (given[i] && strstr(row->operands, wanted) == NULL) {
            buf_append_format(message, "%s takes no --%s\n", row->words, command_flag_rows[i].flag);
            is_good = false;
        }
    }
    return is_good;
}

/* ---- help ------------------------------------------------------------------------------------*/

void commands_write_help(struct buf *out)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        size_t line_at = out->len;

        buf_append_str(out, STR("  "));
        append_usage(out, &command_rows[i]);
        if (out->len - line_at >= HELP_USAGE_COLUMN) {
            buf_append_char(out, '\n');
            line_at = out->len;
        }
        text_pad(out, line_at, HELP_USAGE_COLUMN);
        buf_append_format(out, "%s\n", command_rows[i].help);
    }
    for (size_t i = 0; i < FLAG_COUNT; i++) {
        size_t line_at = out->len;

        buf_append_format(out, "  --%s", command_flag_rows[i].flag);
        text_pad(out, line_at, HELP_USAGE_COLUMN);
        buf_append_format(out, "%s\n", command_flag_rows[i].help);
    }
}
