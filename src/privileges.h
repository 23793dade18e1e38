/* privileges.h - a start as root goes on as the server's own user.
 *
 * Uses:    config, takeover, base.
 * Used by: main.
 * Thread:  main, before there are others, and before anything listens or the database is opened.
 */
#ifndef MIGCHAT_PRIVILEGES_H
#define MIGCHAT_PRIVILEGES_H

#include "base/attributes.h"
#include "base/error.h"
#include "config.h"

/* Started as root: takes over the database's folder (takeover.h), becomes the user of --user for
 * good, and can gain nothing any more. Stays root, with a log line, when --user says root or when
 * nobody said anything and there is no user of the default name. Started as anybody else: nothing.
 * INTERNAL, logged, when it cannot be as it was asked for. */
MUST_CHECK enum error privileges_settle(const struct config *config);

#endif
