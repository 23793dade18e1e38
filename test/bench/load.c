/* load.c - asks a server from one thread, checks every answer, and says how long they took.
 *
 *   load run --port P --requests FILE [--connections N] [--pipeline N] [--seconds S | --count N]
 *            [--once] [--warm S] [--pid PID] [--seed N] [--acked FILE] [--until-closed]
 *   load idle --port P --requests FILE --connections N    one request on each, then holds them
 *                                                         open until its input ends
 *   load start --port P --core N --target T -- COMMAND... time from exec to the first 200
 *
 * The requests file holds, for each request, the line "LENGTH CLASS STATUS BODY_LENGTH" and the
 * bytes of the request; BODY_LENGTH is -1 where it differs, STATUS 0 where the server may have too
 * much to do: 200, 429 or 503. Each connection starts at its own place in the file and goes round;
 * with --once they share one place, and each request of the file is sent once. Where a request has
 * 16 times '@', every sending of it has a number of its own there. A batch of --pipeline requests
 * leaves in one write, and the next when all are answered. Measuring begins --warm seconds after
 * the first request; what is then in flight at the end is waited for, counted as acknowledged
 * unless it was refused, and not measured. SIGTERM ends it before its time.
 *
 * The figures are printed as one JSON object. A wrong answer ends the run with exit status 1.
 */
#include "load.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define EVENTS_MAX 512
#define READ_MAX_BYTES (1024 * 1024)
#define WAIT_MAX_MS 1000
#define NS_PER_MS 1000000u

static struct options options = {
    .start_target = "/health", .connections = 1, .pipeline = 1, .seconds = 1};
static struct connection *connections;
static struct tally tally;
static int epoll_file;
static unsigned open_count;
static volatile sig_atomic_t is_told_to_end;

static void options_read(int argc, char **argv);
static void connections_open(void);
static void run(void);
static void events_take(int wait_ms);
static void hold(void);
static void connection_step(struct connection *connection);
static void connection_ended(struct connection *connection);
static int wait_ms(uint64_t now);
static bool is_over(uint64_t now);
static void on_signal(int number);

int main(int argc, char **argv)
{
    if (argc < 2) {
        fail("usage: load run|idle|start OPTION...");
    }
    options_read(argc - 1, argv + 1);
    if (strcmp(argv[1], "start") == 0) {
        return first_answer_time(&options, argv + 1 + optind);
    }
    requests_read(options.requests_path);
    if (options.once) {
        options.count = request_count;
    }
    connections_open();
    if (strcmp(argv[1], "idle") == 0) {
        hold();
    } else {
        run();
    }
    return 0;
}

static void options_read(int argc, char **argv)
{
    static const struct option names[] = {{"port", required_argument, NULL, 'p'},
                                          {"requests", required_argument, NULL, 'r'},
                                          {"connections", required_argument, NULL, 'c'},
                                          {"pipeline", required_argument, NULL, 'd'},
                                          {"seconds", required_argument, NULL, 's'},
                                          {"count", required_argument, NULL, 'n'},
                                          {"warm", required_argument, NULL, 'w'},
                                          {"pid", required_argument, NULL, 'i'},
                                          {"seed", required_argument, NULL, 'e'},
                                          {"acked", required_argument, NULL, 'a'},
                                          {"core", required_argument, NULL, 'o'},
                                          {"target", required_argument, NULL, 't'},
                                          {"once", no_argument, NULL, 'O'},
                                          {"until-closed", no_argument, NULL, 'u'},
                                          {NULL, 0, NULL, 0}};
    int letter;

    while ((letter = getopt_long(argc, argv, "+", names, NULL)) != -1) {
        switch (letter) {
        case 'p':
            options.port = (uint16_t)strtoul(optarg, NULL, 10);
            break;
        case 'r':
            options.requests_path = optarg;
            break;
        case 'c':
            options.connections = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'd':
            options.pipeline = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 's':
            options.seconds = strtod(optarg, NULL);
            break;
        case 'n':
            options.count = strtoull(optarg, NULL, 10);
            break;
        case 'w':
            options.warm_s = strtod(optarg, NULL);
            break;
        case 'i':
            options.pid = (int)strtol(optarg, NULL, 10);
            break;
        case 'e':
            options.seed = strtoull(optarg, NULL, 10);
            break;
        case 'a':
            options.acked_path = optarg;
            break;
        case 'o':
            options.core = (int)strtol(optarg, NULL, 10);
            break;
        case 't':
            options.start_target = optarg;
            break;
        case 'O':
            options.once = true;
            break;
        case 'u':
            options.until_closed = true;
            break;
        default:
            fail("unknown option");
        }
    }
    if (options.pipeline == 0 || options.pipeline > PIPELINE_MAX || options.connections == 0) {
        fail("--connections or --pipeline out of range");
    }
}

static void connections_open(void)
{
    connections = calloc(options.connections, sizeof *connections);
    epoll_file = epoll_create1(EPOLL_CLOEXEC);
    if (connections == NULL || epoll_file < 0) {
        fail("no memory for the connections");
    }
    for (unsigned i = 0; i < options.connections; i++) {
        struct connection *connection = &connections[i];
        struct epoll_event wanted = {.events = EPOLLIN, .data.ptr = connection};

        connection->file = socket_open(options.port, i);
        connection->next = (size_t)i * request_count / options.connections;
        if (epoll_ctl(epoll_file, EPOLL_CTL_ADD, connection->file, &wanted) != 0) {
            fail("epoll_ctl");
        }
    }
    open_count = options.connections;
    tally_start(&tally, &options);
}

/* ---- measuring -------------------------------------------------------------------------------*/

static void run(void)
{
    uint64_t begun = clock_ns();

    (void)signal(SIGTERM, on_signal);
    tally.begins_at = begun + (uint64_t)(options.warm_s * 1e9);
    tally.ends_at = tally.begins_at + (uint64_t)(options.seconds * 1e9);
    for (unsigned i = 0; i < options.connections; i++) {
        if (options.count == 0 || tally.in_flight < options.count) {
            connection_send(&connections[i], &options, &tally);
        }
    }
    while (open_count > 0) {
        uint64_t now = clock_ns();

        if (!tally.is_measuring && !tally.is_done && now >= tally.begins_at) {
            tally_begin(&tally, &options);
        }
        if (tally.is_measuring && is_over(now)) {
            tally_end(&tally, &options);
        }
        if (tally.is_done && tally.in_flight == 0) {
            break;
        }
        events_take(wait_ms(now));
    }
    if (!tally.is_done) {
        tally_end(&tally, &options);
    }
    tally_print(&tally);
}

/* Until measuring begins or ends. */
static int wait_ms(uint64_t now)
{
    uint64_t until = tally.is_measuring ? tally.ends_at : tally.begins_at;

    if (tally.is_done || until <= now || until - now >= WAIT_MAX_MS * NS_PER_MS) {
        return WAIT_MAX_MS;
    }
    return (int)((until - now) / NS_PER_MS) + 1;
}

static bool is_over(uint64_t now)
{
    if (is_told_to_end) {
        return true;
    }
    return options.count > 0 ? tally.measured >= options.count : now >= tally.ends_at;
}

static void on_signal(int number)
{
    (void)number;
    is_told_to_end = 1;
}

static void events_take(int wait_ms)
{
    struct epoll_event events[EVENTS_MAX];
    int count = epoll_wait(epoll_file, events, EVENTS_MAX, wait_ms);

    for (int i = 0; i < count; i++) {
        connection_step(events[i].data.ptr);
    }
}

static void connection_step(struct connection *connection)
{
    static char bytes[READ_MAX_BYTES];
    ssize_t len = read(connection->file, bytes, sizeof bytes);

    if (len <= 0) {
        connection_ended(connection);
        return;
    }
    answers_read(connection, bytes, (size_t)len, &tally);
    if (connection->answered == connection->asked && !tally.is_done) {
        if (options.count == 0 || tally.measured + tally.in_flight < options.count) {
            connection_send(connection, &options, &tally);
        }
    }
}

static void connection_ended(struct connection *connection)
{
    if (!options.until_closed) {
        fail("the server closed a connection");
    }
    tally.in_flight -= connection->asked - connection->answered;
    tally.unanswered += connection->asked - connection->answered;
    (void)close(connection->file);
    open_count--;
}

/* ---- holding ---------------------------------------------------------------------------------*/

static void hold(void)
{
    char byte;

    tally.is_done = true;
    for (unsigned i = 0; i < options.connections; i++) {
        connection_send(&connections[i], &options, &tally);
        while (connections[i].answered < connections[i].asked) {
            events_take(1000);
        }
    }
    (void)printf("ready\n");
    (void)fflush(stdout);
    while (read(STDIN_FILENO, &byte, 1) > 0) {
    }
}
