/* changes.h - when each account last changed, for those who kept something about it.
 *
 * Every commit has a number. The writer marks the accounts a commit changed, then lets the number
 * be seen. Whoever reads takes changes_now() before it opens its snapshot; what it made of the
 * snapshot is right as long as changes_since() says that nothing came after that number.
 *
 * Accounts share slots, so an account may seem changed when another was; never the other way.
 *
 * Uses:    C11 atomics, base/require. Used by: store (writes), api (asks).
 * Thread:  one writer, any readers.
 * Memory:  128 KiB of address space, of which only touched pages count.
 */
#ifndef MIGCHAT_BASE_CHANGES_H
#define MIGCHAT_BASE_CHANGES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define CHANGES_SLOTS 16384u /* a power of two */

struct changes {
    _Atomic uint64_t now;      /* the newest commit that is marked everywhere */
    _Atomic uint64_t of_names; /* the last commit with a rename or deletion: it changes any list */
    _Atomic uint64_t of_account[CHANGES_SLOTS];
};

/* The writer, after its COMMIT returned and before anybody is answered: the number to mark with,
 * the marks, and the end. */
uint64_t changes_begin(const struct changes *changes);
void changes_mark_account(struct changes *changes, int64_t account_id, uint64_t number);
void changes_mark_names(struct changes *changes, uint64_t number);
void changes_end(struct changes *changes, uint64_t number);

/* A reader, before it opens its snapshot. */
uint64_t changes_now(const struct changes *changes);
/* Whether anything the account is shown may have changed after `number`. */
bool changes_since(const struct changes *changes, int64_t account_id, uint64_t number);

#endif
