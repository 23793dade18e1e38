/* config_option.h - the rows of CONFIG_MAP and COMMAND_MAP as data: finding one, checking a value.
 *
 * Uses:    base, config.h.
 * Used by: config*.c only.
 * Thread:  main.
 */
#ifndef MIGCHAT_CONFIG_OPTION_H
#define MIGCHAT_CONFIG_OPTION_H

#include "config.h"

enum option_kind {
    KIND_NUMBER,
    KIND_TEXT,
    KIND_CHOICE,
    KIND_ADDRESS,  /* an IPv4 or IPv6 literal */
    KIND_ENDPOINT, /* "none", or such a literal, a colon and a port */
    KIND_ORIGINS,  /* "*", "none" or web origins by commas */
    KIND_NETWORKS, /* "none", or addresses and networks by commas */
    KIND_RATE,     /* "off" (0), or COUNT/SECONDS: the number is both, see CONFIG_RATE_SHIFT */
    KIND_LEVEL     /* of the log */
};

struct option_row {
    const char *flag; /* without its dashes */
    const char *variable;
    enum option_kind kind;
    uint64_t least, most;
    const char *choices; /* by '|' */
    const char *initial;
    const char *word;
    const char *help;
};

extern const struct option_row option_rows[OPTION_COUNT];

/* The names an option goes by. */
enum option_name { NAME_FLAG, NAME_VARIABLE };
bool option_find(struct str name, enum option_name kind, enum option *out_option);
/* The name most like `name`, NULL when none is like it. */
const char *option_nearest(struct str name, enum option_name kind);
/* Of `count` words the one most like `word`, NULL when none is like it. */
const char *word_nearest(struct str word, const char *const *words, size_t count);

/* Checks `text` and sets the option's value; false when it cannot be, and `message` has a line
 * that says why. `origin` lives as long as the config. */
MUST_CHECK bool option_set(struct config *config, enum option option, struct str text,
                           enum config_source source, struct str origin, struct buf *message);

/* Whether the text is an IPv4 or IPv6 literal; an IPv6 address may name its interface. */
bool is_address(struct str text);
/* Reads addresses and networks by commas; false when one is none or there are too many. */
bool networks_read(struct str text, struct ip_network out[CONFIG_NETWORKS_MAX],
                   unsigned *out_count);
/* Cuts ADDRESS:PORT or [IPv6]:PORT in two; false when it is none. */
bool endpoint_read(struct str text, struct str *out_address, uint16_t *out_port);

/* Appends what somebody typed, in quotes, without control characters. */
void message_quote(struct buf *message, struct str text);

/* Ends a line about something unknown: the nearest thing known, or where all of them are. */
void message_nearest(struct buf *message, const char *before, const char *nearest);

struct command_row {
    const char *words; /* by blanks */
    /* By blanks, "" where it takes none. At most one is a flag it needs; those it takes are in
     * brackets: "[--json]". */
    const char *operands;
    const char *help;
};

extern const struct command_row command_rows[COMMAND_COUNT];

struct command_flag_row {
    const char *flag; /* without its dashes */
    const char *help;
};

extern const struct command_flag_row command_flag_rows[FLAG_COUNT];

bool command_flag_find(struct str name, enum command_flag *out_flag);
/* Whether the command takes all that are given; else `message` has a line for each that it does
 * not. */
MUST_CHECK bool command_flags_check(enum config_command command, const bool given[FLAG_COUNT],
                                    struct buf *message);

#define COMMAND_WORDS_MAX (4u + COMMAND_OPERANDS_MAX)
/* The `count` words of a command line (at least one, each with a NUL behind it) as a command and
 * its operands; false, and a line in `message`, when they are none. */
MUST_CHECK bool command_read(const struct str *words, size_t count,
                             enum config_command *out_command,
                             struct str out_operands[COMMAND_OPERANDS_MAX], struct buf *message);
/* Whether the argument is a flag among some command's operands. */
bool command_flag_is_known(struct str argument);
/* Whether `flag` (ptr NULL where none was given) is the one the command needs; else `message` has a
 * line. */
MUST_CHECK bool command_flag_check(enum config_command command, struct str flag,
                                   struct buf *message);
/* The names of the options a reload takes over, on lines of their own. */
void reloadable_write(struct buf *out);
/* A line per command, and per flag of commands. */
void commands_write_help(struct buf *out);
/* Spaces up to `column` of the line that begins at `line_at`. */
void text_pad(struct buf *out, size_t line_at, size_t column);

/* Reads the file at `path` into the config; false when it has mistakes or cannot be read, all of
 * which `message` tells. */
MUST_CHECK bool config_file_read(struct config *config, const char *path, struct buf *message);

#endif
