/* Sending, marking read, keys and health over the loopback, on the fake store. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "support/loopback.h"
#include "support/store_fake.h"

static struct store *store;
static struct loopback loopback;
static char anna[TOKEN_LEN + 1];
static char ben[TOKEN_LEN + 1];

static int set_up(void **state)
{
    (void)state;
    store = store_fake_new();
    loopback_init(&loopback, store);
    loopback_account(&loopback, "anna", anna);
    loopback_account(&loopback, "ben", ben);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    loopback_release(&loopback);
    store_fake_free(store);
    return 0;
}

static void expect(const char *method, const char *target, const char *token, const char *body,
                   int status, const char *code)
{
    loopback_expect(&loopback, method, target, token, body, status, code);
}

static void send(const char *body, const char *fields, struct answer *out_answer)
{
    loopback_request(&loopback, "POST", "/api/messages/send", anna, body, fields, out_answer);
}

static void a_send_answers_id_and_time(void **state)
{
    struct answer answer;

    (void)state;
    send("{\"to_username\":\"BEN\",\"content\":\"hi\"}", NULL, &answer);
    assert_int_equal(answer.status, 200);
    assert_string_equal(answer_member(&answer, "message_id"), "1");
    assert_int_equal(strlen(answer_member(&answer, "created_at")), TIME_RFC3339_LEN);
    assert_false(answer_has_field(&answer, "Idempotent-Replay"));
    answer_release(&answer);
}

static void bad_sends_are_refused(void **state)
{
    const char *target = "/api/messages/send";
    struct buf body;

    (void)state;
    expect("POST", target, NULL, "{", 401, "token_missing");
    expect("POST", target, anna, NULL, 400, "body_missing");
    expect("POST", target, anna, "{\"to_username\":\"ben\"}", 422, "body_shape");
    expect("POST", target, anna, "{\"to_username\":null,\"content\":\"x\"}", 422, "body_shape");
    expect("POST", target, anna, "{\"to_username\":\"ben\",\"content\":\"x\",\"client_id\":7}", 422,
           "body_shape");
    expect("POST", target, anna, "{\"to_username\":\"ben\",\"content\":\"\"}", 400,
           "content_empty");
    expect("POST", target, anna, "{\"to_username\":\"nobody\",\"content\":\"x\"}", 404,
           "recipient_not_found");
    expect("POST", target, anna, "{\"to_username\":\"ben\",\"content\":\"x\",\"client_id\":\"\"}",
           400, "key_not_allowed");
    expect("POST", target, anna,
           "{\"to_username\":\"ben\",\"content\":\"x\",\"client_id\":\"a b\"}", 400,
           "key_not_allowed");

    buf_init(&body, 1u << 20);
    buf_append_str(&body, STR("{\"to_username\":\"ben\",\"content\":\""));
    for (unsigned i = 0; i < loopback.settings.message_max_bytes; i++) {
        buf_append_char(&body, 'x');
    }
    buf_append(&body, "\"}", 3);
    expect("POST", target, anna, body.ptr, 200, NULL);
    buf_truncate(&body, body.len - 3);
    buf_append(&body, "x\"}", 4);
    expect("POST", target, anna, body.ptr, 413, "content_too_long");
    buf_release(&body);
}

static void a_key_makes_one_message(void **state)
{
    const char *body = "{\"to_username\":\"ben\",\"content\":\"x\"}";
    const char *with_id = "{\"to_username\":\"ben\",\"content\":\"x\",\"client_id\":\"k1\"}";
    struct answer first;
    struct answer again;

    (void)state;
    send(with_id, NULL, &first);
    assert_int_equal(first.status, 200);
    assert_false(answer_has_field(&first, "Idempotent-Replay"));

    send(body, "Idempotency-Key: k1\r\n", &again);
    assert_int_equal(again.status, 200);
    assert_true(answer_has_field(&again, "Idempotent-Replay: true\r\n"));
    assert_true(str_equal(buf_str(&first.body), buf_str(&again.body)));
    answer_release(&again);
    answer_release(&first);

    send(with_id, "Idempotency-Key: k1\r\n", &again);
    assert_int_equal(again.status, 200);
    answer_release(&again);
    send(with_id, "Idempotency-Key: k2\r\n", &again);
    assert_int_equal(again.error, ERROR_KEY_NOT_ALLOWED);
    answer_release(&again);
    send(body, "Idempotency-Key: k1\r\nIdempotency-Key: k1\r\n", &again);
    assert_int_equal(again.error, ERROR_KEY_NOT_ALLOWED);
    answer_release(&again);
    send("{\"to_username\":\"ben\",\"content\":\"y\"}", "Idempotency-Key: k1\r\n", &again);
    assert_int_equal(again.error, ERROR_KEY_REUSED);
    answer_release(&again);
}

static void expect_marked(const char *target, const char *body, const char *marked)
{
    struct answer answer;

    loopback_request(&loopback, "POST", target, ben, body, NULL, &answer);
    assert_int_equal(answer.status, 200);
    assert_string_equal(answer_member(&answer, "marked_read"), marked);
    answer_release(&answer);
}

static void marking_read_counts_what_became_read(void **state)
{
    const char *target = "/api/messages/mark-read?with_user=anna";
    struct answer answer;

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        send("{\"to_username\":\"ben\",\"content\":\"x\"}", NULL, &answer);
        answer_release(&answer);
    }
    expect("POST", "/api/messages/mark-read", ben, NULL, 400, "with_user_missing");
    expect("POST", "/api/messages/mark-read?with_user=x", ben, NULL, 404, "account_not_found");
    expect("POST", "/api/messages/mark-read?with_user=%", ben, NULL, 400, "query_malformed");
    expect("POST", target, ben, "{\"up_to\":\"1\"}", 422, "body_shape");
    expect("POST", target, ben, "{\"up_to\":0}", 400, "seq_not_allowed");
    expect("POST", target, ben, "{\"up_to\":99}", 400, "seq_not_allowed");
    expect_marked(target, "{\"up_to\":1}", "1");
    expect_marked(target, "{\"up_to\":1}", "0");
    expect_marked(target, "{\"up_to\":null}", "2");
    expect_marked(target, "", "0");
    expect_marked(target, NULL, "0");

    /* What the published client sends: the type, and no body. */
    loopback_request(&loopback, "POST", target, ben, NULL, "Content-Type: application/json\r\n",
                     &answer);
    assert_int_equal(answer.status, 200);
    answer_release(&answer);
    loopback_request(&loopback, "POST", target, ben, NULL,
                     "Content-Type: text/plain\r\nContent-Encoding: br\r\nContent-Length: 0\r\n",
                     &answer);
    assert_int_equal(answer.status, 200);
    answer_release(&answer);
}

static void keys_are_published_fetched_claimed_and_counted(void **state)
{
    const char *upload = "{\"key_bundle\":{\"identity_key\":\"i\\n\",\"signed_prekey\":\"s\","
                         "\"signed_prekey_signature\":\"g\",\"one_time_prekeys\":[\"k\"]}}";
    const char *bundle = "{\"key_bundle\":{\"identity_key\":\"i\\n\",\"signed_prekey\":\"s\","
                         "\"signed_prekey_signature\":\"g\",\"one_time_prekeys\":[]}}";
    struct answer answer;

    (void)state;
    expect("GET", "/api/keys/nobody", NULL, NULL, 404, "account_not_found");
    expect("GET", "/api/keys/anna", NULL, NULL, 404, "keys_not_found");
    expect("POST", "/api/keys/upload", anna, "{\"key_bundle\":{}}", 422, "body_shape");
    expect("POST", "/api/keys/upload", anna,
           "{\"key_bundle\":{\"identity_key\":\"\",\"signed_prekey\":\"s\","
           "\"signed_prekey_signature\":\"g\",\"one_time_prekeys\":[]}}",
           400, "key_bundle_not_allowed");
    loopback_request(&loopback, "POST", "/api/keys/upload", anna, upload, NULL, &answer);
    assert_true(str_equal(buf_str(&answer.body), STR("{\"success\":true}")));
    answer_release(&answer);

    loopback_request(&loopback, "GET", "/api/keys/anna", NULL, NULL, NULL, &answer);
    assert_true(str_equal(buf_str(&answer.body), str_from(bundle)));
    answer_release(&answer);

    expect("POST", "/api/keys/claim", NULL, "{\"username\":\"anna\"}", 401, "token_missing");
    expect("POST", "/api/keys/claim", ben, "{\"username\":\"x\"}", 404, "account_not_found");
    loopback_request(&loopback, "GET", "/api/keys", anna, NULL, NULL, &answer);
    assert_true(str_equal(buf_str(&answer.body), STR("{\"one_time_prekeys\":1}")));
    answer_release(&answer);
    loopback_request(&loopback, "POST", "/api/keys/claim", ben, "{\"username\":\"anna\"}", NULL,
                     &answer);
    assert_true(str_equal(buf_str(&answer.body), str_from(upload)));
    answer_release(&answer);
    loopback_request(&loopback, "POST", "/api/keys/claim", ben, "{\"username\":\"anna\"}", NULL,
                     &answer);
    assert_true(str_equal(buf_str(&answer.body), str_from(bundle)));
    answer_release(&answer);
}

static void health_tells_what_is_wrong(void **state)
{
    struct answer answer;

    (void)state;
    loopback_request(&loopback, "GET", "/health", NULL, NULL, NULL, &answer);
    assert_true(str_equal(buf_str(&answer.body), STR("OK")));
    answer_release(&answer);
    loopback_request(&loopback, "GET", "/readyz", NULL, NULL, NULL, &answer);
    assert_true(str_equal(buf_str(&answer.body), STR("{\"status\":\"ok\"}")));
    answer_release(&answer);

    atomic_store(&loopback.readiness.writer_busy_since_ms, clock_monotonic_ms());
    expect("GET", "/livez", NULL, NULL, 200, NULL);
    atomic_store(&loopback.readiness.writer_busy_since_ms,
                 clock_monotonic_ms() - WRITER_STUCK_AFTER_MS - 1);
    expect("GET", "/livez", NULL, NULL, 503, "writer_stuck");
    expect("GET", "/readyz", NULL, NULL, 503, "writer_stuck");
    atomic_store(&loopback.readiness.writer_busy_since_ms, 0);
    atomic_store(&loopback.readiness.disk_is_low, true);
    expect("GET", "/livez", NULL, NULL, 200, NULL);
    expect("GET", "/readyz", NULL, NULL, 503, "disk_low");
    atomic_store(&loopback.readiness.is_draining, true);
    expect("GET", "/readyz", NULL, NULL, 503, "draining");
    expect("GET", "/health", NULL, NULL, 200, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define WITH_ACCOUNTS(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
        WITH_ACCOUNTS(a_send_answers_id_and_time),
        WITH_ACCOUNTS(bad_sends_are_refused),
        WITH_ACCOUNTS(a_key_makes_one_message),
        WITH_ACCOUNTS(marking_read_counts_what_became_read),
        WITH_ACCOUNTS(keys_are_published_fetched_claimed_and_counted),
        WITH_ACCOUNTS(health_tells_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
