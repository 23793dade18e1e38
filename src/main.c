/* main.c - builds everything in order, runs the loop, tears down in reverse.
 *
 * config → log → descriptors → privileges (root's are given up) → signals → server (the listener) →
 * uv_run, in which the database and what the lanes' threads own is opened on a thread (opening.c,
 * startup.c), then the server gets its lanes and is ready, until a signal drains it or a lane
 * reports that its store cannot be trusted any more → the same backwards, ending in a loop without
 * handles. Signals come before the server: from the moment it listens it can be told to stop.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "api/dispatch.h"
#include "api/json.h"
#include "api/kept_answers.h"
#include "api/routes.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/require.h"
#include "config.h"
#include "http/parser.h"
#include "net/server.h"
#include "opening.h"
#include "privileges.h"
#include "startup.h"

#define TEXT_MAX_BYTES ((size_t)64 * 1024)
#define SIGNAL_EXIT_BASE 128
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

static void messages_print(const struct buf *messages);
static void routes_write(struct buf *out);
static void errors_write(struct buf *out);
static void version_write(struct buf *out);
static int serve(const struct config *config, struct buf *warnings);
static void warnings_log(struct buf *warnings);
static int serve_on(uv_loop_t *loop, const struct config *config, struct crew *crew,
                    unsigned connections_max);
static bool serve_until_stopped(uv_loop_t *loop, const struct server_settings *settings,
                                const struct config *config, struct crew *crew);
static void on_opened(struct opening *opening, enum error error);
static enum work_verdict work_run(struct services *services, struct list *batch,
                                  struct batch_source *source);
static enum work_verdict work_rest(struct services *services, bool is_idle);
static bool work_recall(struct services *services, struct exchange *exchange);
static void work_keep(struct services *services, const struct exchange *exchange);
static void signals_start(struct serving *serving, uv_loop_t *loop);
static void on_signal(uv_signal_t *handle, int signal_number);
static void on_stop_limit(uv_timer_t *limit);
static void signals_end(struct serving *serving);

int main(int argc, char **argv)
{
    struct config config;
    struct buf message, text;
    int exit_code = EXIT_OK;

    buf_init(&message, TEXT_MAX_BYTES);
    buf_init(&text, TEXT_MAX_BYTES);
    if (config_read(argc, (const char *const *)argv, (const char *const *)environ, &config,
                    &message) == CONFIG_REFUSED) {
        messages_print(&message);
        exit_code = EXIT_USAGE;
    } else {
        switch (config.command) {
        case COMMAND_SERVE:
            exit_code = serve(&config, &message);
            break;
        case COMMAND_CHECK:
            messages_print(&message);
            buf_append_str(&text, STR("the configuration is good\n"));
            break;
        case COMMAND_DUMP:
            messages_print(&message);
            config_write_dump(&config, &text);
            break;
        case COMMAND_ROUTES:
            routes_write(&text);
            break;
        case COMMAND_ERRORS:
            errors_write(&text);
            break;
        case COMMAND_HELP:
            config_write_help(&text);
            break;
        case COMMAND_VERSION:
            version_write(&text);
            break;
        }
        if (text.len > 0 && (fwrite(text.ptr, text.len, 1, stdout) != 1 || fflush(stdout) != 0)) {
            exit_code = EXIT_FAILED;
        }
    }
    config_release(&config);
    buf_release(&message);
    buf_release(&text);
    return exit_code;
}

/* ---- commands that only print -------------------------------------------------------------- */

static void messages_print(const struct buf *messages)
{
    struct str rest = buf_str(messages);

    while (rest.len > 0) {
        struct str line = str_cut(&rest, '\n');
        fprintf(stderr, "migchat-server: %.*s\n", STR_ARGS(line));
    }
}

static void routes_write(struct buf *out)
{
    for (size_t i = 0; i < api_routes.count; i++) {
        const struct route *route = &api_routes.routes[i];
        buf_append_str(out, method_name(route->method));
        buf_append_format(out, " %s\n", route->path);
    }
}

static void errors_write(struct buf *out)
{
    for (int i = OK + 1; i < ERROR_COUNT; i++) {
        buf_append_format(out, "%s %d\n", error_code((enum error)i), error_status((enum error)i));
    }
}

/* Versions of libraries are those loaded now, not those this was built with. */
static void version_write(struct buf *out)
{
    buf_append_format(out, "migchat-server %s (commit %s)\n", MIGCHAT_VERSION, MIGCHAT_COMMIT);
    buf_append_format(out, "libuv %s\n", uv_version_string());
    buf_append_format(out, "%s\n", parser_library_version());
    buf_append_format(out, "%s\n", store_library_version());
    buf_append_format(out, "cJSON %s\n", json_library_version());
    buf_append_format(out, "%s\n", password_library_version());
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
    static const struct work work = {
        .run = work_run, .rest = work_rest, .recall = work_recall, .keep = work_keep};
    struct str origins[CONFIG_ORIGINS_MAX];
    struct cors_policy cors = {.origins = origins};

    cors.origin_count = (unsigned)config_origins(config, origins, &cors.allows_all);
    const struct server_settings settings = {
        .listen_address = config_text(config, OPTION_LISTEN).ptr,
        .port = (uint16_t)config_number(config, OPTION_PORT),
        .admission = {.routes = api_routes,
                      .cors = &cors,
                      .body_max_bytes = (size_t)config_number(config, OPTION_MAX_BODY_BYTES)},
        .head_timeout_ms = (unsigned)config_number(config, OPTION_HEAD_TIMEOUT_MS),
        .body_timeout_ms = (unsigned)config_number(config, OPTION_BODY_TIMEOUT_MS),
        .idle_timeout_ms = (unsigned)config_number(config, OPTION_IDLE_TIMEOUT_MS),
        .write_timeout_ms = (unsigned)config_number(config, OPTION_WRITE_TIMEOUT_MS),
        .drain_timeout_ms = (unsigned)config_number(config, OPTION_DRAIN_TIMEOUT_MS),
        .bodies_max_bytes = (size_t)config_number(config, OPTION_MAX_BODIES_BYTES),
        .connections_max = connections_max,
        .loop_services = &crew->loop,
        .readiness = crew->loop.readiness,
        .work = &work,
    };
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
