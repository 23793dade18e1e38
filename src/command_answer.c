/* command_answer.c - one question, and its answer made fit for a terminal.
 *
 * Control characters are those of Unicode (Cc), C1 among them, which some terminals obey also when
 * they come as UTF-8; format characters (Cf) can turn around the order of what stands beside them.
 */
#include "command_answer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "admin_client.h"
#include "base/utf8.h"

#define TARGET_MAX_BYTES 64u

static void error_tell(int status, struct str body, struct arena *arena);
static bool body_is_json(struct str body, struct arena *arena);
static bool list_page_ask(const struct config *config, const struct command_pages *pages,
                          int64_t after_id, struct buf *out_body);
static bool list_page_show(bool is_json, const struct command_pages *pages, struct str body,
                           int64_t *after_id, bool *is_first, struct buf *out);

bool command_ask(const struct config *config, const char *method, const char *target,
                 struct str body, struct buf *out_body)
{
    struct arena arena;
    int status = 0;

    if (!admin_ask(config, method, target, body, &status, out_body)) {
        return false;
    }
    arena_init(&arena);
    bool is_good = status == 200 && body_is_json(buf_str(out_body), &arena);
    if (!is_good) {
        error_tell(status, buf_str(out_body), &arena);
    }
    arena_release(&arena);
    return is_good;
}

/* Whatever its form. An answer that was cut off is none. */
static bool body_is_json(struct str body, struct arena *arena)
{
    return json_read(body, NULL, 0, arena) != ERROR_JSON_MALFORMED;
}

static void error_tell(int status, struct str body, struct arena *arena)
{
    struct json_member member = {.name = "error", .form = JSON_TEXT};
    struct buf line;

    buf_init(&line, COMMAND_TEXT_MAX_BYTES);
    if (json_read(body, &member, 1, arena) == OK) {
        text_show(&line, member.text);
    } else if (status == 200) {
        buf_append_str(&line, STR("the server's answer is cut off, or it is no MigChat server"));
    } else {
        buf_append_format(&line, "the server answered %d", status);
    }
    fprintf(stderr, "migchat-server: %.*s\n", STR_ARGS(buf_str(&line)));
    buf_release(&line);
}

bool command_print(struct buf *text)
{
    bool is_written =
        (text->len == 0 || fwrite(text->ptr, text->len, 1, stdout) == 1) && fflush(stdout) == 0;

    /* Whoever reads it may have read enough. */
    if (!is_written && errno != EPIPE) {
        (void)fprintf(stderr, "migchat-server: stdout: %s\n", strerror(errno));
    }
    bool is_good = is_written && !text->overflowed;

    buf_clear(text);
    return is_good;
}

/* ---- showing ---------------------------------------------------------------------------------*/

void text_show(struct buf *out, struct str text)
{
    while (text.len > 0) {
        struct str rest = text;
        uint32_t code_point;

        if (!utf8_next(&rest, &code_point)) {
            buf_append_format(out, "\\x%02x", (unsigned)(unsigned char)text.ptr[0]);
            rest = (struct str){text.ptr + 1, text.len - 1};
        } else if (unicode_is_control_or_format(code_point)) {
            buf_append_format(out, "\\u{%x}", (unsigned)code_point);
        } else {
            buf_append(out, text.ptr, text.len - rest.len);
        }
        text = rest;
    }
}

/* In well-formed JSON such characters stand in strings only, but for line ends and tabs between
 * tokens. Those above U+FFFF take two escapes (RFC 8259 section 7). */
void json_show(struct buf *out, struct str json)
{
    while (json.len > 0) {
        struct str rest = json;
        uint32_t code_point;

        if (!utf8_next(&rest, &code_point)) {
            return;
        }
        if (code_point < ' ' || !unicode_is_control_or_format(code_point)) {
            buf_append(out, json.ptr, json.len - rest.len);
        } else if (code_point > 0xffff) {
            buf_append_format(out, "\\u%04x\\u%04x", 0xd800 + ((code_point - 0x10000) >> 10),
                              0xdc00 + ((code_point - 0x10000) & 0x3ff));
        } else {
            buf_append_format(out, "\\u%04x", (unsigned)code_point);
        }
        json = rest;
    }
    buf_append_char(out, '\n');
}

bool command_answer_read(struct str body, struct json_member *members, size_t count,
                         struct arena *arena)
{
    if (json_read(body, members, count, arena) == OK) {
        return true;
    }
    fprintf(stderr, "migchat-server: the server's answer is not what this command knows\n");
    return false;
}

bool command_show(const struct config *config, struct str body, struct json_member *members,
                  const char *const *labels, size_t count, struct buf *out)
{
    struct arena arena;

    arena_init(&arena);
    bool is_good = command_answer_read(body, members, count, &arena);
    if (is_good && config->command_flags[FLAG_JSON]) {
        json_show(out, body);
    }
    for (size_t i = 0; is_good && !config->command_flags[FLAG_JSON] && i < count; i++) {
        if (members[i].is_present) {
            buf_append_format(out, "%-20s", labels[i]);
            if (members[i].form == JSON_TEXT) {
                text_show(out, members[i].text);
            } else {
                buf_append_int(out, members[i].integer);
            }
            buf_append_char(out, '\n');
        }
    }
    arena_release(&arena);
    return is_good;
}

bool command_list(const struct config *config, const struct command_pages *pages, struct buf *out)
{
    bool is_json = config->command_flags[FLAG_JSON];
    bool is_first = true;
    bool is_good = true;
    int64_t after_id = 0;
    int64_t before_id = -1;
    struct buf body, page;

    buf_init(&body, ADMIN_ANSWER_MAX_BYTES);
    buf_init(&page, ADMIN_ANSWER_MAX_BYTES);
    if (!is_json) {
        buf_append_format(&page, "%s\n", pages->heading);
    }
    while (is_good && after_id != before_id) {
        before_id = after_id;
        buf_clear(&body);
        is_good = list_page_ask(config, pages, after_id, &body) &&
                  list_page_show(is_json, pages, buf_str(&body), &after_id, &is_first, &page) &&
                  command_print(&page);
    }
    if (is_good && is_json) {
        buf_append_str(out, is_first ? STR("[]\n") : STR("]\n"));
    }
    buf_release(&body);
    buf_release(&page);
    return is_good;
}

static bool list_page_ask(const struct config *config, const struct command_pages *pages,
                          int64_t after_id, struct buf *out_body)
{
    char target[TARGET_MAX_BYTES];

    (void)snprintf(target, sizeof target, "%s%lld", pages->target, (long long)after_id);
    return command_ask(config, "GET", target, (struct str){NULL, 0}, out_body);
}

/* An empty page leaves *after_id as it is. */
static bool list_page_show(bool is_json, const struct command_pages *pages, struct str body,
                           int64_t *after_id, bool *is_first, struct buf *out)
{
    struct str element;

    while (json_element_next(&body, &element)) {
        if (is_json) {
            buf_append_char(out, *is_first ? '[' : ',');
        }
        *is_first = false;
        if (!pages->show_row(element, after_id, out, is_json)) {
            fprintf(stderr, "migchat-server: the server's list is not one of %s\n", pages->rows);
            return false;
        }
    }
    return true;
}

bool json_element_next(struct str *rest, struct str *out_element)
{
    struct str left = *rest;
    bool in_text = false;
    unsigned depth = 0;
    size_t len = 0;

    /* '[' before the first, ',' before the others. */
    if (left.len < 2 || left.ptr[1] == ']' || left.ptr[0] == ']') {
        return false;
    }
    left = (struct str){left.ptr + 1, left.len - 1};
    for (; len < left.len; len++) {
        char c = left.ptr[len];

        if (in_text) {
            len += c == '\\';
            in_text = c != '"';
        } else if (c == '"') {
            in_text = true;
        } else if (c == '{' || c == '[') {
            depth++;
        } else if (depth == 0 && (c == ',' || c == ']')) {
            break;
        } else if (c == '}' || c == ']') {
            depth--;
        }
    }
    *out_element = (struct str){left.ptr, len};
    *rest = (struct str){left.ptr + len, left.len - len};
    return true;
}

/* ---- asking ----------------------------------------------------------------------------------*/

void target_append(struct buf *out, const char *before, struct str text, const char *after)
{
    buf_append_str(out, str_from(before));
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];

        if ((c >= '0' && c <= '9') || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z')) {
            buf_append_char(out, c);
        } else {
            buf_append_format(out, "%%%02X", (unsigned)(unsigned char)c);
        }
    }
    buf_append_str(out, str_from(after));
    buf_append_char(out, '\0');
}

bool name_is_asked(struct str name)
{
    if (name.len > 0 && utf8_is_valid(name)) {
        return true;
    }
    fprintf(stderr, "migchat-server: a name is at least one character, in UTF-8\n");
    return false;
}
