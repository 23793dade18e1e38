/* admin_client.h - one question to a running server over its admin socket, and its answer.
 *
 * Uses:    base, config.
 * Used by: the commands.
 * Thread:  main; it waits for the answer.
 */
#ifndef MIGCHAT_ADMIN_CLIENT_H
#define MIGCHAT_ADMIN_CLIENT_H

#include "base/attributes.h"
#include "base/buf.h"
#include "config.h"

#define ADMIN_ANSWER_MAX_BYTES ((size_t)64 * 1024 * 1024)
/* A name of the longest, all of it percent-encoded, has less than 1 KiB; of the server a line of
 * 8 KiB is too long. */
#define ADMIN_TARGET_MAX_BYTES ((size_t)7 * 1024)

/* Sends `METHOD target` with a JSON body (len 0: none) to the server of this configuration; status
 * and body of the answer go to the outs. False, after a line on stderr that says why, when no
 * server answers. */
MUST_CHECK bool admin_ask(const struct config *config, const char *method, const char *target,
                          struct str body, int *out_status, struct buf *out_body);

#endif
