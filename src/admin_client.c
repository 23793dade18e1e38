/* admin_client.c - HTTP/1.0 on a blocking socket: the answer ends where the connection does, so
 * there is nothing to frame.
 */
#include "admin_client.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define PIECE_BYTES 4096u
#define HEAD_MAX_BYTES 4096u
/* Without a byte. A hash waits behind others, and a write for the disk. */
#define SILENCE_MAX_S 120

static int admin_connect(const struct config *config);
static bool question_send(int socket, const char *method, const char *target, struct str body);
static bool bytes_send(int socket, struct str bytes);
static bool answer_receive(int socket, struct buf *out);
static bool answer_split(struct buf *answer, int *out_status, struct buf *out_body);
static void told_why(void);

bool admin_ask(const struct config *config, const char *method, const char *target, struct str body,
               int *out_status, struct buf *out_body)
{
    struct buf answer;

    if (strlen(target) > ADMIN_TARGET_MAX_BYTES) {
        fprintf(stderr, "migchat-server: no name is as long as this\n");
        return false;
    }
    int socket = admin_connect(config);
    if (socket < 0) {
        return false;
    }
    buf_init(&answer, ADMIN_ANSWER_MAX_BYTES);
    bool is_good = question_send(socket, method, target, body) && answer_receive(socket, &answer);
    if (!is_good) {
        told_why();
    } else if (answer.len == 1) {
        fprintf(stderr, "migchat-server: the server ended the connection without an answer\n");
        is_good = false;
    } else if (!answer_split(&answer, out_status, out_body)) {
        fprintf(stderr, "migchat-server: what answers at the admin socket is no MigChat server\n");
        is_good = false;
    }
    buf_release(&answer);
    close(socket);
    return is_good;
}

static int admin_connect(const struct config *config)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const struct timeval limit = {.tv_sec = SILENCE_MAX_S};
    int opened;

    static_assert(sizeof(address.sun_path) == CONFIG_SOCKET_MAX_BYTES, "a path of one fits");
    if (!config_admin_socket(config, address.sun_path)) {
        fprintf(stderr, "migchat-server: %s\n", config_admin_socket_lack(config));
        return -1;
    }
    opened = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (opened >= 0 && setsockopt(opened, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0 &&
        setsockopt(opened, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) == 0 &&
        connect(opened, (const struct sockaddr *)&address, sizeof(address)) == 0) {
        return opened;
    }
    fprintf(stderr, "migchat-server: no server answers at %s: %s; %s\n", address.sun_path,
            strerror(errno),
            errno == EACCES ? "only its owner and root may ask it"
                            : "is it running, with this database (--db)?");
    if (opened >= 0) {
        close(opened);
    }
    return -1;
}

static bool question_send(int socket, const char *method, const char *target, struct str body)
{
    char head[ADMIN_TARGET_MAX_BYTES + HEAD_MAX_BYTES];
    int len = snprintf(head, sizeof head,
                       "%s %s HTTP/1.0\r\nContent-Type: application/json\r\n"
                       "Content-Length: %zu\r\n\r\n",
                       method, target, body.len);

    if (len < 0 || (size_t)len >= sizeof head) {
        errno = ENAMETOOLONG;
        return false;
    }
    return bytes_send(socket, (struct str){head, (size_t)len}) && bytes_send(socket, body);
}

static bool bytes_send(int socket, struct str bytes)
{
    while (bytes.len > 0) {
        ssize_t sent = send(socket, bytes.ptr, bytes.len, MSG_NOSIGNAL);

        if (sent < 0) {
            return false;
        }
        bytes = (struct str){bytes.ptr + sent, bytes.len - (size_t)sent};
    }
    return true;
}

static bool answer_receive(int socket, struct buf *out)
{
    char piece[PIECE_BYTES];
    ssize_t got;

    while ((got = recv(socket, piece, sizeof piece, 0)) > 0 && !out->overflowed) {
        buf_append(out, piece, (size_t)got);
    }
    buf_append_char(out, '\0'); /* for those who read it as a C string */
    if (out->overflowed) {
        errno = EMSGSIZE;
        return false;
    }
    return got == 0;
}

static bool answer_split(struct buf *answer, int *out_status, struct buf *out_body)
{
    struct str whole = {answer->ptr, answer->len - 1};
    const char *end = whole.len > 0 ? memmem(whole.ptr, whole.len, "\r\n\r\n", 4) : NULL;
    static const char version[] = "HTTP/1.1 ";

    if (end == NULL || strncmp(whole.ptr, version, sizeof version - 1) != 0) {
        return false;
    }
    *out_status = (int)strtol(whole.ptr + sizeof version - 1, NULL, 10);
    buf_append(out_body, end + 4, whole.len - (size_t)(end + 4 - whole.ptr));
    return true;
}

static void told_why(void)
{
    if (errno == EAGAIN) {
        fprintf(stderr, "migchat-server: what listens at the admin socket said nothing for %d s\n",
                SILENCE_MAX_S);
    } else {
        fprintf(stderr, "migchat-server: the server ended the connection: %s\n", strerror(errno));
    }
}
