/* changes.c - marks go up before the number does: a reader that saw the number sees the commit, and
 * one that did not finds the mark above its own number. */
#include "base/changes.h"

static uint64_t slot_of(int64_t account_id);

uint64_t changes_begin(const struct changes *changes)
{
    return atomic_load(&changes->now) + 1;
}

void changes_mark_account(struct changes *changes, int64_t account_id, uint64_t number)
{
    atomic_store(&changes->of_account[slot_of(account_id)], number);
}

void changes_mark_names(struct changes *changes, uint64_t number)
{
    atomic_store(&changes->of_names, number);
}

void changes_end(struct changes *changes, uint64_t number)
{
    atomic_store(&changes->now, number);
}

uint64_t changes_now(const struct changes *changes)
{
    return atomic_load(&changes->now);
}

bool changes_since(const struct changes *changes, int64_t account_id, uint64_t number)
{
    return atomic_load(&changes->of_names) > number ||
           atomic_load(&changes->of_account[slot_of(account_id)]) > number;
}

static uint64_t slot_of(int64_t account_id)
{
    return (uint64_t)account_id & (CHANGES_SLOTS - 1);
}
