/* main.c - builds everything in order, runs the loop, tears down in reverse.
 *
 * config → log → descriptors → privileges (root's are given up) → signals → server (the listener) →
 * uv_run, in which the database and what the lanes' threads own is opened on a thread (opening.c,
 * startup.c), then the server gets its lanes and is ready, until a signal drains it or a lane
 * reports that its store cannot be trusted any more → the same backwards, ending in a loop without
 * handles. Signals come before the server: from the moment it listens it can be told to stop.
 */
#include <signal.h>
#include <unistd.h>
#include <uv.h>

#include "api/admin_routes.h"
#include "api/dispatch.h"
#include "api/kept_answers.h"
#include "api/metrics_routes.h"
#include "api/routes.h"
#include "base/changes.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/require.h"
#include "command.h"
#include "config.h"
#include "net/server.h"
#include "opening.h"
#include "privileges.h"
#include "startup.h"

#define MESSAGE_MAX_BYTES ((size_t)64 * 1024)
#define SIGNAL_EXIT_BASE 128
/* Beside those of the API; a person and a script or two. */
#define ADMIN_CONNECTIONS_MAX 16u
/* A monitoring system or two; each connection gets one answer. */
#define METRICS_CONNECTIONS_MAX 8u
/* After the drain's own limit: what is left then is not waited for. */
#define STOP_EXTRA_MS 600

/* From listening to stopped. */
struct serving {
    const struct config *config;
    struct crew *crew;
    uv_signal_t terminate;
    uv_signal_t interrupt;
    uv_timer_t stop_limit; /* from the first signal */
    struct server *server; /* NULL until it listens */
    struct opening opening;
    bool is_asked_to_stop;
    bool has_failed; /* the crew could not be opened */
};

extern char **environ;

static int serve(const struct config *config, struct buf *warnings);
static bool libraries_are_good(const struct config *config);
static void warnings_log(struct buf *warnings);
static int serve_on(uv_loop_t *loop, const struct config *config, struct crew *crew,
                    unsigned connections_max);
static bool serve_until_stopped(uv_loop_t *loop, const struct server_settings *settings,
                                const struct config *config, struct crew *crew);
static void on_opened(struct opening *opening, enum error error);
static enum work_verdict work_run(struct services *services, struct list *batch,
                                  struct batch_source *source);
static enum work_verdict work_rest(struct services *services, bool is_idle);
static bool work_has_news(const struct services *services);
static bool work_recall(struct services *services, struct exchange *exchange);
static void work_keep(struct services *services, const struct exchange *exchange);
static void signals_start(struct serving *serving, uv_loop_t *loop);
static void on_signal(uv_signal_t *handle, int signal_number);
static void on_stop_limit(uv_timer_t *limit);
static void signals_end(struct serving *serving);

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
        exit_code = serve(&config, &message);
    } else {
        command_warn(&message);
        exit_code = command_run(&config);
    }
    config_release(&config);
    buf_release(&message);
    return exit_code;
}

/* ---- serving --------------------------------------------------------------------------------- */

static int serve(const struct config *config, struct buf *warnings)
{
    static struct readiness readiness; /* shared by all threads */
    uv_loop_t loop;
    struct crew crew;
    int exit_code = EXIT_FAILED;

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
    int failure = uv_loop_init(&loop);
    if (failure == 0) {
        exit_code = serve_on(&loop, config, &crew, connections_max);
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

static int serve_on(uv_loop_t *loop, const struct config *config, struct crew *crew,
                    unsigned connections_max)
{
    static const struct work work = {.run = work_run,
                                     .rest = work_rest,
                                     .has_news = work_has_news,
                                     .recall = work_recall,
                                     .keep = work_keep};
    struct str origins[CONFIG_ORIGINS_MAX];
    struct cors_policy cors = {.origins = origins};
    const struct cors_policy no_cors = {.origins = NULL};
    size_t body_max_bytes = (size_t)config_number(config, OPTION_MAX_BODY_BYTES);

    cors.origin_count = (unsigned)config_origins(config, origins, &cors.allows_all);
    struct server_settings settings = {
        .listeners =
            {{.for_whom = "public",
              .address = config_text(config, OPTION_LISTEN).ptr,
              .port = (uint16_t)config_number(config, OPTION_PORT),
              .admission = {.routes = api_routes, .cors = &cors, .body_max_bytes = body_max_bytes},
              .connections_max = connections_max}},
        .listener_count = 1,
        .head_timeout_ms = (unsigned)config_number(config, OPTION_HEAD_TIMEOUT_MS),
        .body_timeout_ms = (unsigned)config_number(config, OPTION_BODY_TIMEOUT_MS),
        .idle_timeout_ms = (unsigned)config_number(config, OPTION_IDLE_TIMEOUT_MS),
        .write_timeout_ms = (unsigned)config_number(config, OPTION_WRITE_TIMEOUT_MS),
        .drain_timeout_ms = (unsigned)config_number(config, OPTION_DRAIN_TIMEOUT_MS),
        .bodies_max_bytes = (size_t)config_number(config, OPTION_MAX_BODIES_BYTES),
        .loop_services = &crew->loop,
        .readiness = crew->loop.readiness,
        .traffic = &crew->traffic,
        .work = &work,
        .changes = crew->changes,
        .reads_route = &api_event_reads_route,
    };
    char admin_socket[CONFIG_SOCKET_MAX_BYTES];
    if (config_admin_socket(config, admin_socket)) {
        settings.listeners[settings.listener_count++] =
            (struct listener_settings){.for_whom = "admin",
                                       .address = admin_socket,
                                       .is_unix = true,
                                       .is_optional = true,
                                       .admission = {.routes = admin_routes,
                                                     .cors = &no_cors,
                                                     .body_max_bytes = body_max_bytes},
                                       .connections_max = ADMIN_CONNECTIONS_MAX};
    }
    char metrics_address[CONFIG_ADDRESS_MAX_BYTES];
    uint16_t metrics_port;
    if (config_endpoint(config, OPTION_METRICS_LISTEN, metrics_address, &metrics_port)) {
        settings.listeners[settings.listener_count++] =
            (struct listener_settings){.for_whom = "metrics",
                                       .address = metrics_address,
                                       .port = metrics_port,
                                       .is_optional = true,
                                       .admission = {.routes = metrics_routes,
                                                     .cors = &no_cors,
                                                     .body_max_bytes = body_max_bytes},
                                       .connections_max = METRICS_CONNECTIONS_MAX};
    }
    return serve_until_stopped(loop, &settings, config, crew) ? EXIT_OK : EXIT_FAILED;
}

/* False when it could not start, or when a lane found its store broken. */
static bool serve_until_stopped(uv_loop_t *loop, const struct server_settings *settings,
                                const struct config *config, struct crew *crew)
{
    struct serving serving = {.config = config, .crew = crew};
    bool is_good = false;

    signals_start(&serving, loop);
    if (server_start(loop, settings, &serving.server) == OK) {
        opening_start(&serving.opening, loop, config, crew, on_opened);
        uv_run(loop, UV_RUN_DEFAULT);
        is_good = !server_finish(serving.server) && !serving.has_failed;
    }
    signals_end(&serving);
    /* Handles are gone once their close callbacks ran; also those of a start that failed. */
    uv_run(loop, UV_RUN_DEFAULT);
    return is_good;
}

static void on_opened(struct opening *opening, enum error error)
{
    struct serving *serving = container_of(opening, struct serving, opening);

    if (error == OK && !serving->is_asked_to_stop) {
        error = server_open_lanes(serving->server, serving->crew->plans);
        if (error == OK) {
            welcome_print(serving->config, server_port(serving->server));
            return;
        }
    }
    serving->has_failed = error != OK && error != ERROR_DRAINING;
    server_drain(serving->server);
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
    return kept_answers_recall(services->kept, exchange, clock_wall_ms());
}

static void work_keep(struct services *services, const struct exchange *exchange)
{
    kept_answers_take(services->kept, exchange, clock_wall_ms());
}

/* ---- signals --------------------------------------------------------------------------------- */

/* The handles do not keep the loop alive: it ends with the server's. */
static void signals_start(struct serving *serving, uv_loop_t *loop)
{
    uv_signal_t *const handles[] = {&serving->terminate, &serving->interrupt};
    static const int numbers[] = {SIGTERM, SIGINT};

    for (size_t i = 0; i < sizeof handles / sizeof handles[0]; i++) {
        REQUIRE(uv_signal_init(loop, handles[i]) == 0);
        handles[i]->data = serving;
        REQUIRE(uv_signal_start(handles[i], on_signal, numbers[i]) == 0);
        uv_unref((uv_handle_t *)handles[i]);
    }
    REQUIRE(uv_timer_init(loop, &serving->stop_limit) == 0);
    uv_unref((uv_handle_t *)&serving->stop_limit);
}

static void on_signal(uv_signal_t *handle, int signal_number)
{
    struct serving *serving = handle->data;

    log_event(LOG_INFO, serving->is_asked_to_stop ? "stopping_at_once" : "stopping",
              LOG_TEXT("signal", signal_number == SIGTERM ? "SIGTERM" : "SIGINT"), LOG_END);
    if (serving->is_asked_to_stop) {
        /* What was answered is durable; the rest is the database's recovery at the next start. */
        _exit(SIGNAL_EXIT_BASE + signal_number);
    }
    serving->is_asked_to_stop = true;
    uv_timer_start(&serving->stop_limit, on_stop_limit,
                   config_number(serving->config, OPTION_DRAIN_TIMEOUT_MS) + STOP_EXTRA_MS, 0);
    if (serving->server != NULL) {
        server_drain(serving->server);
        opening_stop(&serving->opening);
    }
}

/* A hash that takes seconds can be neither interrupted nor waited for. What was answered is
 * durable, and nothing that was not begun was answered. */
static void on_stop_limit(uv_timer_t *limit)
{
    (void)limit;
    log_event(LOG_WARN, "stopping_cut", LOG_TEXT("means", "work in progress was given up"),
              LOG_END);
    _exit(EXIT_OK);
}

static void signals_end(struct serving *serving)
{
    uv_close((uv_handle_t *)&serving->stop_limit, NULL);
    uv_close((uv_handle_t *)&serving->terminate, NULL);
    uv_close((uv_handle_t *)&serving->interrupt, NULL);
}
