/* load_start.c - from exec to the first answer of 200, as whoever restarts the server waits. */
#include "load.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DEADLINE_NS 20000000000ULL
#define RETRY_NS 50000

static bool is_answered(const struct options *options);
static void run_command(int core, char **command);

int first_answer_time(const struct options *options, char **command)
{
    struct timespec retry = {0, RETRY_NS};
    uint64_t begun = clock_ns();
    pid_t pid = fork();

    if (pid == 0) {
        run_command(options->core, command);
    }
    if (pid < 0) {
        fail("fork");
    }
    bool answered = false;

    while (!answered && clock_ns() - begun < DEADLINE_NS && waitpid(pid, NULL, WNOHANG) == 0) {
        answered = is_answered(options);
        if (!answered) {
            (void)nanosleep(&retry, NULL);
        }
    }
    (void)printf("{\"first_answer_us\": %.1f}\n", (double)(clock_ns() - begun) / 1e3);
    (void)kill(pid, SIGTERM);
    (void)waitpid(pid, NULL, 0);
    return answered ? 0 : 1;
}

static void run_command(int core, char **command)
{
    cpu_set_t cores;
    int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);

    CPU_ZERO(&cores);
    CPU_SET((size_t)core, &cores);
    (void)sched_setaffinity(0, sizeof cores, &cores);
    (void)dup2(nowhere, STDOUT_FILENO);
    (void)dup2(nowhere, STDERR_FILENO);
    (void)execvp(command[0], command);
    _exit(127);
}

static bool is_answered(const struct options *options)
{
    char request[256];
    int request_len = snprintf(request, sizeof request,
                               "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", options->start_target);
    struct sockaddr_in server = {.sin_family = AF_INET,
                                 .sin_port = htons(options->port),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char answer[512];
    int file = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool answered = false;

    if (file >= 0 && connect(file, (struct sockaddr *)&server, sizeof server) == 0 &&
        send(file, request, (size_t)request_len, MSG_NOSIGNAL) == request_len) {
        ssize_t len = recv(file, answer, sizeof answer, 0);

        answered = len > 12 && memcmp(answer + 8, " 200", 4) == 0;
    }
    if (file >= 0) {
        (void)close(file);
    }
    return answered;
}
