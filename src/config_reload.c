/* config_reload.c - a configuration that is read again while another is in use. */
#include "config_option.h"

/* Of a line, before it is broken. */
#define RELOADABLE_COLUMNS 60u

#define RELOADABLE(name) [OPTION_##name] = true,
static const bool is_reloadable[OPTION_COUNT] = {CONFIG_RELOADABLE_MAP(RELOADABLE)};
#undef RELOADABLE

static void name_append(struct buf *names, const char *name);

void config_take(struct config *config, const struct config *fresh, struct buf *taken,
                 struct buf *left)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (!str_equal(config->values[i].text, fresh->values[i].text)) {
            name_append(is_reloadable[i] ? taken : left, option_rows[i].flag);
        }
        if (is_reloadable[i]) {
            config->values[i] = fresh->values[i];
        }
    }
}

static void name_append(struct buf *names, const char *name)
{
    buf_append_format(names, "%s%s", names->len > 0 ? ", " : "", name);
}

void reloadable_write(struct buf *out)
{
    size_t line_at = out->len;

    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (!is_reloadable[i]) {
            continue;
        }
        if (out->len - line_at > RELOADABLE_COLUMNS) {
            buf_append_char(out, '\n');
            line_at = out->len;
        } else if (out->len > line_at) {
            buf_append_char(out, ' ');
        }
        buf_append_format(out, "%s", option_rows[i].flag);
    }
    buf_append_char(out, '\n');
}
