/* opening.c - a thread that opens the crew and wakes the loop; the loop joins it.
 *
 * Mostly that takes a few milliseconds. Adopting or migrating a large database takes minutes, in
 * which the server answers that it is alive and not ready, and can be stopped.
 */
#include "opening.h"

#include <pthread.h>
#include <unistd.h>

#include "base/list.h"
#include "base/log.h"
#include "base/require.h"
#include "base/signals.h"

/* As the lanes' threads: they run the same code, and take over this stack. */
#define OPENING_STACK_BYTES (1024u * 1024u)

static void opening_thread(void *argument);
static void on_woken(uv_async_t *ended);
static void on_limit(uv_timer_t *limit);

void opening_start(struct opening *opening, uv_loop_t *loop, const struct config *config,
                   struct crew *crew, opening_ended on_ended)
{
    const uv_thread_options_t options = {.flags = UV_THREAD_HAS_STACK_SIZE,
                                         .stack_size = OPENING_STACK_BYTES};
    sigset_t before;

    opening->config = config;
    opening->crew = crew;
    opening->on_ended = on_ended;
    opening->is_running = true;
    atomic_init(&opening->stops, false);
    REQUIRE(uv_async_init(loop, &opening->ended, on_woken) == 0);
    REQUIRE(uv_timer_init(loop, &opening->limit) == 0);
    signals_block(&before);
    REQUIRE(uv_thread_create_ex(&opening->thread, &options, opening_thread, opening) == 0);
    signals_restore(&before);
}

static void opening_thread(void *argument)
{
    struct opening *opening = argument;

    pthread_setname_np(pthread_self(), "opening");
    opening->error = crew_open(opening->config, &opening->stops, opening->crew);
    uv_async_send(&opening->ended);
}

static void on_woken(uv_async_t *ended)
{
    struct opening *opening = container_of(ended, struct opening, ended);

    uv_thread_join(&opening->thread);
    opening->is_running = false;
    uv_close((uv_handle_t *)&opening->ended, NULL);
    uv_close((uv_handle_t *)&opening->limit, NULL);
    opening->on_ended(opening, opening->error);
}

void opening_stop(struct opening *opening)
{
    if (opening->is_running && !atomic_load(&opening->stops)) {
        atomic_store(&opening->stops, true);
        uv_timer_start(&opening->limit, on_limit,
                       config_number(opening->config, OPTION_DRAIN_TIMEOUT_MS), 0);
    }
}

static void on_limit(uv_timer_t *limit)
{
    (void)limit;
    log_event(LOG_WARN, "opening_cut",
              LOG_TEXT("means", "what it had begun is undone when the file is next opened"),
              LOG_END);
    _exit(EXIT_OK);
}
