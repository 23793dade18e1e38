/* server_test.c - listening, accepting, draining, and a store that cannot be trusted. */
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/net_server.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: h\r\n\r\n"
#define POST(path, fields, body) "POST " path " HTTP/1.1\r\nHost: h\r\n" fields "\r\n" body

static struct net_server net;

static void an_address_that_cannot_be_had_leaves_nothing_open(void **state)
{
    static const char *const addresses[] = {"localhost", "192.0.2.1", "127.0.0.1"};
    struct net_server other;

    (void)state;
    net_server_start(&net);
    for (int i = 0; i < 3; i++) {
        struct server *server = NULL;
        uv_loop_t loop;

        net_server_prepare(&other);
        other.settings.listeners[0].address = addresses[i];
        /* In use, where the address is ours. */
        other.settings.listeners[0].port = server_port(net.server);
        assert_int_equal(uv_loop_init(&loop), 0);
        assert_int_equal(server_start(&loop, &other.settings, &server), ERROR_INTERNAL);
        assert_null(server);
        assert_int_equal(uv_loop_close(&loop), 0);
    }
    client_ask_once(&net, GET("/read"), 200, "read");
    net_server_stop(&net);
}

static void an_ipv6_address_is_listened_on(void **state)
{
    int probe = socket(AF_INET6, SOCK_STREAM, 0);
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    bool has_ipv6 =
        probe >= 0 && bind(probe, (const struct sockaddr *)&address, sizeof(address)) == 0;
    struct client client = {0};

    (void)state;
    close(probe);
    if (!has_ipv6) {
        print_message("this machine has no ::1: IPv6 was not tried\n");
        skip();
    }
    net_server_prepare(&net);
    net.settings.listeners[0].address = "::1";
    net_server_run(&net);
    address.sin6_port = htons(server_port(net.server));
    client.socket = socket(AF_INET6, SOCK_STREAM, 0);
    assert_int_equal(connect(client.socket, (const struct sockaddr *)&address, sizeof(address)), 0);
    client_send(&client, GET("/read"));
    client_expect(&client, 200, "read");
    client_close(&client);
    net_server_stop(&net);
}

static void above_the_most_connections_others_wait(void **state)
{
    struct client first, second, third;

    (void)state;
    net_server_prepare(&net);
    net.settings.listeners[0].connections_max = 2;
    net_server_run(&net);
    client_connect(&first, &net);
    client_send(&first, GET("/loop"));
    client_expect(&first, 200, "loop");
    client_connect(&second, &net);
    client_send(&second, GET("/held"));
    net_server_await_held(&net, 1);
    client_connect(&third, &net);
    client_send(&third, GET("/loop"));
    client_send(&first, GET("/read"));
    client_expect(&first, 200, "read");
    assert_int_equal(recv(third.socket, &(char){0}, 1, MSG_DONTWAIT), -1);
    client_close(&first);
    client_expect(&third, 200, "loop");
    client_close(&third);
    net_server_open_gate(&net);
    client_expect(&second, 200, "held");
    client_close(&second);
    net_server_stop(&net);
}

static void listener_connect(struct client *client, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    *client = (struct client){0};
    client->socket = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(connect(client->socket, (const struct sockaddr *)&address, sizeof(address)),
                     0);
}

static enum error answer_operators(struct exchange *exchange, struct services *services)
{
    (void)services;
    exchange->response.status = 200;
    exchange->response.type = CONTENT_TEXT;
    buf_append_str(&exchange->response.body, STR("for operators"));
    return OK;
}

/* The second listener of `net`: one route, one connection. */
static void listener_add(const char *path)
{
    static const struct route routes[] = {
        {METHOD_GET, "/operators", false, BODY_NONE, LIMIT_NONE, {{LANE_LOOP, answer_operators}}}};

    net_server_prepare(&net);
    net.settings.listeners[1] = net.settings.listeners[0];
    net.settings.listeners[1].address = path;
    net.settings.listeners[1].is_unix = true;
    net.settings.listeners[1].is_optional = true;
    net.settings.listeners[1].connections_max = 1;
    net.settings.listeners[1].admission.routes = (struct route_table){routes, 1};
    net.settings.listener_count = 2;
}

static void a_second_listener_has_its_own_routes_and_limit(void **state)
{
    static const char path[] = "server_test.sock";
    struct client api, first, second;
    struct stat file;

    (void)state;
    /* One that somebody left is in the way. */
    unlink(path);
    listener_add(path);
    net_server_run(&net);
    assert_int_equal(link(path, "server_test.left"), 0);
    net_server_stop(&net);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(rename("server_test.left", path), 0);

    listener_add(path);
    net_server_run(&net);
    assert_int_equal(stat(path, &file), 0);
    assert_int_equal(file.st_mode & 07777, 0600);
    listener_connect(&first, path);
    client_send(&first, GET("/operators"));
    client_expect(&first, 200, "for operators");
    listener_connect(&second, path);
    client_send(&second, GET("/operators"));
    client_connect(&api, &net);
    client_send(&api, GET("/read"));
    client_expect(&api, 200, "read");
    assert_int_equal(recv(second.socket, &(char){0}, 1, MSG_DONTWAIT), -1);
    client_close(&first);
    client_expect(&second, 200, "for operators");
    client_ask_once(&net, GET("/operators"), 404, NULL);
    client_close(&second);
    client_close(&api);
    net_server_stop(&net);
    assert_int_equal(access(path, F_OK), -1);
}

static void what_is_in_the_way_of_a_socket_stays(void **state)
{
    static const char path[] = "server_test.file";
    struct net_server other;
    struct client client;

    (void)state;
    close(open(path, O_CREAT | O_WRONLY, 0600));
    listener_add(path);
    net_server_run(&net);
    client_ask_once(&net, GET("/read"), 200, "read");
    net_server_stop(&net);
    assert_int_equal(access(path, F_OK), 0);
    unlink(path);

    /* A server that answers there keeps it. */
    listener_add(path);
    net_server_run(&net);
    net_server_prepare(&other);
    other.settings.listeners[1] = net.settings.listeners[1];
    other.settings.listener_count = 2;
    net_server_run(&other);
    net_server_stop(&other);
    listener_connect(&client, path);
    client_send(&client, GET("/operators"));
    client_expect(&client, 200, "for operators");
    client_close(&client);
    net_server_stop(&net);
}

/* Clients of this process need descriptors too: theirs exist before there are no more. */
static void connections_wait_while_there_are_no_descriptors(void **state)
{
    enum { WAITING = 3 };
    struct rlimit before, none;
    struct client client, waiting[WAITING];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int lowest_free;

    (void)state;
    if (getenv("MIGCHAT_MEMCHECK") != NULL) {
        print_message("SKIPPED: valgrind has descriptors of its own, and a limit in place of the "
                      "kernel's\n");
        skip();
    }
    net_server_start(&net);
    address.sin_port = htons(server_port(net.server));
    client_connect(&client, &net);
    client_send(&client, GET("/loop"));
    client_expect(&client, 200, "loop");
    memset(waiting, 0, sizeof(waiting));
    for (int i = 0; i < WAITING; i++) {
        waiting[i].socket = socket(AF_INET, SOCK_STREAM, 0);
    }
    lowest_free = dup(client.socket);
    close(lowest_free);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = (rlim_t)lowest_free;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    for (int i = 0; i < WAITING; i++) {
        connect(waiting[i].socket, (const struct sockaddr *)&address, sizeof(address));
        client_send(&waiting[i], GET("/loop"));
    }
    /* The server goes on and the waiting ones are not dropped. */
    client_send(&client, GET("/read"));
    client_expect(&client, 200, "read");
    for (int i = 0; i < WAITING; i++) {
        assert_int_equal(recv(waiting[i].socket, &(char){0}, 1, MSG_DONTWAIT), -1);
    }
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    for (int i = 0; i < WAITING; i++) {
        client_expect(&waiting[i], 200, "loop");
        client_close(&waiting[i]);
    }
    client_close(&client);
    net_server_stop(&net);
}

static void draining_closes_idle_connections_and_answers_what_is_lent(void **state)
{
    struct client idle, fresh, held;
    struct client_answer answer;

    (void)state;
    net_server_start(&net);
    client_connect(&idle, &net);
    client_send(&idle, GET("/read"));
    client_expect(&idle, 200, "read");
    client_connect(&fresh, &net);
    client_connect(&held, &net);
    client_send(&held, GET("/held"));
    net_server_await_held(&net, 1);
    net_server_drain(&net);
    client_expect_end(&idle);
    client_expect_end(&fresh);
    assert_true(atomic_load(&net.readiness.is_draining));
    net_server_open_gate(&net);
    client_read_answer(&held, false, &answer);
    assert_int_equal(answer.status, 200);
    assert_string_equal(answer.body, "held");
    assert_non_null(strstr(answer.head, "Connection: close"));
    client_answer_release(&answer);
    client_expect_end(&held);
    client_close(&held);
    net_server_wait(&net);
    assert_false(net.has_failed);
    client_close(&idle);
    client_close(&fresh);
}

static void draining_answers_who_connected_just_before(void **state)
{
    struct client fresh, held;

    (void)state;
    net_server_start(&net);
    client_connect(&fresh, &net);
    client_connect(&held, &net);
    client_send(&held, GET("/held"));
    net_server_await_held(&net, 1);
    net_server_drain(&net);
    client_send(&fresh, GET("/loop"));
    client_expect(&fresh, 200, "loop");
    client_expect_end(&fresh);
    net_server_open_gate(&net);
    client_expect(&held, 200, "held");
    net_server_wait(&net);
    client_close(&fresh);
    client_close(&held);
}

static void draining_lets_a_request_and_a_stream_come_to_their_end(void **state)
{
    const int little = 4096;
    struct client begun, stream, idle;
    struct client_answer answer;

    (void)state;
    net_server_start(&net);
    client_connect(&begun, &net);
    client_send(&begun, POST("/write", "Content-Length: 4\r\nExpect: 100-continue\r\n", ""));
    client_expect(&begun, 100, NULL);
    client_connect(&stream, &net);
    setsockopt(stream.socket, SOL_SOCKET, SO_RCVBUF, &little, sizeof(little));
    client_send(&stream, GET("/pages"));
    assert_int_equal(client_receive(&stream, &(char){0}, 1, MSG_PEEK), 1);
    client_connect(&idle, &net);
    client_send(&idle, GET("/loop"));
    client_expect(&idle, 200, "loop");
    net_server_drain(&net);
    client_expect_end(&idle);
    client_close(&idle);
    client_send(&begun, "body");
    client_expect(&begun, 200, "body");
    client_expect_end(&begun);
    client_close(&begun);
    client_read_answer(&stream, false, &answer);
    assert_true(answer.is_complete);
    client_answer_release(&answer);
    client_expect_end(&stream);
    client_close(&stream);
    net_server_wait(&net);
}

static void what_does_not_end_is_cut_and_what_waits_is_not_run(void **state)
{
    struct client held, queued, begun;

    (void)state;
    net_server_prepare(&net);
    net.settings.drain_timeout_ms = 200;
    net.plans[LANE_WRITE].batch_max = 1;
    net_server_run(&net);
    client_connect(&held, &net);
    client_send(&held, GET("/hold-write"));
    net_server_await_held(&net, 1);
    client_connect(&queued, &net);
    client_send(&queued, POST("/write", "Content-Length: 1\r\n", "x"));
    client_connect(&begun, &net);
    client_send(&begun, "GET /lo");
    client_ask_once(&net, GET("/loop"), 200, "loop");
    net_server_drain(&net);
    client_expect_end(&begun);
    client_expect_end(&queued);
    client_expect_end(&held);
    net_server_open_gate(&net);
    net_server_wait(&net);
    assert_int_equal(atomic_load(&net.batches), 1);
    client_close(&held);
    client_close(&queued);
    client_close(&begun);
}

static void draining_twice_is_draining_once(void **state)
{
    (void)state;
    net_server_start(&net);
    net_server_drain(&net);
    net_server_drain(&net);
    net_server_wait(&net);
    assert_false(net.has_failed);
}

static void a_fatal_lane_answers_and_ends_the_server(void **state)
{
    struct client held, fatal, late, idle;
    struct client_answer answer;

    (void)state;
    net_server_prepare(&net);
    net.plans[LANE_WRITE].batch_max = 1;
    net_server_run(&net);
    client_connect(&idle, &net);
    client_connect(&held, &net);
    client_send(&held, GET("/hold-write"));
    net_server_await_held(&net, 1);
    client_connect(&fatal, &net);
    client_send(&fatal, GET("/fatal"));
    /* The loop has taken the one before it answers this. */
    client_ask_once(&net, GET("/loop"), 200, "loop");
    client_connect(&late, &net);
    client_send(&late, POST("/write", "Content-Length: 1\r\n", "x"));
    client_ask_once(&net, GET("/loop"), 200, "loop");
    net_server_open_gate(&net);
    client_expect(&held, 200, "held");
    client_read_answer(&fatal, false, &answer);
    assert_int_equal(answer.status, 503);
    assert_non_null(strstr(answer.body, "\"outcome_unknown\""));
    client_answer_release(&answer);
    client_read_answer(&late, false, &answer);
    assert_int_equal(answer.status, 503);
    assert_non_null(strstr(answer.body, "\"overloaded\""));
    client_answer_release(&answer);
    client_expect_end(&idle);
    client_close(&idle);
    client_close(&held);
    client_close(&fatal);
    client_close(&late);
    /* By itself. */
    net_server_wait(&net);
    assert_true(net.has_failed);
    assert_int_equal(atomic_load(&net.batches), 2);
}

static void expect_migrating(struct client *client)
{
    struct client_answer answer;

    client_read_answer(client, false, &answer);
    assert_int_equal(answer.status, 503);
    assert_non_null(strstr(answer.body, "\"migrating\""));
    assert_non_null(strstr(answer.head, "Retry-After: "));
    client_answer_release(&answer);
}

static void without_lanes_only_the_loop_answers(void **state)
{
    struct client client;

    (void)state;
    net_server_prepare(&net);
    net.is_without_lanes = true;
    net_server_run(&net);
    assert_true(atomic_load(&net.readiness.is_migrating));
    client_connect(&client, &net);
    client_send(&client, GET("/loop") GET("/read"));
    client_expect(&client, 200, "loop");
    expect_migrating(&client);
    client_send(&client, POST("/write", "Content-Length: 1\r\n", "x") GET("/held"));
    expect_migrating(&client);
    expect_migrating(&client);
    net_server_open_lanes(&net);
    while (atomic_load(&net.readiness.is_migrating)) {
        client_ask_once(&net, GET("/loop"), 200, "loop");
    }
    client_send(&client, GET("/read") POST("/write", "Content-Length: 1\r\n", "x"));
    client_expect(&client, 200, "read");
    client_expect(&client, 200, "x");
    client_close(&client);
    net_server_stop(&net);
}

static void a_server_that_got_no_lanes_drains(void **state)
{
    struct client idle, begun;

    (void)state;
    net_server_prepare(&net);
    net.is_without_lanes = true;
    net.settings.drain_timeout_ms = 50;
    net_server_run(&net);
    client_connect(&idle, &net);
    client_send(&idle, GET("/loop"));
    client_expect(&idle, 200, "loop");
    /* In the middle of a head: cut. */
    client_connect(&begun, &net);
    client_send(&begun, GET("/loop") "GET /lo");
    client_expect(&begun, 200, "loop");
    net_server_drain(&net);
    client_expect_end(&idle);
    net_server_wait(&net);
    assert_false(net.has_failed);
    client_close(&idle);
    client_close(&begun);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_that_cannot_be_had_leaves_nothing_open),
        cmocka_unit_test(an_ipv6_address_is_listened_on),
        cmocka_unit_test(above_the_most_connections_others_wait),
        cmocka_unit_test(a_second_listener_has_its_own_routes_and_limit),
        cmocka_unit_test(what_is_in_the_way_of_a_socket_stays),
        cmocka_unit_test(connections_wait_while_there_are_no_descriptors),
        cmocka_unit_test(draining_closes_idle_connections_and_answers_what_is_lent),
        cmocka_unit_test(draining_answers_who_connected_just_before),
        cmocka_unit_test(draining_lets_a_request_and_a_stream_come_to_their_end),
        cmocka_unit_test(what_does_not_end_is_cut_and_what_waits_is_not_run),
        cmocka_unit_test(draining_twice_is_draining_once),
        cmocka_unit_test(without_lanes_only_the_loop_answers),
        cmocka_unit_test(a_server_that_got_no_lanes_drains),
        cmocka_unit_test(a_fatal_lane_answers_and_ends_the_server),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
