/* command.h - the commands of migchat-server that do not serve.
 *
 * Uses:    config and whatever a command is about.
 * Used by: main.
 * Thread:  main.
 */
#ifndef MIGCHAT_COMMAND_H
#define MIGCHAT_COMMAND_H

#include "base/buf.h"
#include "config.h"

/* Runs the command of `config`, which is not COMMAND_SERVE; what it has to say goes to stdout, why
 * it failed to stderr. Returns the exit code of the process. */
int command_run(const struct config *config);
/* Each line of `messages` to stderr. */
void command_warn(const struct buf *messages);

#endif
