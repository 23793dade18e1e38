/* net_client.c - blocking clients of a net_server. */
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/net_server.h"

/* A test that waits longer has failed. */
#define CLIENT_PATIENCE_S 60

static bool client_fill(struct client *client);
static void client_drop(struct client *client, size_t len);
static size_t client_find(struct client *client, const char *text);
static void body_take(struct client *client, struct client_answer *answer, size_t len);
static void chunks_take(struct client *client, struct client_answer *answer);

void client_connect(struct client *client, const struct net_server *net)
{
    client_connect_little(client, net, 0);
}

void client_connect_little(struct client *client, const struct net_server *net, int bytes)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(server_port(net->server)),
                                  .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct timeval patience = {.tv_sec = CLIENT_PATIENCE_S};

    memset(client, 0, sizeof(*client));
    client->socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(client->socket >= 0);
    assert_int_equal(
        setsockopt(client->socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    if (bytes > 0) {
        /* Before it connects: the first window told depends on it. */
        assert_int_equal(setsockopt(client->socket, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)),
                         0);
    }
    assert_int_equal(connect(client->socket, (struct sockaddr *)&address, sizeof(address)), 0);
}

void client_close(struct client *client)
{
    close(client->socket);
    free(client->bytes);
    memset(client, 0, sizeof(*client));
}

void client_send(struct client *client, const char *text)
{
    client_send_bytes(client, text, strlen(text));
}

void client_send_bytes(struct client *client, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t sent = send(client->socket, bytes, len, MSG_NOSIGNAL);

        if (sent < 0) {
            client->was_reset = true;
            return;
        }
        bytes += sent;
        len -= (size_t)sent;
    }
}

ssize_t client_receive(struct client *client, char *bytes, size_t capacity, int flags)
{
    ssize_t got;

    do {
        got = recv(client->socket, bytes, capacity, flags);
    } while (got < 0 && errno == EINTR);
    return got;
}

void client_end(struct client *client)
{
    assert_int_equal(shutdown(client->socket, SHUT_WR), 0);
}

/* False at the end. */
static bool client_fill(struct client *client)
{
    ssize_t got;

    if (client->capacity - client->len < 65536) {
        client->capacity = client->capacity * 2 + 65536;
        client->bytes = realloc(client->bytes, client->capacity);
        assert_non_null(client->bytes);
    }
    got = client_receive(client, client->bytes + client->len, client->capacity - client->len, 0);
    if (got < 0 && errno != ECONNRESET) {
        fail_msg("nothing came for %d s: %s", CLIENT_PATIENCE_S, strerror(errno));
    }
    client->was_reset = client->was_reset || got < 0;
    client->len += got > 0 ? (size_t)got : 0;
    return got > 0;
}

static void client_drop(struct client *client, size_t len)
{
    client->len -= len;
    memmove(client->bytes, client->bytes + len, client->len);
}

/* Reads until the text is there; how many bytes there are before and including it. */
static size_t client_find(struct client *client, const char *text)
{
    for (;;) {
        const char *at =
            client->len > 0 ? memmem(client->bytes, client->len, text, strlen(text)) : NULL;

        if (at != NULL) {
            return (size_t)(at - client->bytes) + strlen(text);
        }
        if (!client_fill(client)) {
            fail_msg("the end came instead of an answer, after: %.*s", (int)client->len,
                     client->len > 0 ? client->bytes : "");
        }
    }
}

void client_read_answer(struct client *client, bool to_head, struct client_answer *out_answer)
{
    size_t head_len = client_find(client, "\r\n\r\n");
    const char *length;

    memset(out_answer, 0, sizeof(*out_answer));
    assert_true(head_len < sizeof(out_answer->head));
    memcpy(out_answer->head, client->bytes, head_len);
    client_drop(client, head_len);
    assert_int_equal(sscanf(out_answer->head, "HTTP/1.1 %d ", &out_answer->status), 1);
    out_answer->body = calloc(1, 1);
    assert_non_null(out_answer->body);
    if (to_head || out_answer->status < 200 || out_answer->status == 204) {
        return;
    }
    length = strcasestr(out_answer->head, "\r\nContent-Length: ");
    if (strcasestr(out_answer->head, "\r\nTransfer-Encoding: chunked\r\n") != NULL) {
        out_answer->is_chunked = true;
        chunks_take(client, out_answer);
    } else if (length != NULL) {
        body_take(client, out_answer, strtoul(length + strlen("\r\nContent-Length: "), NULL, 10));
        out_answer->is_complete = true;
    } else {
        while (client_fill(client)) {
        }
        body_take(client, out_answer, client->len);
    }
}

static void body_take(struct client *client, struct client_answer *answer, size_t len)
{
    while (client->len < len) {
        if (!client_fill(client)) {
            fail_msg("the end came before %zu bytes of the body", len - client->len);
        }
    }
    answer->body = realloc(answer->body, answer->body_len + len + 1);
    assert_non_null(answer->body);
    if (len > 0) {
        memcpy(answer->body + answer->body_len, client->bytes, len);
    }
    answer->body_len += len;
    answer->body[answer->body_len] = '\0';
    client_drop(client, len);
}

/* Up to the last chunk, or up to the end: then the answer is not complete. */
static void chunks_take(struct client *client, struct client_answer *answer)
{
    for (;;) {
        size_t len;

        while (client->len == 0 || memmem(client->bytes, client->len, "\r\n", 2) == NULL) {
            if (!client_fill(client)) {
                return;
            }
        }
        len = strtoul(client->bytes, NULL, 16);
        client_drop(client, client_find(client, "\r\n"));
        while (client->len < len + 2) {
            if (!client_fill(client)) {
                return;
            }
        }
        body_take(client, answer, len);
        assert_memory_equal(client->bytes, "\r\n", 2);
        client_drop(client, 2);
        if (len == 0) {
            answer->is_complete = true;
            return;
        }
    }
}

void client_answer_release(struct client_answer *answer)
{
    free(answer->body);
    answer->body = NULL;
}

void client_expect(struct client *client, int status, const char *body)
{
    struct client_answer answer;

    client_read_answer(client, false, &answer);
    assert_int_equal(answer.status, status);
    if (body != NULL) {
        assert_string_equal(answer.body, body);
    }
    client_answer_release(&answer);
}

void client_expect_end(struct client *client)
{
    if (client->len > 0 || client_fill(client)) {
        fail_msg("expected the end, got: %.*s", (int)client->len, client->bytes);
    }
}

void client_ask_once(const struct net_server *net, const char *request, int status,
                     const char *body)
{
    struct client client;

    client_connect(&client, net);
    client_send(&client, request);
    client_expect(&client, status, body);
    client_close(&client);
}

int64_t test_now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}
