/* config_completion.c - what completes commands and options in bash, zsh and fish.
 *
 * All three scripts do the same. A flag's value is one of its choices, a file, or nothing one could
 * know. Elsewhere the words said so far, without flags and their values, decide: what can follow
 * them in COMMAND_MAP, or files where the command's operand is one.
 *
 * The texts in the tables are ours; still they are quoted, as any of them may hold an apostrophe.
 */
#include <string.h>

#include "config_option.h"

/* A word that may follow others: `prefix` is what was said, by blanks, `word` comes next. */
struct step {
    struct str prefix;
    struct str word;
    const char *help; /* of the command, where the word ends it; else NULL */
};

/* Of all commands, in order. */
#define STEPS_MAX (COMMAND_COUNT * COMMAND_WORDS_MAX)
struct steps {
    struct step rows[STEPS_MAX];
    size_t count;
};

static void steps_find(struct steps *out_steps);
static bool prefix_was_seen(const struct steps *steps, size_t at);
static bool takes_file(const char *word);
static const char *option_choices(enum option option);
static void append_choices(struct buf *out, enum option option);
static void append_inside(struct buf *out, const char *text, const char *escaped,
                          const char *apostrophe);
static void bash_append_options(struct buf *out);
static void bash_append_words(struct buf *out, const struct steps *steps);
static void zsh_append_options(struct buf *out);
static void zsh_append_words(struct buf *out, const struct steps *steps);

/* ---- what follows what ----------------------------------------------------------------------- */

/* Every (prefix, word) once: `config check` and `config dump` share the step from "" to config. */
static void steps_find(struct steps *out_steps)
{
    out_steps->count = 0;
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        struct str words = str_from(command_rows[i].words);
        struct str rest = words;

        while (rest.ptr != NULL) {
            size_t prefix_len = (size_t)(rest.ptr - words.ptr);
            struct step step = {
                {words.ptr, prefix_len > 0 ? prefix_len - 1 : 0}, str_cut(&rest, ' '), NULL};
            bool is_known = false;

            step.help = rest.ptr == NULL ? command_rows[i].help : NULL;
            for (size_t j = 0; j < out_steps->count; j++) {
                is_known = is_known || (str_equal(out_steps->rows[j].prefix, step.prefix) &&
                                        str_equal(out_steps->rows[j].word, step.word));
            }
            if (!is_known) {
                out_steps->rows[out_steps->count++] = step;
            }
        }
    }
}

static bool prefix_was_seen(const struct steps *steps, size_t at)
{
    for (size_t i = 0; i < at; i++) {
        if (str_equal(steps->rows[i].prefix, steps->rows[at].prefix)) {
            return true;
        }
    }
    return false;
}

static bool takes_file(const char *word)
{
    return strstr(word, "FILE") != NULL;
}

/* By '|', or "" where any text will do. */
static const char *option_choices(enum option option)
{
    return option_rows[option].kind == KIND_LEVEL ? "trace|debug|info|warn|error|off"
                                                  : option_rows[option].choices;
}

static void append_choices(struct buf *out, enum option option)
{
    for (const char *at = option_choices(option); *at != '\0'; at++) {
        buf_append_char(out, *at == '|' ? ' ' : *at);
    }
}

/* For the inside of single quotes: a backslash before each of `escaped`, and `apostrophe` for one.
 */
static void append_inside(struct buf *out, const char *text, const char *escaped,
                          const char *apostrophe)
{
    for (const char *at = text; *at != '\0'; at++) {
        if (*at == '\'') {
            buf_append_str(out, str_from(apostrophe));
            continue;
        }
        if (strchr(escaped, *at) != NULL) {
            buf_append_char(out, '\\');
        }
        buf_append_char(out, *at);
    }
}

/* ---- bash ------------------------------------------------------------------------------------ */

void config_write_bash(struct buf *out)
{
    struct steps steps;

    steps_find(&steps);
    buf_append_str(out, STR("# bash completion for migchat-server; `migchat-server docs bash` "
                            "prints it.\n"
                            "\n"
                            "_migchat_server()\n"
                            "{\n"
                            "    local cur=${COMP_WORDS[COMP_CWORD]} prev='' said='' word i\n"
                            "    local -a given=()\n"
                            "    COMPREPLY=()\n"
                            "    # bash cuts --flag=value in three; here the '=' goes.\n"
                            "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
                            "        [[ ${COMP_WORDS[i]} == = ]] || given+=(\"${COMP_WORDS[i]}\")\n"
                            "    done\n"
                            "    [[ $cur != = ]] || cur=\n"
                            "    ((${#given[@]} == 0)) || prev=${given[-1]}\n"
                            "    case $prev in\n"));
    bash_append_options(out);
    buf_append_str(out, STR("    for ((i = 0; i < ${#given[@]}; i++)); do\n"
                            "        word=${given[i]}\n"
                            "        case $word in\n"
                            "        -h | --help | --version"));
    for (size_t i = 0; i < FLAG_COUNT; i++) {
        buf_append_format(out, " | --%s", command_flag_rows[i].flag);
    }
    buf_append_str(out, STR(") ;;\n"
                            "        --*) ((++i)) ;;\n"
                            "        *) said+=${said:+ }$word ;;\n"
                            "        esac\n"
                            "    done\n"
                            "    case $said in\n"));
    bash_append_words(out, &steps);
    buf_append_str(out, STR("    esac\n"
                            "}\n"
                            "complete -F _migchat_server migchat-server\n"));
}

static void bash_append_options(struct buf *out)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const struct option_row *row = &option_rows[i];
        buf_append_format(out, "    --%s)\n        ", row->flag);
        if (option_choices((enum option)i)[0] != '\0') {
            buf_append_str(out, STR("mapfile -t COMPREPLY < <(compgen -W '"));
            append_choices(out, (enum option)i);
            buf_append_str(out, STR("' -- \"$cur\")\n        "));
        } else if (takes_file(row->word)) {
            buf_append_str(out, STR("compopt -o filenames 2>/dev/null\n        "
                                    "mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n        "));
        }
        buf_append_str(out, STR("return\n        ;;\n"));
    }
    buf_append_str(out, STR("    esac\n"
                            "    if [[ $cur == -* ]]; then\n"
                            "        mapfile -t COMPREPLY < <(compgen -W '--help --version"));
    for (size_t i = 0; i < FLAG_COUNT; i++) {
        buf_append_format(out, " --%s", command_flag_rows[i].flag);
    }
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        buf_append_format(out, " --%s", option_rows[i].flag);
    }
    buf_append_str(out, STR("' -- \"$cur\")\n"
                            "        return\n"
                            "    fi\n"));
}

static void bash_append_words(struct buf *out, const struct steps *steps)
{
    for (size_t i = 0; i < steps->count; i++) {
        if (prefix_was_seen(steps, i)) {
            continue;
        }
        buf_append_format(out, "    '%.*s') mapfile -t COMPREPLY < <(compgen -W '",
                          STR_ARGS(steps->rows[i].prefix));
        for (size_t j = i; j < steps->count; j++) {
            if (str_equal(steps->rows[j].prefix, steps->rows[i].prefix)) {
                buf_append_format(out, "%s%.*s", j > i ? " " : "", STR_ARGS(steps->rows[j].word));
            }
        }
        buf_append_str(out, STR("' -- \"$cur\") ;;\n"));
    }
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (takes_file(command_rows[i].operands)) {
            buf_append_format(out,
                              "    '%s')\n"
                              "        compopt -o filenames 2>/dev/null\n"
                              "        mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
                              "        ;;\n",
                              command_rows[i].words);
        }
    }
}

/* ---- zsh ------------------------------------------------------------------------------------- */

void config_write_zsh(struct buf *out)
{
    struct steps steps;

    steps_find(&steps);
    buf_append_str(out, STR("#compdef migchat-server\n"
                            "# zsh completion; `migchat-server docs zsh` prints it.\n"
                            "\n"
                            "_migchat_server() {\n"
                            "  local curcontext=\"$curcontext\" state line\n"
                            "  local -a next\n"
                            "  _arguments -C \\\n"
                            "    '(- *)'{-h,--help}'[print commands and options]' \\\n"
                            "    '(- *)--version[print the versions]' \\\n"));
    zsh_append_options(out);
    buf_append_str(out, STR("    '*:: :->words' && return 0\n"
                            "  [[ $state == words ]] || return 1\n"
                            "  case ${(j: :)${(@)words[1,CURRENT-1]}:#-*} in\n"));
    zsh_append_words(out, &steps);
    buf_append_str(out, STR("  *) return 1 ;;\n"
                            "  esac\n"
                            "  _describe -t commands command next\n"
                            "}\n"
                            "\n"
                            "if [[ $zsh_eval_context[-1] == loadautofunc ]]; then\n"
                            "  _migchat_server \"$@\"\n"
                            "else\n"
                            "  compdef _migchat_server migchat-server\n"
                            "fi\n"));
}

static void zsh_append_options(struct buf *out)
{
    for (size_t i = 0; i < FLAG_COUNT; i++) {
        buf_append_format(out, "    '--%s[", command_flag_rows[i].flag);
        append_inside(out, command_flag_rows[i].help, "[]:\\", "'\\''");
        buf_append_str(out, STR("]' \\\n"));
    }
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const struct option_row *row = &option_rows[i];
        buf_append_format(out, "    '--%s=[", row->flag);
        append_inside(out, row->help, "[]:\\", "'\\''");
        buf_append_str(out, STR("]:"));
        append_inside(out, row->word, "[]:\\", "'\\''");
        if (option_choices((enum option)i)[0] != '\0') {
            buf_append_str(out, STR(":("));
            append_choices(out, (enum option)i);
            buf_append_str(out, STR(")'"));
        } else {
            buf_append_str(out, takes_file(row->word) ? STR(":_files'") : STR(": '"));
        }
        buf_append_str(out, STR(" \\\n"));
    }
}

static void zsh_append_words(struct buf *out, const struct steps *steps)
{
    for (size_t i = 0; i < steps->count; i++) {
        if (prefix_was_seen(steps, i)) {
            continue;
        }
        buf_append_format(out, "  '%.*s') next=(", STR_ARGS(steps->rows[i].prefix));
        for (size_t j = i; j < steps->count; j++) {
            const struct step *step = &steps->rows[j];
            if (str_equal(step->prefix, steps->rows[i].prefix)) {
                buf_append_format(out, "%s%.*s", j > i ? " " : "", STR_ARGS(step->word));
                if (step->help != NULL) {
                    buf_append_str(out, STR(":'"));
                    append_inside(out, step->help, ":\\", "'\\''");
                    buf_append_char(out, '\'');
                }
            }
        }
        buf_append_str(out, STR(") ;;\n"));
    }
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (takes_file(command_rows[i].operands)) {
            buf_append_format(out, "  '%s') _files; return ;;\n", command_rows[i].words);
        }
    }
}

/* ---- fish ------------------------------------------------------------------------------------ */

void config_write_fish(struct buf *out)
{
    struct steps steps;

    steps_find(&steps);
    buf_append_str(out,
                   STR("# fish completion for migchat-server; `migchat-server docs fish` "
                       "prints it.\n"
                       "\n"
                       "# Whether the words so far, without flags and their values, are these.\n"
                       "function __migchat_server_said\n"
                       "    set -l said\n"
                       "    set -l is_value 0\n"
                       "    for word in (commandline -opc)[2..-1]\n"
                       "        if test $is_value = 1\n"
                       "            set is_value 0\n"
                       "        else if string match -qr -- '^(-h|--help|--version"));
    for (size_t i = 0; i < FLAG_COUNT; i++) {
        buf_append_format(out, "|--%s", command_flag_rows[i].flag);
    }
    buf_append_str(out, STR("|--.*=.*)$' "
                            "$word\n"
                            "            continue\n"
                            "        else if string match -q -- '--*' $word\n"
                            "            set is_value 1\n"
                            "        else\n"
                            "            set -a said $word\n"
                            "        end\n"
                            "    end\n"
                            "    test \"$said\" = \"$argv\"\n"
                            "end\n"
                            "\n"
                            "complete -c migchat-server -f\n"
                            "complete -c migchat-server -s h -l help -d 'print commands and "
                            "options'\n"
                            "complete -c migchat-server -l version -d 'print the versions'\n"));
    for (size_t i = 0; i < FLAG_COUNT; i++) {
        buf_append_format(out, "complete -c migchat-server -l %s -d '", command_flag_rows[i].flag);
        append_inside(out, command_flag_rows[i].help, "\\", "\\'");
        buf_append_str(out, STR("'\n"));
    }
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const struct option_row *row = &option_rows[i];
        buf_append_format(out, "complete -c migchat-server -l %s %s -d '", row->flag,
                          takes_file(row->word) ? "-r -F" : "-x");
        append_inside(out, row->help, "\\", "\\'");
        buf_append_char(out, '\'');
        if (option_choices((enum option)i)[0] != '\0') {
            buf_append_str(out, STR(" -a '"));
            append_choices(out, (enum option)i);
            buf_append_char(out, '\'');
        }
        buf_append_char(out, '\n');
    }
    for (size_t i = 0; i < steps.count; i++) {
        const struct step *step = &steps.rows[i];
        buf_append_format(out, "complete -c migchat-server -n '__migchat_server_said %.*s' -a %.*s",
                          STR_ARGS(step->prefix), STR_ARGS(step->word));
        if (step->help != NULL) {
            buf_append_str(out, STR(" -d '"));
            append_inside(out, step->help, "\\", "\\'");
            buf_append_char(out, '\'');
        }
        buf_append_char(out, '\n');
    }
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (takes_file(command_rows[i].operands)) {
            buf_append_format(out, "complete -c migchat-server -n '__migchat_server_said %s' -F\n",
                              command_rows[i].words);
        }
    }
}
