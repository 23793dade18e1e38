/* command_verify.c - the check a backup has passed already, for a file that has travelled since. */
#include "command_verify.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"

static void tell_count(struct buf *out, int64_t count, const char *one, const char *many);

int command_verify(const struct config *config, struct str file, struct buf *out)
{
    char reason[REASON_MAX_BYTES];
    struct store_summary summary;

    command_log_setup(config);
    if (store_verify(file.ptr, &summary, reason) != OK) {
        fprintf(stderr, "migchat-server: %s: %s\n", file.ptr, reason);
        return EXIT_FAILED;
    }
    buf_append_format(out, "%s is whole: ", file.ptr);
    command_tell_summary(&summary, out);
    buf_append_char(out, '\n');
    return EXIT_OK;
}

void command_log_setup(const struct config *config)
{
    bool is_asked_for = config->values[OPTION_LOG_LEVEL].source != SOURCE_DEFAULT;

    log_setup(is_asked_for ? (enum log_level)config_number(config, OPTION_LOG_LEVEL) : LOG_OFF,
              (enum log_form)config_number(config, OPTION_LOG_FORMAT));
}

void command_tell_summary(const struct store_summary *summary, struct buf *out)
{
    char made_at[TIME_RFC3339_LEN + 1];

    tell_count(out, summary->accounts, "account", "accounts");
    buf_append_str(out, STR(", "));
    tell_count(out, summary->messages, "message", "messages");
    buf_append_format(out, ", schema %lld", (long long)summary->schema);
    if (summary->made_at_ms > 0) {
        time_to_rfc3339(summary->made_at_ms, made_at);
        buf_append_format(out, ", a backup of %s", made_at);
    }
}

static void tell_count(struct buf *out, int64_t count, const char *one, const char *many)
{
    buf_append_format(out, "%lld %s", (long long)count, count == 1 ? one : many);
}
