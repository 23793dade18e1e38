/* unacked_test.c - how long a client may be gone without a word: the option that accepted sockets
 * have, looked up among this process's own. The loop is turned by hand. */
#include <stdarg.h>
#include <stddef.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/listener.h"
#include "support/net_server.h"

#define DESCRIPTORS_MAX 1024
#define WRITE_TIMEOUT_MS 100000u

static struct net_server net;
static uv_loop_t loop;
static struct server *server;

static void serve(void)
{
    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(server_start(&loop, &net.settings, &server), OK);
}

static void serve_end(void)
{
    server_drain(server);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_false(server_finish(server));
    assert_int_equal(uv_loop_close(&loop), 0);
}

/* The socket on our side of this client's. */
static int accepted_find(int client)
{
    struct sockaddr_in here = {0};
    socklen_t len = sizeof here;

    assert_int_equal(getsockname(client, (struct sockaddr *)&here, &len), 0);
    for (int found = 0; found < DESCRIPTORS_MAX; found++) {
        struct sockaddr_in peer = {0};

        len = sizeof peer;
        if (getpeername(found, (struct sockaddr *)&peer, &len) == 0 && peer.sin_family == AF_INET &&
            peer.sin_port == here.sin_port) {
            return found;
        }
    }
    return -1;
}

static unsigned unacked_max_ms(int socket)
{
    unsigned max_ms = 0;
    socklen_t len = sizeof max_ms;

    assert_int_equal(getsockopt(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, &max_ms, &len), 0);
    return max_ms;
}

/* Of a connection that is accepted now. */
static unsigned accepted_unacked_max_ms(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(server_port(server)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int client = socket(AF_INET, SOCK_STREAM, 0);
    int accepted = -1;

    assert_int_equal(connect(client, (const struct sockaddr *)&address, sizeof address), 0);
    while ((accepted = accepted_find(client)) < 0) {
        uv_run(&loop, UV_RUN_ONCE);
    }
    unsigned max_ms = unacked_max_ms(accepted);
    close(client);
    return max_ms;
}

static void an_accepted_connection_has_the_limit(void **state)
{
    (void)state;
    net_server_prepare(&net);
    net.settings.write_timeout_ms = WRITE_TIMEOUT_MS;
    serve();
    assert_int_equal(accepted_unacked_max_ms(), 2 * WRITE_TIMEOUT_MS);
    net.settings.write_timeout_ms = WRITE_TIMEOUT_MS + 1000;
    server_follow(server, &net.settings);
    assert_int_equal(accepted_unacked_max_ms(), 2 * (WRITE_TIMEOUT_MS + 1000));
    /* A short write limit is about pages that wait here, not about who may be out of reach. */
    net.settings.write_timeout_ms = 100;
    server_follow(server, &net.settings);
    assert_int_equal(accepted_unacked_max_ms(), UNACKED_MAX_MS);
    serve_end();
}

static void a_socket_that_was_handed_over_too(void **state)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int given = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    (void)state;
    assert_int_equal(bind(given, (const struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(given, 8), 0);
    net_server_prepare(&net);
    net.settings.listeners[0].is_given = true;
    net.settings.listeners[0].socket = given;
    net.settings.write_timeout_ms = WRITE_TIMEOUT_MS;
    serve();
    assert_int_equal(accepted_unacked_max_ms(), 2 * WRITE_TIMEOUT_MS);
    serve_end();
}

/* It has no such option: nothing is asked for, so nothing is refused. */
static void a_unix_socket_is_left_alone(void **state)
{
    int pair[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    listener_limit_unacked(pair[0], WRITE_TIMEOUT_MS);
    close(pair[0]);
    close(pair[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_accepted_connection_has_the_limit),
        cmocka_unit_test(a_socket_that_was_handed_over_too),
        cmocka_unit_test(a_unix_socket_is_left_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
