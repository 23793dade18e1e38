/* torture.h - how much C tests of test/fault do: short in ./run test, long in ./run torture.
 *
 * Uses: libc. Used by: test/fault's C tests. Thread: one.
 */
#ifndef MIGCHAT_TEST_TORTURE_H
#define MIGCHAT_TEST_TORTURE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static inline bool torture_is_long(void)
{
    const char *setting = getenv("MIGCHAT_TORTURE");

    return setting != NULL && strcmp(setting, "1") == 0;
}

static inline uint64_t torture_seed(void)
{
    const char *setting = getenv("MIGCHAT_SEED");

    return setting == NULL ? 6 : strtoull(setting, NULL, 10);
}

#endif
