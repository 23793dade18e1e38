/* config.h - the options: one table, read from flags, environment, file and defaults.
 *
 * A row of CONFIG_MAP is everything there is to an option: its flag, variable and file key, how
 * its value is checked, its default and its line in --help. A flag wins over the environment, that
 * over the file, that over the default. Nothing here exits, prints or keeps state.
 *
 * Uses:    base, libc.
 * Used by: main, startup.
 * Thread:  main.
 * Memory:  values live in the config's arena until config_release.
 */
#ifndef MIGCHAT_CONFIG_H
#define MIGCHAT_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/attributes.h"
#include "base/buf.h"
#include "base/ip.h"
#include "base/str.h"

#define CONFIG_FILE_DEFAULT "/etc/migchat/migchat.conf"
/* A file of this name among systemd's credentials is read over the other. */
#define CONFIG_CREDENTIAL "migchat.conf"
#define CONFIG_VOLUME "/data"
#define CONFIG_DB_IN_VOLUME "/data/migchat.db"
#define CONFIG_DB_DEFAULT "./data/migchat.db"
#define CONFIG_ORIGINS_MAX 32u
#define CONFIG_NETWORKS_MAX 32u

/* The order is that of the names in the option's choices, so that a choice's number is one. */
enum config_switch { SWITCH_OFF, SWITCH_ON };
enum config_sync { SYNC_NORMAL, SYNC_FULL };
enum config_checkpoint { CHECKPOINT_OWN, CHECKPOINT_EXTERNAL };

/* X(name, flag, variable, kind, least, most, choices, default, value's word, help)
 * A row without flag or variable opens a group of --help; it is no option. `least` and `most`
 * count the bytes of a text. */
#define CONFIG_MAP(OPTION, GROUP)                                                                  \
    GROUP("Where")                                                                                 \
    OPTION(LISTEN, "listen", "MIGCHAT_LISTEN", ADDRESS, 1, 64, "", "0.0.0.0", "ADDRESS",           \
           "IPv4 or IPv6 address to listen on")                                                    \
    OPTION(PORT, "port", "MIGCHAT_PORT", NUMBER, 0, 65535, "", "3000", "PORT",                     \
           "port to listen on; 0 takes any free one; PORT counts too, below MIGCHAT_PORT")         \
    OPTION(DB, "db", "MIGCHAT_DB", TEXT, 1, 4096, "", CONFIG_DB_DEFAULT, "FILE",                   \
           "database file, or :memory:; " CONFIG_DB_IN_VOLUME " where " CONFIG_VOLUME " exists")   \
    OPTION(ADMIN_SOCKET, "admin-socket", "MIGCHAT_ADMIN_SOCKET", TEXT, 0, 107, "", "", "FILE",     \
           "Unix socket for the admin commands, or none; FILE.sock of the database by default")    \
    OPTION(METRICS_LISTEN, "metrics-listen", "MIGCHAT_METRICS_LISTEN", ENDPOINT, 0, 64, "",        \
           "none", "ADDRESS:PORT",                                                                 \
           "where /metrics is served to whoever reaches it, like 127.0.0.1:9464, or none")         \
    OPTION(CONFIG, "config", "MIGCHAT_CONFIG", TEXT, 0, 4096, "", "", "FILE",                      \
           "file of KEY=VALUE lines; " CONFIG_FILE_DEFAULT " where it exists")                     \
    OPTION(USER, "user", "MIGCHAT_USER", TEXT, 1, 256, "", "migchat", "NAME",                      \
           "whom a start as root becomes, having taken over the database's folder; or root")       \
    GROUP("Limits of requests")                                                                    \
    OPTION(HEAD_TIMEOUT_MS, "head-timeout-ms", "MIGCHAT_HEAD_TIMEOUT_MS", NUMBER, 1, 3600000, "",  \
           "10000", "MS", "time for a request's head to arrive")                                   \
    OPTION(BODY_TIMEOUT_MS, "body-timeout-ms", "MIGCHAT_BODY_TIMEOUT_MS", NUMBER, 1, 3600000, "",  \
           "15000", "MS", "time for a request's body to arrive")                                   \
    OPTION(IDLE_TIMEOUT_MS, "idle-timeout-ms", "MIGCHAT_IDLE_TIMEOUT_MS", NUMBER, 1, 3600000, "",  \
           "75000", "MS", "time a connection may wait between requests")                           \
    OPTION(WRITE_TIMEOUT_MS, "write-timeout-ms", "MIGCHAT_WRITE_TIMEOUT_MS", NUMBER, 1, 3600000,   \
           "", "60000", "MS", "time without progress in taking an answer")                         \
    OPTION(DRAIN_TIMEOUT_MS, "drain-timeout-ms", "MIGCHAT_DRAIN_TIMEOUT_MS", NUMBER, 0, 3600000,   \
           "", "3000", "MS", "time for what is in flight to finish when stopping")                 \
    OPTION(MAX_BODY_BYTES, "max-body-bytes", "MIGCHAT_MAX_BODY_BYTES", NUMBER, 1, 67108864, "",    \
           "262144", "BYTES", "largest body of a request")                                         \
    OPTION(MAX_MESSAGE_BYTES, "max-message-bytes", "MIGCHAT_MAX_MESSAGE_BYTES", NUMBER, 1,         \
           16777216, "", "65536", "BYTES", "largest message")                                      \
    OPTION(MAX_BODIES_BYTES, "max-bodies-bytes", "MIGCHAT_MAX_BODIES_BYTES", NUMBER, 1,            \
           1099511627776, "", "33554432", "BYTES", "what all unfinished requests hold together")   \
    OPTION(MAX_CONNECTIONS, "max-connections", "MIGCHAT_MAX_CONNECTIONS", NUMBER, 0, 1000000, "",  \
           "0", "COUNT", "connections at once; 0: as many as descriptors allow")                   \
    GROUP("Accounts")                                                                              \
    OPTION(PASSWORD_COST, "password-cost", "MIGCHAT_PASSWORD_COST", NUMBER, 4, 16, "", "12",       \
           "COST", "bcrypt cost; each step doubles the time of a log-in")                          \
    OPTION(MIN_PASSWORD_BYTES, "min-password-bytes", "MIGCHAT_MIN_PASSWORD_BYTES", NUMBER, 1, 72,  \
           "", "1", "BYTES", "shortest password that can be set")                                  \
    OPTION(SIGNUP, "signup", "MIGCHAT_SIGNUP", CHOICE, 0, 0, "open|invite|closed", "open",         \
           "open|invite|closed", "who may create an account: all, who has an invite, nobody")      \
    OPTION(CORS_ORIGINS, "cors-origins", "MIGCHAT_CORS_ORIGINS", ORIGINS, 1, 4096, "", "*",        \
           "LIST", "web origins that may call the API, by commas; * for all, none for none")       \
    GROUP("Rates: COUNT at once, and as many again in SECONDS")                                    \
    OPTION(RATE_LIMITS, "rate-limits", "MIGCHAT_RATE_LIMITS", CHOICE, 0, 0, "off|on", "on",        \
           "on|off", "off ends all of these")                                                      \
    OPTION(SIGNUP_RATE, "signup-rate", "MIGCHAT_SIGNUP_RATE", RATE, 0, 0, "", "20/3600",           \
           "COUNT/SECONDS", "accounts created from an address, or off")                            \
    OPTION(LOGIN_RATE, "login-rate", "MIGCHAT_LOGIN_RATE", RATE, 0, 0, "", "30/300",               \
           "COUNT/SECONDS", "log-ins from an address, passwords checked of an account, or off")    \
    OPTION(CLAIM_RATE, "claim-rate", "MIGCHAT_CLAIM_RATE", RATE, 0, 0, "", "300/3600",             \
           "COUNT/SECONDS", "one-time keys claimed by an account, or off")                         \
    OPTION(TYPING_RATE, "typing-rate", "MIGCHAT_TYPING_RATE", RATE, 0, 0, "", "120/60",            \
           "COUNT/SECONDS", "typing told by an account, or off")                                   \
    OPTION(SEND_RATE, "send-rate", "MIGCHAT_SEND_RATE", RATE, 0, 0, "", "off", "COUNT/SECONDS",    \
           "messages sent, keys uploaded and names changed by an account, or off")                 \
    OPTION(READ_RATE, "read-rate", "MIGCHAT_READ_RATE", RATE, 0, 0, "", "off", "COUNT/SECONDS",    \
           "all else an account asks for, or off")                                                 \
    OPTION(TRUSTED_PROXIES, "trusted-proxies", "MIGCHAT_TRUSTED_PROXIES", NETWORKS, 1, 2048, "",   \
           "127.0.0.1,::1", "LIST",                                                                \
           "proxies believed about whom they ask for: addresses, networks, by commas")             \
    OPTION(CLIENT_ADDRESS_FIELD, "client-address-field", "MIGCHAT_CLIENT_ADDRESS_FIELD", CHOICE,   \
           0, 0, "x-forwarded-for|fly-client-ip", "x-forwarded-for",                               \
           "x-forwarded-for|fly-client-ip", "where a trusted proxy says so")                       \
    GROUP("Storage and threads")                                                                   \
    OPTION(SYNC, "sync", "MIGCHAT_SYNC", CHOICE, 0, 0, "normal|full", "full", "full|normal",       \
           "full: what was answered survives a power cut; normal: the last moments may not")       \
    OPTION(CHECKPOINT, "checkpoint", "MIGCHAT_CHECKPOINT", CHOICE, 0, 0, "own|external", "own",    \
           "own|external", "external: another process (Litestream) checkpoints, this one never")   \
    OPTION(DISK_FLOOR_BYTES, "disk-floor-bytes", "MIGCHAT_DISK_FLOOR_BYTES", NUMBER, 0,            \
           1099511627776, "", "33554432", "BYTES", "less free disk than this is not ready")        \
    OPTION(READ_THREADS, "read-threads", "MIGCHAT_READ_THREADS", NUMBER, 1, 64, "", "2", "COUNT",  \
           "threads that read the database")                                                       \
    OPTION(HASH_THREADS, "hash-threads", "MIGCHAT_HASH_THREADS", NUMBER, 1, 64, "", "1", "COUNT",  \
           "threads that hash passwords")                                                          \
    OPTION(KEPT_ANSWERS_BYTES, "kept-answers-bytes", "MIGCHAT_KEPT_ANSWERS_BYTES", NUMBER, 0,      \
           1099511627776, "", "8388608", "BYTES",                                                  \
           "memory for lists given again unchanged; 0: none")                                      \
    OPTION(READ_QUEUE, "read-queue", "MIGCHAT_READ_QUEUE", NUMBER, 1, 1000000, "", "1024",         \
           "COUNT", "requests waiting to read, above it 503")                                      \
    OPTION(WRITE_QUEUE, "write-queue", "MIGCHAT_WRITE_QUEUE", NUMBER, 1, 1000000, "", "4096",      \
           "COUNT", "requests waiting to write, above it 503")                                     \
    OPTION(HASH_QUEUE, "hash-queue", "MIGCHAT_HASH_QUEUE", NUMBER, 1, 1000000, "", "64", "COUNT",  \
           "requests waiting for a password hash, above it 503; fewer where those would take 3 s") \
    GROUP("Log, on stderr")                                                                        \
    OPTION(LOG_LEVEL, "log-level", "MIGCHAT_LOG", LEVEL, 0, 0, "", "info", "LEVEL",                \
           "trace, debug, info, warn, error or off; RUST_LOG counts too, below MIGCHAT_LOG")       \
    OPTION(LOG_FORMAT, "log-format", "MIGCHAT_LOG_FORMAT", CHOICE, 0, 0, "auto|text|json|journal", \
           "auto", "auto|text|json|journal",                                                       \
           "auto: text on a terminal, with priorities for the journal, else JSON lines")

/* What a reload takes over: the loop or the log alone goes by it, or a request looks at it once.
 * For the rest the server is started again. X(name) */
#define CONFIG_RELOADABLE_MAP(X)                                                                   \
    X(HEAD_TIMEOUT_MS)                                                                             \
    X(BODY_TIMEOUT_MS)                                                                             \
    X(IDLE_TIMEOUT_MS)                                                                             \
    X(WRITE_TIMEOUT_MS)                                                                            \
    X(DRAIN_TIMEOUT_MS)                                                                            \
    X(MAX_BODY_BYTES)                                                                              \
    X(MAX_BODIES_BYTES)                                                                            \
    X(MAX_CONNECTIONS)                                                                             \
    X(CORS_ORIGINS)                                                                                \
    X(SIGNUP)                                                                                      \
    X(RATE_LIMITS)                                                                                 \
    X(SIGNUP_RATE)                                                                                 \
    X(LOGIN_RATE)                                                                                  \
    X(CLAIM_RATE)                                                                                  \
    X(TYPING_RATE)                                                                                 \
    X(SEND_RATE)                                                                                   \
    X(READ_RATE)                                                                                   \
    X(TRUSTED_PROXIES)                                                                             \
    X(CLIENT_ADDRESS_FIELD)                                                                        \
    X(LOG_LEVEL)                                                                                   \
    X(LOG_FORMAT)

enum option {
#define CONFIG_NO_GROUP(title)
#define CONFIG_ENUMERATOR(name, flag, variable, kind, least, most, choices, initial, word, help)   \
    OPTION_##name,
    CONFIG_MAP(CONFIG_ENUMERATOR, CONFIG_NO_GROUP)
#undef CONFIG_ENUMERATOR
        OPTION_COUNT
};

enum config_source { SOURCE_DEFAULT, SOURCE_FILE, SOURCE_ENVIRONMENT, SOURCE_FLAG };

struct config_value {
    struct str text; /* as given, with a NUL behind it */
    uint64_t number; /* the value of a NUMBER, the place of a CHOICE, the enum log_level */
    enum config_source source;
    struct str origin; /* for people: "default", "flag --port", "environment PORT", "FILE line 3" */
};

/* What the command line can ask for: X(name, words, operands, help). A flag among the operands has
 * to be given as it stands there, anywhere behind the program's name; one in brackets is of
 * COMMAND_FLAG_MAP and may be given. */
#define COMMAND_MAP(COMMAND)                                                                       \
    COMMAND(SERVE, "serve", "", "serve until SIGTERM or SIGINT; so does no command at all")        \
    COMMAND(CHECK, "config check", "", "say whether the configuration is good")                    \
    COMMAND(DUMP, "config dump", "", "show every value and where it is from")                      \
    COMMAND(BACKUP, "backup", "FILE", "have the running server write a copy of its database")      \
    COMMAND(EXPORT, "export", "--format=rust FILE", "write a database the Rust server opens")      \
    COMMAND(VERIFY, "verify", "FILE", "read a backup to its end and say what it holds")            \
    COMMAND(RESTORE, "restore", "FILE", "put a backup in the place of the database of --db")       \
    COMMAND(USER_ADD, "user add", "NAME [--password-stdin] [--json]",                              \
            "make an account, with a password made up where none is given")                        \
    COMMAND(USER_LIST, "user list", "[--json]", "list all accounts")                               \
    COMMAND(USER_SHOW, "user show", "NAME [--json]", "show an account")                            \
    COMMAND(USER_RESET_PASSWORD, "user reset-password", "NAME [--password-stdin] [--json]",        \
            "set a password, made up where none is given; all its sessions end")                   \
    COMMAND(USER_DISABLE, "user disable", "NAME [--json]",                                         \
            "refuse an account's tokens and password; nothing of it is lost")                      \
    COMMAND(USER_ENABLE, "user enable", "NAME [--json]", "take that back")                         \
    COMMAND(USER_DELETE, "user delete", "NAME [--json]", "delete an account, as its owner could")  \
    COMMAND(SESSION_LIST, "session list", "NAME [--json]", "list an account's sessions")           \
    COMMAND(SESSION_END, "session end", "NAME ID|all [--json]", "end a session, or all of them")   \
    COMMAND(INVITE_CREATE, "invite create", "ACCOUNTS DAYS [--json]",                              \
            "print a code for that many to sign up with, for so long")                             \
    COMMAND(INVITE_LIST, "invite list", "[--json]", "list the invites")                            \
    COMMAND(INVITE_REVOKE, "invite revoke", "ID [--json]", "end an invite")                        \
    COMMAND(STATS, "stats", "[--json]", "show what the running server has and does")               \
    COMMAND(DOCTOR, "doctor", "[--json]", "look for what is wrong, with a server or without")      \
    COMMAND(HEALTHCHECK, "healthcheck", "", "ask the server that runs here whether it is ready")   \
    COMMAND(ROUTES, "routes", "", "list the HTTP routes")                                          \
    COMMAND(ERRORS, "errors", "", "list the error codes with their status")                        \
    COMMAND(DOCS_MAN, "docs man", "", "print the manual page (mdoc)")                              \
    COMMAND(DOCS_CONF, "docs conf", "", "print a file of every option, those set switched on")     \
    COMMAND(DOCS_BASH, "docs bash", "", "print what completes commands and options in bash")       \
    COMMAND(DOCS_ZSH, "docs zsh", "", "the same for zsh")                                          \
    COMMAND(DOCS_FISH, "docs fish", "", "the same for fish")                                       \
    COMMAND(HELP, "help", "", "print this; so does --help")                                        \
    COMMAND(VERSION, "version", "",                                                                \
            "print the versions of this and its libraries; so does --version")

/* Flags that say how a command is run; no option of the server: X(name, flag, help). */
#define COMMAND_FLAG_MAP(FLAG)                                                                     \
    FLAG(JSON, "json", "print the answer as JSON")                                                 \
    FLAG(PASSWORD_STDIN, "password-stdin", "take the password from the first line of stdin")

#define COMMAND_OPERANDS_MAX 3u

enum config_command {
#define COMMAND_ENUMERATOR(name, words, operands, help) COMMAND_##name,
    COMMAND_MAP(COMMAND_ENUMERATOR)
#undef COMMAND_ENUMERATOR
        COMMAND_COUNT
};

enum command_flag {
#define COMMAND_FLAG_ENUMERATOR(name, flag, help) FLAG_##name,
    COMMAND_FLAG_MAP(COMMAND_FLAG_ENUMERATOR)
#undef COMMAND_FLAG_ENUMERATOR
        FLAG_COUNT
};

struct config {
    enum config_command command;
    bool command_flags[FLAG_COUNT];
    struct str operands[COMMAND_OPERANDS_MAX]; /* as given, each with a NUL behind it */
    struct config_value values[OPTION_COUNT];
    struct arena arena;
};

enum config_outcome {
    CONFIG_READY,  /* go on with the command; `message` holds warnings, one a line */
    CONFIG_REFUSED /* exit with EXIT_USAGE; `message` tells everything that is wrong, one a line */
};

/* Exit codes of the process. */
enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* `argv` and `environment` end in NULL and outlive the config. Storage of `out_config` is the
 * caller's; it is to be released in every case. With --help or --version nothing else is looked
 * at. */
MUST_CHECK enum config_outcome config_read(int argc, const char *const *argv,
                                           const char *const *environment,
                                           struct config *out_config, struct buf *message);
void config_release(struct config *config);

/* Sets the reloadable options to the values `fresh` has; their texts stay `fresh`'s, which must
 * live as long. Appends the flags' names, by commas, of those that differed: taken over to `taken`,
 * left as they were because they are not reloadable to `left`. */
void config_take(struct config *config, const struct config *fresh, struct buf *taken,
                 struct buf *left);

uint64_t config_number(const struct config *config, enum option option);
/* Ends in NUL. */
struct str config_text(const struct config *config, enum option option);
/* Whether the database is ":memory:", no file. */
bool config_is_in_memory(const struct config *config);
/* Where the admin commands reach the server, into `out`, which ends in NUL then: false when there
 * is none. */
#define CONFIG_SOCKET_MAX_BYTES 108u
bool config_admin_socket(const struct config *config, char out[CONFIG_SOCKET_MAX_BYTES]);
/* Why there is none, for people. */
const char *config_admin_socket_lack(const struct config *config);
/* The address and port of an option of the form ADDRESS:PORT or [IPv6]:PORT, the address into
 * `out`, which ends in NUL then: false when it is "none". */
#define CONFIG_ADDRESS_MAX_BYTES 64u
bool config_endpoint(const struct config *config, enum option option,
                     char out[CONFIG_ADDRESS_MAX_BYTES], uint16_t *out_port);
/* The addresses and networks that were listed; how many. */
unsigned config_networks(const struct config *config, enum option option,
                         struct ip_network out[CONFIG_NETWORKS_MAX]);
/* An option of the form COUNT/SECONDS: its number is COUNT shifted, and SECONDS; 0 for "off". */
#define CONFIG_RATE_SHIFT 32
/* The web origins that were listed: up to CONFIG_ORIGINS_MAX into `out`, as views of the config's
 * text; returns how many. 0 and *out_allows_all for "*"; 0 for "none". */
size_t config_origins(const struct config *config, struct str out[CONFIG_ORIGINS_MAX],
                      bool *out_allows_all);

/* The text of --help. */
void config_write_help(struct buf *out);
/* A line per option that the file format takes: `MIGCHAT_PORT=3000  # default`. */
void config_write_dump(const struct config *config, struct buf *out);
/* The manual page, in mdoc. */
void config_write_man(struct buf *out);
/* A file of every option with its help and default, commented out; only those that `config` sets
 * count. */
void config_write_conf(const struct config *config, struct buf *out);
/* What completes commands and options in a shell. */
void config_write_bash(struct buf *out);
void config_write_zsh(struct buf *out);
void config_write_fish(struct buf *out);

#endif
