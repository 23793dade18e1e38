/* fingerprint.h - 128 bits that tell two pairs of strings apart, by xxHash (XXH3). The only file
 * that includes it.
 *
 * Not a digest: who wants two pairs to look alike can have it. Where that fools only whoever made
 * them it does, at a thirtieth of the cost of SHA-256.
 *
 * Uses: xxHash. Used by: domain, store, api. Thread: any.
 */
#ifndef MIGCHAT_BASE_FINGERPRINT_H
#define MIGCHAT_BASE_FINGERPRINT_H

#include <stdint.h>

#include "base/str.h"

#define FINGERPRINT_LEN 16u

struct fingerprint {
    uint8_t bytes[FINGERPRINT_LEN];
};

/* XXH3-128 of `second`, with XXH3-64 of `first` as its seed, in canonical byte order: it may be
 * stored. */
void fingerprint_of_pair(struct str first, struct str second, struct fingerprint *out_fingerprint);

#endif
