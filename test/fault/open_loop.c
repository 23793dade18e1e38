/* open_loop.c - asks a server at times that were fixed before, whatever becomes of what was asked
 * before.
 *
 *   open_loop PORT CONNECTIONS SEED REQUEST HEALTH HEALTH_EVERY_MS RESULTS PHASE...
 *
 * A PHASE is RATE:SECONDS, requests that are due at random moments, RATE a second on average; or
 * @COUNT:SECONDS, a closed loop to compare it with: COUNT at once, the next when one is answered.
 * The files REQUEST and HEALTH hold one request each. Each sending of the first has a number of its
 * own where it has 16 times '@'; the second is due every HEALTH_EVERY_MS, on a connection apart.
 *
 * What is due and finds no connection free waits for one, and its time counts from when it was due:
 * a server that stops is not spared what would have been asked of it meanwhile. RESULTS gets a line
 * for each, in the order in which they were due:
 *
 *   KIND PHASE NUMBER DUE_US SENT_AFTER_US ANSWERED_AFTER_US STATUS RETRY_AFTER MESSAGE_ID
 *
 * KIND is s or h; both times count from DUE; STATUS is 0 where the connection ended, or nothing
 * came until ten seconds after the last phase. RETRY_AFTER is 0 or 1, MESSAGE_ID 0 where there is
 * none.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define NUMBER_MARK "@@@@@@@@@@@@@@@@"
#define NUMBER_LEN (sizeof NUMBER_MARK - 1)
#define NUMBERS 10000000000000000ULL
#define REQUEST_MAX_BYTES 4096
#define ANSWER_MAX_BYTES 4096
#define PHASES_MAX 16
#define EVENTS_MAX 512
#define LAST_WAIT_US 10000000

struct phase {
    uint64_t begins_us;
    uint64_t ends_us;
    double rate; /* 0: closed */
    size_t at_once;
};

struct asked {
    uint64_t due_us;
    uint64_t sent_us;
    uint64_t answered_us;
    uint64_t message_id;
    int status;
    unsigned phase;
    bool retries;
};

struct connection {
    struct kind *kind;
    struct connection *next_free;
    size_t asked; /* place in kind->asked */
    size_t len;
    int file;
    bool is_busy;
    char answer[ANSWER_MAX_BYTES + 1];
};

/* A request, those who wait for it to be sent, and the connections for it. */
struct kind {
    char request[REQUEST_MAX_BYTES];
    size_t request_len;
    char *number;
    struct asked *asked; /* up to sent_count they were sent, up to count they are due */
    size_t count;
    size_t sent_count;
    size_t answered_count;
    struct connection *free; /* in turn, so that none is idle for long */
    struct connection *free_last;
};

static struct phase phases[PHASES_MAX];
static unsigned phase_count;
static struct kind sends;
static struct kind healths;
static uint16_t port;
static uint64_t random_state;
static int epoll_file;

static _Noreturn void fail(const char *why);
static uint64_t now_us(void);
static void phases_read(int count, char **texts);
static void request_read(struct kind *kind, const char *path);
static void connections_open(struct kind *kind, size_t count);
static void connect_to_server(struct connection *connection);
static void connection_free(struct connection *connection);
static void run(uint64_t health_every_us);
static void closed_due_add(const struct phase *phase, unsigned number, uint64_t now);
static void due_add(struct kind *kind, unsigned phase, uint64_t due_us);
static uint64_t gap_us(double rate);
static void send_all_due(struct kind *kind);
static void answer_take(struct connection *connection);
static bool answer_is_whole(const struct connection *connection);
static void answer_end(struct connection *connection, bool has_answer);
static void results_write(const char *path);
static void kind_write(const struct kind *kind, char letter, FILE *file);

int main(int argc, char **argv)
{
    struct rlimit files;

    if (argc < 9) {
        fail("usage: PORT CONNECTIONS SEED REQUEST HEALTH HEALTH_EVERY_MS RESULTS PHASE...");
    }
    (void)getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files);
    port = (uint16_t)strtoul(argv[1], NULL, 10);
    random_state = strtoull(argv[3], NULL, 10) * 2 + 1;
    epoll_file = epoll_create1(EPOLL_CLOEXEC);
    request_read(&sends, argv[4]);
    request_read(&healths, argv[5]);
    connections_open(&sends, strtoul(argv[2], NULL, 10));
    connections_open(&healths, 1);
    phases_read(argc - 8, argv + 8);
    run(strtoull(argv[6], NULL, 10) * 1000);
    results_write(argv[7]);
    return 0;
}

static _Noreturn void fail(const char *why)
{
    (void)fprintf(stderr, "open_loop: %s (%s)\n", why, strerror(errno));
    exit(1);
}

static uint64_t now_us(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000U + (uint64_t)now.tv_nsec / 1000U;
}

static void phases_read(int count, char **texts)
{
    uint64_t begins_us = now_us();

    for (int i = 0; i < count; i++) {
        struct phase *phase = &phases[phase_count];
        bool is_closed = texts[i][0] == '@';
        char *colon;
        double number = strtod(texts[i] + is_closed, &colon);

        if (phase_count == PHASES_MAX || *colon != ':' || number <= 0) {
            fail("a phase is RATE:SECONDS or @COUNT:SECONDS");
        }
        phase->rate = is_closed ? 0 : number;
        phase->at_once = is_closed ? (size_t)number : 0;
        phase->begins_us = begins_us;
        phase->ends_us = begins_us + (uint64_t)(strtod(colon + 1, NULL) * 1e6);
        begins_us = phase->ends_us;
        phase_count++;
    }
}

static void request_read(struct kind *kind, const char *path)
{
    FILE *file = fopen(path, "rb");

    if (file == NULL) {
        fail("a request cannot be read");
    }
    kind->request_len = fread(kind->request, 1, sizeof kind->request, file);
    (void)fclose(file);
    kind->number = memmem(kind->request, kind->request_len, NUMBER_MARK, NUMBER_LEN);
}

static void connections_open(struct kind *kind, size_t count)
{
    struct connection *connections = calloc(count, sizeof *connections);

    if (connections == NULL) {
        fail("no memory for the connections");
    }
    for (size_t i = 0; i < count; i++) {
        connections[i].kind = kind;
        connect_to_server(&connections[i]);
        connection_free(&connections[i]);
    }
}

static void connect_to_server(struct connection *connection)
{
    struct sockaddr_in server = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct epoll_event wanted = {.events = EPOLLIN, .data.ptr = connection};
    int on = 1;

    connection->file = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connection->file < 0 ||
        connect(connection->file, (struct sockaddr *)&server, sizeof server) != 0) {
        fail("no connection");
    }
    (void)setsockopt(connection->file, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (epoll_ctl(epoll_file, EPOLL_CTL_ADD, connection->file, &wanted) != 0) {
        fail("epoll_ctl");
    }
}

static void connection_free(struct connection *connection)
{
    struct kind *kind = connection->kind;

    connection->is_busy = false;
    connection->next_free = NULL;
    if (kind->free == NULL) {
        kind->free = connection;
    } else {
        kind->free_last->next_free = connection;
    }
    kind->free_last = connection;
}

/* It sleeps a millisecond at most: what is due in between is late by that, and says so. */
static void run(uint64_t health_every_us)
{
    uint64_t health_due_us = phases[0].begins_us;
    uint64_t over_us = phases[phase_count - 1].ends_us;
    uint64_t due_us = 0;
    unsigned phase = 0;

    for (uint64_t now = now_us(); phase < phase_count || (sends.answered_count < sends.count ||
                                                          healths.answered_count < healths.count);
         now = now_us()) {
        struct epoll_event events[EVENTS_MAX];
        int count;

        if (now > over_us + LAST_WAIT_US) {
            break;
        }
        for (; health_due_us <= now && health_due_us < over_us; health_due_us += health_every_us) {
            due_add(&healths, phase, health_due_us);
        }
        while (phase < phase_count) {
            if (phases[phase].rate == 0) {
                closed_due_add(&phases[phase], phase, now);
            } else {
                due_us =
                    due_us == 0 ? phases[phase].begins_us + gap_us(phases[phase].rate) : due_us;
                for (; due_us <= now && due_us < phases[phase].ends_us;
                     due_us += gap_us(phases[phase].rate)) {
                    due_add(&sends, phase, due_us);
                }
            }
            if (now < phases[phase].ends_us) {
                break;
            }
            phase++;
            due_us = 0;
        }
        send_all_due(&sends);
        send_all_due(&healths);
        count = epoll_wait(epoll_file, events, EVENTS_MAX, 1);
        for (int i = 0; i < count; i++) {
            answer_take(events[i].data.ptr);
        }
    }
}

static void closed_due_add(const struct phase *phase, unsigned number, uint64_t now)
{
    while (now < phase->ends_us && sends.count - sends.answered_count < phase->at_once) {
        due_add(&sends, number, now);
    }
}

static void due_add(struct kind *kind, unsigned phase, uint64_t due_us)
{
    if ((kind->count & (kind->count - 1)) == 0) {
        kind->asked = realloc(kind->asked, (kind->count * 2 + 1) * sizeof *kind->asked);
        if (kind->asked == NULL) {
            fail("no memory for what was asked");
        }
    }
    kind->asked[kind->count++] = (struct asked){.phase = phase, .due_us = due_us};
}

/* Those of a Poisson process: exponential. */
static uint64_t gap_us(double rate)
{
    double part;

    /* xorshift64 */
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    part = (double)((random_state >> 11) + 1) / 9007199254740993.0;
    return (uint64_t)(-log(part) * 1e6 / rate);
}

static void send_all_due(struct kind *kind)
{
    while (kind->sent_count < kind->count && kind->free != NULL) {
        struct connection *connection = kind->free;
        struct asked *asked = &kind->asked[kind->sent_count];

        kind->free = connection->next_free;
        if (kind->number != NULL) {
            char number[NUMBER_LEN + 1];

            (void)snprintf(number, sizeof number, "%016llu",
                           (unsigned long long)kind->sent_count % NUMBERS);
            memcpy(kind->number, number, NUMBER_LEN);
        }
        connection->asked = kind->sent_count++;
        connection->is_busy = true;
        connection->len = 0;
        asked->sent_us = now_us();
        /* Less than a socket's buffer holds. */
        if (send(connection->file, kind->request, kind->request_len, MSG_NOSIGNAL) !=
            (ssize_t)kind->request_len) {
            answer_end(connection, false);
        }
    }
}

static void answer_take(struct connection *connection)
{
    ssize_t len = recv(connection->file, connection->answer + connection->len,
                       ANSWER_MAX_BYTES - connection->len, MSG_DONTWAIT);

    if (len < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (len <= 0 || !connection->is_busy) {
        (void)close(connection->file);
        connect_to_server(connection);
        if (connection->is_busy) {
            answer_end(connection, false);
        }
        return;
    }
    connection->len += (size_t)len;
    connection->answer[connection->len] = '\0';
    if (answer_is_whole(connection)) {
        answer_end(connection, true);
    }
}

static bool answer_is_whole(const struct connection *connection)
{
    const char *end = strstr(connection->answer, "\r\n\r\n");
    const char *length = strcasestr(connection->answer, "\r\ncontent-length:");

    if (end == NULL) {
        return false;
    }
    if (length == NULL || length > end) {
        fail("an answer without Content-Length");
    }
    return connection->len >=
           (size_t)(end + 4 - connection->answer) + strtoul(length + 17, NULL, 10);
}

static void answer_end(struct connection *connection, bool has_answer)
{
    struct kind *kind = connection->kind;
    struct asked *asked = &kind->asked[connection->asked];

    asked->answered_us = now_us();
    if (has_answer) {
        const char *id = strstr(connection->answer, "\"message_id\":");

        asked->status = (int)strtol(connection->answer + 9, NULL, 10);
        asked->retries = strcasestr(connection->answer, "\r\nretry-after:") != NULL;
        asked->message_id = id == NULL ? 0 : strtoull(id + 13, NULL, 10);
    }
    kind->answered_count++;
    connection_free(connection);
}

static void results_write(const char *path)
{
    FILE *file = fopen(path, "w");

    if (file == NULL) {
        fail("the results cannot be written");
    }
    kind_write(&sends, 's', file);
    kind_write(&healths, 'h', file);
    if (fclose(file) != 0) {
        fail("the results cannot be written");
    }
}

static void kind_write(const struct kind *kind, char letter, FILE *file)
{
    for (size_t i = 0; i < kind->count; i++) {
        const struct asked *asked = &kind->asked[i];
        uint64_t end_us = now_us();
        uint64_t sent_us = asked->sent_us == 0 ? end_us : asked->sent_us;
        uint64_t answered_us = asked->answered_us == 0 ? end_us : asked->answered_us;

        (void)fprintf(file, "%c %u %zu %llu %llu %llu %d %d %llu\n", letter, asked->phase, i,
                      (unsigned long long)asked->due_us,
                      (unsigned long long)(sent_us - asked->due_us),
                      (unsigned long long)(answered_us - asked->due_us), asked->status,
                      asked->retries, (unsigned long long)asked->message_id);
    }
}
