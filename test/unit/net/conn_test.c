/* conn_test.c - what a connection does not wait for, and what it does not hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include <cmocka.h>

#include "support/net_server.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: h\r\n\r\n"
#define POST(path, fields, body) "POST " path " HTTP/1.1\r\nHost: h\r\n" fields "\r\n" body

#define LIMIT_MS 300
/* uv_now may be a little behind the clock the test reads. */
#define EARLY_MS 20

static struct net_server net;

static void nothing_sent_is_closed_without_an_answer(void **state)
{
    int64_t began_at_ms = test_now_ms();
    struct client client;

    (void)state;
    net_server_prepare(&net);
    net.settings.head_timeout_ms = LIMIT_MS;
    net_server_run(&net);
    client_connect(&client, &net);
    client_expect_end(&client);
    assert_true(test_now_ms() - began_at_ms >= LIMIT_MS - EARLY_MS);
    client_close(&client);
    net_server_stop(&net);
}

static void half_a_head_is_408(void **state)
{
    struct client client;

    (void)state;
    net_server_prepare(&net);
    net.settings.head_timeout_ms = LIMIT_MS;
    net_server_run(&net);
    client_connect(&client, &net);
    client_send(&client, "GET /loop HTT");
    client_expect(&client, 408, NULL);
    client_expect_end(&client);
    client_close(&client);
    net_server_stop(&net);
}

/* A line now and then does not move the limit; sending goes on until the answer is there. */
static void a_trickled_head_is_408_in_time(void **state)
{
    struct client client;
    struct timespec pause = {.tv_nsec = 20 * 1000 * 1000};
    int64_t began_at_ms = test_now_ms();
    struct client_answer answer;
    char byte;

    (void)state;
    net_server_prepare(&net);
    net.settings.head_timeout_ms = LIMIT_MS;
    net_server_run(&net);
    client_connect(&client, &net);
    client_send(&client, "GET /loop HTTP/1.1\r\n");
    while (recv(client.socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0) {
        assert_true(test_now_ms() - began_at_ms < 20L * LIMIT_MS);
        client_send(&client, "X: y\r\n");
        nanosleep(&pause, NULL);
    }
    client_read_answer(&client, false, &answer);
    assert_int_equal(answer.status, 408);
    assert_non_null(strstr(answer.head, "Connection: close"));
    client_answer_release(&answer);
    client_close(&client);
    net_server_stop(&net);
}

static void the_second_head_is_limited_from_its_first_byte(void **state)
{
    struct client client;
    int64_t began_at_ms;

    (void)state;
    net_server_prepare(&net);
    net.settings.head_timeout_ms = LIMIT_MS;
    net_server_run(&net);
    client_connect(&client, &net);
    client_send(&client, GET("/read"));
    client_expect(&client, 200, "read");
    client_send(&client, "\r\n");
    began_at_ms = test_now_ms();
    client_send(&client, "G");
    client_expect(&client, 408, NULL);
    assert_true(test_now_ms() - began_at_ms >= LIMIT_MS - EARLY_MS);
    client_close(&client);
    net_server_stop(&net);
}

static void an_idle_connection_is_closed_without_an_answer(void **state)
{
    struct client client;

    (void)state;
    net_server_prepare(&net);
    net.settings.idle_timeout_ms = LIMIT_MS;
    net_server_run(&net);
    client_connect(&client, &net);
    client_send(&client, GET("/read"));
    client_expect(&client, 200, "read");
    client_send(&client, "\r\n");
    client_expect_end(&client);
    client_close(&client);
    net_server_stop(&net);
}

static void half_a_body_is_408(void **state)
{
    struct client client;

    (void)state;
    net_server_prepare(&net);
    net.settings.body_timeout_ms = LIMIT_MS;
    net_server_run(&net);
    client_connect(&client, &net);
    client_send(&client, POST("/write", "Content-Length: 10\r\n", "half"));
    client_expect(&client, 408, NULL);
    client_expect_end(&client);
    client_close(&client);

    /* A refused request's body: it gets its refusal. */
    client_connect(&client, &net);
    client_send(&client, POST("/nothing", "Content-Length: 10\r\n", "half"));
    client_expect(&client, 404, NULL);
    client_expect_end(&client);
    client_close(&client);
    net_server_stop(&net);
}

static void a_lent_exchange_has_no_limit(void **state)
{
    struct client idle, held;

    (void)state;
    net_server_prepare(&net);
    net.settings.head_timeout_ms = LIMIT_MS;
    net.settings.body_timeout_ms = LIMIT_MS;
    net.settings.idle_timeout_ms = LIMIT_MS;
    net_server_run(&net);
    client_connect(&held, &net);
    client_send(&held, GET("/held"));
    net_server_await_held(&net, 1);
    /* One limit later. */
    client_connect(&idle, &net);
    client_expect_end(&idle);
    client_close(&idle);
    net_server_open_gate(&net);
    client_expect(&held, 200, "held");
    client_close(&held);
    net_server_stop(&net);
}

static void a_full_lane_is_503_and_the_connection_goes_on(void **state)
{
    struct client held[2], client;
    struct client_answer answer;

    (void)state;
    net_server_prepare(&net);
    net.plans[LANE_READ].queue_max = 2;
    net.plans[LANE_HASH].queue_max = 0;
    net.plans[LANE_WRITE].queue_max = 0;
    net_server_run(&net);
    for (int i = 0; i < 2; i++) {
        client_connect(&held[i], &net);
        client_send(&held[i], GET("/held"));
    }
    net_server_await_held(&net, 2);
    client_connect(&client, &net);
    client_send(&client, GET("/read") GET("/loop"));
    client_read_answer(&client, false, &answer);
    assert_int_equal(answer.status, 503);
    assert_non_null(strstr(answer.head, "Retry-After: "));
    assert_non_null(strstr(answer.body, "\"overloaded\""));
    client_answer_release(&answer);
    client_expect(&client, 200, "loop");
    net_server_open_gate(&net);
    for (int i = 0; i < 2; i++) {
        client_expect(&held[i], 200, "held");
        client_close(&held[i]);
    }
    /* A later step finds its lane full; noting the use is not worth a refusal. */
    client_send(&client, POST("/steps", "Content-Length: 0\r\n", "") GET("/noted"));
    client_expect(&client, 503, NULL);
    client_expect(&client, 200, "noted");
    client_close(&client);
    net_server_stop(&net);
    assert_int_equal(atomic_load(&net.notes), 0);
}

static void bodies_beyond_the_limit_of_all_are_503(void **state)
{
    static char half[6000];
    struct client first, second;

    (void)state;
    memset(half, 'x', sizeof(half));
    net_server_prepare(&net);
    net.settings.bodies_max_bytes = 10000;
    net_server_run(&net);
    client_connect(&first, &net);
    client_send(&first, POST("/write", "Expect: 100-continue\r\nContent-Length: 6001\r\n", ""));
    client_expect(&first, 100, NULL);
    client_send_bytes(&first, half, sizeof(half));
    client_connect(&second, &net);
    client_send(&second, POST("/write", "Expect: 100-continue\r\nContent-Length: 6001\r\n", ""));
    client_expect(&second, 100, NULL);
    client_send_bytes(&second, half, sizeof(half));
    /* Whichever was read last. Small requests without a body go on. */
    client_ask_once(&net, GET("/read"), 200, "read");
    client_send(&first, "y");
    client_send(&second, "y");
    {
        struct client_answer answers[2];

        client_read_answer(&first, false, &answers[0]);
        client_read_answer(&second, false, &answers[1]);
        assert_int_equal(answers[0].status + answers[1].status, 200 + 503);
        assert_non_null(
            strstr(answers[answers[0].status == 503 ? 0 : 1].head, "Connection: close"));
        client_answer_release(&answers[0]);
        client_answer_release(&answers[1]);
    }
    client_close(&first);
    client_close(&second);
    client_ask_once(&net, POST("/write", "Content-Length: 3\r\n", "abc"), 200, "abc");
    net_server_stop(&net);
}

static void input_beyond_the_limit_of_all_makes_the_answer_the_last(void **state)
{
    static char many[20000];
    struct client client;
    struct client_answer answer;

    (void)state;
    memset(many, 'x', sizeof(many));
    net_server_prepare(&net);
    net.settings.bodies_max_bytes = 10000;
    net_server_run(&net);
    client_connect(&client, &net);
    client_send(&client, GET("/held"));
    net_server_await_held(&net, 1);
    client_send_bytes(&client, many, sizeof(many));
    /* Read while the exchange is still lent: the loop took what was sent before. */
    client_ask_once(&net, GET("/loop"), 200, "loop");
    net_server_open_gate(&net);
    client_read_answer(&client, false, &answer);
    assert_int_equal(answer.status, 200);
    assert_non_null(strstr(answer.head, "Connection: close"));
    client_answer_release(&answer);
    client_expect_end(&client);
    client_close(&client);
    net_server_stop(&net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_sent_is_closed_without_an_answer),
        cmocka_unit_test(half_a_head_is_408),
        cmocka_unit_test(a_trickled_head_is_408_in_time),
        cmocka_unit_test(the_second_head_is_limited_from_its_first_byte),
        cmocka_unit_test(an_idle_connection_is_closed_without_an_answer),
        cmocka_unit_test(half_a_body_is_408),
        cmocka_unit_test(a_lent_exchange_has_no_limit),
        cmocka_unit_test(a_full_lane_is_503_and_the_connection_goes_on),
        cmocka_unit_test(bodies_beyond_the_limit_of_all_are_503),
        cmocka_unit_test(input_beyond_the_limit_of_all_makes_the_answer_the_last),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
