/* dispatch.c - one batch of exchanges on a lane.
 *
 *   read:   snapshot, then each step; nothing remains
 *   write:  transaction, then a unit for each; commit; only then do the answers stand
 *   hash:   each step, no store
 *
 * 1. The lane was given the exchanges before the snapshot is opened, so a request that was sent
 *    after an acknowledged write sees it.
 * 2. A unit is kept when its answer is a good one, else undone: nothing is half done. Handlers
 * check before they write, so what is to be undone has hardly ever written. A savepoint for each
 * unit would copy every page it touches (a sixth of a send); instead units run bare, and when one
 *    fails after it has written the transaction is rolled back and all of it is run again, this
 *    time with savepoints.
 * 3. A full or broken disk may end the whole transaction inside a unit, and with it units that
 *    were kept. Their exchanges become 503, and the rest of the batch gets a new transaction.
 * 4. Nothing here asks which lane a step was meant for: with one store only, steps of the read
 *    lane come to the write lane.
 */
#include "api/dispatch.h"

#include "api/auth.h"
#include "api/services.h"
#include "base/clock.h"
#include "base/require.h"
#include "domain/chore.h"
#include "domain/session.h"
#include "http/limits.h"

/* Free space does not change faster than an operator can act on it. */
#define DISK_LOOK_MS 1000

static void hash_batch(struct services *services, struct list *batch);
static void read_batch(struct services *services, struct list *batch);
static enum error write_batch(struct services *services, struct list *batch,
                              struct batch_source *source);
static enum error transaction_run(struct services *services, struct list *batch,
                                  struct batch_source *source, enum unit_form *form,
                                  struct list **first);
static enum error unit_run(struct services *services, struct exchange *exchange,
                           enum unit_form form, bool *out_is_spoiled);
static void units_take_back(struct list *first, struct list *end);
static enum error lost_error(enum error error);
static enum error use_note(struct services *services, struct exchange *exchange);
static bool step_run(struct services *services, struct exchange *exchange);
static void exchange_fail(struct exchange *exchange, enum error error);
static void answers_withdraw(struct list *first, struct list *end, enum error error);
static struct exchange *exchange_of(struct list *node);

enum error dispatch_batch(struct services *services, struct list *batch,
                          struct batch_source *source)
{
    services->now_ms = clock_wall_ms();
    switch (services->lane) {
    case LANE_READ:
        read_batch(services, batch);
        return OK;
    case LANE_WRITE:
        return write_batch(services, batch, source);
    case LANE_HASH:
        hash_batch(services, batch);
        return OK;
    case LANE_LOOP:
    case LANE_COUNT:
        break;
    }
    REQUIRE(services->lane == LANE_HASH);
    return ERROR_INTERNAL;
}

static void hash_batch(struct services *services, struct list *batch)
{
    for (struct list *node = batch->next; node != batch; node = node->next) {
        exchange_run_step(exchange_of(node), services);
    }
}

/* ---- read ------------------------------------------------------------------------------------*/

static void read_batch(struct services *services, struct list *batch)
{
    /* Before the snapshot: it shows this commit at least. */
    uint64_t change = services->changes != NULL ? changes_now(services->changes) : 0;
    enum error error = store_snapshot_begin(services->store);

    if (error != OK) {
        answers_withdraw(batch->next, batch, error);
        return;
    }
    for (struct list *node = batch->next; node != batch; node = node->next) {
        struct exchange *exchange = exchange_of(node);
        bool is_stale = step_run(services, exchange);

        exchange->notes_use = is_stale && exchange->is_done && exchange->page == 0;
        exchange->change = change;
        exchange->read_at_ms = services->now_ms;
        exchange->may_be_kept = exchange->may_be_kept && services->changes != NULL &&
                                exchange->page == 0 && !is_stale && exchange->response.error == OK;
    }
    store_snapshot_end(services->store);
}

/* ---- write -----------------------------------------------------------------------------------*/

static enum error write_batch(struct services *services, struct list *batch,
                              struct batch_source *source)
{
    struct list *first = batch->next;
    enum unit_form form = UNIT_BARE;
    enum error error = OK;

    while (first != batch && error != ERROR_OUTCOME_UNKNOWN) {
        error = transaction_run(services, batch, source, &form, &first);
    }
    answers_withdraw(first, batch, ERROR_STORE_FAILED);
    for (struct list *node = batch->next; node != batch; node = node->next) {
        exchange_of(node)->page_is_made = false;
        exchange_of(node)->notes_use = false;
        /* What a transaction shows has no number before its commit. */
        exchange_of(node)->may_be_kept = false;
    }
    return error == ERROR_OUTCOME_UNKNOWN ? error : OK;
}

/* Runs the units from *first on in one transaction and moves *first behind those that have their
 * answers: to the end of the batch, or behind the one that lost the transaction. A bare unit that
 * spoils it leaves *first where it is, and *form as the batch is to be run then. */
static enum error transaction_run(struct services *services, struct list *batch,
                                  struct batch_source *source, enum unit_form *form,
                                  struct list **first)
{
    struct list *begun = *first;
    uint64_t change = services->changes != NULL ? changes_now(services->changes) : 0;
    enum error error = store_batch_begin(services->store);

    if (error != OK) {
        /* Of these nothing was done, also when the store gave up on an earlier batch. */
        *first = batch;
        answers_withdraw(begun, batch, lost_error(error));
        return error;
    }
    for (struct list *node = begun; node != batch; node = node->next) {
        bool is_spoiled = false;

        if (!exchange_of(node)->notes_use) {
            exchange_of(node)->change = change;
        }
        error = unit_run(services, exchange_of(node), *form, &is_spoiled);
        if (is_spoiled) {
            store_batch_rollback(services->store);
            units_take_back(begun, node->next);
            *form = UNIT_SAVED;
            return OK;
        }
        if (error != OK) {
            store_batch_rollback(services->store);
            *first = node->next;
            answers_withdraw(begun, *first, error);
            return error;
        }
        if (node->next == batch && source != NULL && source->more(source, batch)) {
            services->now_ms = clock_wall_ms();
        }
    }
    *first = batch;
    error = store_batch_commit(services->store);
    if (error != OK) {
        answers_withdraw(begun, batch, error);
    }
    return error;
}

/* One exchange. An error means that the transaction is lost; *out_is_spoiled, that it has to be
 * rolled back for what this unit left in it. */
static enum error unit_run(struct services *services, struct exchange *exchange,
                           enum unit_form form, bool *out_is_spoiled)
{
    struct store *store = services->store;
    bool is_stale = exchange->notes_use;
    enum error error = OK;

    if (exchange->page_is_made) {
        return OK; /* the batch is run again */
    }
    if (!exchange->notes_use) {
        exchange_mark(exchange);
        store_unit_begin(store, form);
        is_stale = step_run(services, exchange);
        bool is_good = exchange->response.error == OK && exchange->response.status < 400;
        if (!is_good && store_batch_is_lost(store)) {
            return lost_error(exchange->response.error);
        }
        exchange->page_is_made = exchange->page > 0;
        if (!is_good && form == UNIT_BARE && store_unit_has_written(store)) {
            *out_is_spoiled = true;
            return OK;
        }
        error = is_good ? store_unit_keep(store) : store_unit_undo(store);
    }
    return error == OK && is_stale ? use_note(services, exchange) : error;
}

/* From `first` up to `end`: all are to be run once more, also those that only read: they may have
 * read what was undone. A later page of a list cannot be made twice and need not be: it shows
 * nothing above its first page, which is of an earlier batch. */
static void units_take_back(struct list *first, struct list *end)
{
    for (struct list *node = first; node != end; node = node->next) {
        struct exchange *exchange = exchange_of(node);

        if (exchange->page == 0 && !exchange->notes_use) {
            exchange_take_back(exchange);
        }
    }
}

/* What to tell those whose transaction is gone. */
static enum error lost_error(enum error error)
{
    return error == ERROR_DISK_FULL ? ERROR_DISK_FULL : ERROR_STORE_FAILED;
}

/* A unit of its own: that the hour of use is not written down spoils nobody's answer. */
static enum error use_note(struct services *services, struct exchange *exchange)
{
    struct store *store = services->store;

    store_unit_begin(store, UNIT_SAVED);
    enum error error =
        session_set_used(store, exchange->account_id, exchange->session_id, services->now_ms);
    if (error == OK) {
        return store_unit_keep(store);
    }
    return store_batch_is_lost(store) ? error : store_unit_undo(store);
}

/* ---- one step --------------------------------------------------------------------------------*/

/* Token and rate, then the step. Whether the session's last use is to be written down. */
static bool step_run(struct services *services, struct exchange *exchange)
{
    bool is_stale = false;

    if (exchange->route->needs_token) {
        enum error error = auth_check(exchange, services->store, services->now_ms, &is_stale);

        if (error == OK) {
            error = limits_judge_account(services->limits, exchange->route->limit, exchange);
        }
        if (error != OK) {
            exchange_fail(exchange, error);
            return false;
        }
    }
    exchange_run_step(exchange, services);
    if (exchange->response.body.overflowed || exchange->response.fields.overflowed) {
        exchange_fail(exchange, ERROR_INTERNAL);
    }
    return is_stale && exchange->response.error == OK;
}

/* The head of a stream is out when its second page is made: it can only end without its end. */
static void exchange_fail(struct exchange *exchange, enum error error)
{
    if (exchange->page > 0) {
        buf_clear(&exchange->response.body);
        exchange->response.has_more = false;
        exchange->response.failed = true;
        exchange->response.error = error;
    } else {
        response_error(exchange, error);
    }
    exchange->is_done = true;
}

/* From `first` up to `end`: nothing of it was done, or (OUTCOME_UNKNOWN) perhaps. An exchange that
 * came only to have its use noted has its answer from elsewhere. */
static void answers_withdraw(struct list *first, struct list *end, enum error error)
{
    for (struct list *node = first; node != end; node = node->next) {
        struct exchange *exchange = exchange_of(node);

        if (!exchange->notes_use) {
            exchange_fail(exchange, error);
        }
    }
}

static struct exchange *exchange_of(struct list *node)
{
    return container_of(node, struct exchange, node);
}

/* ---- rest ------------------------------------------------------------------------------------*/

enum error dispatch_rest(struct services *services, bool is_idle, bool *out_more)
{
    bool has_chores = false;
    bool has_checkpoint = false;

    services->now_ms = clock_wall_ms();
    if (services->now_ms - services->disk_seen_at_ms >= DISK_LOOK_MS ||
        services->now_ms < services->disk_seen_at_ms) {
        services->disk_seen_at_ms = services->now_ms;
        atomic_store(&services->readiness->disk_is_low, store_disk_is_low(services->store));
    }
    enum error chore_error = chore_run_slice(services->store, &has_chores);
    if (chore_error == ERROR_OUTCOME_UNKNOWN) {
        return chore_error;
    }
    /* A chore that fails must not keep the WAL from being emptied. */
    enum error error = store_rest(services->store, is_idle, &has_checkpoint);
    if (error != OK || chore_error != OK) {
        return error != OK ? error : chore_error;
    }
    *out_more = has_chores || has_checkpoint;
    return OK;
}
