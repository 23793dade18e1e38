/* config_file.c - the file of KEY=VALUE lines.
 *
 * A key is an option's variable or flag name. Blank lines and lines that begin with '#' say
 * nothing; neither does what follows a blank and '#' behind a value. A value may stand in double
 * quotes, within which '#' and blanks at the ends belong to it. The same files serve systemd's
 * EnvironmentFile= and docker's --env-file as long as they keep to the variables' names.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config_option.h"

#define FILE_MAX_BYTES ((size_t)64 * 1024)

struct file_reading {
    struct config *config;
    const char *path;
    unsigned line_number;
    unsigned line_of[OPTION_COUNT]; /* where each option was set; 0 for nowhere */
    struct buf *message;
};

static bool file_load(const char *path, struct buf *content, struct buf *message);
static bool line_read(struct file_reading *reading, struct str line);
static bool value_unwrap(struct str raw, struct str *out_value);
static bool key_find(struct file_reading *reading, struct str key, enum option *out_option);
static void complain(struct file_reading *reading, struct str key, const char *sentence);

bool config_file_read(struct config *config, const char *path, struct buf *message)
{
    struct file_reading reading = {.config = config, .path = path, .message = message};
    struct buf content;

    buf_init(&content, FILE_MAX_BYTES);
    bool is_good = file_load(path, &content, message);
    struct str rest = is_good ? buf_str(&content) : (struct str){NULL, 0};
    while (rest.ptr != NULL) {
        struct str line = str_cut(&rest, '\n');
        reading.line_number++;
        if (line.len > 0 && line.ptr[line.len - 1] == '\r') {
            line.len--;
        }
        if (!line_read(&reading, str_trim(line))) {
            is_good = false;
        }
    }
    buf_release(&content);
    return is_good;
}

static bool file_load(const char *path, struct buf *content, struct buf *message)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t took = -1;

    if (file >= 0) {
        do {
            /* One byte of room is always left to notice that the file goes on. */
            char *room = buf_reserve(content, 1);
            if (room == NULL) {
                errno = EFBIG;
                took = -1;
                break;
            }
            took = read(file, room, content->capacity - content->len);
            if (took > 0) {
                buf_grow(content, (size_t)took);
            }
        } while (took > 0 || (took < 0 && errno == EINTR));
    }
    int failure = errno;
    if (file >= 0) {
        close(file);
    }
    if (file < 0 || took < 0) {
        buf_append_format(message, "config: %s cannot be read: %s\n", path, strerror(failure));
        return false;
    }
    return true;
}

static bool line_read(struct file_reading *reading, struct str line)
{
    struct str rest = line, value;
    enum option option;

    if (line.len == 0 || line.ptr[0] == '#') {
        return true;
    }
    struct str key = str_trim(str_cut(&rest, '='));
    if (rest.ptr == NULL) {
        complain(reading, key, "has no '='; lines are KEY=VALUE");
        return false;
    }
    if (!key_find(reading, key, &option)) {
        return false;
    }
    if (!value_unwrap(str_trim(rest), &value)) {
        complain(reading, key, "has a quote without its other half, or something behind it");
        return false;
    }
    if (reading->line_of[option] != 0) {
        buf_append_format(reading->message, "%s line %u: %s was set in line %u already\n",
                          reading->path, reading->line_number, option_rows[option].flag,
                          reading->line_of[option]);
        return false;
    }
    reading->line_of[option] = reading->line_number;

    struct buf origin;
    buf_init(&origin, FILE_MAX_BYTES);
    buf_append_format(&origin, "%s line %u", reading->path, reading->line_number);
    struct str kept_origin = arena_copy(&reading->config->arena, buf_str(&origin));
    buf_release(&origin);
    return option_set(reading->config, option, value, SOURCE_FILE, kept_origin, reading->message);
}

static bool key_find(struct file_reading *reading, struct str key, enum option *out_option)
{
    enum option option;
    const char *nearest;

    if (option_find(key, NAME_VARIABLE, &option) || option_find(key, NAME_FLAG, &option)) {
        if (option == OPTION_CONFIG) {
            complain(reading, key, "cannot be set in a file");
            return false;
        }
        *out_option = option;
        return true;
    }
    nearest = option_nearest(key, NAME_VARIABLE);
    if (nearest == NULL) {
        nearest = option_nearest(key, NAME_FLAG);
    }
    buf_append_format(reading->message, "%s line %u: ", reading->path, reading->line_number);
    message_quote(reading->message, key);
    buf_append_format(reading->message, " is not an option%s%s%s\n",
                      nearest == NULL ? "" : "; did you mean ", nearest == NULL ? "" : nearest,
                      nearest == NULL ? "" : "?");
    return false;
}

static bool value_unwrap(struct str raw, struct str *out_value)
{
    if (raw.len > 0 && raw.ptr[0] == '"') {
        struct str rest = {raw.ptr + 1, raw.len - 1};
        struct str inside = str_cut(&rest, '"');
        rest = str_trim(rest);
        if (rest.ptr == NULL || (rest.len > 0 && rest.ptr[0] != '#')) {
            return false;
        }
        *out_value = inside;
        return true;
    }
    for (size_t i = 0; i < raw.len; i++) {
        if (raw.ptr[i] == '#' && (i == 0 || raw.ptr[i - 1] == ' ' || raw.ptr[i - 1] == '\t')) {
            raw.len = i;
        }
    }
    *out_value = str_trim(raw);
    return true;
}

static void complain(struct file_reading *reading, struct str key, const char *sentence)
{
    buf_append_format(reading->message, "%s line %u: ", reading->path, reading->line_number);
    message_quote(reading->message, key);
    buf_append_format(reading->message, " %s\n", sentence);
}
