/* gate.h - one at a time with the writer's connection: its own thread, or a visitor's work.
 *
 * The writer goes in and out with each batch. A visitor's work is done between two batches, by the
 * thread that comes to it first: the visitor's own, when the writer rests, else the writer's as it
 * goes in. So neither waits for the other to be scheduled, only for what it does.
 *
 * Uses:    pthread, base.
 * Used by: store/sqlite: batch.c, connection.c, home.c (the writer), backup.c (the visitor).
 * Thread:  any; one writer and one visitor at a time.
 */
#ifndef MIGCHAT_STORE_SQLITE_GATE_H
#define MIGCHAT_STORE_SQLITE_GATE_H

#include <pthread.h>
#include <stdbool.h>

typedef void (*gate_work)(void *argument);

struct gate {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool is_taken;
    gate_work work; /* to be done by whoever comes first; NULL: none */
    void *argument;
};

void gate_init(struct gate *gate);
void gate_release(struct gate *gate);

/* For the writer. */
void gate_enter(struct gate *gate);
void gate_leave(struct gate *gate);

/* Returns when the work is done. It must be short: a batch may be waiting. */
void gate_visit(struct gate *gate, gate_work work, void *argument);

#endif
