/* gate.c - a mutex held for moments, a flag for who is in, and at most one piece of work to do. */
#include "store/sqlite/gate.h"

#include <stddef.h>

#include "base/require.h"

static void work_run(struct gate *gate);

void gate_init(struct gate *gate)
{
    REQUIRE(pthread_mutex_init(&gate->mutex, NULL) == 0);
    REQUIRE(pthread_cond_init(&gate->changed, NULL) == 0);
    gate->is_taken = false;
    gate->work = NULL;
}

void gate_release(struct gate *gate)
{
    REQUIRE(!gate->is_taken && gate->work == NULL);
    (void)pthread_cond_destroy(&gate->changed);
    (void)pthread_mutex_destroy(&gate->mutex);
}

void gate_enter(struct gate *gate)
{
    (void)pthread_mutex_lock(&gate->mutex);
    while (gate->is_taken) {
        (void)pthread_cond_wait(&gate->changed, &gate->mutex);
    }
    gate->is_taken = true;
    if (gate->work != NULL) {
        work_run(gate);
    }
    (void)pthread_mutex_unlock(&gate->mutex);
}

void gate_leave(struct gate *gate)
{
    (void)pthread_mutex_lock(&gate->mutex);
    REQUIRE(gate->is_taken);
    gate->is_taken = false;
    (void)pthread_cond_broadcast(&gate->changed);
    (void)pthread_mutex_unlock(&gate->mutex);
}

void gate_visit(struct gate *gate, gate_work work, void *argument)
{
    (void)pthread_mutex_lock(&gate->mutex);
    REQUIRE(gate->work == NULL);
    gate->work = work;
    gate->argument = argument;
    while (gate->work != NULL) {
        if (gate->is_taken) {
            (void)pthread_cond_wait(&gate->changed, &gate->mutex);
            continue;
        }
        gate->is_taken = true;
        work_run(gate);
        gate->is_taken = false;
        (void)pthread_cond_broadcast(&gate->changed);
    }
    (void)pthread_mutex_unlock(&gate->mutex);
}

/* Taken by the caller, and the mutex held; without it while the work is done. */
static void work_run(struct gate *gate)
{
    (void)pthread_mutex_unlock(&gate->mutex);
    gate->work(gate->argument);
    (void)pthread_mutex_lock(&gate->mutex);
    gate->work = NULL;
    (void)pthread_cond_broadcast(&gate->changed);
}
