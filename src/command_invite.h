/* command_invite.h - `invite create`, `invite list`, `invite revoke`: codes to sign up with.
 *
 * Uses:    admin_client, command_answer, config.
 * Used by: command.c.
 * Thread:  main; it waits for the server.
 */
#ifndef MIGCHAT_COMMAND_INVITE_H
#define MIGCHAT_COMMAND_INVITE_H

#include "base/attributes.h"
#include "base/buf.h"
#include "config.h"

/* The exit code. What is to be printed at the end is appended to `out`. */
MUST_CHECK int command_invite(const struct config *config, struct buf *out);

#endif
