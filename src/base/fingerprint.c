/* fingerprint.c - XXH3, stable since xxHash 0.8.0, from the package's header: nothing to link. */
#include "base/fingerprint.h"

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

_Static_assert(sizeof(XXH128_canonical_t) == FINGERPRINT_LEN, "xxHash's canonical length");

static struct str not_null(struct str s);

void fingerprint_of_pair(struct str first, struct str second, struct fingerprint *out_fingerprint)
{
    struct str seeding = not_null(first);
    struct str hashed = not_null(second);
    XXH128_canonical_t canonical;

    XXH64_hash_t seed = XXH3_64bits(seeding.ptr, seeding.len);
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_withSeed(hashed.ptr, hashed.len, seed));
    memcpy(out_fingerprint->bytes, canonical.digest, FINGERPRINT_LEN);
}

static struct str not_null(struct str s)
{
    return s.len == 0 ? STR("") : s;
}
