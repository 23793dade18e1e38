/* config.c - reading all options: defaults, then files, environment and flags over them.
 *
 * 1. The command line is split into command and flags; --help and --version end it there.
 * 2. Its flags are only remembered: the file they may name comes below them.
 * 3. Then each layer is set over the one below, and every wrong value is told, not just the first.
 *    A wrong value counts also where a higher layer would hide it: it would bite later.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/require.h"
#include "config_option.h"

#define VARIABLE_PREFIX STR("MIGCHAT_")
#define CREDENTIAL_PATH_MAX_BYTES ((size_t)4096)

/* What the command line says, before any of it is checked. */
struct command_line {
    enum config_command command;
    struct str operands[COMMAND_OPERANDS_MAX];
    struct str command_flag; /* one that a command needs; ptr NULL where not given */
    bool command_flags[FLAG_COUNT];
    struct str flags[OPTION_COUNT]; /* ptr NULL where not given */
};

static bool arguments_read(int argc, const char *const *argv, struct command_line *out_line,
                           struct buf *message);
static bool flag_read(int argc, const char *const *argv, int *at, struct command_line *line,
                      struct buf *message);
static void defaults_set(struct config *config);
static bool file_apply(struct config *config, const struct command_line *line,
                       const char *const *environment, struct buf *message);
static bool credential_apply(struct config *config, const char *const *environment,
                             struct buf *message);
static bool environment_apply(struct config *config, const char *const *environment,
                              struct buf *message);
static bool variable_apply(struct config *config, enum option option, struct str name,
                           struct str value, struct buf *message);
static void unknown_variables_warn(const char *const *environment, struct buf *message);
static bool variable_find(const char *const *environment, struct str name, struct str *out_value);
static bool rust_log_level(struct str directives, struct str *out_level);
static bool flags_apply(struct config *config, const struct command_line *line,
                        struct buf *message);
static struct str origin_of(struct config *config, struct str before, struct str name);
static void unfit_values_warn(const struct config *config, struct buf *message);

enum config_outcome config_read(int argc, const char *const *argv, const char *const *environment,
                                struct config *out_config, struct buf *message)
{
    struct command_line line = {.command = COMMAND_SERVE};

    *out_config = (struct config){.command = COMMAND_SERVE};
    arena_init(&out_config->arena);
    defaults_set(out_config);
    bool is_good = arguments_read(argc, argv, &line, message);
    out_config->command = line.command;
    memcpy(out_config->operands, line.operands, sizeof line.operands);
    memcpy(out_config->command_flags, line.command_flags, sizeof line.command_flags);
    if (line.command == COMMAND_HELP || line.command == COMMAND_VERSION) {
        buf_clear(message);
        return CONFIG_READY;
    }
    /* All are run, so that all mistakes are told. */
    is_good = file_apply(out_config, &line, environment, message) && is_good;
    is_good = credential_apply(out_config, environment, message) && is_good;
    is_good = environment_apply(out_config, environment, message) && is_good;
    is_good = flags_apply(out_config, &line, message) && is_good;
    unknown_variables_warn(environment, message);
    unfit_values_warn(out_config, message);
    return is_good ? CONFIG_READY : CONFIG_REFUSED;
}

void config_release(struct config *config)
{
    arena_release(&config->arena);
    *config = (struct config){.command = COMMAND_SERVE};
}

/* ---- the command line ------------------------------------------------------------------------ */

static bool arguments_read(int argc, const char *const *argv, struct command_line *out_line,
                           struct buf *message)
{
    struct str words[COMMAND_WORDS_MAX];
    size_t word_count = 0;
    bool is_good = true;

    for (int i = 1; i < argc; i++) {
        struct str argument = str_from(argv[i]);
        if (str_equal(argument, STR("--help")) || str_equal(argument, STR("-h"))) {
            out_line->command = COMMAND_HELP;
            return true;
        }
        if (str_equal(argument, STR("--version"))) {
            out_line->command = COMMAND_VERSION;
            return true;
        }
    }
    for (int i = 1; i < argc; i++) {
        if (command_flag_is_known(str_from(argv[i]))) {
            out_line->command_flag = str_from(argv[i]);
        } else if (argv[i][0] == '-') {
            is_good = flag_read(argc, argv, &i, out_line, message) && is_good;
        } else if (word_count == COMMAND_WORDS_MAX) {
            message_quote(message, str_from(argv[i]));
            buf_append_str(message, STR(" is one word too many\n"));
            is_good = false;
        } else {
            words[word_count++] = str_from(argv[i]);
        }
    }
    if (word_count > 0) {
        is_good =
            command_read(words, word_count, &out_line->command, out_line->operands, message) &&
            is_good;
    }
    is_good = command_flag_check(out_line->command, out_line->command_flag, message) && is_good;
    return command_flags_check(out_line->command, out_line->command_flags, message) && is_good;
}

/* `--flag value` or `--flag=value`. Given twice, the last one counts: scripts append. */
static bool flag_read(int argc, const char *const *argv, int *at, struct command_line *line,
                      struct buf *message)
{
    struct str value = str_from(argv[*at]);
    struct str name = str_cut(&value, '=');
    enum command_flag command_flag;
    enum option option;

    if (str_starts_with(name, STR("--")) &&
        command_flag_find((struct str){name.ptr + 2, name.len - 2}, &command_flag)) {
        if (value.ptr != NULL) {
            buf_append_format(message, "--%s takes no value\n",
                              command_flag_rows[command_flag].flag);
            return false;
        }
        line->command_flags[command_flag] = true;
        return true;
    }
    if (!str_starts_with(name, STR("--")) ||
        !option_find((struct str){name.ptr + 2, name.len - 2}, NAME_FLAG, &option)) {
        while (name.len > 0 && name.ptr[0] == '-') {
            name = (struct str){name.ptr + 1, name.len - 1};
        }
        message_quote(message, str_from(argv[*at]));
        buf_append_str(message, STR(" is not an option"));
        message_nearest(message, "--", option_nearest(name, NAME_FLAG));
        /* What follows may be its value; it is not judged as a command. */
        if (value.ptr == NULL && *at + 1 < argc && argv[*at + 1][0] != '-') {
            ++*at;
        }
        return false;
    }
    if (value.ptr == NULL) {
        if (*at + 1 >= argc || strncmp(argv[*at + 1], "--", 2) == 0) {
            buf_append_format(message, "--%s needs a value: --%s %s\n", option_rows[option].flag,
                              option_rows[option].flag, option_rows[option].word);
            return false;
        }
        value = str_from(argv[++*at]);
    }
    line->flags[option] = value;
    return true;
}

/* ---- the layers, lowest first ------------------------------------------------------------------
 */

static void defaults_set(struct config *config)
{
    struct buf unused;
    struct stat folder;

    buf_init(&unused, 0);
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        REQUIRE(option_set(config, (enum option)i, str_from(option_rows[i].initial), SOURCE_DEFAULT,
                           STR("default"), &unused));
    }
    if (stat(CONFIG_VOLUME, &folder) == 0 && S_ISDIR(folder.st_mode)) {
        REQUIRE(option_set(config, OPTION_DB, STR(CONFIG_DB_IN_VOLUME), SOURCE_DEFAULT,
                           STR("default"), &unused));
    }
    buf_release(&unused);
}

static bool file_apply(struct config *config, const struct command_line *line,
                       const char *const *environment, struct buf *message)
{
    struct str variable = str_from(option_rows[OPTION_CONFIG].variable);
    struct str path;

    if (line->flags[OPTION_CONFIG].ptr != NULL) {
        if (!option_set(config, OPTION_CONFIG, line->flags[OPTION_CONFIG], SOURCE_FLAG,
                        STR("flag --config"), message)) {
            return false;
        }
    } else if (variable_find(environment, variable, &path)) {
        if (!variable_apply(config, OPTION_CONFIG, variable, path, message)) {
            return false;
        }
    } else if (access(CONFIG_FILE_DEFAULT, F_OK) == 0) {
        REQUIRE(option_set(config, OPTION_CONFIG, STR(CONFIG_FILE_DEFAULT), SOURCE_DEFAULT,
                           STR("default"), message));
    }
    /* `--config ''` asks for no file, not even the default one. */
    return config_text(config, OPTION_CONFIG).len == 0 ||
           config_file_read(config, config_text(config, OPTION_CONFIG).ptr, message);
}

/* A second file over the first, where systemd's LoadCredential= put one: for what only root may
 * read on disk. */
static bool credential_apply(struct config *config, const char *const *environment,
                             struct buf *message)
{
    struct str folder;
    struct buf path;
    bool is_good = true;

    if (!variable_find(environment, STR("CREDENTIALS_DIRECTORY"), &folder)) {
        return true;
    }
    buf_init(&path, CREDENTIAL_PATH_MAX_BYTES);
    buf_append_format(&path, "%.*s/" CONFIG_CREDENTIAL, STR_ARGS(folder));
    buf_append_char(&path, '\0');
    if (!path.overflowed && access(path.ptr, F_OK) == 0) {
        is_good = config_file_read(config, path.ptr, message);
    }
    buf_release(&path);
    return is_good;
}

static bool environment_apply(struct config *config, const char *const *environment,
                              struct buf *message)
{
    struct str value, level;
    bool is_good = true;

    /* The two names that other programs use too come first, below our own. */
    if (variable_find(environment, STR("PORT"), &value)) {
        is_good = variable_apply(config, OPTION_PORT, STR("PORT"), value, message) && is_good;
    }
    if (variable_find(environment, STR("RUST_LOG"), &value) && rust_log_level(value, &level)) {
        is_good =
            variable_apply(config, OPTION_LOG_LEVEL, STR("RUST_LOG"), level, message) && is_good;
    }
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        struct str name = str_from(option_rows[i].variable);
        if (i != OPTION_CONFIG && variable_find(environment, name, &value)) {
            is_good = variable_apply(config, (enum option)i, name, value, message) && is_good;
        }
    }
    return is_good;
}

static bool variable_apply(struct config *config, enum option option, struct str name,
                           struct str value, struct buf *message)
{
    return option_set(config, option, value, SOURCE_ENVIRONMENT,
                      origin_of(config, STR("environment "), name), message);
}

/* A mistyped variable must not be silent, but other programs may have some of this prefix. */
static void unknown_variables_warn(const char *const *environment, struct buf *message)
{
    for (const char *const *entry = environment; *entry != NULL; entry++) {
        struct str value = str_from(*entry);
        struct str name = str_cut(&value, '=');
        enum option option;

        if (str_starts_with(name, VARIABLE_PREFIX) && !option_find(name, NAME_VARIABLE, &option)) {
            message_quote(message, name);
            buf_append_str(message, STR(" in the environment is not an option"));
            message_nearest(message, "", option_nearest(name, NAME_VARIABLE));
        }
    }
}

/* An empty variable counts as none: that is how compose files and units switch one off. */
static bool variable_find(const char *const *environment, struct str name, struct str *out_value)
{
    for (const char *const *entry = environment; *entry != NULL; entry++) {
        struct str value = str_from(*entry);
        if (str_equal(str_cut(&value, '='), name) && value.len > 0) {
            *out_value = value;
            return true;
        }
    }
    return false;
}

/* Of a list like "info,migchat_server=debug,tower_http=warn": our own directive, else a bare level.
 * Directives of other programs, of single modules or that are no level are none of ours. */
static bool rust_log_level(struct str directives, struct str *out_level)
{
    struct str bare = {NULL, 0}, own = {NULL, 0};
    enum log_level level;

    while (directives.ptr != NULL) {
        struct str value = str_trim(str_cut(&directives, ','));
        struct str target = str_trim(str_cut(&value, '='));
        if (value.ptr == NULL && log_level_from(target, &level)) {
            bare = target;
        } else if (value.ptr != NULL && str_equal(target, STR("migchat_server")) &&
                   log_level_from(str_trim(value), &level)) {
            own = str_trim(value);
        }
    }
    if (own.ptr == NULL && bare.ptr == NULL) {
        return false;
    }
    *out_level = own.ptr != NULL ? own : bare;
    return true;
}

static bool flags_apply(struct config *config, const struct command_line *line, struct buf *message)
{
    bool is_good = true;

    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (i != OPTION_CONFIG && line->flags[i].ptr != NULL) {
            struct str origin = origin_of(config, STR("flag --"), str_from(option_rows[i].flag));
            is_good =
                option_set(config, (enum option)i, line->flags[i], SOURCE_FLAG, origin, message) &&
                is_good;
        }
    }
    return is_good;
}

static struct str origin_of(struct config *config, struct str before, struct str name)
{
    struct buf origin;

    buf_init(&origin, before.len + name.len);
    buf_append_str(&origin, before);
    buf_append_str(&origin, name);
    struct str kept = arena_copy(&config->arena, buf_str(&origin));
    buf_release(&origin);
    return kept;
}

/* Values that are each allowed but make little sense together. */
static void unfit_values_warn(const struct config *config, struct buf *message)
{
    uint64_t body_max_bytes = config_number(config, OPTION_MAX_BODY_BYTES);

    if (config_number(config, OPTION_MAX_MESSAGE_BYTES) > body_max_bytes) {
        buf_append_str(message, STR("max-message-bytes is above max-body-bytes: the body's limit "
                                    "is reached first\n"));
    }
    char socket[CONFIG_SOCKET_MAX_BYTES];
    /* Of the others, those that ask over it tell when they do. */
    if ((config->command == COMMAND_SERVE || config->command == COMMAND_CHECK) &&
        !config_admin_socket(config, socket) && config_text(config, OPTION_ADMIN_SOCKET).len == 0 &&
        !config_is_in_memory(config)) {
        buf_append_format(message, "%s\n", config_admin_socket_lack(config));
    }
    if (config_number(config, OPTION_MAX_BODIES_BYTES) < body_max_bytes) {
        buf_append_str(message, STR("max-bodies-bytes is below max-body-bytes: the largest body "
                                    "can never be taken\n"));
    }
}

/* ---- the values ------------------------------------------------------------------------------ */

uint64_t config_number(const struct config *config, enum option option)
{
    REQUIRE(option_rows[option].kind == KIND_NUMBER || option_rows[option].kind == KIND_CHOICE ||
            option_rows[option].kind == KIND_LEVEL || option_rows[option].kind == KIND_RATE);
    return config->values[option].number;
}

struct str config_text(const struct config *config, enum option option)
{
    return config->values[option].text;
}

bool config_is_in_memory(const struct config *config)
{
    return str_equal(config_text(config, OPTION_DB), STR(":memory:"));
}

bool config_admin_socket(const struct config *config, char out[CONFIG_SOCKET_MAX_BYTES])
{
    struct str given = config_text(config, OPTION_ADMIN_SOCKET);
    struct str database = config_text(config, OPTION_DB);
    int len;

    if (str_equal(given, STR("none")) || (given.len == 0 && config_is_in_memory(config))) {
        return false;
    }
    if (given.len > 0) {
        len = snprintf(out, CONFIG_SOCKET_MAX_BYTES, "%.*s", STR_ARGS(given));
    } else {
        len = snprintf(out, CONFIG_SOCKET_MAX_BYTES, "%.*s.sock", STR_ARGS(database));
    }
    /* A path that is too long for a socket is none; config_admin_socket_lack tells. */
    return len > 0 && (size_t)len < CONFIG_SOCKET_MAX_BYTES;
}

const char *config_admin_socket_lack(const struct config *config)
{
    if (config_text(config, OPTION_ADMIN_SOCKET).len > 0) {
        return "admin-socket is none, so nobody can ask a server";
    }
    return config_is_in_memory(config)
               ? "a database in memory has no admin socket beside it: name one with admin-socket"
               : "the database's path is too long for an admin socket beside it: name one with "
                 "admin-socket";
}

size_t config_origins(const struct config *config, struct str out[CONFIG_ORIGINS_MAX],
                      bool *out_allows_all)
{
    struct str rest = config_text(config, OPTION_CORS_ORIGINS);
    size_t count = 0;

    *out_allows_all = str_equal(rest, STR("*"));
    if (*out_allows_all || str_equal(rest, STR("none"))) {
        return 0;
    }
    while (rest.ptr != NULL && count < CONFIG_ORIGINS_MAX) {
        out[count++] = str_trim(str_cut(&rest, ','));
    }
    return count;
}
