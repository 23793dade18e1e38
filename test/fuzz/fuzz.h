/* fuzz.h - what the harnesses share. Each NAME_fuzz.c is one program of libFuzzer: it is given
 * bytes and ends the process when something does not hold.
 *
 * Uses:    libFuzzer (its main), base.
 * Used by: test/fuzz only.
 */
#ifndef MIGCHAT_TEST_FUZZ_H
#define MIGCHAT_TEST_FUZZ_H

#include <stddef.h>
#include <stdint.h>

#include "base/require.h"
#include "base/str.h"
#include "base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Must hold, whatever the bytes are. */
#define HOLDS(condition) REQUIRE(condition)

static inline struct str bytes_of(const uint8_t *data, size_t size)
{
    return (struct str){(const char *)data, size};
}

/* Text that may be stored and shown: UTF-8 without U+0000. */
static inline bool text_is_clean(struct str text)
{
    uint32_t code_point = 0;

    while (text.len > 0) {
        if (!utf8_next(&text, &code_point) || code_point == 0) {
            return false;
        }
    }
    return true;
}

#endif
