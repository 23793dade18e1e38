/* batch_source.h - where a batch that is being run can get more from.
 *
 * A transaction that is about to be committed may take in what was queued since it began: then one
 * fsync serves both. The lane says what there is, whoever runs the batch decides when to ask.
 *
 * Uses:    base/list.
 * Used by: net/lane (implements it), api/dispatch (asks), main.
 * Thread:  the lane's that runs the batch.
 */
#ifndef MIGCHAT_HTTP_BATCH_SOURCE_H
#define MIGCHAT_HTTP_BATCH_SOURCE_H

#include <stdbool.h>

#include "base/list.h"

struct batch_source {
    /* Appends to the batch what waits by now, up to the lane's limit for one batch in all. False:
     * nothing waits, or the batch is full. */
    bool (*more)(struct batch_source *source, struct list *batch);
};

#endif
