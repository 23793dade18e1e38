/* load.h - the parts of the load generator: requests, connections, the tally, and start-up.
 *
 * Uses: nothing of the server; a bench that shared its parser would share its faults.
 * Used by: load.c, load_answers.c, load_tally.c, load_start.c.
 */
#ifndef MIGCHAT_TEST_LOAD_H
#define MIGCHAT_TEST_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define PIPELINE_MAX 64
#define CLASSES_MAX 4
#define STATUS_ANY_LOAD 0 /* of a request that a server with too much to do may refuse */
#define LINE_MAX_BYTES 128
/* Each power of two of nanoseconds has this many steps: figures are within 1.6 %. The last one
 * is above a minute. */
#define HISTOGRAM_STEPS 64
#define HISTOGRAM_POWERS 32

struct options {
    const char *requests_path;
    const char *start_target; /* what is asked of a server that starts */
    const char *acked_path;   /* NULL, or gets the number of each acknowledged request */
    double seconds;
    double warm_s;
    uint64_t count; /* 0: by time */
    uint64_t seed;
    unsigned connections;
    unsigned pipeline;
    int pid; /* whose CPU time is measured; 0: nobody's */
    int core;
    uint16_t port;
    bool until_closed;
    bool once; /* each request of the file is sent once, by whichever connection is free */
};

struct request {
    char *bytes;
    size_t len;
    char *number; /* where its own number goes, or NULL */
    long body_len;
    int status;
    unsigned class;
};

enum answer_part { PART_STATUS, PART_FIELD, PART_BODY, PART_CHUNK, PART_CHUNK_END, PART_TRAILER };

struct asking {
    uint64_t number;
    const struct request *request;
};

struct connection {
    struct asking batch[PIPELINE_MAX];
    uint64_t sent_at;
    uint64_t body_left;
    uint64_t body_len;
    size_t next; /* request */
    unsigned asked;
    unsigned answered;
    int file;
    int status;
    enum answer_part part;
    bool is_chunked;
    size_t line_len;
    char line[LINE_MAX_BYTES]; /* the beginning of a line that is not all here yet */
};

struct tally {
    uint64_t histogram[CLASSES_MAX][HISTOGRAM_POWERS * HISTOGRAM_STEPS];
    uint64_t class_count[CLASSES_MAX];
    uint64_t class_max_ns[CLASSES_MAX];
    uint64_t begins_at;
    uint64_t ends_at;
    uint64_t measured;
    uint64_t measured_bytes;
    uint64_t acknowledged[CLASSES_MAX]; /* not refused; with those before and after measuring */
    uint64_t measured_acknowledged;     /* without those */
    uint64_t unanswered;
    uint64_t in_flight;
    uint64_t cpu_ns;
    FILE *acked;
    bool is_measuring;
    bool is_done;
};

extern size_t request_count;

_Noreturn void fail(const char *why);
uint64_t clock_ns(void);
void requests_read(const char *path);

int socket_open(uint16_t port, unsigned number);
void connection_send(struct connection *connection, const struct options *options,
                     struct tally *tally);
void answers_read(struct connection *connection, const char *bytes, size_t len,
                  struct tally *tally);

void tally_start(struct tally *tally, const struct options *options);
void tally_begin(struct tally *tally, const struct options *options);
void tally_add(struct tally *tally, unsigned class, uint64_t took_ns);
void tally_end(struct tally *tally, const struct options *options);
void tally_print(const struct tally *tally);

/* Runs the command on its core until it answers 200; the exit status of this program. */
int first_answer_time(const struct options *options, char **command);

#endif
