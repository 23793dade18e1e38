/* require.c - the last words of a process that found its own mistake.
 *
 * Written straight to descriptor 2 without the log: the log itself may be what is broken, and the
 * memory allocator may be in any state.
 */
#include "base/require.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LAST_WORDS_MAX_BYTES 512

NO_RETURN void require_failed(const char *file, int line, const char *condition)
{
    char words[LAST_WORDS_MAX_BYTES];
    int len = snprintf(words, sizeof words, "%s:%d: not true: %s\n", file, line, condition);

    if (len > 0) {
        /* Nothing is left to try when stderr is gone. */
        ssize_t ignored = write(STDERR_FILENO, words, strnlen(words, sizeof words));
        (void)ignored;
    }
    abort();
}
