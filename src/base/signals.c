/* signals.c - a thread inherits the mask of the one that starts it. */
#include "base/signals.h"

#include <stddef.h>

#include "base/require.h"

void signals_block(sigset_t *out_before)
{
    sigset_t all;

    sigfillset(&all);
    REQUIRE(pthread_sigmask(SIG_SETMASK, &all, out_before) == 0);
}

void signals_restore(const sigset_t *before)
{
    REQUIRE(pthread_sigmask(SIG_SETMASK, before, NULL) == 0);
}
