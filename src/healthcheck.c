/* healthcheck.c - one request over a blocking socket, for containers and scripts without curl.
 *
 * The request is HTTP/1.0, so the answer ends with the connection. An address that means every one
 * of the machine is asked over loopback.
 */
#include "healthcheck.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/clock.h"

#define LIMIT_MS 3000
#define ANSWER_MAX_BYTES ((size_t)16 * 1024)

/* The time the whole check may take, on the monotonic clock. */
struct check {
    const char *host;
    char port[8];
    int64_t ends_at_ms;
    struct buf answer;
};

static const char *host_asked(struct str listen);
static const char *check_run(struct check *check);
static const char *socket_ask(struct check *check, int socket);
static bool limit_set(const struct check *check, int socket, int option);
static bool answer_judge(struct str answer, struct buf *out);

int healthcheck_run(const struct config *config, struct buf *out)
{
    struct check check = {.host = host_asked(config_text(config, OPTION_LISTEN)),
                          .ends_at_ms = clock_monotonic_ms() + LIMIT_MS};
    unsigned port = (unsigned)config_number(config, OPTION_PORT);

    snprintf(check.port, sizeof check.port, "%u", port);
    buf_init(&check.answer, ANSWER_MAX_BYTES);
    const char *failure =
        port == 0 ? "port 0 means any; the check needs --port" : check_run(&check);
    bool is_ready = failure == NULL && answer_judge(buf_str(&check.answer), out);
    if (failure != NULL) {
        buf_append_format(out, "%s port %s does not answer: %s\n", check.host, check.port, failure);
    }
    buf_release(&check.answer);
    return is_ready ? EXIT_OK : EXIT_FAILED;
}

static const char *host_asked(struct str listen)
{
    if (str_equal(listen, STR("0.0.0.0"))) {
        return "127.0.0.1";
    }
    return str_equal(listen, STR("::")) ? "::1" : listen.ptr;
}

/* NULL when there is an answer, else why there is none. */
static const char *check_run(struct check *check)
{
    const struct addrinfo wanted = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
                                    .ai_socktype = SOCK_STREAM};
    struct addrinfo *address = NULL;
    const char *failure = NULL;

    int code = getaddrinfo(check->host, check->port, &wanted, &address);
    if (code != 0) {
        return gai_strerror(code);
    }
    int peer = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    /* The limit of sending is also that of connecting (socket(7)). */
    if (peer < 0 || !limit_set(check, peer, SO_SNDTIMEO) ||
        connect(peer, address->ai_addr, address->ai_addrlen) != 0) {
        failure = errno == EINPROGRESS ? "time is up" : strerror(errno);
    } else {
        failure = socket_ask(check, peer);
    }
    if (peer >= 0) {
        close(peer);
    }
    freeaddrinfo(address);
    return failure;
}

static const char *socket_ask(struct check *check, int socket)
{
    static const char request[] = "GET /readyz HTTP/1.0\r\nHost: localhost\r\n\r\n";
    ssize_t took = send(socket, request, sizeof request - 1, MSG_NOSIGNAL);

    while (took > 0) {
        char *room = buf_reserve(&check->answer, 1);

        if (room == NULL) {
            return "its answer is too long";
        }
        if (!limit_set(check, socket, SO_RCVTIMEO)) {
            return strerror(errno);
        }
        took = recv(socket, room, check->answer.capacity - check->answer.len, 0);
        if (took > 0) {
            buf_grow(&check->answer, (size_t)took);
        }
    }
    if (took == 0) {
        return NULL;
    }
    return errno == EAGAIN || errno == EINPROGRESS ? "time is up" : strerror(errno);
}

/* What is left of the time; 0 would mean no limit. */
static bool limit_set(const struct check *check, int socket, int option)
{
    int64_t left_ms = check->ends_at_ms - clock_monotonic_ms();

    if (left_ms <= 0) {
        errno = EAGAIN;
        return false;
    }
    const struct timeval limit = {.tv_sec = left_ms / 1000, .tv_usec = left_ms % 1000 * 1000};
    return setsockopt(socket, SOL_SOCKET, option, &limit, sizeof limit) == 0;
}

/* Whether the status is 200; the body goes to `out`, without control characters: whoever answers on
 * the port need not be our server. */
static bool answer_judge(struct str answer, struct buf *out)
{
    struct str rest = answer;
    struct str line = str_cut(&rest, '\r');
    bool is_http = str_starts_with(line, STR("HTTP/1.")) && line.len >= sizeof "HTTP/1.1";
    const char *body = memmem(answer.ptr, answer.len, "\r\n\r\n", 4);

    if (!is_http || body == NULL) {
        buf_append_str(out, STR("the answer is not HTTP\n"));
        return false;
    }
    bool is_ready = str_starts_with((struct str){line.ptr + 8, line.len - 8}, STR(" 200"));
    for (body += 4; body < answer.ptr + answer.len; body++) {
        buf_append_char(out, *body >= ' ' && *body != 0x7f ? *body : ' ');
    }
    buf_append_char(out, '\n');
    return is_ready;
}
