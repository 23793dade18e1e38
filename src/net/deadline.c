/* deadline.c - time limits on one timer.
 *
 * 1. deadline_set appends to the list of the kind: they all have the kind's duration, so the list
 *    stays ordered by time.
 * 2. The timer is set to the earliest deadline known. Clearing one leaves the timer alone: at
 *    worst it fires for nothing once, which costs less than a look at every cleared deadline.
 * 3. When it fires, what is due is taken from the front of each list, and the timer is set again
 *    to the earliest that is left. Without any it is not set, so an idle server sleeps.
 */
#include "net/deadline.h"

#include "base/require.h"

static void on_timer(uv_timer_t *timer);
static void fire_at(struct deadlines *deadlines, int64_t at_ms);
static int64_t now_ms(const struct deadlines *deadlines);

void deadlines_init(struct deadlines *deadlines, uv_loop_t *loop,
                    const unsigned duration_ms[DEADLINE_KIND_COUNT], deadline_passed on_passed)
{
    deadlines->on_passed = on_passed;
    deadlines->fires_at_ms = INT64_MAX;
    for (int kind = 0; kind < DEADLINE_KIND_COUNT; kind++) {
        deadlines->duration_ms[kind] = duration_ms[kind] > 0 ? duration_ms[kind] : 1;
        list_init(&deadlines->pending[kind]);
    }
    REQUIRE(uv_timer_init(loop, &deadlines->timer) == 0);
}

/* All of a kind move alike, so their list stays in order. */
void deadlines_change(struct deadlines *deadlines, const unsigned duration_ms[DEADLINE_KIND_COUNT])
{
    for (int kind = 0; kind < DEADLINE_KIND_COUNT; kind++) {
        struct list *pending = &deadlines->pending[kind];
        int64_t duration = duration_ms[kind] > 0 ? duration_ms[kind] : 1;
        int64_t difference = duration - deadlines->duration_ms[kind];

        deadlines->duration_ms[kind] = duration;
        for (struct list *node = pending->next; difference != 0 && node != pending;
             node = node->next) {
            container_of(node, struct deadline, node)->at_ms += difference;
        }
        if (!list_is_empty(pending)) {
            int64_t at_ms = container_of(pending->next, struct deadline, node)->at_ms;

            if (at_ms < deadlines->fires_at_ms) {
                fire_at(deadlines, at_ms);
            }
        }
    }
}

void deadlines_close(struct deadlines *deadlines, uv_close_cb on_closed)
{
    for (int kind = 0; kind < DEADLINE_KIND_COUNT; kind++) {
        while (list_take_first(&deadlines->pending[kind]) != NULL) {
        }
    }
    uv_close((uv_handle_t *)&deadlines->timer, on_closed);
}

void deadline_init(struct deadline *deadline)
{
    *deadline = (struct deadline){.kind = DEADLINE_KIND_COUNT};
}

void deadline_set(struct deadlines *deadlines, struct deadline *deadline, enum deadline_kind kind)
{
    REQUIRE(kind < DEADLINE_KIND_COUNT);
    list_remove(&deadline->node);
    deadline->kind = kind;
    deadline->at_ms = now_ms(deadlines) + deadlines->duration_ms[kind];
    list_append(&deadlines->pending[kind], &deadline->node);
    if (deadline->at_ms < deadlines->fires_at_ms) {
        fire_at(deadlines, deadline->at_ms);
    }
}

void deadline_clear(struct deadline *deadline)
{
    list_remove(&deadline->node);
}

bool deadline_is_set(const struct deadline *deadline, enum deadline_kind kind)
{
    return list_is_linked(&deadline->node) && deadline->kind == kind;
}

static void on_timer(uv_timer_t *timer)
{
    struct deadlines *deadlines = container_of(timer, struct deadlines, timer);
    int64_t now = now_ms(deadlines);
    int64_t earliest = INT64_MAX;

    deadlines->fires_at_ms = INT64_MAX;
    for (int kind = 0; kind < DEADLINE_KIND_COUNT; kind++) {
        struct list *pending = &deadlines->pending[kind];

        while (!list_is_empty(pending)) {
            struct deadline *first = container_of(pending->next, struct deadline, node);

            if (first->at_ms > now) {
                break;
            }
            list_remove(&first->node);
            deadlines->on_passed(deadlines, first);
            if (uv_is_closing((const uv_handle_t *)timer)) {
                return;
            }
        }
    }
    /* Afterwards, because what was called may have set deadlines in lists already seen. */
    for (int kind = 0; kind < DEADLINE_KIND_COUNT; kind++) {
        if (!list_is_empty(&deadlines->pending[kind])) {
            const struct deadline *first =
                container_of(deadlines->pending[kind].next, struct deadline, node);

            earliest = first->at_ms < earliest ? first->at_ms : earliest;
        }
    }
    if (earliest < deadlines->fires_at_ms) {
        fire_at(deadlines, earliest);
    }
}

static void fire_at(struct deadlines *deadlines, int64_t at_ms)
{
    int64_t now = now_ms(deadlines);
    uint64_t delay_ms = at_ms > now ? (uint64_t)(at_ms - now) : 0;
    int failed = uv_timer_start(&deadlines->timer, on_timer, delay_ms, 0);

    /* It fails only on a timer that is closing, after which no deadline is set. */
    REQUIRE(failed == 0);
    deadlines->fires_at_ms = at_ms;
}

static int64_t now_ms(const struct deadlines *deadlines)
{
    return (int64_t)uv_now(deadlines->timer.loop);
}
