/* digest.h - SHA-256 and SHA-1 (FIPS 180-4), by libmd. The only file that includes it.
 *
 * Uses: libmd. Used by: domain, store, http. Thread: any.
 */
#ifndef MIGCHAT_BASE_DIGEST_H
#define MIGCHAT_BASE_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

#define SHA256_LEN 32u

struct sha256 {
    uint8_t bytes[SHA256_LEN];
};

/* The digest of `count` strings one after the other, each preceded by its length as 8 bytes, most
 * significant first, so that no two different sequences give the same input. */
void sha256_of_parts(const struct str *parts, size_t count, struct sha256 *out_digest);
/* The plain digest of one string. */
void sha256_of(struct str s, struct sha256 *out_digest);

#define SHA1_LEN 20u

struct sha1 {
    uint8_t bytes[SHA1_LEN];
};

/* Protects nothing any more; the WebSocket handshake is made of it (RFC 6455 section 4.2.2). */
void sha1_of(struct str s, struct sha1 *out_digest);

#endif
