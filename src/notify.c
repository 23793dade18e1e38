/* notify.c - the datagram (sd_notify(3), "Standalone Implementations"). */
#include "notify.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/require.h"
#include "base/str.h"

#define USEC_PER_MS 1000u

static const char *address_read(struct notify *notify, const char *named);

void notify_open(struct notify *notify)
{
    const char *named = getenv("NOTIFY_SOCKET");

    *notify = (struct notify){.socket = -1};
    if (named == NULL || named[0] == '\0') {
        return;
    }
    const char *failed = address_read(notify, named);
    if (failed == NULL) {
        notify->socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        failed = notify->socket < 0 ? strerror(errno) : NULL;
    }
    if (failed != NULL) {
        log_event(LOG_WARN, "notify_failed", LOG_TEXT("socket", named), LOG_TEXT("reason", failed),
                  LOG_END);
    }
}

/* NULL, or what is wrong with it. */
static const char *address_read(struct notify *notify, const char *named)
{
    size_t len = strlen(named);

    if (named[0] != '/' && named[0] != '@') {
        return "neither a path nor an abstract name";
    }
    if (len >= sizeof notify->address.sun_path) {
        return "too long for a socket";
    }
    notify->address.sun_family = AF_UNIX;
    memcpy(notify->address.sun_path, named, len);
    if (named[0] == '@') {
        notify->address.sun_path[0] = '\0';
    }
    notify->address_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    return NULL;
}

void notify_close(struct notify *notify)
{
    if (notify->socket >= 0) {
        close(notify->socket);
        notify->socket = -1;
    }
}

bool notify_is_heard(const struct notify *notify)
{
    return notify->socket >= 0;
}

void notify_send(struct notify *notify, const char *format, ...)
{
    char text[NOTIFY_MAX_BYTES];
    va_list arguments;

    if (notify->socket < 0) {
        return;
    }
    va_start(arguments, format);
    int len = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    REQUIRE(len > 0 && (size_t)len < sizeof text);
    ssize_t sent = sendto(notify->socket, text, (size_t)len, MSG_NOSIGNAL,
                          (const struct sockaddr *)&notify->address, notify->address_len);
    if (sent < 0 && !notify->has_failed) {
        notify->has_failed = true;
        log_event(LOG_WARN, "notify_failed", LOG_TEXT("reason", strerror(errno)), LOG_END);
    }
}

uint64_t notify_watchdog_half_ms(void)
{
    const char *named = getenv("WATCHDOG_USEC");
    const char *pid_named = getenv("WATCHDOG_PID");
    uint64_t watchdog_us, pid;

    if (named == NULL || !str_to_uint(str_from(named), UINT64_MAX, &watchdog_us)) {
        return 0;
    }
    if (pid_named != NULL &&
        (!str_to_uint(str_from(pid_named), INT32_MAX, &pid) || (pid_t)pid != getpid())) {
        return 0;
    }
    uint64_t half_ms = watchdog_us / USEC_PER_MS / 2;
    return half_ms == 0 && watchdog_us > 0 ? 1 : half_ms;
}
