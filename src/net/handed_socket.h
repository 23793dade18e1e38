/* handed_socket.h - the listening socket that a supervisor opened and hands in.
 *
 * systemd's protocol (sd_listen_fds(3)): descriptors from 3 on, their number in $LISTEN_FDS, for
 * the process $LISTEN_PID. Connections wait in the socket while no server is there, so none is
 * refused during a restart.
 *
 * Uses:    base, libc.
 * Used by: serving.
 * Thread:  main, before others start.
 */
#ifndef MIGCHAT_NET_HANDED_SOCKET_H
#define MIGCHAT_NET_HANDED_SOCKET_H

#include "base/attributes.h"
#include "base/error.h"

#define HANDED_ADDRESS_BYTES 108u

struct handed_socket {
    int socket;                         /* -1: none was handed in */
    char address[HANDED_ADDRESS_BYTES]; /* where it listens, for the log */
};

/* More than one, or one that is no listening stream socket, is logged and INTERNAL: serving
 * elsewhere than whoever made it wants would be worse. Not blocking and closed on exec from now on.
 */
MUST_CHECK enum error handed_socket_take(struct handed_socket *out_handed);

#endif
