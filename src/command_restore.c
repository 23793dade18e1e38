/* command_restore.c - tells what is where afterwards, and what clients will notice. */
#include "command_restore.h"

#include <stdio.h>

#include "command_verify.h"
#include "store/copies.h"

static void in_place_tell(const struct restore_report *report, const char *file,
                          const char *database, const char *reason);

int command_restore(const struct config *config, struct str file, struct buf *out)
{
    const char *database = config_text(config, OPTION_DB).ptr;
    char reason[REASON_MAX_BYTES];
    struct restore_report report;

    command_log_setup(config);
    if (config_is_in_memory(config)) {
        fprintf(stderr, "migchat-server: a database in memory is nowhere to restore to\n");
        return EXIT_FAILED;
    }
    if (store_restore(file.ptr, database, &report, reason) != OK) {
        if (report.is_in_place) {
            in_place_tell(&report, file.ptr, database, reason);
            return EXIT_FAILED;
        }
        fprintf(stderr, "migchat-server: %s is not restored, nothing changed: %s\n", file.ptr,
                reason);
        return EXIT_FAILED;
    }
    buf_append_format(out, "%s now holds ", database);
    command_tell_summary(&report.summary, out);
    buf_append_char(out, '\n');
    if (report.replaced_path[0] != '\0') {
        buf_append_format(out, "the database that was there is %s\n", report.replaced_path);
    }
    if (report.replaced_path[0] != '\0' && !report.replaced_is_known) {
        buf_append_str(out, STR("it could not be read: ids it gave since the backup may be given "
                                "again\n"));
    }
    buf_append_format(
        out,
        "one-time keys: %lld of the backup are void, %lld more were handed out since; "
        "clients upload new ones and list again\n",
        (long long)report.voided_prekeys, (long long)report.remembered_prekeys);
    return EXIT_OK;
}

/* It failed at the very end. */
static void in_place_tell(const struct restore_report *report, const char *file,
                          const char *database, const char *reason)
{
    bool has_replaced = report->replaced_path[0] != '\0';

    fprintf(stderr, "migchat-server: %s is restored to %s%s%s, but a power cut may undo that: %s\n",
            file, database, has_replaced ? ", what was there is " : "", report->replaced_path,
            reason);
}
