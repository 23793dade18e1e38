/* Batches: what is answered is what is stored, whichever call of the store fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/dispatch.h"
#include "base/clock.h"
#include "domain/session.h"
#include "support/loopback.h"
#include "support/store_fake.h"

#define BATCH_MAX 8u
#define HOUR_MS 3600000

static struct store *store;
static struct loopback loopback;
static char anna[TOKEN_LEN + 1];
static char ben[TOKEN_LEN + 1];
static struct exchange *exchanges[BATCH_MAX];
static size_t exchange_count;
static struct list batch;

static bool no_more(struct batch_source *source, struct list *taking);

static int set_up(void **state)
{
    (void)state;
    store = store_fake_new();
    loopback_init(&loopback, store);
    loopback_account(&loopback, "anna", anna);
    loopback_account(&loopback, "ben", ben);
    exchange_count = 0;
    list_init(&batch);
    return 0;
}

static void batch_free(void)
{
    for (size_t i = 0; i < exchange_count; i++) {
        list_remove(&exchanges[i]->node);
        exchange_free(exchanges[i]);
    }
    exchange_count = 0;
}

static int tear_down(void **state)
{
    (void)state;
    batch_free();
    loopback_release(&loopback);
    store_fake_free(store);
    return 0;
}

static struct exchange *add(const char *method, const char *target, const char *token,
                            const char *body)
{
    char request[1024];

    snprintf(request, sizeof request,
             "%s %s HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\n"
             "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
             method, target, token, strlen(body), body);
    struct exchange *exchange = loopback_admit(&loopback, str_from(request));
    assert_false(exchange->is_done);
    exchanges[exchange_count] = exchange;
    exchange_count++;
    list_append(&batch, &exchange->node);
    return exchange;
}

static struct exchange *add_send(const char *to, const char *content)
{
    char body[256];

    snprintf(body, sizeof body, "{\"to_username\":\"%s\",\"content\":\"%s\"}", to, content);
    return add("POST", "/api/messages/send", anna, body);
}

/* In how many logs a message with this content stands. */
static size_t stored(const char *content)
{
    struct buf dump;
    size_t count = 0;

    buf_init(&dump, 1u << 20);
    store_fake_dump(store, &dump);
    buf_append_char(&dump, '\0');
    for (const char *at = dump.ptr; (at = strstr(at, content)) != NULL; at++) {
        count++;
    }
    buf_release(&dump);
    return count;
}

static void bad_requests_of_a_batch_leave_the_good_ones(void **state)
{
    (void)state;
    struct exchange *first = add_send("ben", "content-1");
    struct exchange *bad = add_send("nobody", "content-2");
    struct exchange *ended = add("POST", "/api/account/logout", anna, "");
    struct exchange *late = add_send("ben", "content-3");
    struct exchange *other = add("POST", "/api/messages/mark-read?with_user=anna", ben, "");

    assert_int_equal(loopback_run(&loopback, LANE_WRITE, &batch), OK);
    assert_int_equal(first->response.status, 200);
    assert_int_equal(bad->response.status, 404);
    assert_int_equal(ended->response.status, 204);
    assert_int_equal(late->response.status, 401);
    assert_int_equal(other->response.status, 200);
    assert_int_equal(stored("content-1"), 2);
    assert_int_equal(stored("content-2"), 0);
    assert_int_equal(stored("content-3"), 0);
    for (size_t i = 0; i < exchange_count; i++) {
        assert_true(exchanges[i]->is_done);
        assert_true(list_is_linked(&exchanges[i]->node));
    }
}

/* A send's first calls: batch begin, session, name of the recipient, message id. */
#define CALLS_BEFORE_FIRST_WRITE 4u

/* The call `n` and, not for 0, the call `again` behind it fail, and lose the batch or not. How many
 * have failed. */
static unsigned only_what_is_stored_is_answered_so(size_t n, size_t again, bool loses_batch,
                                                   enum error error)
{
    static const char *const contents[] = {"content-1", "content-2", "content-3", "content-4"};
    struct exchange *sends[4];

    for (size_t i = 0; i < 4; i++) {
        sends[i] = add_send("ben", contents[i]);
        if (i == 1) {
            add_send("nobody", "content-0");
        }
    }
    store_fake_fail_at(store, n, error, loses_batch);
    store_fake_fail_again_at(store, again);
    enum error result = loopback_run(&loopback, LANE_WRITE, &batch);
    unsigned failures = store_fake_failures(store);
    unsigned failed_sends = 0;
    store_fake_fail_at(store, 0, OK, false);

    assert_int_equal(result, OK);
    for (size_t i = 0; i < 4; i++) {
        int status = sends[i]->response.status;

        assert_true(sends[i]->is_done);
        assert_true(status == 200 || status == 503);
        assert_true(status == 200 || sends[i]->response.error == error ||
                    sends[i]->response.error == ERROR_STORE_FAILED);
        assert_int_equal(stored(contents[i]), status == 200 ? 2 : 0);
        failed_sends += status == 200 ? 0 : 1;
    }
    assert_int_equal(stored("content-0"), 0);
    /* Begin and commit are everybody's; a step that fails is its own exchange's. */
    assert_true(loses_batch || again > 0 || failed_sends <= 1 || failed_sends == 4);
    tear_down(NULL);
    set_up(NULL);
    return failures;
}

static void every_call_fails(bool loses_batch, enum error error)
{
    for (size_t n = 1; only_what_is_stored_is_answered_so(n, 0, loses_batch, error) > 0; n++) {
        for (size_t again = 1; only_what_is_stored_is_answered_so(n, again, loses_batch, error) > 1;
             again++) {
        }
    }
}

static void a_failing_call_fails_its_own_exchange(void **state)
{
    (void)state;
    every_call_fails(false, ERROR_STORE_FAILED);
}

static void a_lost_batch_fails_all_before_it_and_none_behind(void **state)
{
    (void)state;
    every_call_fails(true, ERROR_STORE_FAILED);
    every_call_fails(true, ERROR_DISK_FULL);
}

/* The first send fails for good behind its first write; its neighbours do not notice. */
static void a_unit_that_fails_after_writing_is_undone_alone(void **state)
{
    (void)state;
    add_send("ben", "content-1");
    add("POST", "/api/messages/mark-read?with_user=ben", anna, "");
    add_send("ben", "content-2");
    add_send("nobody", "content-3");
    size_t failed_alone = 0;
    unsigned failures = 1;
    for (size_t n = CALLS_BEFORE_FIRST_WRITE + 1; failures > 0; n++) {
        failures = 2;
        for (size_t again = 1; failures == 2; again++) {
            store_fake_fail_at(store, n, ERROR_STORE_FAILED, false);
            store_fake_fail_again_at(store, again);
            assert_int_equal(loopback_run(&loopback, LANE_WRITE, &batch), OK);
            failures = store_fake_failures(store);
            store_fake_fail_at(store, 0, OK, false);
            if (failures == 2 && exchanges[2]->response.status == 503 &&
                exchanges[0]->response.status == 200 && exchanges[1]->response.status == 200 &&
                exchanges[3]->response.status == 404) {
                failed_alone++;
                assert_int_equal(stored("content-1"), 2);
                assert_int_equal(stored("content-2"), 0);
            }
            tear_down(NULL);
            set_up(NULL);
            add_send("ben", "content-1");
            add("POST", "/api/messages/mark-read?with_user=ben", anna, "");
            add_send("ben", "content-2");
            add_send("nobody", "content-3");
        }
    }
    assert_true(failed_alone > 3);
}

static struct exchange *add_keyed_send(const char *content)
{
    char body[256];

    snprintf(body, sizeof body, "{\"to_username\":\"ben\",\"content\":\"%s\",\"client_id\":\"k\"}",
             content);
    return add("POST", "/api/messages/send", anna, body);
}

/* Once, some milliseconds after the batch began: the send again, and another. */
static bool more_later(struct batch_source *source, struct list *taking)
{
    int64_t begun_ms = clock_wall_ms();

    source->more = no_more;
    assert_ptr_equal(taking, &batch);
    while (clock_wall_ms() < begun_ms + 2) {
    }
    add_keyed_send("content-1");
    add_send("ben", "content-2");
    return true;
}

static bool no_more(struct batch_source *source, struct list *taking)
{
    (void)source;
    (void)taking;
    return false;
}

/* Whatever is undone and run again, or lost: a replay tells what is stored, and says the same. */
static void a_replay_in_a_batch_that_fails_tells_no_tale(void **state)
{
    (void)state;
    for (unsigned loses = 0; loses < 2; loses++) {
        unsigned failures = 1;
        for (size_t n = 1; failures > 0; n++) {
            failures = 2;
            for (size_t again = 1; failures == 2; again++) {
                struct batch_source source = {.more = more_later};

                add_keyed_send("content-1");
                store_fake_fail_at(store, n, ERROR_STORE_FAILED, false);
                store_fake_fail_again_at(store, again);
                store_fake_lose_at(store, loses == 1 ? 2 : 0);
                assert_int_equal(dispatch_batch(&loopback.services[LANE_WRITE], &batch, &source),
                                 OK);
                failures = store_fake_failures(store);
                store_fake_fail_at(store, 0, OK, false);
                if (exchange_count == 3 && exchanges[1]->response.status == 200) {
                    assert_int_equal(stored("content-1"), 2);
                }
                if (exchange_count == 3 && exchanges[0]->response.status == 200 &&
                    exchanges[1]->response.status == 200) {
                    struct str first = buf_str(&exchanges[0]->response.body);

                    assert_true(str_equal(first, buf_str(&exchanges[1]->response.body)));
                }
                tear_down(NULL);
                set_up(NULL);
            }
        }
    }
}

static void the_disk_that_is_full_is_told_to_all_it_undid(void **state)
{
    (void)state;
    struct exchange *first = add_send("ben", "content-1");
    struct exchange *second = add_send("ben", "content-2");
    struct exchange *third = add_send("ben", "content-3");
    size_t calls = 0;
    bool is_in_second = false;

    /* Counts until the second one's failure shows on the first. */
    while (!is_in_second) {
        calls++;
        store_fake_fail_at(store, CALLS_BEFORE_FIRST_WRITE + calls, ERROR_DISK_FULL, true);
        assert_int_equal(loopback_run(&loopback, LANE_WRITE, &batch), OK);
        assert_true(store_fake_has_failed(store));
        is_in_second = second->response.status == 503;
        if (!is_in_second) {
            tear_down(NULL);
            set_up(NULL);
            first = add_send("ben", "content-1");
            second = add_send("ben", "content-2");
            third = add_send("ben", "content-3");
        }
    }
    assert_int_equal(first->response.error, ERROR_DISK_FULL);
    assert_int_equal(second->response.error, ERROR_DISK_FULL);
    assert_int_equal(third->response.status, 200);
    assert_int_equal(stored("content-1"), 0);
    assert_int_equal(stored("content-3"), 2);
}

static void add_one_good_and_one_bad(void)
{
    add_send("ben", "content-1");
    add_send("nobody", "content-2");
}

static void a_commit_that_fails_fails_all(void **state)
{
    size_t commit_at = 0;
    bool has_failed = true;

    (void)state;
    /* The last call of all is the commit. */
    for (size_t n = 1; has_failed; n++) {
        add_one_good_and_one_bad();
        store_fake_fail_at(store, n, ERROR_STORE_FAILED, false);
        assert_int_equal(loopback_run(&loopback, LANE_WRITE, &batch), OK);
        has_failed = store_fake_has_failed(store);
        commit_at = has_failed ? n : commit_at;
        tear_down(NULL);
        set_up(NULL);
    }
    add_one_good_and_one_bad();
    store_fake_fail_at(store, commit_at, ERROR_OUTCOME_UNKNOWN, false);
    assert_int_equal(loopback_run(&loopback, LANE_WRITE, &batch), ERROR_OUTCOME_UNKNOWN);
    assert_int_equal(exchanges[0]->response.error, ERROR_OUTCOME_UNKNOWN);
    assert_int_equal(exchanges[1]->response.error, ERROR_OUTCOME_UNKNOWN);
    assert_true(exchanges[0]->is_done && exchanges[1]->is_done);
    batch_free();

    add_one_good_and_one_bad();
    store_fake_fail_at(store, commit_at, ERROR_DISK_FULL, false);
    assert_int_equal(loopback_run(&loopback, LANE_WRITE, &batch), OK);
    assert_int_equal(exchanges[0]->response.error, ERROR_DISK_FULL);
    assert_int_equal(exchanges[1]->response.error, ERROR_DISK_FULL);
}

/* A store that gave up on an earlier batch: of this one nothing was done. */
static void a_broken_store_ends_the_process(void **state)
{
    (void)state;
    add_one_good_and_one_bad();
    store_fake_fail_at(store, 1, ERROR_OUTCOME_UNKNOWN, false);
    assert_int_equal(loopback_run(&loopback, LANE_WRITE, &batch), ERROR_OUTCOME_UNKNOWN);
    assert_int_equal(exchanges[0]->response.error, ERROR_STORE_FAILED);
    assert_int_equal(exchanges[1]->response.error, ERROR_STORE_FAILED);
}

static void a_store_that_does_not_begin_fails_all(void **state)
{
    (void)state;
    add_send("ben", "content-1");
    add("POST", "/api/account/logout", anna, "");
    store_fake_fail_at(store, 1, ERROR_STORE_FAILED, false);
    assert_int_equal(loopback_run(&loopback, LANE_WRITE, &batch), OK);
    assert_int_equal(exchanges[0]->response.error, ERROR_STORE_FAILED);
    assert_int_equal(exchanges[1]->response.status, 503);
    batch_free();

    add("GET", "/api/account", anna, "");
    add("GET", "/api/messages", anna, "");
    store_fake_fail_at(store, 1, ERROR_STORE_FAILED, false);
    assert_int_equal(loopback_run(&loopback, LANE_READ, &batch), OK);
    assert_int_equal(exchanges[0]->response.status, 503);
    assert_int_equal(exchanges[1]->response.status, 503);
}

static int64_t last_used_at(int64_t session_id)
{
    struct session *sessions;
    struct arena arena;
    size_t count;
    int64_t at_ms = -1;

    arena_init(&arena);
    assert_int_equal(store_session_list(store, session_id, &arena, &sessions, &count), OK);
    for (size_t i = 0; i < count; i++) {
        at_ms = sessions[i].id == session_id ? sessions[i].last_used_at_ms : at_ms;
    }
    arena_release(&arena);
    return at_ms;
}

/* Both accounts' first sessions have their ids. */
static void sessions_age(void)
{
    assert_int_equal(store_batch_begin(store), OK);
    assert_int_equal(store_session_set_used(store, 1, 1, HOUR_MS), OK);
    assert_int_equal(store_session_set_used(store, 2, 2, HOUR_MS), OK);
    assert_int_equal(store_batch_commit(store), OK);
}

static void a_read_notes_the_use_of_its_session_once_an_hour(void **state)
{
    (void)state;
    struct exchange *fresh = add("GET", "/api/account", anna, "");
    assert_int_equal(loopback_run(&loopback, LANE_READ, &batch), OK);
    assert_false(fresh->notes_use);
    batch_free();

    sessions_age();
    struct exchange *good = add("GET", "/api/account", anna, "");
    struct exchange *bad = add("GET", "/api/messages?limit=0", ben, "");
    assert_int_equal(loopback_run(&loopback, LANE_READ, &batch), OK);
    assert_true(good->notes_use && good->is_done);
    assert_int_equal(exchange_lane(good), LANE_WRITE);
    assert_false(bad->notes_use);
    assert_int_equal(last_used_at(1), HOUR_MS);

    list_remove(&bad->node);
    assert_int_equal(loopback_run(&loopback, LANE_WRITE, &batch), OK);
    assert_false(good->notes_use);
    assert_int_equal(good->response.status, 200);
    assert_true(last_used_at(1) > HOUR_MS);
    assert_int_equal(last_used_at(2), HOUR_MS);
}

static void a_write_notes_the_use_itself(void **state)
{
    (void)state;
    sessions_age();
    add_send("ben", "content-1");
    add("POST", "/api/messages/mark-read", ben, "");
    assert_int_equal(loopback_run(&loopback, LANE_WRITE, &batch), OK);
    assert_int_equal(exchanges[0]->response.status, 200);
    assert_true(last_used_at(1) > HOUR_MS);
    assert_int_equal(exchanges[1]->response.status, 400);
    assert_int_equal(last_used_at(2), HOUR_MS);
}

static void a_session_may_end_in_the_request_whose_use_is_noted(void **state)
{
    (void)state;
    sessions_age();
    add("POST", "/api/account/logout", anna, "");
    add("DELETE", "/api/sessions/2", ben, "");
    assert_int_equal(loopback_run(&loopback, LANE_WRITE, &batch), OK);
    assert_int_equal(exchanges[0]->response.status, 204);
    assert_int_equal(exchanges[1]->response.status, 204);
    assert_int_equal(last_used_at(1), -1);
}

static void a_use_that_cannot_be_noted_spoils_no_answer(void **state)
{
    (void)state;
    for (unsigned loses_batch = 0; loses_batch < 2; loses_batch++) {
        for (size_t n = 1; n < 6; n++) {
            sessions_age();
            struct exchange *reads = add("GET", "/api/account", anna, "");
            assert_int_equal(loopback_run(&loopback, LANE_READ, &batch), OK);
            assert_true(reads->notes_use);
            store_fake_fail_at(store, n, ERROR_DISK_FULL, loses_batch == 1);
            assert_int_equal(loopback_run(&loopback, LANE_WRITE, &batch), OK);
            store_fake_fail_at(store, 0, OK, false);
            assert_int_equal(reads->response.status, 200);
            assert_false(reads->notes_use);
            batch_free();
        }
    }
}

static void rest_runs_chores_and_looks_at_the_disk(void **state)
{
    bool has_more = false;
    unsigned slices = 0;

    (void)state;
    add_send("ben", "content-1");
    add("POST", "/api/account/update-username", anna, "{\"new_username\":\"anne\"}");
    assert_int_equal(loopback_run(&loopback, LANE_WRITE, &batch), OK);
    assert_int_equal(exchanges[1]->response.status, 200);
    store_fake_set_disk_low(store, true);
    do {
        assert_int_equal(dispatch_rest(&loopback.services[LANE_WRITE], false, &has_more), OK);
        slices++;
    } while (has_more && slices < 10);
    assert_true(slices < 10);
    assert_true(atomic_load(&loopback.readiness.disk_is_low));
    assert_int_equal(stored("[\\\"anna\\\",\\\"anne\\\"]"), 2);
    /* It looks once a second; the last look is made to be long ago. */
    store_fake_set_disk_low(store, false);
    assert_int_equal(dispatch_rest(&loopback.services[LANE_WRITE], false, &has_more), OK);
    assert_true(atomic_load(&loopback.readiness.disk_is_low));
    loopback.services[LANE_WRITE].disk_seen_at_ms = 0;
    assert_int_equal(dispatch_rest(&loopback.services[LANE_WRITE], false, &has_more), OK);
    assert_false(atomic_load(&loopback.readiness.disk_is_low));
}

static void a_chore_that_fails_does_not_keep_the_store_from_resting(void **state)
{
    bool has_more = false;

    (void)state;
    add("POST", "/api/account/update-username", anna, "{\"new_username\":\"anne\"}");
    assert_int_equal(loopback_run(&loopback, LANE_WRITE, &batch), OK);
    unsigned rests = store_fake_rest_count(store);
    store_fake_fail_at(store, 1, ERROR_STORE_FAILED, false);
    assert_int_equal(dispatch_rest(&loopback.services[LANE_WRITE], false, &has_more),
                     ERROR_STORE_FAILED);
    assert_true(store_fake_has_failed(store));
    assert_int_equal(store_fake_rest_count(store), rests + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define WITH_ACCOUNTS(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
        WITH_ACCOUNTS(bad_requests_of_a_batch_leave_the_good_ones),
        WITH_ACCOUNTS(a_failing_call_fails_its_own_exchange),
        WITH_ACCOUNTS(a_lost_batch_fails_all_before_it_and_none_behind),
        WITH_ACCOUNTS(a_unit_that_fails_after_writing_is_undone_alone),
        WITH_ACCOUNTS(a_replay_in_a_batch_that_fails_tells_no_tale),
        WITH_ACCOUNTS(the_disk_that_is_full_is_told_to_all_it_undid),
        WITH_ACCOUNTS(a_commit_that_fails_fails_all),
        WITH_ACCOUNTS(a_broken_store_ends_the_process),
        WITH_ACCOUNTS(a_store_that_does_not_begin_fails_all),
        WITH_ACCOUNTS(a_read_notes_the_use_of_its_session_once_an_hour),
        WITH_ACCOUNTS(a_write_notes_the_use_itself),
        WITH_ACCOUNTS(a_session_may_end_in_the_request_whose_use_is_noted),
        WITH_ACCOUNTS(a_use_that_cannot_be_noted_spoils_no_answer),
        WITH_ACCOUNTS(rest_runs_chores_and_looks_at_the_disk),
        WITH_ACCOUNTS(a_chore_that_fails_does_not_keep_the_store_from_resting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
