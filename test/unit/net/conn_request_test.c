/* conn_request_test.c - requests as they come: whole, in pieces, several at once, with bodies. */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "net/connections.h"
#include "support/net_server.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: h\r\n\r\n"
#define POST(path, fields, body) "POST " path " HTTP/1.1\r\nHost: h\r\n" fields "\r\n" body

static struct net_server net;

static void a_connection_answers_one_request_after_the_other(void **state)
{
    struct client client;

    (void)state;
    net_server_start(&net);
    client_connect(&client, &net);
    client_send(&client, GET("/loop"));
    client_expect(&client, 200, "loop");
    client_send(&client, GET("/read"));
    client_expect(&client, 200, "read");
    client_send(&client, POST("/steps", "Content-Length: 0\r\n", ""));
    client_expect(&client, 200, "read,hash,write");
    client_send(&client, GET("/none"));
    client_expect(&client, 204, "");
    client_send(&client, GET("/nothing"));
    client_expect(&client, 404, NULL);
    client_send(&client, GET("/big"));
    client_expect(&client, 200, NULL);
    client_send(&client, POST("/write", "Content-Length: 5\r\n", "hello"));
    client_expect(&client, 200, "hello");
    client_close(&client);
    net_server_stop(&net);
}

static void requests_sent_at_once_are_answered_in_order(void **state)
{
    struct client client;

    (void)state;
    net_server_start(&net);
    client_connect(&client, &net);
    client_send(&client, GET("/loop") GET("/read") GET("/loop") GET("/big")
                             POST("/write", "Content-Length: 3\r\n", "one") GET("/loop")
                                 POST("/write", "Transfer-Encoding: chunked\r\n",
                                      "3\r\ntwo\r\n0\r\n\r\n") GET("/read") "GET /lo");
    client_expect(&client, 200, "loop");
    client_expect(&client, 200, "read");
    client_expect(&client, 200, "loop");
    client_expect(&client, 200, NULL);
    client_expect(&client, 200, "one");
    client_expect(&client, 200, "loop");
    client_expect(&client, 200, "two");
    client_expect(&client, 200, "read");
    client_send(&client, "op HTTP/1.1\r\nHost: h\r\n\r\n");
    client_expect(&client, 200, "loop");
    client_close(&client);
    net_server_stop(&net);
}

static void a_request_may_come_byte_by_byte(void **state)
{
    static const char request[] = POST("/write", "Content-Length: 5\r\n", "bytes") GET("/read");
    struct client client;

    (void)state;
    net_server_start(&net);
    client_connect(&client, &net);
    for (size_t i = 0; i + 1 < sizeof(request); i++) {
        client_send_bytes(&client, request + i, 1);
    }
    client_expect(&client, 200, "bytes");
    client_expect(&client, 200, "read");
    client_close(&client);
    net_server_stop(&net);
}

/* All at once. */
static void send_loop_requests(struct client *client, size_t count)
{
    static const char request[] = GET("/loop");
    size_t len = sizeof(request) - 1;
    char *requests = malloc(count * len);

    assert_non_null(requests);
    for (size_t i = 0; i < count; i++) {
        memcpy(requests + i * len, request, len);
    }
    client_send_bytes(client, requests, count * len);
    free(requests);
}

static void thousands_of_requests_at_once_are_answered_one_by_one(void **state)
{
    enum { COUNT = 5000 };
    struct client client;

    (void)state;
    net_server_start(&net);
    client_connect(&client, &net);
    send_loop_requests(&client, COUNT);
    client_send(&client, GET("/read"));
    for (size_t i = 0; i < COUNT; i++) {
        client_expect(&client, 200, "loop");
    }
    client_expect(&client, 200, "read");
    client_close(&client);
    net_server_stop(&net);
}

static void what_is_sent_while_an_exchange_is_lent_is_answered_afterwards(void **state)
{
    enum { COUNT = 3000 };
    struct client client;

    (void)state;
    net_server_start(&net);
    client_connect(&client, &net);
    client_send(&client, GET("/held"));
    net_server_await_held(&net, 1);
    client_send(&client, GET("/read"));
    for (int i = 0; i < COUNT; i++) {
        client_send(&client, GET("/loop"));
    }
    net_server_open_gate(&net);
    client_expect(&client, 200, "held");
    client_expect(&client, 200, "read");
    for (int i = 0; i < COUNT; i++) {
        client_expect(&client, 200, "loop");
    }
    client_close(&client);
    net_server_stop(&net);
}

/* One read is kept; the rest stays in the sockets until they are full. */
/* What waits in the kernel is read a slab a turn, so that the others get theirs. */
static void a_client_that_sends_without_end_gets_its_share_of_a_turn(void **state)
{
    enum { COUNT = 20000 };
    struct client client;

    (void)state;
    net_server_start(&net);
    client_connect(&client, &net);
    send_loop_requests(&client, COUNT);
    for (int i = 0; i < COUNT; i++) {
        client_expect(&client, 200, "loop");
    }
    client_close(&client);
    net_server_stop(&net);
    /* What was kept of one read, and another. */
    assert_in_range(net.most_a_turn, 1, 2 * (SLAB_BYTES / (sizeof GET("/loop") - 1) + 1));
}

static void reading_stops_while_an_exchange_is_lent(void **state)
{
    static char bytes[65536];
    const size_t sockets_hold_less_bytes = (size_t)64 * 1024 * 1024;
    size_t sent_bytes = 0;
    bool is_blocked = false;
    struct client client;

    (void)state;
    net_server_start(&net);
    client_connect(&client, &net);
    client_send(&client, GET("/held"));
    net_server_await_held(&net, 1);
    while (!is_blocked && sent_bytes < sockets_hold_less_bytes) {
        struct pollfd writable = {.fd = client.socket, .events = POLLOUT};
        ssize_t sent = send(client.socket, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_NOSIGNAL);

        sent_bytes += sent > 0 ? (size_t)sent : 0;
        is_blocked = sent < 0 && poll(&writable, 1, 200) == 0;
    }
    assert_true(is_blocked);
    client_close(&client);
    net_server_stop(&net);
}

static void a_body_is_asked_for_when_the_client_waits_for_it(void **state)
{
    struct client client;

    (void)state;
    net_server_start(&net);
    client_connect(&client, &net);
    client_send(&client, POST("/write", "Content-Length: 4\r\nExpect: 100-continue\r\n", ""));
    client_expect(&client, 100, "");
    client_send(&client, "body");
    client_expect(&client, 200, "body");
    /* Already there: no need to ask. */
    client_send(&client, POST("/write", "Content-Length: 4\r\nExpect: 100-continue\r\n", "body"));
    client_expect(&client, 200, "body");
    client_close(&client);
    net_server_stop(&net);
}

static void a_refused_request_waiting_to_send_its_body_is_answered_and_ends(void **state)
{
    struct client client;

    (void)state;
    net_server_start(&net);
    client_connect(&client, &net);
    client_send(&client, POST("/closed", "Content-Length: 4\r\nExpect: 100-continue\r\n", ""));
    client_expect(&client, 401, NULL);
    client_expect_end(&client);
    client_close(&client);
    net_server_stop(&net);
}

static void the_body_of_a_refused_request_is_read_away(void **state)
{
    struct client client;

    (void)state;
    net_server_start(&net);
    client_connect(&client, &net);
    client_send(&client, POST("/closed", "Content-Length: 7\r\n", "GET / H") GET("/loop"));
    client_expect(&client, 401, NULL);
    client_expect(&client, 200, "loop");
    client_send(&client, POST("/nothing", "Content-Length: 7\r\n", "abc"));
    client_send(&client, "defg" POST("/ignore", "Content-Length: 3\r\n", "abc"));
    client_expect(&client, 404, NULL);
    client_expect(&client, 200, "ignored");
    client_close(&client);
    net_server_stop(&net);
}

static void bytes_behind_a_good_request_do_not_spoil_its_answer(void **state)
{
    struct client client;

    (void)state;
    net_server_start(&net);
    client_connect(&client, &net);
    client_send(&client, GET("/read") "INVALID\r\n\r\n" GET("/loop"));
    client_expect(&client, 200, "read");
    client_expect(&client, 400, NULL);
    client_expect_end(&client);
    client_close(&client);

    client_connect(&client, &net);
    client_send(&client, "GET /loop HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n" GET("/loop"));
    client_expect(&client, 200, "loop");
    client_expect_end(&client);
    client_close(&client);
    net_server_stop(&net);
}

/* The answer comes while the client still sends; closing at once would reset it away. */
static void a_client_that_is_still_sending_sees_the_refusal(void **state)
{
    enum { BODY_BYTES = 8 * 1024 * 1024 };
    char *body = calloc(1, BODY_BYTES);
    struct client client;

    (void)state;
    assert_non_null(body);
    net_server_start(&net);
    client_connect(&client, &net);
    client_send(&client, POST("/write", "Content-Length: 8388608\r\n", ""));
    client_send_bytes(&client, body, BODY_BYTES);
    client_expect(&client, 413, NULL);
    client_expect_end(&client);
    assert_false(client.was_reset);
    client_close(&client);

    client_connect(&client, &net);
    memset(body, 'x', BODY_BYTES);
    client_send(&client, "GET /loop HTTP/1.1\r\nX: ");
    client_send_bytes(&client, body, BODY_BYTES);
    client_expect(&client, 431, NULL);
    client_expect_end(&client);
    assert_false(client.was_reset);
    client_close(&client);
    net_server_stop(&net);
    free(body);
}

static void http_1_0_ends_after_its_answer_unless_it_asks_otherwise(void **state)
{
    struct client client;

    (void)state;
    net_server_start(&net);
    client_connect(&client, &net);
    client_send(&client, "GET /read HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    client_expect(&client, 200, "read");
    client_send(&client, "GET /read HTTP/1.0\r\n\r\n");
    client_expect(&client, 200, "read");
    client_expect_end(&client);
    client_close(&client);
    net_server_stop(&net);
}

static void a_client_that_sent_its_end_still_gets_its_answers(void **state)
{
    struct client client;

    (void)state;
    net_server_start(&net);
    client_connect(&client, &net);
    client_send(&client, GET("/held") GET("/read") GET("/loop") "GET /lo");
    client_end(&client);
    net_server_open_gate(&net);
    client_expect(&client, 200, "held");
    client_expect(&client, 200, "read");
    client_expect(&client, 200, "loop");
    /* The half that follows can never become a request: it is told so. */
    client_expect(&client, 400, NULL);
    client_expect_end(&client);
    client_close(&client);
    net_server_stop(&net);
}

/* One resets, one only ends, one resets unnoticed, since it sent more than is read now. */
static void a_client_may_leave_while_its_exchange_is_lent(void **state)
{
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    struct client resets, ends, insists;

    (void)state;
    net_server_prepare(&net);
    net.plans[LANE_WRITE].batch_max = 1;
    net_server_run(&net);
    client_connect(&resets, &net);
    client_connect(&ends, &net);
    client_connect(&insists, &net);
    client_send(&resets, GET("/hold-write"));
    client_send(&ends, GET("/held"));
    client_send(&insists, GET("/held") GET("/read") GET("/read"));
    net_server_await_held(&net, 3);
    setsockopt(resets.socket, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    setsockopt(insists.socket, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    client_close(&resets);
    client_close(&ends);
    client_close(&insists);
    client_ask_once(&net, GET("/loop"), 200, "loop");
    client_ask_once(&net, GET("/loop"), 200, "loop");
    net_server_open_gate(&net);
    client_ask_once(&net, GET("/read"), 200, "read");
    net_server_stop(&net);
}

static void the_use_of_a_session_is_noted_before_the_answer(void **state)
{
    struct client client;

    (void)state;
    net_server_start(&net);
    client_connect(&client, &net);
    client_send(&client, GET("/noted") GET("/loop"));
    client_expect(&client, 200, "noted");
    client_expect(&client, 200, "loop");
    client_close(&client);
    net_server_stop(&net);
    assert_int_equal(atomic_load(&net.notes), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_answers_one_request_after_the_other),
        cmocka_unit_test(requests_sent_at_once_are_answered_in_order),
        cmocka_unit_test(a_request_may_come_byte_by_byte),
        cmocka_unit_test(thousands_of_requests_at_once_are_answered_one_by_one),
        cmocka_unit_test(what_is_sent_while_an_exchange_is_lent_is_answered_afterwards),
        cmocka_unit_test(a_client_that_sends_without_end_gets_its_share_of_a_turn),
        cmocka_unit_test(reading_stops_while_an_exchange_is_lent),
        cmocka_unit_test(a_body_is_asked_for_when_the_client_waits_for_it),
        cmocka_unit_test(a_refused_request_waiting_to_send_its_body_is_answered_and_ends),
        cmocka_unit_test(the_body_of_a_refused_request_is_read_away),
        cmocka_unit_test(bytes_behind_a_good_request_do_not_spoil_its_answer),
        cmocka_unit_test(a_client_that_is_still_sending_sees_the_refusal),
        cmocka_unit_test(http_1_0_ends_after_its_answer_unless_it_asks_otherwise),
        cmocka_unit_test(a_client_that_sent_its_end_still_gets_its_answers),
        cmocka_unit_test(a_client_may_leave_while_its_exchange_is_lent),
        cmocka_unit_test(the_use_of_a_session_is_noted_before_the_answer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
