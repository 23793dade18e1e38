/* store_fake.h - what tests can ask of the fake store besides store.h.
 *
 * The fake is the third backend of src/store/store.h: plain C in memory, slow and simple. It is
 * strict where a real one is lenient: calls that write must come inside a batch, units do not nest,
 * and nothing may be called on a lost batch but what ends it.
 *
 * Uses:    store/store.h, base.
 * Used by: unit tests, the contract suite.
 * Thread:  a home and its stores belong to one thread at a time.
 */
#ifndef MIGCHAT_TEST_STORE_FAKE_H
#define MIGCHAT_TEST_STORE_FAKE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/error.h"
#include "store/store.h"

/* A home and one store that reads and writes; store_fake_free gives both back. */
struct store *store_fake_new(void);
void store_fake_free(struct store *store);

/* Lets the `n`-th call from now (1: the next one) of those that return an error do nothing and
 * return this one. `loses_batch`: the whole batch is gone with it. n 0: no call fails. */
void store_fake_fail_at(struct store *store, size_t n, enum error error, bool loses_batch);
/* After store_fake_fail_at: the `n`-th call after the one that fails fails as well. */
void store_fake_fail_again_at(struct store *store, size_t n);
/* The failure with this number (1: the first) loses the batch, too; 0: none does for this. */
void store_fake_lose_at(struct store *store, unsigned failure);
unsigned store_fake_failures(const struct store *store);
/* Whether the call that was to fail has come. */
bool store_fake_has_failed(const struct store *store);
/* What store_disk_is_low says from now on. */
void store_fake_set_disk_low(struct store *store, bool is_low);

/* How often store_rest was called. */
unsigned store_fake_rest_count(const struct store *store);

/* Appends everything that is stored, a line a row, for comparing. Left out is the next message id,
 * which an undone unit does not give back. */
void store_fake_dump(const struct store *store, struct buf *out);

#endif
