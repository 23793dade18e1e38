/* load_answers.c - what is sent on a connection, and the reading of what comes back.
 *
 *   status -> field ... -> body --------------------------------> status
 *                       -> chunk -> body -> chunk end -> chunk ...
 *                                -> trailer ----------------------> status
 */
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define NUMBER_MARK "@@@@@@@@@@@@@@@@"
#define NUMBER_LEN (sizeof NUMBER_MARK - 1)
#define BATCH_MAX_BYTES (1024 * 1024)
/* A client address has some 28,000 ports; idle connections are spread over several. */
#define CONNECTIONS_PER_ADDRESS 10000
#define NUMBERS_PER_SEED_BITS 36

size_t request_count;
static struct request *requests;

static size_t line_take(struct connection *connection, const char *bytes, size_t len,
                        const char **out_line, size_t *out_len);
static void line_read(struct connection *connection, const char *line, size_t len,
                      struct tally *tally);
static void head_end(struct connection *connection, struct tally *tally);
static void answer_end(struct connection *connection, struct tally *tally);
static bool status_is_right(int status, int wanted);
static void wrong_answer(const struct connection *connection, const struct request *request);

void requests_read(const char *path)
{
    FILE *file = path == NULL ? NULL : fopen(path, "rb");
    struct request request = {0};

    if (file == NULL) {
        fail("the requests file cannot be read");
    }
    while (fscanf(file, "%zu %u %d %ld", &request.len, &request.class, &request.status,
                  &request.body_len) == 4) {
        if (request_count % 1024 == 0) {
            requests = realloc(requests, (request_count + 1024) * sizeof *requests);
        }
        request.bytes = malloc(request.len + 1);
        if (requests == NULL || request.bytes == NULL || fgetc(file) != '\n' ||
            fread(request.bytes, 1, request.len, file) != request.len ||
            request.class >= CLASSES_MAX) {
            fail("the requests file is damaged");
        }
        request.number = memmem(request.bytes, request.len, NUMBER_MARK, NUMBER_LEN);
        requests[request_count] = request;
        request_count++;
    }
    (void)fclose(file);
    if (request_count == 0) {
        fail("the requests file is empty");
    }
}

int socket_open(uint16_t port, unsigned number)
{
    struct sockaddr_in server = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in client = {.sin_family = AF_INET,
                                 .sin_addr.s_addr =
                                     htonl(INADDR_LOOPBACK + number / CONNECTIONS_PER_ADDRESS)};
    int file = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;

    if (file < 0) {
        fail("no more sockets");
    }
    (void)setsockopt(file, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(file, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (bind(file, (struct sockaddr *)&client, sizeof client) != 0 ||
        connect(file, (struct sockaddr *)&server, sizeof server) != 0) {
        fail("cannot connect");
    }
    return file;
}

/* ---- sending ---------------------------------------------------------------------------------*/

void connection_send(struct connection *connection, const struct options *options,
                     struct tally *tally)
{
    static char batch[BATCH_MAX_BYTES];
    static uint64_t number;
    static size_t next_of_all;
    size_t len = 0;

    for (unsigned i = 0; i < options->pipeline; i++) {
        size_t *next = options->once ? &next_of_all : &connection->next;
        const struct request *request = &requests[*next];
        char text[NUMBER_LEN + 1];

        *next = *next + 1 == request_count ? 0 : *next + 1;
        connection->batch[i].request = request;
        connection->batch[i].number = 0;
        if (len + request->len > sizeof batch) {
            fail("a batch is too long");
        }
        memcpy(batch + len, request->bytes, request->len);
        if (request->number != NULL) {
            number++;
            connection->batch[i].number = options->seed << NUMBERS_PER_SEED_BITS | number;
            (void)snprintf(text, sizeof text, "%016llx",
                           (unsigned long long)connection->batch[i].number);
            memcpy(batch + len + (request->number - request->bytes), text, NUMBER_LEN);
        }
        len += request->len;
    }
    connection->asked = options->pipeline;
    connection->answered = 0;
    tally->in_flight += options->pipeline;
    connection->sent_at = clock_ns();
    if (send(connection->file, batch, len, MSG_NOSIGNAL) != (ssize_t)len &&
        !(options->until_closed && (errno == EPIPE || errno == ECONNRESET))) {
        fail("a batch of requests could not be sent");
    }
}

/* ---- reading ---------------------------------------------------------------------------------*/

void answers_read(struct connection *connection, const char *bytes, size_t len, struct tally *tally)
{
    if (tally->is_measuring) {
        tally->measured_bytes += len;
    }
    while (len > 0) {
        size_t taken;

        if (connection->part == PART_BODY) {
            taken = connection->body_left < len ? (size_t)connection->body_left : len;
            connection->body_left -= taken;
            connection->body_len += taken;
            if (connection->body_left == 0) {
                if (connection->is_chunked) {
                    connection->part = PART_CHUNK_END;
                } else {
                    answer_end(connection, tally);
                }
            }
        } else {
            const char *line = NULL;
            size_t line_len = 0;

            taken = line_take(connection, bytes, len, &line, &line_len);
            if (line != NULL) {
                line_read(connection, line, line_len, tally);
            }
        }
        bytes += taken;
        len -= taken;
    }
}

/* Takes up to the next line end. *out_line is the line without it, or stays NULL when the end is
 * still to come. Of a line in two reads only the beginning is kept. */
static size_t line_take(struct connection *connection, const char *bytes, size_t len,
                        const char **out_line, size_t *out_len)
{
    const char *end = memchr(bytes, '\n', len);
    size_t taken = end == NULL ? len : (size_t)(end - bytes) + 1;

    if (end != NULL && connection->line_len == 0) {
        *out_line = bytes;
        *out_len = taken - 1;
    } else {
        size_t room = LINE_MAX_BYTES - connection->line_len;
        size_t copied = taken < room ? taken : room;

        memcpy(connection->line + connection->line_len, bytes, copied);
        connection->line_len += copied;
        if (end == NULL) {
            return taken;
        }
        *out_line = connection->line;
        *out_len = copied == taken ? connection->line_len - 1 : connection->line_len;
        connection->line_len = 0;
    }
    if (*out_len > 0 && (*out_line)[*out_len - 1] == '\r') {
        (*out_len)--;
    }
    return taken;
}

static void line_read(struct connection *connection, const char *line, size_t len,
                      struct tally *tally)
{
    static const char length_name[] = "content-length:";
    static const char chunked_name[] = "transfer-encoding:";

    switch (connection->part) {
    case PART_STATUS:
        connection->status = len > 9 ? (int)strtol(line + 9, NULL, 10) : 0;
        connection->body_left = 0;
        connection->body_len = 0;
        connection->is_chunked = false;
        connection->part = PART_FIELD;
        break;
    case PART_FIELD:
        if (len == 0) {
            head_end(connection, tally);
        } else if (len > sizeof length_name &&
                   strncasecmp(line, length_name, sizeof length_name - 1) == 0) {
            connection->body_left = strtoull(line + sizeof length_name - 1, NULL, 10);
        } else if (len > sizeof chunked_name &&
                   strncasecmp(line, chunked_name, sizeof chunked_name - 1) == 0) {
            connection->is_chunked = true;
        }
        break;
    case PART_CHUNK:
        connection->body_left = strtoull(line, NULL, 16);
        connection->part = connection->body_left > 0 ? PART_BODY : PART_TRAILER;
        break;
    case PART_CHUNK_END:
        connection->part = PART_CHUNK;
        break;
    case PART_TRAILER:
        if (len == 0) {
            answer_end(connection, tally);
        }
        break;
    case PART_BODY:
        break;
    }
}

static void head_end(struct connection *connection, struct tally *tally)
{
    if (connection->is_chunked) {
        connection->part = PART_CHUNK;
    } else if (connection->body_left > 0 && connection->status != 304) {
        connection->part = PART_BODY;
    } else {
        answer_end(connection, tally);
    }
}

static void answer_end(struct connection *connection, struct tally *tally)
{
    const struct asking *asking = &connection->batch[connection->answered];
    const struct request *request = asking->request;

    connection->part = PART_STATUS;
    if (connection->answered == connection->asked) {
        fail("an answer to no request");
    }
    if (!status_is_right(connection->status, request->status) ||
        (request->body_len >= 0 && connection->body_len != (uint64_t)request->body_len)) {
        wrong_answer(connection, request);
    }
    connection->answered++;
    tally->in_flight--;
    if (connection->status < 400) {
        tally->acknowledged[request->class]++;
        tally->measured_acknowledged += tally->is_measuring;
        if (tally->acked != NULL && asking->number != 0) {
            (void)fprintf(tally->acked, "%016llx\n", (unsigned long long)asking->number);
        }
    }
    if (tally->is_measuring) {
        tally_add(tally, request->class, clock_ns() - connection->sent_at);
    }
}

static bool status_is_right(int status, int wanted)
{
    if (wanted == STATUS_ANY_LOAD) {
        return status == 200 || status == 429 || status == 503;
    }
    return status == wanted;
}

static void wrong_answer(const struct connection *connection, const struct request *request)
{
    (void)fprintf(
        stderr, "load: status %d with a body of %llu bytes, expected %d with %ld, to\n%.*s\n",
        connection->status, (unsigned long long)connection->body_len, request->status,
        request->body_len, (int)(request->len < 400 ? request->len : 400), request->bytes);
    exit(1);
}
