/* main.c - builds everything in order, runs the loop, tears down in reverse.
 *
 * config → log → descriptors → privileges (root's are given up) → what the lanes' threads own is
 * prepared (startup.c) → serving.c, until a signal drains the server or a lane reports that its
 * store cannot be trusted any more → the same backwards, ending in a loop without handles.
 */
#include <signal.h>
#include <uv.h>

#include "api/dispatch.h"
#include "api/kept_answers.h"
#include "base/changes.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/require.h"
#include "command.h"
#include "config.h"
#include "http/limits.h"
#include "privileges.h"
#include "serving.h"
#include "startup.h"

#define MESSAGE_MAX_BYTES ((size_t)64 * 1024)

extern char **environ;

static int serve(struct config *config, int argc, char **argv, struct buf *warnings);
static bool libraries_are_good(const struct config *config);
static void warnings_log(struct buf *warnings);
static enum work_verdict work_run(struct services *services, struct list *batch,
                                  struct batch_source *source);
static enum work_verdict work_rest(struct services *services, bool is_idle);
static bool work_has_news(const struct services *services);
static bool work_recall(struct services *services, struct exchange *exchange);
static void work_keep(struct services *services, const struct exchange *exchange);

int main(int argc, char **argv)
{
    struct config config;
    struct buf message;
    int exit_code = EXIT_USAGE;

    buf_init(&message, MESSAGE_MAX_BYTES);
    if (config_read(argc, (const char *const *)argv, (const char *const *)environ, &config,
                    &message) == CONFIG_REFUSED) {
        command_warn(&message);
    } else if (config.command == COMMAND_SERVE) {
        exit_code = serve(&config, argc, argv, &message);
    } else {
        command_warn(&message);
        exit_code = command_run(&config);
    }
    config_release(&config);
    buf_release(&message);
    return exit_code;
}

/* ---- serving --------------------------------------------------------------------------------- */

static int serve(struct config *config, int argc, char **argv, struct buf *warnings)
{
    static struct readiness readiness; /* shared by all threads */
    static const struct work work = {.run = work_run,
                                     .rest = work_rest,
                                     .has_news = work_has_news,
                                     .recall = work_recall,
                                     .keep = work_keep};
    uv_loop_t loop;
    struct crew crew;
    int exit_code = EXIT_FAILED;

    core_dumps_stop();
    malloc_tune();
    log_setup((enum log_level)config_number(config, OPTION_LOG_LEVEL),
              (enum log_form)config_number(config, OPTION_LOG_FORMAT));
    warnings_log(warnings);
    /* A client that is gone is an error of write, never a reason to end. */
    signal(SIGPIPE, SIG_IGN);
    unsigned connections_max = descriptors_raise(config_number(config, OPTION_MAX_CONNECTIONS));
    log_event(LOG_INFO, "starting", LOG_TEXT("version", MIGCHAT_VERSION),
              LOG_TEXT("commit", MIGCHAT_COMMIT),
              LOG_STR("database", config_text(config, OPTION_DB)),
              LOG_INT("connections_max", connections_max), LOG_END);

    if (!libraries_are_good(config)) {
        /* Trying again does not mend it. */
        return EXIT_USAGE;
    }
    if (privileges_settle(config) != OK) {
        return EXIT_FAILED;
    }
    crew_prepare(config, &readiness, &crew);
    const struct serving_plan plan = {.config = config,
                                      .argc = argc,
                                      .argv = (const char *const *)argv,
                                      .environment = (const char *const *)environ,
                                      .crew = &crew,
                                      .work = &work};
    int failure = uv_loop_init(&loop);
    if (failure == 0) {
        exit_code = serving_run(&loop, &plan, connections_max);
        REQUIRE(uv_loop_close(&loop) == 0);
    } else {
        log_event(LOG_ERROR, "loop_failed", LOG_TEXT("reason", uv_strerror(failure)), LOG_END);
    }
    crew_close(&crew);
    if (exit_code == EXIT_OK) {
        log_event(LOG_INFO, "stopped", LOG_END);
    }
    return exit_code;
}

static bool libraries_are_good(const struct config *config)
{
    struct buf why;

    buf_init(&why, MESSAGE_MAX_BYTES);
    bool is_good = libraries_suffice(config, &why);
    if (!is_good) {
        struct str rest = buf_str(&why);
        log_event(LOG_ERROR, "start_refused", LOG_STR("reason", str_cut(&rest, '\n')), LOG_END);
    }
    buf_release(&why);
    return is_good;
}

static void warnings_log(struct buf *warnings)
{
    struct str rest = buf_str(warnings);

    while (rest.len > 0) {
        log_event(LOG_WARN, "configuration", LOG_STR("message", str_cut(&rest, '\n')), LOG_END);
    }
}

static enum work_verdict work_run(struct services *services, struct list *batch,
                                  struct batch_source *source)
{
    if (dispatch_batch(services, batch, source) == ERROR_OUTCOME_UNKNOWN) {
        return WORK_FATAL;
    }
    return services->lane == LANE_WRITE && store_rest_is_due(services->store) ? WORK_MORE
                                                                              : WORK_DONE;
}

static enum work_verdict work_rest(struct services *services, bool is_idle)
{
    bool has_more = false;
    enum error error = dispatch_rest(services, is_idle, &has_more);

    if (error == ERROR_OUTCOME_UNKNOWN) {
        return WORK_FATAL;
    }
    /* Other failures were logged below and are tried again with the next rest. */
    return error == OK && has_more ? WORK_MORE : WORK_DONE;
}

static bool work_has_news(const struct services *services)
{
    return changes_have_news(services->changes);
}

static bool work_recall(struct services *services, struct exchange *exchange)
{
    if (!kept_answers_recall(services->kept, exchange, clock_wall_ms())) {
        return false;
    }
    enum error error = limits_judge_account(services->limits, exchange->route->limit, exchange);
    if (error != OK) {
        response_error(exchange, error);
    }
    return true;
}

static void work_keep(struct services *services, const struct exchange *exchange)
{
    kept_answers_take(services->kept, exchange, clock_wall_ms());
}
