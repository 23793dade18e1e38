/* password.h - bcrypt by libxcrypt; the only file that includes <crypt.h>.
 *
 * bcrypt sees 72 bytes and stops at NUL: longer or NUL-bearing passwords are refused when they
 * are set, not cut. Hashes of the Rust server were made of passwords it cut at 72 bytes, so
 * verifying cuts as it did.
 *
 * Uses:    libxcrypt, base.
 * Used by: api/accounts.c on the hash lane, main.
 * Thread:  any; the scratch belongs to one thread.
 */
#ifndef MIGCHAT_DOMAIN_PASSWORD_H
#define MIGCHAT_DOMAIN_PASSWORD_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"

#define PASSWORD_MAX_BYTES 72u
#define PASSWORD_COST_MIN 4u
#define PASSWORD_COST_MAX 16u

struct password_scratch; /* 32 KiB of crypt_data, wiped after each use */

struct password_scratch *password_scratch_new(void);
void password_scratch_free(struct password_scratch *scratch);

/* A password being set: PASSWORD_EMPTY, PASSWORD_TOO_SHORT (bytes below `min_bytes`),
 * PASSWORD_TOO_LONG, PASSWORD_NOT_ALLOWED (U+0000). */
MUST_CHECK enum error password_check(struct str password, unsigned min_bytes);

/* `$2b$` text of 60 characters in the arena. Takes 2^cost work. Refuses what password_check
 * refuses; an adopted password above 72 bytes, right as it may be, cannot be hashed anew.
 * INTERNAL when libxcrypt refuses. */
MUST_CHECK enum error password_hash(struct password_scratch *scratch, struct str password,
                                    unsigned cost, struct arena *arena, struct str *out_hash);

/* Whether it is the password of this hash ($2a$, $2b$, $2y$, of a cost up to PASSWORD_COST_MAX).
 * When it is not, the time of `cost` at least was spent, whether the hash was made with less, is
 * empty (unknown name) or cannot be read. Constant time in the comparison. */
bool password_matches(struct password_scratch *scratch, struct str password, struct str hash,
                      unsigned cost);

/* The cost a hash was made with; 0 for what is no bcrypt hash this takes. */
unsigned password_hash_cost(struct str hash);

/* Whether the hash was made with less than `cost`; false for what is no bcrypt hash. */
bool password_hash_is_weak(struct str hash, unsigned cost);

/* "libxcrypt 4.4.33": what this was built with. */
const char *password_library_version(void);

#endif
