/* notify.h - telling systemd how the service goes, as sd_notify(3) does.
 *
 * One datagram of NAME=VALUE lines to the socket that $NOTIFY_SOCKET names. Without that variable
 * nobody asked, and nothing is sent.
 *
 * Uses:    base, libc.
 * Used by: supervision.
 * Thread:  the loop's.
 */
#ifndef MIGCHAT_NOTIFY_H
#define MIGCHAT_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/attributes.h"

/* A line of STATUS= and two or three others. */
#define NOTIFY_MAX_BYTES 512u

struct notify {
    int socket; /* -1: nobody listens */
    struct sockaddr_un address;
    socklen_t address_len;
    bool has_failed; /* said in the log; it is said once */
};

/* Reads $NOTIFY_SOCKET; a path or, with a '@' before it, a name in the abstract namespace
 * (unix(7)). An address that is none of them is a warning in the log. To be closed. */
void notify_open(struct notify *notify);
void notify_close(struct notify *notify);
bool notify_is_heard(const struct notify *notify);
/* Sends the text that printf would print, NAME=VALUE lines. It is never waited for: when systemd
 * does not take it, that is a warning, once. */
PRINTF_LIKE(2, 3) void notify_send(struct notify *notify, const char *format, ...);

/* Half of $WATCHDOG_USEC in milliseconds, the time within which WATCHDOG=1 is to be sent; 0 when
 * no watchdog is set or it is another process's ($WATCHDOG_PID; sd_watchdog_enabled(3)). */
uint64_t notify_watchdog_half_ms(void);

#endif
