/* session_test.c - tokens are issued once, found by digest, used to the hour, and end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ctype.h>
#include <string.h>

#include "domain/session.h"
#include "support/domain_fixture.h"

#define HOUR_MS SESSION_USED_GRAIN_MS

static enum error issue(struct domain_fixture *f, int64_t account_id, struct str label,
                        struct session_issued *out_issued)
{
    return session_issue(f->store, account_id, STR("alice"), label, f->now_ms, &f->arena,
                         out_issued);
}

static void a_token_is_found_again_and_nowhere_stored(void **state)
{
    struct domain_fixture f;
    struct session_issued issued;
    struct session session;

    (void)state;
    domain_fixture_init(&f);
    assert_int_equal(issue(&f, 7, STR("phone"), &issued), OK);
    assert_int_equal(issued.account_id, 7);
    assert_str_equal(issued.username, "alice");
    assert_int_equal(issued.token.len, SESSION_TOKEN_LEN);
    for (size_t i = 0; i < issued.token.len; i++) {
        assert_true(isalnum((unsigned char)issued.token.ptr[i]));
    }
    assert_int_equal(session_find(f.store, issued.token, &session), OK);
    assert_int_equal(session.id, issued.session_id);
    assert_int_equal(session.account_id, 7);
    struct str dump = fixture_dump(&f);
    assert_null(memmem(dump.ptr, dump.len, issued.token.ptr, issued.token.len));
    domain_fixture_release(&f);
}

static void two_tokens_differ(void **state)
{
    struct domain_fixture f;
    struct session_issued first;
    struct session_issued second;

    (void)state;
    domain_fixture_init(&f);
    assert_int_equal(issue(&f, 7, (struct str){NULL, 0}, &first), OK);
    assert_int_equal(issue(&f, 7, (struct str){NULL, 0}, &second), OK);
    assert_false(str_equal(first.token, second.token));
    assert_int_not_equal(first.session_id, second.session_id);
    domain_fixture_release(&f);
}

static void a_token_of_nobody_is_invalid(void **state)
{
    struct domain_fixture f;
    struct session_issued issued;
    struct session session = {.id = -1};

    (void)state;
    domain_fixture_init(&f);
    assert_int_equal(issue(&f, 7, (struct str){NULL, 0}, &issued), OK);
    assert_int_equal(session_find(f.store, STR("abcdefghijklmnopqrstuvwxyz012345"), &session),
                     ERROR_TOKEN_INVALID);
    assert_int_equal(session_find(f.store, STR(""), &session), ERROR_TOKEN_INVALID);
    struct str cut = {issued.token.ptr, issued.token.len - 1};
    assert_int_equal(session_find(f.store, cut, &session), ERROR_TOKEN_INVALID);
    assert_int_equal(session.id, -1);
    domain_fixture_release(&f);
}

static void a_label_has_at_most_64_characters(void **state)
{
    struct domain_fixture f;
    struct session_issued issued;
    char label[2 * 65];

    (void)state;
    domain_fixture_init(&f);
    for (size_t i = 0; i < 65; i++) {
        memcpy(label + 2 * i, "\xc3\xab", 2);
    }
    assert_int_equal(issue(&f, 7, (struct str){label, 2 * 65}, &issued), ERROR_LABEL_TOO_LONG);
    assert_int_equal(fixture_session_count(&f, 7), 0);
    assert_int_equal(issue(&f, 7, (struct str){label, 2 * 64}, &issued), OK);
    domain_fixture_release(&f);
}

static void last_use_is_kept_to_the_hour(void **state)
{
    struct domain_fixture f;
    struct session_issued issued;
    struct session session;
    int64_t hour_ms;

    (void)state;
    domain_fixture_init(&f);
    hour_ms = f.now_ms - f.now_ms % HOUR_MS;
    f.now_ms = hour_ms + HOUR_MS - 1;
    assert_int_equal(issue(&f, 7, (struct str){NULL, 0}, &issued), OK);
    assert_int_equal(session_find(f.store, issued.token, &session), OK);
    assert_int_equal(session.last_used_at_ms, hour_ms);
    assert_int_equal(session.created_at_ms, f.now_ms);

    assert_false(session_is_stale(&session, hour_ms + HOUR_MS - 1));
    assert_true(session_is_stale(&session, hour_ms + HOUR_MS));
    assert_false(session_is_stale(&session, hour_ms - 1)); /* the clock went back */
    assert_int_equal(session_set_used(f.store, 7, session.id, hour_ms + HOUR_MS + 5), OK);
    assert_int_equal(session_find(f.store, issued.token, &session), OK);
    assert_int_equal(session.last_used_at_ms, hour_ms + HOUR_MS);
    assert_false(session_is_stale(&session, hour_ms + 2 * HOUR_MS - 1));
    domain_fixture_release(&f);
}

static void an_ended_session_leaves_an_entry_and_is_invalid(void **state)
{
    struct domain_fixture f;
    struct session_issued issued;
    struct session session;

    (void)state;
    domain_fixture_init(&f);
    assert_int_equal(issue(&f, 7, (struct str){NULL, 0}, &issued), OK);
    assert_int_equal(session_end(f.store, 8, issued.session_id, f.now_ms), ERROR_SESSION_NOT_FOUND);
    assert_int_equal(fixture_head(&f, 8), 0);
    assert_int_equal(session_end(f.store, 7, issued.session_id, f.now_ms), OK);
    assert_int_equal(session_find(f.store, issued.token, &session), ERROR_TOKEN_INVALID);
    assert_int_equal(fixture_head(&f, 7), 1);
    struct entry entry = fixture_entry(&f, 7, 1);
    assert_int_equal(entry.kind, ENTRY_SESSION_ENDED);
    assert_int_equal(entry.ref, issued.session_id);
    assert_int_equal(entry.created_at_ms, f.now_ms);
    assert_int_equal(session_end(f.store, 7, issued.session_id, f.now_ms), ERROR_SESSION_NOT_FOUND);
    assert_int_equal(fixture_head(&f, 7), 1);
    domain_fixture_release(&f);
}

static void all_others_end_and_no_one_elses(void **state)
{
    struct domain_fixture f;
    struct session_issued issued[4];
    struct session session;

    (void)state;
    domain_fixture_init(&f);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(issue(&f, i < 3 ? 7 : 8, (struct str){NULL, 0}, &issued[i]), OK);
    }
    assert_int_equal(session_end_others(f.store, 7, issued[1].session_id, f.now_ms, &f.arena), OK);
    assert_int_equal(fixture_session_count(&f, 7), 1);
    assert_int_equal(fixture_session_count(&f, 8), 1);
    assert_int_equal(session_find(f.store, issued[1].token, &session), OK);
    assert_int_equal(fixture_head(&f, 7), 2);
    assert_int_equal(session_end_others(f.store, 7, 0, f.now_ms, &f.arena), OK);
    assert_int_equal(fixture_session_count(&f, 7), 0);
    assert_int_equal(fixture_head(&f, 7), 3);
    domain_fixture_release(&f);
}

static enum error step_issue(struct domain_fixture *f)
{
    struct session_issued issued = {.session_id = -1};
    enum error error = issue(f, 1, STR("phone"), &issued);

    assert_true((issued.session_id == -1) == (error != OK));
    return error;
}

static enum error step_find(struct domain_fixture *f)
{
    struct session session;
    enum error error = session_find(f->store, STR("nobody's"), &session);

    return error == ERROR_TOKEN_INVALID ? OK : error;
}

static enum error step_end(struct domain_fixture *f)
{
    return session_end(f->store, 1, 1, f->now_ms);
}

static enum error step_end_others(struct domain_fixture *f)
{
    return session_end_others(f->store, 1, 0, f->now_ms, &f->arena);
}

static void every_store_failure_is_told_and_leaves_nothing(void **state)
{
    struct domain_fixture f;
    struct session_issued issued;

    (void)state;
    domain_fixture_init(&f);
    int64_t alice = fixture_account(&f, "alice");
    assert_int_equal(alice, 1);
    assert_int_equal(issue(&f, alice, STR("tablet"), &issued), OK);
    assert_int_equal(fixture_fail_each_call(&f, step_issue), 2);
    assert_int_equal(fixture_fail_each_call(&f, step_find), 1);
    assert_int_equal(fixture_fail_each_call(&f, step_end), 2);
    assert_int_equal(fixture_fail_each_call(&f, step_end_others), 5);
    domain_fixture_release(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_is_found_again_and_nowhere_stored),
        cmocka_unit_test(two_tokens_differ),
        cmocka_unit_test(a_token_of_nobody_is_invalid),
        cmocka_unit_test(a_label_has_at_most_64_characters),
        cmocka_unit_test(last_use_is_kept_to_the_hour),
        cmocka_unit_test(an_ended_session_leaves_an_entry_and_is_invalid),
        cmocka_unit_test(all_others_end_and_no_one_elses),
        cmocka_unit_test(every_store_failure_is_told_and_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
