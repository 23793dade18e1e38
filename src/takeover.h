/* takeover.h - the database's folder and files change hands, from root to the server's own user.
 *
 * Volumes that another server left, and those a container engine makes, are root's. What is taken
 * over is little: the folder, where it is plainly the database's, and the database's own files.
 *
 * Uses:    base.
 * Used by: privileges.
 * Thread:  main, before there are others, and before anything listens or the database is opened.
 */
#ifndef MIGCHAT_TAKEOVER_H
#define MIGCHAT_TAKEOVER_H

#include <sys/types.h>

#include "base/attributes.h"
#include "base/error.h"

struct takeover {
    const char *database; /* path of the database's file, which need not exist */
    uid_t from;           /* who may lose files: root */
    uid_t uid;            /* who gets them */
    gid_t gid;
};

/* Makes the folder if it is missing (not those above it) and hands over what is still `from`'s.
 * INTERNAL, logged with advice, when that is not possible or would take what is not ours. What is
 * done already stays done; a second run goes on. */
MUST_CHECK enum error takeover_run(const struct takeover *takeover);

#endif
