/* listener.c - one way for addresses, ports and Unix sockets. */
#include "net/listener.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#include "base/log.h"

/* Connections the kernel finishes while the loop is busy. */
#define LISTEN_BACKLOG 1024
#define UNIX_SOCKET_UMASK 0177

static const char *address_read(const struct listener_settings *settings,
                                struct sockaddr_storage *out_address, socklen_t *out_len);
static const char *address_read_unix(const struct listener_settings *settings,
                                     struct sockaddr_storage *out_address, socklen_t *out_len);
static const char *socket_bind(const struct listener_settings *settings, int socket,
                               const struct sockaddr_storage *address, socklen_t len);
static bool unix_socket_answers(const struct sockaddr_storage *address, socklen_t len);
static uint16_t port_of(int socket);

enum error listener_open(const struct listener_settings *settings, int *out_socket,
                         uint16_t *out_port)
{
    struct sockaddr_storage address;
    socklen_t len = 0;
    int opened = -1;

    if (settings->is_given) {
        *out_socket = settings->socket;
        *out_port = port_of(settings->socket);
        return OK;
    }
    errno = 0;
    const char *failed = address_read(settings, &address, &len);
    if (failed == NULL) {
        opened = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        failed = opened < 0 ? "socket" : socket_bind(settings, opened, &address, len);
    }
    if (failed != NULL) {
        log_event(settings->is_optional ? LOG_WARN : LOG_ERROR, "listen_failed",
                  LOG_TEXT("for", settings->for_whom), LOG_TEXT("address", settings->address),
                  LOG_INT("port", settings->port), LOG_TEXT("call", failed),
                  LOG_TEXT("reason", errno != 0 ? strerror(errno) : "not allowed"), LOG_END);
        if (opened >= 0) {
            close(opened);
        }
        return ERROR_INTERNAL;
    }
    *out_socket = opened;
    *out_port = port_of(opened);
    return OK;
}

/* Like the others: NULL, or what went wrong. */
static const char *address_read(const struct listener_settings *settings,
                                struct sockaddr_storage *out_address, socklen_t *out_len)
{
    memset(out_address, 0, sizeof(*out_address));
    if (settings->is_unix) {
        return address_read_unix(settings, out_address, out_len);
    }
    if (uv_ip4_addr(settings->address, settings->port, (struct sockaddr_in *)out_address) == 0) {
        *out_len = sizeof(struct sockaddr_in);
        return NULL;
    }
    if (uv_ip6_addr(settings->address, settings->port, (struct sockaddr_in6 *)out_address) == 0) {
        *out_len = sizeof(struct sockaddr_in6);
        return NULL;
    }
    return "reading an IPv4 or IPv6 address";
}

static const char *address_read_unix(const struct listener_settings *settings,
                                     struct sockaddr_storage *out_address, socklen_t *out_len)
{
    struct sockaddr_un *address = (struct sockaddr_un *)out_address;
    size_t len = strlen(settings->address);

    if (len >= sizeof(address->sun_path)) {
        errno = ENAMETOOLONG;
        return "reading a path of at most 107 bytes";
    }
    address->sun_family = AF_UNIX;
    memcpy(address->sun_path, settings->address, len + 1);
    *out_len = sizeof(*address);
    return NULL;
}

static const char *socket_bind(const struct listener_settings *settings, int socket,
                               const struct sockaddr_storage *address, socklen_t len)
{
    const int on = 1;
    mode_t before = 0;

    if (!settings->is_unix) {
        if (setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0) {
            return "setsockopt";
        }
    } else {
        if (unix_socket_answers(address, len)) {
            errno = EADDRINUSE;
            return "bind";
        }
        if (unlink(settings->address) != 0 && errno != ENOENT) {
            return "unlink";
        }
        before = umask(UNIX_SOCKET_UMASK);
    }
    int bound = bind(socket, (const struct sockaddr *)address, len);
    if (settings->is_unix) {
        umask(before);
    }
    if (bound != 0) {
        return "bind";
    }
    return listen(socket, LISTEN_BACKLOG) != 0 ? "listen" : NULL;
}

/* Whatever is no socket, or somebody's who listens, is left where it is. */
static bool unix_socket_answers(const struct sockaddr_storage *address, socklen_t len)
{
    struct stat file;
    int client;

    if (lstat(((const struct sockaddr_un *)address)->sun_path, &file) != 0) {
        return false;
    }
    if (!S_ISSOCK(file.st_mode)) {
        return true;
    }
    client = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (client < 0) {
        return true;
    }
    bool answers = connect(client, (const struct sockaddr *)address, len) == 0 || errno == EAGAIN;
    close(client);
    return answers;
}

void listener_limit_unacked(int socket, unsigned write_timeout_ms)
{
    const unsigned max_ms =
        2 * write_timeout_ms > UNACKED_MAX_MS ? 2 * write_timeout_ms : UNACKED_MAX_MS;

    if (port_of(socket) != 0 &&
        setsockopt(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, &max_ms, sizeof(max_ms)) != 0) {
        log_event(LOG_WARN, "unacked_not_limited", LOG_TEXT("reason", strerror(errno)), LOG_END);
    }
}

/* 0 for a Unix socket. */
static uint16_t port_of(int socket)
{
    struct sockaddr_storage address = {0};
    socklen_t len = sizeof(address);

    (void)getsockname(socket, (struct sockaddr *)&address, &len);
    if (address.ss_family == AF_INET6) {
        return ntohs(((const struct sockaddr_in6 *)&address)->sin6_port);
    }
    return address.ss_family == AF_INET ? ntohs(((const struct sockaddr_in *)&address)->sin_port)
                                        : 0;
}

void listener_close(const struct listener_settings *settings, int socket)
{
    /* The file first: who finds none is told so at once. */
    if (settings->is_unix && !settings->is_given) {
        unlink(settings->address);
    }
    close(socket);
}
