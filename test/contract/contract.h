/* contract.h - what the contract tests share: a fresh store for each test, and short words.
 *
 * Each *_contract_test.c is linked once with every store there is. With SQLite (STORE_SQLITE) its
 * tests run on a file and in memory, with the fake (STORE_FAKE) in memory.
 *
 * Uses: cmocka, store/store.h. Used by: test/contract only.
 */
#ifndef MIGCHAT_TEST_CONTRACT_H
#define MIGCHAT_TEST_CONTRACT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/log.h"
#include "store/store.h"

struct fixture {
    bool is_file;
    char folder[256]; /* empty in memory */
    char path[300];
    struct store_home *home;
    struct store *store; /* the writer */
    struct arena arena;
};

/* Which store the group of tests that runs now is on. */
static bool fixtures_are_files;

#define assert_ok(call) assert_int_equal((call), OK)
#define assert_str(actual, expected)                                                               \
    do {                                                                                           \
        struct str actual_ = (actual);                                                             \
        struct str expected_ = str_from(expected);                                                 \
        assert_int_equal(actual_.len, expected_.len);                                              \
        assert_memory_equal(actual_.ptr, expected_.ptr, expected_.len);                            \
    } while (0)

static inline void fixture_open_store(struct fixture *fixture)
{
    struct store_settings settings = {
        .path = fixture->path,
        .syncs_every_commit = false,
        .writer_cache_kib = 2048,
        .reader_cache_kib = 1024,
        .recent_keys_due = 2,
    };
    bool in_memory = false;

    assert_ok(store_home_open(&settings, &fixture->home, &in_memory));
    assert_ok(store_open(fixture->home, STORE_READ_WRITE, &fixture->store));
}

static inline void fixture_close_store(struct fixture *fixture)
{
    store_close(fixture->store);
    store_home_close(fixture->home);
    fixture->store = NULL;
    fixture->home = NULL;
}

static inline int fixture_set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    const char *base = getenv("TMPDIR");

    assert_non_null(fixture);
    arena_init(&fixture->arena);
    fixture->is_file = fixtures_are_files;
    if (fixture->is_file) {
        (void)snprintf(fixture->folder, sizeof fixture->folder, "%s/migchat-contract-XXXXXX",
                       base == NULL ? P_tmpdir : base);
        assert_non_null(mkdtemp(fixture->folder));
        (void)snprintf(fixture->path, sizeof fixture->path, "%s/test.db", fixture->folder);
    } else {
        (void)snprintf(fixture->path, sizeof fixture->path, ":memory:");
    }
    fixture_open_store(fixture);
    *state = fixture;
    return 0;
}

static inline int fixture_remove_entry(const char *path, const struct stat *found, int kind,
                                       struct FTW *place)
{
    (void)found;
    (void)kind;
    (void)place;
    return remove(path);
}

static inline int fixture_tear_down(void **state)
{
    struct fixture *fixture = *state;

    fixture_close_store(fixture);
    if (fixture->is_file) {
        (void)nftw(fixture->folder, fixture_remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    }
    arena_release(&fixture->arena);
    free(fixture);
    return 0;
}

/* Commits what is open and opens the same database again. */
static inline void fixture_commit_and_reopen(struct fixture *fixture)
{
    assert_ok(store_batch_commit(fixture->store));
    if (fixture->is_file) {
        fixture_close_store(fixture);
        fixture_open_store(fixture);
    }
    assert_ok(store_batch_begin(fixture->store));
}

/* Another one each time, unless MIGCHAT_SEED is set; printed. */
static inline unsigned random_seed(void)
{
    const char *given = getenv("MIGCHAT_SEED");
    unsigned seed = given == NULL ? (unsigned)getpid() : (unsigned)strtoul(given, NULL, 10);

    print_message("MIGCHAT_SEED=%u\n", seed);
    return seed;
}

static inline unsigned next_random(unsigned *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static inline struct fingerprint fingerprint_of(const char *text)
{
    struct fingerprint fingerprint;

    fingerprint_of_pair(str_from(text), str_from(text), &fingerprint);
    return fingerprint;
}

static inline struct sha256 digest_of(const char *text)
{
    struct sha256 digest;

    sha256_of(str_from(text), &digest);
    return digest;
}

#define CONTRACT_CASE(function)                                                                    \
    cmocka_unit_test_setup_teardown(function, fixture_set_up, fixture_tear_down)

/* The cases on every store this executable is linked with. */
#define CONTRACT_RUN(group, cases, out_failed)                                                     \
    do {                                                                                           \
        log_setup(LOG_OFF, LOG_FORM_TEXT);                                                         \
        fixtures_are_files = false;                                                                \
        (out_failed) = cmocka_run_group_tests_name(group " in memory", cases, NULL, NULL);         \
        if (CONTRACT_HAS_FILES) {                                                                  \
            fixtures_are_files = true;                                                             \
            (out_failed) += cmocka_run_group_tests_name(group " on a file", cases, NULL, NULL);    \
        }                                                                                          \
    } while (0)

#ifdef STORE_SQLITE
#define CONTRACT_HAS_FILES true
#else
#define CONTRACT_HAS_FILES false
#endif

#endif
