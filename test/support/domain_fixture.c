/* domain_fixture.c - the steps are the domain's own calls, so a fixture is what a user could do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "support/domain_fixture.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "domain/account.h"
#include "domain/chore.h"
#include "domain/name.h"
#include "support/store_fake.h"

#define NOW_MS 1762171200123 /* 2025-11-03T12:00:00.123Z */
#define DUMP_MAX_BYTES ((size_t)16 * 1024 * 1024)
#define CALLS_MAX 10000u

static struct str hash_of(struct domain_fixture *fixture, struct str username);
static void fail_call(struct domain_fixture *fixture, fixture_step step, size_t n, bool loses_batch,
                      bool *out_has_failed);

void domain_fixture_init(struct domain_fixture *fixture)
{
    fixture->store = store_fake_new();
    fixture->now_ms = NOW_MS;
    arena_init(&fixture->arena);
    assert_int_equal(store_batch_begin(fixture->store), OK);
}

void domain_fixture_release(struct domain_fixture *fixture)
{
    store_fake_free(fixture->store);
    arena_release(&fixture->arena);
}

/* ---- steps ----------------------------------------------------------------------------------- */

int64_t fixture_account(struct domain_fixture *fixture, const char *username)
{
    struct session_issued issued;

    assert_int_equal(account_create(fixture->store, str_from(username),
                                    hash_of(fixture, str_from(username)), fixture->now_ms,
                                    &fixture->arena, &issued),
                     OK);
    return issued.account_id;
}

static struct str hash_of(struct domain_fixture *fixture, struct str username)
{
    struct buf hash;

    buf_init(&hash, DUMP_MAX_BYTES);
    buf_append_str(&hash, STR("hash of "));
    buf_append_str(&hash, username);
    struct str copy = arena_copy(&fixture->arena, buf_str(&hash));
    buf_release(&hash);
    return copy;
}

void fixture_name(struct domain_fixture *fixture, const char *name, int64_t account_id,
                  enum name_state state, int64_t held_until_ms)
{
    struct name_row row = {
        .name = str_from(name),
        .folded = name_fold(str_from(name), &fixture->arena),
        .account_id = account_id,
        .state = state,
        .held_until_ms = held_until_ms,
    };

    assert_int_equal(store_name_set(fixture->store, &row), OK);
}

void fixture_rename(struct domain_fixture *fixture, int64_t account_id, const char *new_username)
{
    assert_int_equal(account_rename(fixture->store, account_id, str_from(new_username),
                                    fixture->now_ms, &fixture->arena),
                     OK);
}

void fixture_delete(struct domain_fixture *fixture, int64_t account_id)
{
    struct account account;
    bool is_found;

    assert_int_equal(
        store_account_find(fixture->store, account_id, &fixture->arena, &is_found, &account), OK);
    assert_true(is_found);
    assert_int_equal(account_delete(fixture->store, account_id, account.password_hash,
                                    fixture->now_ms, &fixture->arena),
                     OK);
}

struct message_draft fixture_draft(const struct domain_fixture *fixture, int64_t sender_id,
                                   const char *to_username, const char *content, const char *key)
{
    return (struct message_draft){
        .sender_id = sender_id,
        .to_username = str_from(to_username),
        .content = str_from(content),
        .content_json = str_from(content),
        .key = key == NULL ? (struct str){NULL, 0} : str_from(key),
        .now_ms = fixture->now_ms,
    };
}

int64_t fixture_send(struct domain_fixture *fixture, int64_t sender_id, const char *to_username,
                     const char *content)
{
    struct message_draft draft = fixture_draft(fixture, sender_id, to_username, content, NULL);
    struct message_sent sent;

    assert_int_equal(message_send(fixture->store, &draft, &fixture->arena, &sent), OK);
    return sent.message_id;
}

int64_t fixture_resolve(struct domain_fixture *fixture, const char *name, bool includes_deleted)
{
    int64_t account_id = -1;

    assert_int_equal(name_resolve(fixture->store, str_from(name), includes_deleted, &fixture->arena,
                                  &account_id),
                     OK);
    return account_id;
}

size_t fixture_run_chores(struct domain_fixture *fixture)
{
    size_t slices = 0;
    bool more = true;

    assert_int_equal(store_batch_commit(fixture->store), OK);
    while (more) {
        assert_int_equal(chore_run_slice(fixture->store, &more), OK);
        slices++;
    }
    assert_int_equal(store_batch_begin(fixture->store), OK);
    return slices;
}

/* ---- what is stored -------------------------------------------------------------------------- */

int64_t fixture_head(struct domain_fixture *fixture, int64_t account_id)
{
    struct store_moment moment;

    assert_int_equal(store_moment_find(fixture->store, account_id, &moment), OK);
    return moment.head_seq;
}

struct entry fixture_entry(struct domain_fixture *fixture, int64_t account_id, int64_t seq)
{
    struct entry entry = {0};
    bool is_found;

    assert_int_equal(
        store_entry_find(fixture->store, account_id, seq, &fixture->arena, &is_found, &entry), OK);
    assert_true(is_found);
    return entry;
}

struct conversation fixture_conversation(struct domain_fixture *fixture, int64_t account_id,
                                         int64_t other_id)
{
    struct conversation conversation = {0};
    bool is_found;

    assert_int_equal(
        store_conversation_find(fixture->store, account_id, other_id, &is_found, &conversation),
        OK);
    assert_true(is_found);
    return conversation;
}

struct name_row fixture_name_row(struct domain_fixture *fixture, int64_t account_id,
                                 const char *name)
{
    struct name_row none = {0};
    struct name_row *rows;
    size_t count;

    assert_int_equal(store_name_list_of(fixture->store, account_id, &fixture->arena, &rows, &count),
                     OK);
    for (size_t i = 0; i < count; i++) {
        if (str_equal(rows[i].name, str_from(name))) {
            return rows[i];
        }
    }
    return none;
}

size_t fixture_name_count(struct domain_fixture *fixture, int64_t account_id)
{
    struct name_row *rows;
    size_t count;

    assert_int_equal(store_name_list_of(fixture->store, account_id, &fixture->arena, &rows, &count),
                     OK);
    return count;
}

size_t fixture_session_count(struct domain_fixture *fixture, int64_t account_id)
{
    struct session *sessions;
    size_t count;

    assert_int_equal(
        store_session_list(fixture->store, account_id, &fixture->arena, &sessions, &count), OK);
    return count;
}

struct str fixture_dump(struct domain_fixture *fixture)
{
    struct buf text;

    buf_init(&text, DUMP_MAX_BYTES);
    store_fake_dump(fixture->store, &text);
    assert_false(text.overflowed);
    struct str copy = arena_copy(&fixture->arena, buf_str(&text));
    buf_release(&text);
    return copy;
}

/* ---- failures -------------------------------------------------------------------------------- */

size_t fixture_fail_each_call(struct domain_fixture *fixture, fixture_step step)
{
    size_t n = 0;
    bool has_failed = true;

    assert_int_equal(store_batch_commit(fixture->store), OK);
    while (has_failed) {
        n++;
        assert_in_range(n, 1, CALLS_MAX);
        fail_call(fixture, step, n, false, &has_failed);
        if (has_failed) {
            fail_call(fixture, step, n, true, &has_failed);
        }
    }
    assert_int_equal(store_batch_begin(fixture->store), OK);
    return n - 1;
}

static void fail_call(struct domain_fixture *fixture, fixture_step step, size_t n, bool loses_batch,
                      bool *out_has_failed)
{
    struct store *store = fixture->store;
    struct arena_mark mark = arena_mark(&fixture->arena);
    struct str before = fixture_dump(fixture);

    assert_int_equal(store_batch_begin(store), OK);
    store_unit_begin(store, UNIT_SAVED);
    store_fake_fail_at(store, n, ERROR_STORE_FAILED, loses_batch);
    enum error error = step(fixture);
    *out_has_failed = store_fake_has_failed(store);
    store_fake_fail_at(store, 0, OK, false);

    assert_int_equal(error, *out_has_failed ? ERROR_STORE_FAILED : OK);
    if (*out_has_failed && loses_batch) {
        assert_true(store_batch_is_lost(store));
        store_batch_rollback(store);
    } else {
        assert_int_equal(store_unit_undo(store), OK);
        assert_int_equal(store_batch_commit(store), OK);
    }
    struct str after = fixture_dump(fixture);
    assert_int_equal(after.len, before.len);
    assert_memory_equal(after.ptr, before.ptr, before.len);
    if (mark.chunk != NULL) {
        arena_rewind(&fixture->arena, mark);
    }
}

void fixture_assert_str(struct str actual, const char *expected, const char *what, const char *file,
                        int line)
{
    if (!str_equal(actual, str_from(expected))) {
        print_error("%s is \"%.*s\", not \"%s\"\n", what, STR_ARGS(actual), expected);
        _fail(file, line);
    }
}
