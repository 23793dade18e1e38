/* polls_test.c - polls of one account that wait at one cursor share a read, with a log that is a
 * number: entry N's event is "N ". A session that ended is a number, too. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "base/changes.h"
#include "support/net_server.h"

#define ACCOUNT_ID 5
#define POLLS 8u
#define WAIT_S 60u
#define LIMIT 100
#define NO_SESSION 0
#define PARAMETER_MAX_BYTES 63

static struct {
    struct changes changes;
    _Atomic int64_t head;
    atomic_uint reads; /* of polls that waited */
    _Atomic int64_t ended_id;
    atomic_uint failures_left; /* so many of those reads fail */
    pthread_mutex_t lock;
    pthread_cond_t moved;
    bool is_held; /* those reads stop at their end */
    bool has_come;
} given = {.lock = PTHREAD_MUTEX_INITIALIZER, .moved = PTHREAD_COND_INITIALIZER};

static struct net_server net;
static const struct route nothing_is_read;

/* ---- the routes ------------------------------------------------------------------------------*/

static void hold(void)
{
    pthread_mutex_lock(&given.lock);
    given.has_come = true;
    pthread_cond_broadcast(&given.moved);
    while (given.is_held) {
        pthread_cond_wait(&given.moved, &given.lock);
    }
    pthread_mutex_unlock(&given.lock);
}

static void hold_from_now(void)
{
    pthread_mutex_lock(&given.lock);
    given.is_held = true;
    given.has_come = false;
    pthread_mutex_unlock(&given.lock);
}

static void hold_await(void)
{
    pthread_mutex_lock(&given.lock);
    while (!given.has_come) {
        pthread_cond_wait(&given.moved, &given.lock);
    }
    pthread_mutex_unlock(&given.lock);
}

static void hold_end(void)
{
    pthread_mutex_lock(&given.lock);
    given.is_held = false;
    pthread_cond_broadcast(&given.moved);
    pthread_mutex_unlock(&given.lock);
}

static enum error events_write(struct exchange *exchange, long long seq, int64_t head,
                               unsigned limit)
{
    struct poll_found *found = &exchange->poll_found;

    *found = (struct poll_found){0};
    exchange->response.status = 200;
    exchange->response.type = CONTENT_TEXT;
    while (seq < head && found->event_count < limit) {
        buf_append_format(&exchange->response.body, "%lld ", ++seq);
        found->event_count++;
    }
    found->is_all = seq >= head;
    if (atomic_load(&given.ended_id) != NO_SESSION) {
        found->ended_count = 1;
        found->ended_ids[0] = atomic_load(&given.ended_id);
    }
    return OK;
}

/* GET /poll/SEQ.LIMIT.SESSION */
static enum error poll_run(struct exchange *exchange, struct services *services)
{
    char text[PARAMETER_MAX_BYTES + 1];
    long long seq = 0;
    long long session_id = 0;
    unsigned limit = 0;

    (void)services;
    assert_true(exchange->route_parameter.len <= PARAMETER_MAX_BYTES);
    memcpy(text, exchange->route_parameter.ptr, exchange->route_parameter.len);
    text[exchange->route_parameter.len] = '\0';
    assert_int_equal(sscanf(text, "%lld.%u.%lld", &seq, &limit, &session_id), 3);
    exchange->change = changes_now(&given.changes);
    int64_t head = atomic_load(&given.head);
    if (exchange->is_resumed) {
        atomic_fetch_add(&given.reads, 1);
        hold();
    }
    if (session_id == atomic_load(&given.ended_id)) {
        return ERROR_TOKEN_INVALID;
    }
    if (exchange->is_resumed && atomic_load(&given.failures_left) > 0) {
        atomic_fetch_sub(&given.failures_left, 1);
        return ERROR_STORE_FAILED;
    }
    exchange->account_id = ACCOUNT_ID;
    exchange->session_id = session_id;
    unsigned wait_s = exchange->is_resumed ? exchange->wait_left_s : WAIT_S;
    if (seq >= head && wait_s > 0) {
        exchange->follow = (struct follow){
            .kind = FOLLOW_POLL, .cursor_seq = seq, .wait_s = wait_s, .limit = limit};
        return OK;
    }
    return events_write(exchange, seq, head, limit);
}

/* GET /read */
static enum error read_run(struct exchange *exchange, struct services *services)
{
    (void)services;
    exchange->response.status = 204;
    return OK;
}

/* POST /grow/COUNT; 0: news of nothing */
static enum error grow_run(struct exchange *exchange, struct services *services)
{
    uint64_t number = changes_begin(&given.changes);

    (void)services;
    assert_int_equal(exchange->route_parameter.len, 1);
    atomic_fetch_add(&given.head, exchange->route_parameter.ptr[0] - '0');
    changes_mark_account(&given.changes, ACCOUNT_ID, number);
    changes_end(&given.changes, number);
    changes_tell(&given.changes, ACCOUNT_ID);
    exchange->response.status = 204;
    return OK;
}

static const struct route routes[] = {
    {METHOD_GET, "/poll/{at}", false, BODY_NONE, LIMIT_NONE, {{LANE_READ, poll_run}}},
    {METHOD_GET, "/read", false, BODY_NONE, LIMIT_NONE, {{LANE_READ, read_run}}},
    {METHOD_GET, "/loop", false, BODY_NONE, LIMIT_NONE, {{LANE_LOOP, read_run}}},
    {METHOD_POST, "/grow/{by}", false, BODY_NONE, LIMIT_NONE, {{LANE_WRITE, grow_run}}},
};

/* ---- a server, and those who wait ------------------------------------------------------------*/

static int prepare(void **state)
{
    (void)state;
    atomic_store(&given.head, 3);
    atomic_store(&given.reads, 0);
    atomic_store(&given.ended_id, NO_SESSION);
    atomic_store(&given.failures_left, 0);
    memset(&given.changes, 0, sizeof given.changes);
    given.is_held = false;
    net_server_prepare(&net);
    net.settings.listeners[0].admission.routes =
        (struct route_table){routes, sizeof routes / sizeof routes[0]};
    net.settings.changes = &given.changes;
    net.settings.reads_route = &nothing_is_read;
    /* So that what was asked first is answered or waits first. */
    net.plans[LANE_READ].thread_count = 1;
    net_server_run(&net);
    return 0;
}

static int end(void **state)
{
    (void)state;
    hold_end();
    net_server_stop(&net);
    return 0;
}

static void poll_begin(struct client *client, long long seq, unsigned limit, long long session_id)
{
    char request[128];

    client_connect(client, &net);
    snprintf(request, sizeof request,
             "GET /poll/%lld.%u.%lld HTTP/1.1\r\nHost: a\r\nX-Request-Id: of-%lld\r\n\r\n", seq,
             limit, session_id, session_id);
    client_send(client, request);
}

static void ask(const char *line)
{
    char request[128];

    snprintf(request, sizeof request, "%s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", line);
    client_ask_once(&net, request, 204, "");
}

/* With sessions from 1 on. */
static void polls_begin(struct client *clients)
{
    for (unsigned i = 0; i < POLLS; i++) {
        poll_begin(&clients[i], 3, LIMIT, i + 1);
    }
    /* A lane of one thread: they wait. */
    ask("GET /loop");
    ask("GET /read");
}

/* Each its own head. */
static void answer_expect(struct client *client, int status, const char *body, unsigned session_id)
{
    struct client_answer answer;
    char field[64];

    client_read_answer(client, false, &answer);
    assert_int_equal(answer.status, status);
    snprintf(field, sizeof field, "X-Request-Id: of-%u\r\n", session_id);
    assert_non_null(strstr(answer.head, field));
    if (body != NULL) {
        assert_string_equal(answer.body, body);
    }
    client_answer_release(&answer);
    client_close(client);
}

/* ---- tests -----------------------------------------------------------------------------------*/

static void equal_polls_share_one_read(void **state)
{
    struct client clients[POLLS];

    (void)state;
    polls_begin(clients);
    ask("POST /grow/2");
    for (unsigned i = 0; i < POLLS; i++) {
        answer_expect(&clients[i], 200, "4 5 ", i + 1);
    }
    assert_int_equal(atomic_load(&given.reads), 1);
}

static void news_of_nothing_let_them_wait_on(void **state)
{
    struct client clients[POLLS];

    (void)state;
    polls_begin(clients);
    ask("POST /grow/0");
    ask("GET /read");
    ask("POST /grow/1");
    for (unsigned i = 0; i < POLLS; i++) {
        answer_expect(&clients[i], 200, "4 ", i + 1);
    }
    assert_int_equal(atomic_load(&given.reads), 2);
}

static void what_comes_behind_a_read_that_found_nothing_is_read(void **state)
{
    struct client clients[POLLS];

    (void)state;
    polls_begin(clients);
    hold_from_now();
    ask("POST /grow/0");
    hold_await();
    ask("POST /grow/1"); /* it has looked at the head before */
    hold_end();
    for (unsigned i = 0; i < POLLS; i++) {
        answer_expect(&clients[i], 200, "4 ", i + 1);
    }
    /* The one that found nothing asks for itself, and one for the rest. */
    assert_int_equal(atomic_load(&given.reads), 3);
}

static void another_cursor_has_its_own_and_a_smaller_limit_need_not(void **state)
{
    struct client clients[POLLS], ahead, little;

    (void)state;
    polls_begin(clients);
    poll_begin(&ahead, 4, LIMIT, 20);
    poll_begin(&little, 3, 1, 21);
    ask("GET /loop");
    ask("GET /read");
    ask("POST /grow/1");
    for (unsigned i = 0; i < POLLS; i++) {
        answer_expect(&clients[i], 200, "4 ", i + 1);
    }
    answer_expect(&little, 200, "4 ", 21); /* one event is no more than it asked for */
    ask("GET /read");
    ask("POST /grow/1");
    answer_expect(&ahead, 200, "5 ", 20);
    assert_int_equal(atomic_load(&given.reads), 3);
}

static void more_than_a_limit_is_cut_for_that_poll_alone(void **state)
{
    struct client clients[POLLS], little;

    (void)state;
    polls_begin(clients);
    poll_begin(&little, 3, 1, 20);
    ask("GET /loop");
    ask("GET /read");
    ask("POST /grow/2");
    for (unsigned i = 0; i < POLLS; i++) {
        answer_expect(&clients[i], 200, "4 5 ", i + 1);
    }
    answer_expect(&little, 200, "4 ", 20);
    assert_int_equal(atomic_load(&given.reads), 2);
}

static void who_leaves_meanwhile_takes_nobodys_answer_along(void **state)
{
    struct client clients[POLLS];
    const struct linger reset = {.l_onoff = 1, .l_linger = 0};

    (void)state;
    polls_begin(clients);
    hold_from_now();
    ask("POST /grow/1");
    hold_await();
    /* The one that is read for, which came first, and one that waits for it. */
    for (unsigned i = 0; i < 2; i++) {
        setsockopt(clients[i].socket, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        client_close(&clients[i]);
    }
    ask("GET /loop");
    hold_end();
    for (unsigned i = 2; i < POLLS; i++) {
        answer_expect(&clients[i], 200, "4 ", i + 1);
    }
    assert_int_equal(atomic_load(&given.reads), 1);
}

static void a_session_that_ended_gets_nothing(void **state)
{
    struct client clients[POLLS];

    (void)state;
    polls_begin(clients);
    atomic_store(&given.ended_id, 4);
    ask("POST /grow/1");
    for (unsigned i = 0; i < POLLS; i++) {
        bool is_ended = i + 1 == 4;

        answer_expect(&clients[i], is_ended ? 401 : 200, is_ended ? NULL : "4 ", i + 1);
    }
    assert_int_equal(atomic_load(&given.reads), 2);
}

static void the_end_of_the_first_ones_session_is_its_own(void **state)
{
    struct client clients[POLLS];

    (void)state;
    polls_begin(clients);
    atomic_store(&given.ended_id, 1);
    ask("POST /grow/1");
    for (unsigned i = 0; i < POLLS; i++) {
        answer_expect(&clients[i], i == 0 ? 401 : 200, i == 0 ? NULL : "4 ", i + 1);
    }
    assert_int_equal(atomic_load(&given.reads), 2);
}

static void an_error_is_one_polls_alone(void **state)
{
    struct client clients[POLLS];

    (void)state;
    polls_begin(clients);
    atomic_store(&given.failures_left, 2);
    ask("POST /grow/1");
    for (unsigned i = 0; i < POLLS; i++) {
        answer_expect(&clients[i], i < 2 ? 503 : 200, i < 2 ? NULL : "4 ", i + 1);
    }
    assert_int_equal(atomic_load(&given.reads), 3); /* two that fail, one for the rest */
}

static void a_server_that_drains_answers_all(void **state)
{
    struct client clients[POLLS];

    (void)state;
    polls_begin(clients);
    hold_from_now();
    ask("POST /grow/1");
    hold_await();
    net_server_drain(&net);
    hold_end();
    for (unsigned i = 0; i < POLLS; i++) {
        answer_expect(&clients[i], 200, "4 ", i + 1);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, prepare, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(equal_polls_share_one_read),
        TEST(news_of_nothing_let_them_wait_on),
        TEST(what_comes_behind_a_read_that_found_nothing_is_read),
        TEST(another_cursor_has_its_own_and_a_smaller_limit_need_not),
        TEST(more_than_a_limit_is_cut_for_that_poll_alone),
        TEST(who_leaves_meanwhile_takes_nobodys_answer_along),
        TEST(a_session_that_ended_gets_nothing),
        TEST(the_end_of_the_first_ones_session_is_its_own),
        TEST(an_error_is_one_polls_alone),
        TEST(a_server_that_drains_answers_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
