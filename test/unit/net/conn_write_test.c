/* conn_write_test.c - answers on their way out: large ones, streams, readers that are slow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include <cmocka.h>

#include "http/response.h"
#include "net/connections.h"
#include "support/net_server.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: h\r\n\r\n"
#define LIMIT_MS 400
/* Less, and the windows of TCP make a reader far slower than it is. */
#define LITTLE_BYTES 16384

static struct net_server net;

static void expect_letters(const struct client_answer *answer)
{
    static const size_t lengths[PAGES_COUNT] = {RESPONSE_PAGE_BYTES, RESPONSE_PAGE_BYTES, 0, 10,
                                                RESPONSE_PAGE_BYTES};
    size_t at = 0;

    assert_int_equal(answer->status, 200);
    for (unsigned page = 0; page < PAGES_COUNT; page++) {
        for (size_t i = 0; i < lengths[page]; i++, at++) {
            assert_true(at < answer->body_len);
            if (answer->body[at] != (char)('a' + (int)page)) {
                fail_msg("byte %zu is not of page %u", at, page);
            }
        }
    }
    assert_int_equal(answer->body_len, at);
}

static void a_streamed_list_comes_whole_and_the_connection_goes_on(void **state)
{
    static const char *const paths[] = {GET("/pages") GET("/loop"), GET("/looped") GET("/loop")};
    struct client client;
    struct client_answer answer;

    (void)state;
    net_server_start(&net);
    client_connect(&client, &net);
    for (int i = 0; i < 2; i++) {
        client_send(&client, paths[i]);
        client_read_answer(&client, false, &answer);
        expect_letters(&answer);
        assert_true(answer.is_chunked && answer.is_complete);
        client_answer_release(&answer);
        client_expect(&client, 200, "loop");
    }
    client_close(&client);
    net_server_stop(&net);
}

static void to_http_1_0_a_stream_ends_with_the_connection(void **state)
{
    struct client client;
    struct client_answer answer;

    (void)state;
    net_server_start(&net);
    client_connect(&client, &net);
    client_send(&client, "GET /pages HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    client_read_answer(&client, false, &answer);
    expect_letters(&answer);
    assert_false(answer.is_chunked);
    client_answer_release(&answer);
    client_close(&client);
    net_server_stop(&net);
}

static void head_gets_no_body(void **state)
{
    static const char *const paths[] = {"/loop", "/big", "/pages"};
    struct client client;
    struct client_answer answer;

    (void)state;
    net_server_start(&net);
    client_connect(&client, &net);
    for (int i = 0; i < 3; i++) {
        client_send(&client, "HEAD ");
        client_send(&client, paths[i]);
        client_send(&client, " HTTP/1.1\r\nHost: h\r\n\r\n" GET("/read"));
        client_read_answer(&client, true, &answer);
        assert_int_equal(answer.status, 200);
        client_answer_release(&answer);
        client_expect(&client, 200, "read");
    }
    client_close(&client);
    net_server_stop(&net);
}

static void a_stream_that_fails_ends_without_its_last_chunk(void **state)
{
    struct client client;
    struct client_answer answer;

    (void)state;
    net_server_start(&net);
    client_connect(&client, &net);
    client_send(&client, GET("/broken") GET("/loop"));
    client_read_answer(&client, false, &answer);
    assert_int_equal(answer.status, 200);
    assert_int_equal(answer.body_len, 2 * RESPONSE_PAGE_BYTES);
    assert_false(answer.is_complete);
    client_answer_release(&answer);
    client_expect_end(&client);
    client_close(&client);
    net_server_stop(&net);
}

static void large_answers_to_a_slow_reader_come_whole(void **state)
{
    enum { COUNT = 50 };
    struct client client;
    struct client_answer answer;

    (void)state;
    net_server_start(&net);
    client_connect_little(&client, &net, LITTLE_BYTES);
    for (int i = 0; i < COUNT; i++) {
        client_send(&client, GET("/big") GET("/loop"));
    }
    for (int i = 0; i < COUNT; i++) {
        client_read_answer(&client, false, &answer);
        assert_int_equal(answer.body_len, BIG_BODY_BYTES);
        for (size_t at = 0; at < answer.body_len; at++) {
            assert_true(answer.body[at] == 'b');
        }
        client_answer_release(&answer);
        client_expect(&client, 200, "loop");
    }
    client_close(&client);
    net_server_stop(&net);
}

/* With one connection at most, another is served when the one that is slow was closed. */
static void one_place_start(unsigned write_timeout_ms)
{
    net_server_prepare(&net);
    net.settings.write_timeout_ms = write_timeout_ms;
    net.settings.listeners[0].connections_max = 1;
    net_server_run(&net);
}

/* What it was sent is in the sockets: no further page was made. */
static void a_reader_that_stops_is_sent_no_more_and_closed_in_time(void **state)
{
    int64_t began_at_ms;
    struct client client;
    struct client_answer answer;

    (void)state;
    one_place_start(LIMIT_MS);
    client_connect_little(&client, &net, LITTLE_BYTES);
    began_at_ms = test_now_ms();
    client_send(&client, GET("/endless"));
    /* With one connection at most, this one is accepted when that one is closed. */
    client_ask_once(&net, GET("/loop"), 200, "loop");
    assert_true(test_now_ms() - began_at_ms >= LIMIT_MS - 20);
    assert_true(atomic_load(&net.batches) < 100);
    client_read_answer(&client, false, &answer);
    assert_false(answer.is_complete);
    client_answer_release(&answer);
    client_close(&client);
    net_server_stop(&net);
}

/* So slow that the kernel asks us for more less often than once a limit. With one connection at
 * most, the other client is answered when this one is closed. */
static void a_reader_that_is_slow_is_not_closed(void **state)
{
    static char bytes[1500];
    const struct timespec pause = {.tv_nsec = 50 * 1000 * 1000};
    struct client client, other;
    int64_t began_at_ms;

    (void)state;
    one_place_start(2 * LIMIT_MS);
    client_connect_little(&client, &net, LITTLE_BYTES / 4);
    client_send(&client, GET("/endless"));
    assert_true(client_receive(&client, bytes, sizeof(bytes), 0) > 0);
    client_connect(&other, &net);
    client_send(&other, GET("/loop"));
    began_at_ms = test_now_ms();
    while (test_now_ms() - began_at_ms < 7L * LIMIT_MS) {
        assert_true(client_receive(&client, bytes, sizeof(bytes), 0) > 0);
        nanosleep(&pause, NULL);
    }
    assert_int_equal(recv(other.socket, bytes, 1, MSG_DONTWAIT), -1);
    client_close(&client);
    client_expect(&other, 200, "loop");
    client_close(&other);
    net_server_stop(&net);
}

/* Its kernel makes room by the kilobyte, so byte by byte it takes nothing. */
static void a_reader_that_takes_next_to_nothing_is_closed_in_time(void **state)
{
    const struct timespec pause = {.tv_nsec = 50 * 1000 * 1000};
    struct client client, other;
    int64_t began_at_ms;
    char byte;

    (void)state;
    one_place_start(2 * LIMIT_MS);
    client_connect_little(&client, &net, LITTLE_BYTES / 4);
    began_at_ms = test_now_ms();
    client_send(&client, GET("/endless"));
    client_connect(&other, &net);
    client_send(&other, GET("/loop"));
    while (recv(other.socket, &byte, 1, MSG_DONTWAIT | MSG_PEEK) != 1) {
        assert_true(test_now_ms() - began_at_ms < 7L * LIMIT_MS);
        assert_true(client_receive(&client, &byte, 1, 0) > 0);
        nanosleep(&pause, NULL);
    }
    assert_true(test_now_ms() - began_at_ms >= 2L * LIMIT_MS - 20);
    client_expect(&other, 200, "loop");
    client_close(&client);
    client_close(&other);
    net_server_stop(&net);
}

/* What it holds for pages to come, as a list of conversations does, is held as long as the page. */
static void what_a_stopped_reader_s_exchange_holds_counts_as_waiting(void **state)
{
    enum { COUNT = WAITING_MAX_BYTES / HELD_BYTES + 3 };
    struct client clients[COUNT];

    (void)state;
    net_server_prepare(&net);
    net.settings.listeners[0].connections_max = COUNT;
    net_server_run(&net);
    for (int i = 0; i < COUNT; i++) {
        client_connect_little(&clients[i], &net, LITTLE_BYTES);
        client_send(&clients[i], GET("/holding"));
    }
    /* Only when one of them was closed. */
    client_ask_once(&net, GET("/loop"), 200, "loop");
    for (int i = 0; i < COUNT; i++) {
        client_close(&clients[i]);
    }
    net_server_stop(&net);
}

/* Its next exchange comes back while the write is still pending: the answer waits. */
static void an_answer_waits_for_the_ones_before_it(void **state)
{
    struct client client;
    struct client_answer answer;
    enum { COUNT = 400 };

    (void)state;
    net_server_start(&net);
    client_connect_little(&client, &net, LITTLE_BYTES);
    for (int i = 0; i < COUNT; i++) {
        client_send(&client, GET("/loop") GET("/loop") GET("/loop") GET("/noted"));
    }
    client_send(&client, GET("/held"));
    net_server_open_gate(&net);
    for (int i = 0; i < COUNT; i++) {
        client_expect(&client, 200, "loop");
        client_expect(&client, 200, "loop");
        client_expect(&client, 200, "loop");
        client_expect(&client, 200, "noted");
    }
    client_read_answer(&client, false, &answer);
    assert_string_equal(answer.body, "held");
    client_answer_release(&answer);
    client_close(&client);
    net_server_stop(&net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_streamed_list_comes_whole_and_the_connection_goes_on),
        cmocka_unit_test(to_http_1_0_a_stream_ends_with_the_connection),
        cmocka_unit_test(head_gets_no_body),
        cmocka_unit_test(a_stream_that_fails_ends_without_its_last_chunk),
        cmocka_unit_test(large_answers_to_a_slow_reader_come_whole),
        cmocka_unit_test(a_reader_that_stops_is_sent_no_more_and_closed_in_time),
        cmocka_unit_test(a_reader_that_is_slow_is_not_closed),
        cmocka_unit_test(a_reader_that_takes_next_to_nothing_is_closed_in_time),
        cmocka_unit_test(what_a_stopped_reader_s_exchange_holds_counts_as_waiting),
        cmocka_unit_test(an_answer_waits_for_the_ones_before_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
