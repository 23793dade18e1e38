/* cursor.h - a place in an account's log, as clients carry it: "epoch:seq".
 *
 * Uses:    base, store/store.h.
 * Used by: api.
 * Thread:  any.
 */
#ifndef MIGCHAT_API_CURSOR_H
#define MIGCHAT_API_CURSOR_H

#include <stdint.h>

#include "base/error.h"
#include "base/put.h"
#include "base/str.h"
#include "store/store.h"

#define CURSOR_MAX_BYTES (EPOCH_LEN + 1u + PUT_INT_MAX_BYTES)

/* At most CURSOR_MAX_BYTES. */
char *cursor_put(char *at, struct str epoch, int64_t seq);
/* CURSOR_NOT_ALLOWED when it has not the form; CURSOR_GONE when it is of another epoch or above
 * `head_seq`: of a database from before a restore. */
MUST_CHECK enum error cursor_read(struct str cursor, struct str epoch, int64_t head_seq,
                                  int64_t *out_seq);

#endif
