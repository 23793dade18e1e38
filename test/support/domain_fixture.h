/* domain_fixture.h - a fake store with a batch open, and the few steps most domain tests begin by.
 *
 * Uses:    support/store_fake, domain, cmocka (a step that fails ends the test).
 * Used by: test/unit/domain.
 */
#ifndef MIGCHAT_TEST_DOMAIN_FIXTURE_H
#define MIGCHAT_TEST_DOMAIN_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"
#include "domain/message.h"
#include "store/store.h"

struct domain_fixture {
    struct store *store; /* in a batch, outside a unit */
    struct arena arena;
    int64_t now_ms;
};

void domain_fixture_init(struct domain_fixture *fixture);
void domain_fixture_release(struct domain_fixture *fixture);

/* Creates an account with the password hash "hash of NAME" and returns its id. */
int64_t fixture_account(struct domain_fixture *fixture, const char *username);
/* Adds a name row as adoption might: no rule is asked. */
void fixture_name(struct domain_fixture *fixture, const char *name, int64_t account_id,
                  enum name_state state, int64_t held_until_ms);
void fixture_rename(struct domain_fixture *fixture, int64_t account_id, const char *new_username);
void fixture_delete(struct domain_fixture *fixture, int64_t account_id);
/* Sends and returns the message's id. */
int64_t fixture_send(struct domain_fixture *fixture, int64_t sender_id, const char *to_username,
                     const char *content);
struct message_draft fixture_draft(const struct domain_fixture *fixture, int64_t sender_id,
                                   const char *to_username, const char *content, const char *key);
/* Who the name means; 0 for nobody. */
int64_t fixture_resolve(struct domain_fixture *fixture, const char *name, bool includes_deleted);
/* Runs slices of chores until there are none; returns how many it took. */
size_t fixture_run_chores(struct domain_fixture *fixture);

int64_t fixture_head(struct domain_fixture *fixture, int64_t account_id);
struct entry fixture_entry(struct domain_fixture *fixture, int64_t account_id, int64_t seq);
struct conversation fixture_conversation(struct domain_fixture *fixture, int64_t account_id,
                                         int64_t other_id);
/* The account's row for this name; state 0 when it has none. */
struct name_row fixture_name_row(struct domain_fixture *fixture, int64_t account_id,
                                 const char *name);
size_t fixture_name_count(struct domain_fixture *fixture, int64_t account_id);
size_t fixture_session_count(struct domain_fixture *fixture, int64_t account_id);
/* All rows as text, in the arena. */
struct str fixture_dump(struct domain_fixture *fixture);

/* One request's work. */
typedef enum error (*fixture_step)(struct domain_fixture *fixture);

/* Lets the first, the second, … store call of the step fail until none is left to fail: the step
 * must say so, and its unit undone must leave everything as it was; then again with the whole
 * batch lost. At last the step is run without a failure and undone as well. Returns how many calls
 * it makes. */
size_t fixture_fail_each_call(struct domain_fixture *fixture, fixture_step step);

#define assert_str_equal(actual, expected)                                                         \
    fixture_assert_str((actual), (expected), #actual, __FILE__, __LINE__)
void fixture_assert_str(struct str actual, const char *expected, const char *what, const char *file,
                        int line);

#endif
