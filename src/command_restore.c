/* command_restore.c - tells what is where afterwards, and what clients will notice. */
#include "command_restore.h"

#include <stdio.h>

#include "command_verify.h"
#include "store/copies.h"

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
