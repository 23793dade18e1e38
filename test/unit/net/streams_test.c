/* streams_test.c - who follows which account and what is read for them, with a log that is a number
 * for each account: entry N of account A is the line "A.N". */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/services.h"
#include "base/changes.h"
#include "http/event_reads.h"
#include "net/streams.h"
#include "support/net_server.h"

#define ACCOUNTS 400u
#define SESSION_ID 7
#define LINE_MAX_BYTES 64u
/* Entries of this account are longer than all that one read may bring. */
#define LONG_ACCOUNT 399
#define LONG_ENTRY_BYTES (EVENT_BYTES_MAX + 1000u)
#define PARAMETER_MAX_BYTES 63

enum fate { READS_GO_WELL, READS_FAIL, READS_ARE_OVER };

static struct {
    struct changes changes;
    _Atomic int64_t heads[ACCOUNTS];
    atomic_uint exchanges;  /* of reads */
    atomic_uint reads;      /* of accounts in them */
    atomic_uint most_reads; /* in one exchange */
    _Atomic enum fate fate;
    pthread_mutex_t lock;
    pthread_cond_t moved;
    bool is_held;
    unsigned held_count;
} given = {.lock = PTHREAD_MUTEX_INITIALIZER, .moved = PTHREAD_COND_INITIALIZER};

static struct net_server net;

/* ---- the routes ------------------------------------------------------------------------------*/

static void hold(void)
{
    pthread_mutex_lock(&given.lock);
    given.held_count++;
    pthread_cond_broadcast(&given.moved);
    while (given.is_held) {
        pthread_cond_wait(&given.moved, &given.lock);
    }
    given.held_count--;
    pthread_mutex_unlock(&given.lock);
}

static void hold_from_now(void)
{
    pthread_mutex_lock(&given.lock);
    given.is_held = true;
    pthread_mutex_unlock(&given.lock);
}

static void hold_await(unsigned count)
{
    pthread_mutex_lock(&given.lock);
    while (given.held_count < count) {
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

static void parameters_read(const struct exchange *exchange, long long *out_first,
                            long long *out_second)
{
    char text[PARAMETER_MAX_BYTES + 1];

    assert_true(exchange->route_parameter.len <= PARAMETER_MAX_BYTES);
    memcpy(text, exchange->route_parameter.ptr, exchange->route_parameter.len);
    text[exchange->route_parameter.len] = '\0';
    *out_first = 0;
    *out_second = 0;
    (void)sscanf(text, "%lld.%lld", out_first, out_second);
}

/* GET /follow/ACCOUNT.SEQ */
static enum error follow_run(struct exchange *exchange, struct services *services)
{
    long long account;
    long long seq;

    (void)services;
    exchange->change = changes_now(&given.changes);
    parameters_read(exchange, &account, &seq);
    exchange->account_id = account;
    exchange->session_id = SESSION_ID;
    exchange->response.status = 200;
    exchange->response.type = CONTENT_EVENTS;
    exchange->response.has_more = true;
    buf_append_str(&exchange->response.body, STR("open\n"));
    exchange->follow = (struct follow){.kind = FOLLOW_EVENTS,
                                       .cursor_seq = seq,
                                       .is_behind = seq < atomic_load(&given.heads[account])};
    return OK;
}

/* GET /hold */
static enum error hold_run(struct exchange *exchange, struct services *services)
{
    (void)services;
    hold();
    exchange->response.status = 204;
    return OK;
}

/* POST /grow/ACCOUNT.COUNT, of account 0 for all, in one commit */
static enum error grow_run(struct exchange *exchange, struct services *services)
{
    long long account;
    long long count;
    uint64_t number = changes_begin(&given.changes);

    (void)services;
    parameters_read(exchange, &account, &count);
    for (long long each = 1; each < ACCOUNTS; each++) {
        if (account == 0 || account == each) {
            atomic_fetch_add(&given.heads[each], count);
            changes_mark_account(&given.changes, each, number);
        }
    }
    changes_end(&given.changes, number);
    for (long long each = 1; each < ACCOUNTS; each++) {
        if (account == 0 || account == each) {
            changes_tell(&given.changes, each);
        }
    }
    exchange->response.status = 204;
    return OK;
}

/* POST /flood/A.B: one commit with so many news of A that those of B have no room. */
static enum error flood_run(struct exchange *exchange, struct services *services)
{
    long long many;
    long long one;
    uint64_t number = changes_begin(&given.changes);

    (void)services;
    parameters_read(exchange, &many, &one);
    atomic_fetch_add(&given.heads[one], 1);
    changes_mark_account(&given.changes, many, number);
    changes_mark_account(&given.changes, one, number);
    changes_end(&given.changes, number);
    for (unsigned i = 0; i < CHANGES_NEWS_MAX; i++) {
        changes_tell(&given.changes, many);
    }
    changes_tell(&given.changes, one);
    exchange->response.status = 204;
    return OK;
}

static void account_read(struct event_reads *reads, struct event_read *read)
{
    int64_t head = atomic_load(&given.heads[read->account_id]);

    read->first = reads->record_count;
    read->count = 0;
    read->has_more = true;
    read->verdict = EVENTS_NOT_REACHED;
    while (read->after_seq + (int64_t)read->count < head) {
        int64_t seq = read->after_seq + (int64_t)read->count + 1;
        size_t len = read->account_id == LONG_ACCOUNT ? LONG_ENTRY_BYTES : LINE_MAX_BYTES;

        if (reads->record_count == EVENT_RECORDS_MAX ||
            (reads->record_count > 0 && reads->bytes.len + len >= EVENT_BYTES_MAX)) {
            return;
        }
        struct event_record *record = &reads->records[reads->record_count++];
        *record = (struct event_record){.seq = seq, .at = reads->bytes.len};
        if (read->account_id == LONG_ACCOUNT) {
            memset(buf_reserve(&reads->bytes, len), 'l', len);
            buf_grow(&reads->bytes, len);
        }
        buf_append_format(&reads->bytes, "%lld.%lld\n", (long long)read->account_id,
                          (long long)seq);
        record->len = reads->bytes.len - record->at;
        read->count++;
        read->verdict = EVENTS_READ;
    }
    read->verdict = EVENTS_READ;
    read->has_more = false;
}

static enum error reads_run(struct exchange *exchange, struct services *services)
{
    struct event_reads *reads = exchange->reads;

    (void)services;
    exchange->change = changes_now(&given.changes);
    exchange->response.status = 200;
    atomic_fetch_add(&given.exchanges, 1);
    atomic_fetch_add(&given.reads, (unsigned)reads->read_count);
    if (reads->read_count > atomic_load(&given.most_reads)) {
        atomic_store(&given.most_reads, (unsigned)reads->read_count);
    }
    buf_clear(&reads->bytes);
    reads->record_count = 0;
    for (size_t i = 0; i < reads->read_count; i++) {
        account_read(reads, &reads->reads[i]);
        if (atomic_load(&given.fate) == READS_ARE_OVER) {
            reads->reads[i].verdict = EVENTS_OVER;
        }
    }
    hold();
    return atomic_load(&given.fate) == READS_FAIL ? ERROR_STORE_FAILED : OK;
}

static const struct route routes[] = {
    {METHOD_GET, "/follow/{at}", false, BODY_NONE, LIMIT_NONE, {{LANE_READ, follow_run}}},
    {METHOD_GET, "/hold", false, BODY_NONE, LIMIT_NONE, {{LANE_READ, hold_run}}},
    {METHOD_POST, "/grow/{by}", false, BODY_NONE, LIMIT_NONE, {{LANE_WRITE, grow_run}}},
    {METHOD_POST, "/flood/{of}", false, BODY_NONE, LIMIT_NONE, {{LANE_WRITE, flood_run}}},
};
static const struct route reads_route = {METHOD_GET, "-",        false,
                                         BODY_NONE,  LIMIT_NONE, {{LANE_READ, reads_run}}};

/* ---- a server, and those who follow ----------------------------------------------------------*/

static int prepare(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ACCOUNTS; i++) {
        atomic_store(&given.heads[i], 0);
    }
    atomic_store(&given.exchanges, 0);
    atomic_store(&given.reads, 0);
    atomic_store(&given.most_reads, 0);
    atomic_store(&given.fate, READS_GO_WELL);
    memset(&given.changes, 0, sizeof given.changes);
    net_server_prepare(&net);
    net.settings.listeners[0].admission.routes =
        (struct route_table){routes, sizeof routes / sizeof routes[0]};
    net.settings.changes = &given.changes;
    net.settings.reads_route = &reads_route;
    return 0;
}

static int end(void **state)
{
    (void)state;
    hold_end();
    net_server_stop(&net);
    return 0;
}

static void ask(const char *method, const char *path, long long first, long long second)
{
    char request[128];

    snprintf(request, sizeof request,
             "%s %s%lld.%lld HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", method, path, first,
             second);
    client_ask_once(&net, request, 204, "");
}

static void grow(long long account, long long count)
{
    ask("POST", "/grow/", account, count);
}

static void line_expect(struct client *client, const char *line)
{
    size_t len = strlen(line);
    char found[256];

    assert_true(len < sizeof found);
    for (size_t at = 0; at < len;) {
        ssize_t got = client_receive(client, found + at, len - at, 0);

        assert_true(got > 0);
        at += (size_t)got;
    }
    assert_memory_equal(found, line, len);
}

/* By HTTP/1.0, so that the answer is the lines alone. */
static void follow(struct client *client, long long account, long long seq)
{
    char request[128];
    char tail[4] = "";

    client_connect(client, &net);
    snprintf(request, sizeof request, "GET /follow/%lld.%lld HTTP/1.0\r\n\r\n", account, seq);
    client_send(client, request);
    while (memcmp(tail, "\r\n\r\n", 4) != 0) {
        memmove(tail, tail + 1, 3);
        assert_int_equal(client_receive(client, tail + 3, 1, 0), 1);
    }
    line_expect(client, "open\n");
}

static void entries_expect(struct client *client, long long account, long long first,
                           long long last)
{
    for (long long seq = first; seq <= last; seq++) {
        char line[LINE_MAX_BYTES];

        snprintf(line, sizeof line, "%lld.%lld\n", account, seq);
        line_expect(client, line);
    }
}

static void end_expect(struct client *client)
{
    char byte;

    assert_true(client_receive(client, &byte, 1, 0) <= 0);
}

/* ---- tests -----------------------------------------------------------------------------------*/

static void one_read_serves_all_devices_of_an_account(void **state)
{
    struct client devices[40];

    (void)state;
    net_server_run(&net);
    for (unsigned i = 0; i < 40; i++) {
        follow(&devices[i], 1, 0);
    }
    for (long long seq = 1; seq <= 5; seq++) {
        grow(1, 1);
        for (unsigned i = 0; i < 40; i++) {
            entries_expect(&devices[i], 1, seq, seq);
        }
    }
    assert_int_equal(atomic_load(&given.reads), 5);
    for (unsigned i = 0; i < 40; i++) {
        client_close(&devices[i]);
    }
}

static void accounts_that_change_together_are_read_together(void **state)
{
    struct client devices[200];

    (void)state;
    net_server_run(&net);
    for (unsigned i = 0; i < 200; i++) {
        follow(&devices[i], i + 1, 0);
    }
    grow(0, 2);
    for (unsigned i = 0; i < 200; i++) {
        entries_expect(&devices[i], i + 1, 1, 2);
        client_close(&devices[i]);
    }
    assert_int_equal(atomic_load(&given.reads), 200);
    assert_int_equal(atomic_load(&given.most_reads), EVENT_READS_MAX);
    assert_int_equal(atomic_load(&given.exchanges), 4);
}

static void what_is_written_while_a_read_is_out_is_read_after_it(void **state)
{
    struct client device, other;

    (void)state;
    net_server_run(&net);
    follow(&device, 1, 0);
    follow(&other, 2, 0);
    hold_from_now();
    grow(1, 1);
    hold_await(1);
    grow(1, 1); /* behind what the read saw */
    grow(2, 1); /* another account does not wait for it */
    hold_await(2);
    hold_end();
    entries_expect(&device, 1, 1, 2);
    entries_expect(&other, 2, 1, 1);
    assert_int_equal(atomic_load(&given.reads), 3);
    client_close(&device);
    client_close(&other);
}

static void no_more_reads_are_lent_than_the_limit(void **state)
{
    const unsigned accounts = READS_LENT_MAX + 2;
    struct client devices[READS_LENT_MAX + 2], asking;

    (void)state;
    net.plans[LANE_READ].thread_count = READS_LENT_MAX + 2; /* it is not for want of these */
    net_server_run(&net);
    for (unsigned i = 0; i < accounts; i++) {
        follow(&devices[i], i + 1, 0);
    }
    hold_from_now();
    for (unsigned i = 0; i < accounts; i++) {
        grow(i + 1, 1);
        hold_await(i + 1 < READS_LENT_MAX ? i + 1 : READS_LENT_MAX);
    }
    client_connect(&asking, &net);
    client_send(&asking, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
    hold_await(READS_LENT_MAX + 1);
    assert_int_equal(atomic_load(&given.exchanges), READS_LENT_MAX);
    hold_end();
    client_expect(&asking, 204, "");
    for (unsigned i = 0; i < accounts; i++) {
        entries_expect(&devices[i], i + 1, 1, 1);
        client_close(&devices[i]);
    }
    client_close(&asking);
    assert_int_equal(atomic_load(&given.reads), accounts);
    /* Those that waited went together. */
    assert_int_equal(atomic_load(&given.exchanges), READS_LENT_MAX + 1);
}

static void who_comes_with_an_older_cursor_gets_all_and_delays_nobody(void **state)
{
    struct client behind, ahead;
    const long long head = 3 * EVENT_RECORDS_MAX + 1; /* more than three reads bring */

    (void)state;
    net_server_run(&net);
    grow(1, head);
    follow(&ahead, 1, head);
    follow(&behind, 1, 0);
    entries_expect(&behind, 1, 1, head);
    grow(1, 1);
    entries_expect(&ahead, 1, head + 1, head + 1);
    entries_expect(&behind, 1, head + 1, head + 1);
    client_close(&behind);
    client_close(&ahead);
}

static void an_event_longer_than_a_read_may_bring_comes_alone(void **state)
{
    struct client device;
    char *lines = malloc(LONG_ENTRY_BYTES + LINE_MAX_BYTES);

    (void)state;
    assert_non_null(lines);
    net_server_run(&net);
    grow(LONG_ACCOUNT, 3);
    follow(&device, LONG_ACCOUNT, 0);
    for (long long seq = 1; seq <= 3; seq++) {
        for (size_t at = 0; at < LONG_ENTRY_BYTES;) {
            ssize_t got = client_receive(&device, lines, LONG_ENTRY_BYTES - at, 0);

            assert_true(got > 0);
            at += (size_t)got;
        }
        entries_expect(&device, LONG_ACCOUNT, seq, seq);
    }
    client_close(&device);
    free(lines);
}

static void news_without_room_are_made_up_for(void **state)
{
    struct client loud, quiet;

    (void)state;
    net_server_run(&net);
    follow(&loud, 1, 0);
    follow(&quiet, 2, 0);
    ask("POST", "/flood/", 1, 2);
    entries_expect(&quiet, 2, 1, 1);
    grow(1, 1);
    entries_expect(&loud, 1, 1, 1);
    client_close(&loud);
    client_close(&quiet);
}

static void a_full_lane_is_asked_again(void **state)
{
    struct client device, holder, refused;

    (void)state;
    net.plans[LANE_READ].queue_max = 1;
    net_server_run(&net);
    follow(&device, 1, 0);
    hold_from_now();
    client_connect(&holder, &net);
    client_send(&holder, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
    hold_await(1);
    client_connect(&refused, &net);
    client_send(&refused, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
    struct client_answer answer;
    client_read_answer(&refused, false, &answer);
    assert_int_equal(answer.status, 503);
    client_answer_release(&answer);
    grow(1, 1);
    assert_int_equal(atomic_load(&given.exchanges), 0);
    hold_end();
    client_expect(&holder, 204, "");
    entries_expect(&device, 1, 1, 1);
    client_close(&holder);
    client_close(&refused);
    client_close(&device);
}

static void a_read_that_fails_cuts_its_streams(void **state)
{
    struct client device, other;

    (void)state;
    net_server_run(&net);
    follow(&device, 1, 0);
    follow(&other, 2, 0);
    atomic_store(&given.fate, READS_FAIL);
    grow(1, 1);
    end_expect(&device);
    client_close(&device);
    atomic_store(&given.fate, READS_GO_WELL);
    follow(&device, 1, 0);
    entries_expect(&device, 1, 1, 1);
    grow(2, 1);
    entries_expect(&other, 2, 1, 1);
    client_close(&device);
    client_close(&other);
}

static void a_log_that_is_removed_ends_its_streams(void **state)
{
    struct client device;

    (void)state;
    net_server_run(&net);
    follow(&device, 1, 0);
    atomic_store(&given.fate, READS_ARE_OVER);
    grow(1, 1);
    end_expect(&device);
    client_close(&device);
}

static void who_leaves_while_its_read_is_out_is_forgotten(void **state)
{
    struct client leaving, staying;

    (void)state;
    net_server_run(&net);
    follow(&leaving, 1, 0);
    follow(&staying, 2, 0);
    hold_from_now();
    grow(1, 1);
    hold_await(1);
    client_close(&leaving);
    grow(2, 1);
    hold_await(2);
    hold_end();
    entries_expect(&staying, 2, 1, 1);
    follow(&leaving, 1, 0);
    entries_expect(&leaving, 1, 1, 1);
    client_close(&leaving);
    client_close(&staying);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, prepare, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_read_serves_all_devices_of_an_account),
        TEST(accounts_that_change_together_are_read_together),
        TEST(what_is_written_while_a_read_is_out_is_read_after_it),
        TEST(no_more_reads_are_lent_than_the_limit),
        TEST(who_comes_with_an_older_cursor_gets_all_and_delays_nobody),
        TEST(an_event_longer_than_a_read_may_bring_comes_alone),
        TEST(news_without_room_are_made_up_for),
        TEST(a_full_lane_is_asked_again),
        TEST(a_read_that_fails_cuts_its_streams),
        TEST(a_log_that_is_removed_ends_its_streams),
        TEST(who_leaves_while_its_read_is_out_is_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
