/* command_export.c - reads the database file itself: the server need not run, and need not know. */
#include "command_export.h"

#include <stdio.h>

#include "base/log.h"
#include "store/copies.h"

int command_export(const struct config *config, struct str file, struct buf *out)
{
    char reason[REASON_MAX_BYTES];

    log_setup((enum log_level)config_number(config, OPTION_LOG_LEVEL),
              (enum log_form)config_number(config, OPTION_LOG_FORMAT));
    if (config_is_in_memory(config)) {
        fprintf(stderr, "migchat-server: a database in memory cannot be exported\n");
        return EXIT_FAILED;
    }
    if (store_export_rust(config_text(config, OPTION_DB).ptr, file.ptr, out, reason) != OK) {
        fprintf(stderr, "migchat-server: %s\n", reason);
        return EXIT_FAILED;
    }
    return EXIT_OK;
}
