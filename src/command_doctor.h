/* command_doctor.h - `doctor`: what could be wrong with a server, its files and its machine.
 *
 * Uses:    command_answer, store/examination.h, config.
 * Used by: command; command_doctor_files.c for what is told.
 * Thread:  main; it reads the whole database.
 */
#ifndef MIGCHAT_COMMAND_DOCTOR_H
#define MIGCHAT_COMMAND_DOCTOR_H

#include "base/attributes.h"
#include "base/buf.h"
#include "config.h"

enum finding { FINDING_OK, FINDING_WARN, FINDING_FAIL };

struct doctor {
    const struct config *config;
    struct buf *out;
    bool has_findings;
    bool has_failed;
};

/* Runs every check; each is a line of `out`: what was found and, where that is not good, what to
 * do. Returns an exit code: EXIT_FAILED when one of them failed; a warning does not count. */
int command_doctor(const struct config *config, struct buf *out);

/* Tells one finding. `name` is a short word, the same each time; `advice` NULL where it is good. */
void doctor_tell(struct doctor *doctor, enum finding finding, const char *name, const char *advice,
                 const char *format, ...) PRINTF_LIKE(5, 6);
/* Folder, database and what lies beside it: whose they are and who may open them; copies that an
 * adoption left; the space on their disk. */
void doctor_files_check(struct doctor *doctor);

#endif
