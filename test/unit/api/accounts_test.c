/* Accounts and sessions over the loopback, on the fake store. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

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

static void login(const char *name, const char *password, char out_token[TOKEN_LEN + 1])
{
    struct answer answer;
    char body[256];

    snprintf(body, sizeof body, "{\"username\":\"%s\",\"password\":\"%s\",\"label\":\"a\\\"b\"}",
             name, password);
    loopback_request(&loopback, "POST", "/api/account/login", NULL, body, NULL, &answer);
    assert_int_equal(answer.status, 200);
    snprintf(out_token, TOKEN_LEN + 1, "%s", answer_member(&answer, "token"));
    answer_release(&answer);
}

static void creating_refuses_in_the_order_of_the_contract(void **state)
{
    const char *create = "/api/account/create";
    struct answer answer;

    (void)state;
    loopback_request(&loopback, "POST", create, NULL, "{", "Content-Type: text/plain\r\n", &answer);
    assert_int_equal(answer.error, ERROR_TYPE_UNSUPPORTED);
    answer_release(&answer);
    loopback_request(&loopback, "POST", create, NULL, "{", "Content-Encoding: gzip\r\n", &answer);
    assert_int_equal(answer.error, ERROR_ENCODING_UNSUPPORTED);
    answer_release(&answer);
    loopback_request(&loopback, "POST", create, NULL, "{}",
                     "Content-Encoding: identity, Identity\r\n", &answer);
    assert_int_equal(answer.error, ERROR_BODY_SHAPE);
    answer_release(&answer);
    loopback_request(&loopback, "POST", create, NULL, NULL, "Content-Type: text/plain\r\n",
                     &answer);
    assert_int_equal(answer.error, ERROR_BODY_MISSING);
    answer_release(&answer);

    expect("POST", create, NULL, "", 400, "body_missing");
    expect("POST", create, NULL, "{", 400, "json_malformed");
    expect("POST", create, NULL, " \r\n ", 400, "json_malformed");
    expect("POST", create, NULL, "{\"username\":\"\"}", 422, "body_shape");
    expect("POST", create, NULL, "{\"username\":\"\",\"password\":1}", 422, "body_shape");
    expect("POST", create, NULL, "{\"username\":\"\",\"password\":\"\"}", 400, "username_empty");
    expect("POST", create, NULL, "{\"username\":\"a/b\",\"password\":\"\"}", 400,
           "username_not_allowed");
    expect("POST", create, NULL, "{\"username\":\"deleted-1\",\"password\":\"x\"}", 400,
           "username_not_allowed");
    expect("POST", create, NULL, "{\"username\":\"ANNA\",\"password\":\"\"}", 400,
           "password_empty");
    expect("POST", create, NULL, "{\"username\":\"ANNA\",\"password\":\"x\"}", 409,
           "username_taken");
    expect("POST", create, NULL,
           "{\"username\":\"new\",\"password\":"
           "\"1234567890123456789012345678901234567890123456789012345678901234567890123\"}",
           400, "password_too_long");
}

static void a_new_account_can_be_looked_up_with_its_token(void **state)
{
    struct answer answer;

    (void)state;
    loopback_request(&loopback, "GET", "/api/account", anna, NULL, NULL, &answer);
    assert_int_equal(answer.status, 200);
    assert_string_equal(answer_member(&answer, "username"), "anna");
    assert_string_equal(answer_member(&answer, "user_id"), "1");
    assert_int_equal(strlen(answer_member(&answer, "created_at")),
                     strlen("2025-11-03T12:00:00.123Z"));
    answer_release(&answer);
    expect("GET", "/api/account", NULL, NULL, 401, "token_missing");
    expect("GET", "/api/account", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", NULL, 401, "token_invalid");
}

static void unknown_names_and_wrong_passwords_are_told_alike(void **state)
{
    const char *target = "/api/account/login";

    (void)state;
    expect("POST", target, NULL, "{\"username\":\"nobody\",\"password\":\"secret\"}", 401,
           "credentials_wrong");
    expect("POST", target, NULL, "{\"username\":\"\",\"password\":\"\"}", 401, "credentials_wrong");
    expect("POST", target, NULL, "{\"username\":\"anna\",\"password\":\"Secret\"}", 401,
           "credentials_wrong");
    expect("POST", target, NULL, "{\"username\":\"anna\",\"password\":\"secret\",\"label\":1}", 422,
           "body_shape");
    expect("POST", target, NULL,
           "{\"username\":\"anna\",\"password\":\"secret\",\"label\":"
           "\"12345678901234567890123456789012345678901234567890123456789012345\"}",
           400, "label_too_long");
    expect("POST", target, NULL, "{\"username\":\"ANNA\",\"password\":\"secret\",\"label\":null}",
           200, NULL);
}

static void sessions_are_listed_and_ended(void **state)
{
    char second[TOKEN_LEN + 1];
    struct answer answer;

    (void)state;
    login("anna", "secret", second);
    loopback_request(&loopback, "GET", "/api/sessions", second, NULL, NULL, &answer);
    assert_int_equal(answer.status, 200);
    assert_non_null(strstr(answer.body.ptr, "\"label\":\"a\\\"b\""));
    assert_non_null(strstr(answer.body.ptr, "\"current\":true},{"));
    assert_non_null(strstr(answer.body.ptr, "\"label\":null"));
    assert_string_equal(answer_member(&answer, "id"), "3");
    answer_release(&answer);

    expect("DELETE", "/api/sessions/x", second, NULL, 404, "session_not_found");
    expect("DELETE", "/api/sessions/0", second, NULL, 404, "session_not_found");
    expect("DELETE", "/api/sessions/2", second, NULL, 404, "session_not_found"); /* ben's */
    expect("DELETE", "/api/sessions/1", second, NULL, 204, NULL);
    expect("GET", "/api/account", anna, NULL, 401, "token_invalid");
    expect("POST", "/api/account/logout", second, NULL, 204, NULL);
    expect("POST", "/api/account/logout", second, NULL, 401, "token_invalid");
    expect("GET", "/api/account", ben, NULL, 200, NULL);
}

static void many_sessions_come_over_many_pages(void **state)
{
    struct answer answer;
    size_t listed = 0;

    (void)state;
    assert_int_equal(store_batch_begin(store), OK);
    for (uint8_t i = 0; i < 250; i++) {
        for (uint8_t j = 0; j < 4; j++) {
            const struct sha256 digest = {{i, j}};
            int64_t id;

            assert_int_equal(store_session_add(store, 1, &digest, STR("\x01label"), 1, &id), OK);
        }
    }
    assert_int_equal(store_batch_commit(store), OK);
    loopback_request(&loopback, "GET", "/api/sessions", anna, NULL, NULL, &answer);
    assert_int_equal(answer.status, 200);
    assert_true(answer.page_count > 1 && answer.page_max_bytes <= RESPONSE_PAGE_BYTES);
    buf_append_char(&answer.body, '\0');
    for (const char *at = answer.body.ptr; (at = strstr(at, "\"id\":")) != NULL; at++) {
        listed++;
    }
    assert_int_equal(listed, 1001);
    answer_release(&answer);
}

static void a_rename_holds_the_old_name(void **state)
{
    const char *target = "/api/account/update-username";
    struct answer answer;

    (void)state;
    expect("POST", target, anna, NULL, 400, "body_missing");
    expect("POST", target, anna, "{\"new_username\":\"\"}", 400, "username_empty");
    expect("POST", target, anna, "{\"new_username\":\"Ben\"}", 409, "username_taken");
    loopback_request(&loopback, "POST", target, anna, "{\"new_username\":\"Ann\xc3\xa9\"}", NULL,
                     &answer);
    assert_int_equal(answer.status, 200);
    assert_string_equal(answer_member(&answer, "username"), "Ann\xc3\xa9");
    assert_int_equal(strlen(answer_member(&answer, "updated_at")), 24);
    answer_release(&answer);
    expect("POST", target, ben, "{\"new_username\":\"anna\"}", 409, "username_taken");
    expect("POST", "/api/account/login", NULL, "{\"username\":\"anna\",\"password\":\"secret\"}",
           401, "credentials_wrong");
    expect("POST", target, anna, "{\"new_username\":\"anna\"}", 200, NULL);
}

static void a_new_password_ends_the_other_sessions(void **state)
{
    const char *target = "/api/account/password";
    char second[TOKEN_LEN + 1];

    (void)state;
    login("anna", "secret", second);
    expect("POST", target, second, "{\"current_password\":\"x\",\"new_password\":\"\"}", 400,
           "password_empty");
    expect("POST", target, second, "{\"current_password\":\"x\",\"new_password\":\"next\"}", 401,
           "password_wrong");
    expect("POST", target, second, "{\"current_password\":\"secret\",\"new_password\":\"next\"}",
           204, NULL);
    expect("GET", "/api/account", anna, NULL, 401, "token_invalid");
    expect("GET", "/api/account", second, NULL, 200, NULL);
    expect("POST", "/api/account/login", NULL, "{\"username\":\"anna\",\"password\":\"secret\"}",
           401, "credentials_wrong");
    login("anna", "next", second);
}

static void a_deleted_account_is_gone(void **state)
{
    const char *target = "/api/account/delete";

    (void)state;
    expect("POST", target, anna, "{\"password\":\"x\"}", 401, "password_wrong");
    expect("POST", target, anna, "{\"password\":\"secret\"}", 204, NULL);
    expect("GET", "/api/account", anna, NULL, 401, "token_invalid");
    expect("POST", "/api/account/login", NULL, "{\"username\":\"anna\",\"password\":\"secret\"}",
           401, "credentials_wrong");
    expect("POST", "/api/account/login", NULL,
           "{\"username\":\"deleted-1\",\"password\":\"secret\"}", 401, "credentials_wrong");
    expect("POST", "/api/account/create", NULL, "{\"username\":\"Anna\",\"password\":\"x\"}", 409,
           "username_taken");
}

static void a_login_raises_a_weak_hash_once(void **state)
{
    char first[TOKEN_LEN + 1];
    struct account account;
    struct arena arena;
    bool is_found;

    (void)state;
    loopback.settings.password_cost = PASSWORD_COST_MIN + 1;
    login("anna", "secret", first);
    login("anna", "secret", first);
    arena_init(&arena);
    assert_int_equal(store_account_find(store, 1, &arena, &is_found, &account), OK);
    assert_true(str_starts_with(account.password_hash, STR("$2b$05$")));
    arena_release(&arena);
    loopback.settings.password_cost = PASSWORD_COST_MIN;
}

/* The steps of one exchange, with something else between them. */
static struct exchange *run_to_hash(struct str request)
{
    struct exchange *exchange = loopback_admit(&loopback, request);
    struct list batch;

    for (unsigned i = 0; i < 2; i++) {
        list_init(&batch);
        list_append(&batch, &exchange->node);
        assert_int_equal(loopback_run(&loopback, exchange_lane(exchange), &batch), OK);
        list_remove(&exchange->node);
    }
    assert_false(exchange->is_done);
    return exchange;
}

static void run_next(struct exchange *exchange, enum lane lane)
{
    struct list batch;

    assert_int_equal(exchange_lane(exchange), lane);
    list_init(&batch);
    list_append(&batch, &exchange->node);
    assert_int_equal(loopback_run(&loopback, lane, &batch), OK);
    list_remove(&exchange->node);
}

static void run_write(struct exchange *exchange)
{
    run_next(exchange, LANE_WRITE);
    assert_true(exchange->is_done);
}

/* What was checked is checked again, and then it is the wrong password. */
static void a_hash_that_changed_between_the_steps_is_checked_again(void **state)
{
    struct exchange *logs_in =
        run_to_hash(STR("POST /api/account/login HTTP/1.1\r\nHost: a\r\n"
                        "Content-Type: application/json\r\nContent-Length: 39\r\n\r\n"
                        "{\"username\":\"anna\",\"password\":\"secret\"}"));

    (void)state;
    expect("POST", "/api/account/password", anna,
           "{\"current_password\":\"secret\",\"new_password\":\"next\"}", 204, NULL);
    run_next(logs_in, LANE_WRITE);
    assert_false(logs_in->is_done);
    run_next(logs_in, LANE_READ);
    run_next(logs_in, LANE_HASH);
    assert_true(logs_in->is_done);
    assert_int_equal(logs_in->response.error, ERROR_CREDENTIALS_WRONG);
    exchange_free(logs_in);
}

static void two_logins_at_once_that_raise_the_hash_both_succeed(void **state)
{
    struct str request = STR("POST /api/account/login HTTP/1.1\r\nHost: a\r\n"
                             "Content-Type: application/json\r\nContent-Length: 39\r\n\r\n"
                             "{\"username\":\"anna\",\"password\":\"secret\"}");

    (void)state;
    loopback.settings.password_cost = PASSWORD_COST_MIN + 1;
    struct exchange *first = run_to_hash(request);
    struct exchange *second = run_to_hash(request);
    run_write(first);
    assert_int_equal(first->response.status, 200);
    run_next(second, LANE_WRITE);
    assert_false(second->is_done);
    run_next(second, LANE_READ);
    run_next(second, LANE_HASH);
    run_write(second);
    assert_int_equal(second->response.status, 200);
    exchange_free(first);
    exchange_free(second);
    loopback.settings.password_cost = PASSWORD_COST_MIN;
}

static void what_changes_each_time_is_overloaded_in_the_end(void **state)
{
    struct exchange *logs_in =
        run_to_hash(STR("POST /api/account/login HTTP/1.1\r\nHost: a\r\n"
                        "Content-Type: application/json\r\nContent-Length: 39\r\n\r\n"
                        "{\"username\":\"anna\",\"password\":\"secret\"}"));

    (void)state;
    for (unsigned i = 0; i < EXCHANGE_BEGUN_AGAIN_MAX; i++) {
        /* The same password, under a new salt. */
        expect("POST", "/api/account/password", anna,
               "{\"current_password\":\"secret\",\"new_password\":\"secret\"}", 204, NULL);
        run_next(logs_in, LANE_WRITE);
        assert_false(logs_in->is_done);
        run_next(logs_in, LANE_READ);
        run_next(logs_in, LANE_HASH);
    }
    expect("POST", "/api/account/password", anna,
           "{\"current_password\":\"secret\",\"new_password\":\"secret\"}", 204, NULL);
    run_write(logs_in);
    assert_int_equal(logs_in->response.error, ERROR_OVERLOADED);
    exchange_free(logs_in);
}

static void a_session_that_ended_between_the_steps_stops_the_write(void **state)
{
    char request[512];

    (void)state;
    snprintf(request, sizeof request,
             "POST /api/account/delete HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\n"
             "Content-Type: application/json\r\nContent-Length: 21\r\n\r\n"
             "{\"password\":\"secret\"}",
             anna);
    struct exchange *deletes = run_to_hash(str_from(request));
    expect("POST", "/api/account/logout", anna, NULL, 204, NULL);
    run_write(deletes);
    assert_int_equal(deletes->response.status, 401);
    exchange_free(deletes);
    login("anna", "secret", anna);
}

static void a_name_that_was_taken_between_the_steps_stops_the_write(void **state)
{
    char token[TOKEN_LEN + 1];
    struct exchange *creates =
        run_to_hash(STR("POST /api/account/create HTTP/1.1\r\nHost: a\r\n"
                        "Content-Type: application/json\r\nContent-Length: 38\r\n\r\n"
                        "{\"username\":\"new\",\"password\":\"secret\"}"));

    (void)state;
    loopback_account(&loopback, "NEW", token);
    run_write(creates);
    assert_int_equal(creates->response.status, 409);
    exchange_free(creates);
}

static void with_one_store_everything_runs_on_the_write_lane(void **state)
{
    (void)state;
    loopback.uses_write_lane_only = true;
    creating_refuses_in_the_order_of_the_contract(state);
    a_new_password_ends_the_other_sessions(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define WITH_ACCOUNTS(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
        WITH_ACCOUNTS(creating_refuses_in_the_order_of_the_contract),
        WITH_ACCOUNTS(a_new_account_can_be_looked_up_with_its_token),
        WITH_ACCOUNTS(unknown_names_and_wrong_passwords_are_told_alike),
        WITH_ACCOUNTS(sessions_are_listed_and_ended),
        WITH_ACCOUNTS(many_sessions_come_over_many_pages),
        WITH_ACCOUNTS(a_rename_holds_the_old_name),
        WITH_ACCOUNTS(a_new_password_ends_the_other_sessions),
        WITH_ACCOUNTS(a_deleted_account_is_gone),
        WITH_ACCOUNTS(a_login_raises_a_weak_hash_once),
        WITH_ACCOUNTS(a_hash_that_changed_between_the_steps_is_checked_again),
        WITH_ACCOUNTS(two_logins_at_once_that_raise_the_hash_both_succeed),
        WITH_ACCOUNTS(what_changes_each_time_is_overloaded_in_the_end),
        WITH_ACCOUNTS(a_session_that_ended_between_the_steps_stops_the_write),
        WITH_ACCOUNTS(a_name_that_was_taken_between_the_steps_stops_the_write),
        WITH_ACCOUNTS(with_one_store_everything_runs_on_the_write_lane),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
