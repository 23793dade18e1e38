/* raw_epoll.c - the ceiling: the least a process can do to answer HTTP on one epoll loop.
 *
 * usage: raw_epoll PORT [BODY_FILE]
 *
 * Counts the empty lines that end a request head (the requests it is asked have no body), and
 * answers each with the same prepared bytes: "OK", or the content of BODY_FILE. The answers of one
 * read go out together. Nothing is parsed, so nothing that judges requests can be faster.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_MAX_BYTES 65536
#define EVENTS_MAX 512
#define DESCRIPTORS_MAX 65536
/* Answers to pipelined requests that are joined in one write. */
#define JOINED_MAX 64
/* CR LF CR LF, as one number. */
#define HEAD_END 0x0d0a0d0aU

/* What a connection still has to send: whole answers, the first of them from `sent` on. */
struct connection {
    size_t answers_left;
    size_t sent;
    uint32_t matched; /* the last four bytes read */
    bool is_behind;   /* waits for the socket to take more, and reads nothing meanwhile */
};

static char *answers; /* JOINED_MAX times the answer */
static size_t answer_len;
static struct connection connections[DESCRIPTORS_MAX];
static int epoll_file;

static void fail(const char *what);
static void answer_make(const char *body_path);
static int listener_open(const char *port);
static void connections_accept(int listener);
static void connection_read(int file);
static bool connection_write(int file);

int main(int argc, char **argv)
{
    struct epoll_event events[EVENTS_MAX];

    if (argc < 2) {
        (void)fprintf(stderr, "usage: raw_epoll PORT [BODY_FILE]\n");
        return 2;
    }
    answer_make(argc > 2 ? argv[2] : NULL);
    int listener = listener_open(argv[1]);

    epoll_file = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event wanted = {.events = EPOLLIN, .data.fd = listener};

    if (epoll_ctl(epoll_file, EPOLL_CTL_ADD, listener, &wanted) != 0) {
        fail("epoll_ctl");
    }
    for (;;) {
        int count = epoll_wait(epoll_file, events, EVENTS_MAX, -1);

        for (int i = 0; i < count; i++) {
            int file = events[i].data.fd;

            if (file == listener) {
                connections_accept(listener);
            } else if ((events[i].events & EPOLLOUT) == 0 || connection_write(file)) {
                connection_read(file);
            }
        }
    }
}

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void answer_make(const char *body_path)
{
    char head[128];
    char *body = NULL;
    size_t body_len = 2;

    if (body_path != NULL) {
        FILE *file = fopen(body_path, "rb");
        struct stat found;

        if (file == NULL || fstat(fileno(file), &found) != 0) {
            fail(body_path);
        }
        body_len = (size_t)found.st_size;
        body = malloc(body_len + 1);
        if (body == NULL || fread(body, 1, body_len, file) != body_len) {
            fail(body_path);
        }
        (void)fclose(file);
    }
    int head_len = snprintf(head, sizeof head,
                            "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n",
                            body == NULL ? "text/plain" : "application/json", body_len);

    answer_len = (size_t)head_len + body_len;
    answers = malloc(answer_len * JOINED_MAX);
    if (answers == NULL) {
        fail("malloc");
    }
    for (size_t i = 0; i < JOINED_MAX; i++) {
        memcpy(answers + i * answer_len, head, (size_t)head_len);
        memcpy(answers + i * answer_len + head_len, body == NULL ? "OK" : body, body_len);
    }
    free(body);
}

static int listener_open(const char *port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)strtoul(port, NULL, 10)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;

    (void)setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(listener, 4096) != 0) {
        fail("listen");
    }
    return listener;
}

static void connections_accept(int listener)
{
    for (;;) {
        int file = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        int on = 1;

        if (file < 0) {
            return;
        }
        struct epoll_event wanted = {.events = EPOLLIN, .data.fd = file};

        (void)setsockopt(file, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (file >= DESCRIPTORS_MAX || epoll_ctl(epoll_file, EPOLL_CTL_ADD, file, &wanted) != 0) {
            (void)close(file);
            continue;
        }
        connections[file] = (struct connection){.matched = 0};
    }
}

static void connection_read(int file)
{
    static char bytes[READ_MAX_BYTES];
    struct connection *connection = &connections[file];
    ssize_t len = recv(file, bytes, sizeof bytes, 0);

    if (len <= 0) {
        if (len == 0 || errno != EAGAIN) {
            (void)close(file);
        }
        return;
    }
    for (ssize_t i = 0; i < len; i++) {
        connection->matched = connection->matched << 8 | (unsigned char)bytes[i];
        if (connection->matched == HEAD_END) {
            connection->answers_left++;
        }
    }
    (void)connection_write(file);
}

/* True when nothing is left to send. */
static bool connection_write(int file)
{
    struct connection *connection = &connections[file];
    while (connection->answers_left > 0) {
        size_t joined =
            connection->answers_left < JOINED_MAX ? connection->answers_left : JOINED_MAX;
        size_t len = joined * answer_len - connection->sent;
        ssize_t sent = send(file, answers + connection->sent, len, MSG_NOSIGNAL);

        if (sent < 0) {
            if (errno != EAGAIN) {
                (void)close(file);
                return false;
            }
            sent = 0;
        }
        connection->sent += (size_t)sent;
        connection->answers_left -= connection->sent / answer_len;
        connection->sent %= answer_len;
        if ((size_t)sent < len) {
            struct epoll_event wanted = {.events = EPOLLOUT, .data.fd = file};

            (void)epoll_ctl(epoll_file, EPOLL_CTL_MOD, file, &wanted);
            connection->is_behind = true;
            return false;
        }
    }
    if (connection->is_behind) {
        struct epoll_event wanted = {.events = EPOLLIN, .data.fd = file};

        (void)epoll_ctl(epoll_file, EPOLL_CTL_MOD, file, &wanted);
        connection->is_behind = false;
    }
    return true;
}
