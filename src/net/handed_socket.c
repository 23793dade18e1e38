/* handed_socket.c - checks what came in before it is trusted. */
#include "net/handed_socket.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"

#define FIRST_DESCRIPTOR 3

static const char *socket_check(int socket);
static const char *address_write(int socket, char out[HANDED_ADDRESS_BYTES]);

enum error handed_socket_take(struct handed_socket *out_handed)
{
    const char *pid_named = getenv("LISTEN_PID");
    const char *number = getenv("LISTEN_FDS");
    uint64_t pid, count;
    const char *failed = NULL;

    *out_handed = (struct handed_socket){.socket = -1};
    if (pid_named == NULL || number == NULL || !str_to_uint(str_from(pid_named), INT32_MAX, &pid) ||
        (pid_t)pid != getpid()) {
        return OK; /* meant for somebody else */
    }
    if (!str_to_uint(str_from(number), INT32_MAX, &count)) {
        failed = "LISTEN_FDS is no number";
    } else if (count == 0) {
        return OK;
    } else if (count > 1) {
        failed = "more than one socket; the other listeners open their own";
    } else {
        failed = socket_check(FIRST_DESCRIPTOR);
    }
    if (failed == NULL) {
        failed = address_write(FIRST_DESCRIPTOR, out_handed->address);
    }
    if (failed != NULL) {
        log_event(LOG_ERROR, "handed_socket_unfit", LOG_TEXT("reason", failed), LOG_END);
        return ERROR_INTERNAL;
    }
    out_handed->socket = FIRST_DESCRIPTOR;
    return OK;
}

/* NULL, or what is wrong with it. */
static const char *socket_check(int socket)
{
    int type = 0, listens = 0;
    socklen_t len = sizeof type;

    if (getsockopt(socket, SOL_SOCKET, SO_TYPE, &type, &len) != 0) {
        return "descriptor 3 is no socket";
    }
    len = sizeof listens;
    if (type != SOCK_STREAM || getsockopt(socket, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) != 0 ||
        listens == 0) {
        return "it is no listening stream socket (ListenStream=, Accept=no)";
    }
    int flags = fcntl(socket, F_GETFL);
    if (flags < 0 || fcntl(socket, F_SETFL, flags | O_NONBLOCK) != 0 ||
        fcntl(socket, F_SETFD, FD_CLOEXEC) != 0) {
        return "its flags cannot be set";
    }
    return NULL;
}

static const char *address_write(int socket, char out[HANDED_ADDRESS_BYTES])
{
    struct sockaddr_storage address = {0};
    socklen_t len = sizeof address;
    const void *host = NULL;

    if (getsockname(socket, (struct sockaddr *)&address, &len) != 0) {
        return "it has no address";
    }
    switch (address.ss_family) {
    case AF_INET:
        host = &((const struct sockaddr_in *)&address)->sin_addr;
        break;
    case AF_INET6:
        host = &((const struct sockaddr_in6 *)&address)->sin6_addr;
        break;
    case AF_UNIX:
        out[0] = '\0';
        return NULL;
    default:
        return "it is neither of TCP nor a Unix socket";
    }
    return inet_ntop(address.ss_family, host, out, HANDED_ADDRESS_BYTES) == NULL
               ? "its address cannot be read"
               : NULL;
}
