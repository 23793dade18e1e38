/* scripted_run.h - a life of a store on the memory disk: batches of everything the domain writes,
 * chores, checkpoints, closing and opening again; and a digest of all it holds.
 *
 * Uses:    cmocka, domain, store/sqlite. Used by: test/fault's C tests. Thread: one.
 */
#ifndef MIGCHAT_TEST_SCRIPTED_RUN_H
#define MIGCHAT_TEST_SCRIPTED_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "store/store.h"

#define RUN_ACCOUNTS_MAX 8u
/* Of units: what they do. */
#define RUN_KINDS 10u

struct scripted_account {
    int64_t id;
    char name[24];
    int64_t session_id; /* the latest; 0 once ended */
};

struct scripted_run {
    char folder[256];
    char path[300];
    struct store_home *home;
    struct store *writer;
    struct store *reader; /* sees what is committed */
    struct arena arena;
    unsigned cache_kib; /* small: pages are read, and written before a commit, too */
    bool writes_much;   /* every message is large: a checkpoint is due after a few batches */
    uint64_t chance;
    int64_t now_ms;
    unsigned names_given;
    struct scripted_account accounts[RUN_ACCOUNTS_MAX];
    size_t account_count;
    size_t done[RUN_KINDS]; /* units that wrote, of batches that were taken */
};

/* A folder of its own on the real disk, where the server looks for files; memory_disk_register
 * was called. */
void run_init(struct scripted_run *run, uint64_t seed);
void run_release(struct scripted_run *run);

/* Removes what the server made on the real disk; the store is closed. */
void run_folder_empty(const struct scripted_run *run);
MUST_CHECK enum error run_open(struct scripted_run *run);
void run_close(struct scripted_run *run);

/* One batch of a few units, up to its commit: OK is what a client takes for acknowledged. Another
 * error leaves the run as it was before. */
MUST_CHECK enum error run_batch(struct scripted_run *run);
/* What the writer does between batches: a slice of a chore, a checkpoint. */
MUST_CHECK enum error run_rest(struct scripted_run *run);

/* Tells how many units of each kind were done. */
void run_kinds_tell(const size_t *done);
/* Fails the test where there was none of one. A short run may not come to all. */
void run_kinds_check(const size_t *done);

/* Of every row of every table, as readers see them. */
uint64_t run_digest(const struct scripted_run *run);
/* Whether it is that one; false also where rows cannot be read. */
bool run_digest_is(const struct scripted_run *run, uint64_t digest);
/* Everything of an account that a client can ask for, within a snapshot of the reader. */
MUST_CHECK enum error run_read_account(struct scripted_run *run,
                                       const struct scripted_account *account);
/* The store's own check of the whole database; fails the test with what it found. */
void run_verify(const struct scripted_run *run);

#endif
