/* digest.c - SHA-256 and SHA-1 by libmd. */
#include "base/digest.h"

#include <sys/types.h>

#include <sha1.h>
#include <sha2.h>

_Static_assert(SHA256_DIGEST_LENGTH == SHA256_LEN, "libmd's digest length");
_Static_assert(SHA1_DIGEST_LENGTH == SHA1_LEN, "libmd's digest length");

void sha256_of_parts(const struct str *parts, size_t count, struct sha256 *out_digest)
{
    SHA2_CTX state;

    SHA256Init(&state);
    for (size_t i = 0; i < count; i++) {
        uint8_t length[sizeof(uint64_t)];
        uint64_t left = parts[i].len;
        for (size_t at = sizeof length; at > 0; at--) {
            length[at - 1] = (uint8_t)(left & 0xff);
            left >>= 8;
        }
        SHA256Update(&state, length, sizeof length);
        if (parts[i].len > 0) {
            SHA256Update(&state, (const uint8_t *)parts[i].ptr, parts[i].len);
        }
    }
    SHA256Final(out_digest->bytes, &state);
}

void sha256_of(struct str s, struct sha256 *out_digest)
{
    SHA2_CTX state;

    SHA256Init(&state);
    if (s.len > 0) {
        SHA256Update(&state, (const uint8_t *)s.ptr, s.len);
    }
    SHA256Final(out_digest->bytes, &state);
}

void sha1_of(struct str s, struct sha1 *out_digest)
{
    SHA1_CTX state;

    SHA1Init(&state);
    if (s.len > 0) {
        SHA1Update(&state, (const uint8_t *)s.ptr, s.len);
    }
    SHA1Final(out_digest->bytes, &state);
}
