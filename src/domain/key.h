/* key.h - key bundles for end-to-end encryption: publish, fetch, claim one-time prekeys.
 *
 * The server stores keys and never judges or decodes them: existing clients sign with a key it
 * cannot derive.
 *
 * Uses:    base, store/store.h.
 * Used by: api/keys.c.
 */
#ifndef MIGCHAT_DOMAIN_KEY_H
#define MIGCHAT_DOMAIN_KEY_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"
#include "store/store.h"

#define KEY_MAX_CHARACTERS 1024u
#define PREKEYS_MAX 200u
/* A claim that leaves exactly this many, or none, appends KEYS_LOW to the owner's log. */
#define PREKEYS_LOW_AT 5

/* Replaces the bundle and its unclaimed one-time prekeys; appends KEYS_CHANGED to the own log and
 * leaves a chore that tells the contacts. KEY_BUNDLE_NOT_ALLOWED. */
MUST_CHECK enum error key_publish(struct store *store, int64_t account_id,
                                  const struct key_bundle *bundle, const struct str *prekeys,
                                  size_t prekey_count, int64_t now_ms);

/* The bundle without one-time prekeys. ACCOUNT_NOT_FOUND, KEYS_NOT_FOUND. */
MUST_CHECK enum error key_find(struct store *store, struct str username, struct arena *arena,
                               struct key_bundle *out_bundle);

/* The bundle and at most one one-time prekey (ptr NULL when none is left), which is then gone for
 * good. ACCOUNT_NOT_FOUND, KEYS_NOT_FOUND. */
MUST_CHECK enum error key_claim(struct store *store, struct str username, int64_t now_ms,
                                struct arena *arena, struct key_bundle *out_bundle,
                                struct str *out_prekey);

#endif
