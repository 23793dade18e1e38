/* config_option.c - the option rows, the nearest name to a mistyped one, the check of a value. */
#include "config_option.h"

#include <string.h>

#include "base/log.h"
#include "base/require.h"

/* Longer words are not compared: no option is as long. */
#define WORD_MAX_BYTES 63u
#define DISTANCE_MAX 3u
#define RATE_MAX 1000000u

#define NO_GROUP(title)
#define ROW(name, flag, variable, kind, least, most, choices, initial, word, help)                 \
    [OPTION_##name] = {(flag),    (variable), KIND_##kind, (least), (most),                        \
                       (choices), (initial),  (word),      (help)},
const struct option_row option_rows[OPTION_COUNT] = {CONFIG_MAP(ROW, NO_GROUP)};
#undef ROW

static const char *row_name(const struct option_row *row, enum option_name kind);
static size_t word_distance(struct str a, struct str b);
static bool value_check(const struct option_row *row, struct str text, uint64_t *out_number,
                        struct buf *why);
static bool choice_find(const char *choices, struct str text, uint64_t *out_number);
static bool rate_read(struct str text, uint64_t *out_number);
static bool are_origins(struct str text);
static bool is_origin(struct str origin);

bool option_find(struct str name, enum option_name kind, enum option *out_option)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (str_equal(name, str_from(row_name(&option_rows[i], kind)))) {
            *out_option = (enum option)i;
            return true;
        }
    }
    return false;
}

const char *option_nearest(struct str name, enum option_name kind)
{
    const char *names[OPTION_COUNT];

    for (size_t i = 0; i < OPTION_COUNT; i++) {
        names[i] = row_name(&option_rows[i], kind);
    }
    return word_nearest(name, names, OPTION_COUNT);
}

static const char *row_name(const struct option_row *row, enum option_name kind)
{
    return kind == NAME_FLAG ? row->flag : row->variable;
}

const char *word_nearest(struct str word, const char *const *words, size_t count)
{
    const char *nearest = NULL;
    size_t least = DISTANCE_MAX + 1;

    for (size_t i = 0; i < count; i++) {
        struct str candidate = str_from(words[i]);
        size_t distance = word_distance(word, candidate);
        /* Half of a short word changed is another word. */
        if (distance < least && distance * 2 <= candidate.len) {
            least = distance;
            nearest = words[i];
        }
    }
    return nearest;
}

/* How many letters to add, drop, change or swap with their neighbour (optimal string alignment).
 * Three rows of the usual table are kept: a swap looks two rows back. */
static size_t word_distance(struct str a, struct str b)
{
    size_t rows[3][WORD_MAX_BYTES + 1];
    size_t *before_last = rows[0], *last = rows[1], *row = rows[2];

    if (a.len > WORD_MAX_BYTES || b.len > WORD_MAX_BYTES) {
        return SIZE_MAX;
    }
    for (size_t j = 0; j <= b.len; j++) {
        last[j] = j;
        before_last[j] = j;
    }
    for (size_t i = 1; i <= a.len; i++) {
        row[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            size_t best = last[j - 1] + (a.ptr[i - 1] != b.ptr[j - 1]);
            if (last[j] + 1 < best) {
                best = last[j] + 1;
            }
            if (row[j - 1] + 1 < best) {
                best = row[j - 1] + 1;
            }
            if (i > 1 && j > 1 && a.ptr[i - 1] == b.ptr[j - 2] && a.ptr[i - 2] == b.ptr[j - 1] &&
                before_last[j - 2] + 1 < best) {
                best = before_last[j - 2] + 1;
            }
            row[j] = best;
        }
        size_t *oldest = before_last;
        before_last = last;
        last = row;
        row = oldest;
    }
    return last[b.len];
}

bool option_set(struct config *config, enum option option, struct str text,
                enum config_source source, struct str origin, struct buf *message)
{
    const struct option_row *row = &option_rows[option];
    struct config_value *value = &config->values[option];
    uint64_t number = 0;
    struct buf why;

    buf_init(&why, 512);
    bool is_good = value_check(row, text, &number, &why);
    if (is_good) {
        *value = (struct config_value){arena_copy(&config->arena, text), number, source, origin};
    } else {
        buf_append_format(message, "%s: ", row->flag);
        message_quote(message, text);
        buf_append_format(message, " is not %.*s (%.*s)\n", STR_ARGS(buf_str(&why)),
                          STR_ARGS(origin));
    }
    buf_release(&why);
    return is_good;
}

/* `why` completes the sentence "… is not …". */
static bool value_check(const struct option_row *row, struct str text, uint64_t *out_number,
                        struct buf *why)
{
    enum log_level level;
    struct str address;
    uint16_t port;
    struct ip_network networks[CONFIG_NETWORKS_MAX];
    unsigned network_count;

    switch (row->kind) {
    case KIND_NUMBER:
        buf_append_format(why, "a whole number from %llu to %llu", (unsigned long long)row->least,
                          (unsigned long long)row->most);
        return str_to_uint(text, row->most, out_number) && *out_number >= row->least;
    case KIND_CHOICE:
        buf_append_format(why, "one of %s", row->word);
        return choice_find(row->choices, text, out_number);
    case KIND_LEVEL:
        buf_append_format(why, "trace, debug, info, warn, error or off");
        if (!log_level_from(text, &level)) {
            return false;
        }
        *out_number = (uint64_t)level;
        return true;
    case KIND_ADDRESS:
        buf_append_format(why, "an IPv4 or IPv6 address, like 127.0.0.1 or ::");
        return is_address(text);
    case KIND_ENDPOINT:
        buf_append_format(why, "none, or an address and a port, like 127.0.0.1:9464 or [::1]:9464");
        return str_equal(text, STR("none")) || endpoint_read(text, &address, &port);
    case KIND_ORIGINS:
        buf_append_format(why,
                          "*, none, or a list by commas of at most %u web origins, each like "
                          "https://chat.example.org without a path",
                          CONFIG_ORIGINS_MAX);
        return text.len <= row->most && are_origins(text);
    case KIND_NETWORKS:
        buf_append_format(why,
                          "none, or a list by commas of at most %u addresses and networks, like "
                          "127.0.0.1,::1,10.0.0.0/8",
                          CONFIG_NETWORKS_MAX);
        return text.len <= row->most &&
               (str_equal(text, STR("none")) || networks_read(text, networks, &network_count));
    case KIND_RATE:
        buf_append_format(why, "off, or COUNT/SECONDS, each from 1 to %u, like 30/300", RATE_MAX);
        return rate_read(text, out_number);
    case KIND_TEXT:
        buf_append_format(why, "a text of %llu to %llu bytes without NUL",
                          (unsigned long long)row->least, (unsigned long long)row->most);
        return text.len >= row->least && text.len <= row->most &&
               (text.len == 0 || memchr(text.ptr, '\0', text.len) == NULL);
    }
    REQUIRE(false && "a kind without a check");
    return false;
}

static bool choice_find(const char *choices, struct str text, uint64_t *out_number)
{
    struct str rest = str_from(choices);

    for (uint64_t number = 0; rest.ptr != NULL; number++) {
        if (str_equal(str_cut(&rest, '|'), text)) {
            *out_number = number;
            return true;
        }
    }
    return false;
}

static bool rate_read(struct str text, uint64_t *out_number)
{
    struct str seconds_text = text;
    struct str count_text = str_cut(&seconds_text, '/');
    uint64_t count;
    uint64_t seconds;

    if (str_equal(text, STR("off"))) {
        *out_number = 0;
        return true;
    }
    if (!str_to_uint(count_text, RATE_MAX, &count) || count == 0 ||
        !str_to_uint(seconds_text, RATE_MAX, &seconds) || seconds == 0) {
        return false;
    }
    *out_number = count << CONFIG_RATE_SHIFT | seconds;
    return true;
}

static bool are_origins(struct str text)
{
    unsigned count = 0;

    if (str_equal(text, STR("*")) || str_equal(text, STR("none"))) {
        return true;
    }
    while (text.ptr != NULL) {
        if (!is_origin(str_trim(str_cut(&text, ','))) || ++count > CONFIG_ORIGINS_MAX) {
            return false;
        }
    }
    return true;
}

/* scheme "://" host [":" port], as browsers write it (RFC 6454 section 6.2): visible ASCII in
 * lower case, no path. */
static bool is_origin(struct str origin)
{
    struct str host = origin;
    struct str scheme = str_cut(&host, ':');

    if (scheme.len == 0 || !str_starts_with(host, STR("//")) || host.len < 3) {
        return false;
    }
    host = (struct str){host.ptr + 2, host.len - 2};
    for (size_t i = 0; i < origin.len; i++) {
        char c = origin.ptr[i];
        if (c <= ' ' || c > '~' || (c >= 'A' && c <= 'Z')) {
            return false;
        }
    }
    return memchr(host.ptr, '/', host.len) == NULL && memchr(host.ptr, '*', host.len) == NULL &&
           memchr(host.ptr, '@', host.len) == NULL && memchr(host.ptr, '?', host.len) == NULL &&
           memchr(host.ptr, '#', host.len) == NULL;
}

void message_quote(struct buf *message, struct str text)
{
    buf_append_char(message, '"');
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        buf_append_char(message, c < ' ' || c == 0x7f ? '?' : (char)c);
    }
    buf_append_char(message, '"');
}
