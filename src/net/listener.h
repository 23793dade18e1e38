/* listener.h - a socket that is listened on: opened, bound, closed.
 *
 * Uses:    uv (addresses), base, http/admission.
 * Used by: net/server.
 * Thread:  the loop's; a Unix socket is bound before there are other threads (umask).
 */
#ifndef MIGCHAT_NET_LISTENER_H
#define MIGCHAT_NET_LISTENER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/error.h"
#include "http/admission.h"

/* What is listened on, and what is served there. */
struct listener_settings {
    bool is_given; /* `socket` listens already: somebody else made it and keeps it */
    int socket;
    const char *for_whom; /* "public", "admin", "metrics": for the log and the metrics */
    const char *address;  /* IPv4 or IPv6 literal; with `is_unix` the path of a socket */
    uint16_t port;        /* 0: any free one */
    bool is_unix;         /* the file is for its owner only (0600) */
    bool is_optional;     /* when it cannot be opened, that is a warning */
    struct admission_policy admission;
    unsigned connections_max; /* above it accepting pauses */
};

/* Binds and listens, without blocking later. What goes wrong is logged and INTERNAL. A Unix socket
 * somebody left is replaced, one that answers is not. */
MUST_CHECK enum error listener_open(const struct listener_settings *settings, int *out_socket,
                                    uint16_t *out_port);
/* For a client that is gone without a word: a machine without power, a phone without a network.
 * Connections accepted from now on end when what was sent to them is not acknowledged for so long
 * (TCP_USER_TIMEOUT, tcp(7)); the kernel alone takes a quarter of an hour. A reader that is slow
 * acknowledges. One whose window stays closed is limited as well, which is why it is twice the
 * write limit, that counts what the reader takes, and UNACKED_MAX_MS at least. Accepted sockets
 * have the option of the one listened on (Linux), so it costs no connection a system call. Nothing
 * for a Unix socket. A kernel that refuses it is logged; the server goes on with the kernel's. */
#define UNACKED_MAX_MS 120000u
void listener_limit_unacked(int socket, unsigned write_timeout_ms);
/* Also removes the file of a Unix socket. */
void listener_close(const struct listener_settings *settings, int socket);

#endif
