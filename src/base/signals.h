/* signals.h - keeps signals away from threads: they are the loop's.
 *
 * Uses: libc. Used by: whoever starts a thread (net/lane, api/backups, opening). Thread: any.
 */
#ifndef MIGCHAT_BASE_SIGNALS_H
#define MIGCHAT_BASE_SIGNALS_H

#include <signal.h>

/* Blocks all in this thread, and so in the threads it starts until signals_restore. */
void signals_block(sigset_t *out_before);
void signals_restore(const sigset_t *before);

#endif
