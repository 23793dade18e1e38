/* serving.c - the server's settings, then the loop, then the signals that end it.
 *
 *   settings_make  → what listens where, with which routes and limits
 *   serving_run    → signals, server, the opening of the database on its thread; uv_run
 *   on_opened      → lanes: ready
 *   on_signal      → drains; a second one ends the process
 */
#include "serving.h"

#include <signal.h>
#include <unistd.h>

#include "api/admin_routes.h"
#include "api/metrics_routes.h"
#include "api/routes.h"
#include "base/list.h"
#include "base/log.h"
#include "base/require.h"
#include "net/handed_socket.h"
#include "net/server.h"
#include "opening.h"
#include "supervision.h"

#define SIGNAL_EXIT_BASE 128
/* Beside those of the API; a person and a script or two. */
#define ADMIN_CONNECTIONS_MAX 16u
/* A monitoring system or two; each connection gets one answer. */
#define METRICS_CONNECTIONS_MAX 8u
/* After the drain's own limit: what is left then is not waited for. */
#define STOP_EXTRA_MS 600

/* What the settings point to. */
struct serving_texts {
    struct str origins[CONFIG_ORIGINS_MAX];
    struct cors_policy cors;
    struct cors_policy no_cors;
    struct handed_socket handed;
    char admin_socket[CONFIG_SOCKET_MAX_BYTES];
    char metrics_address[CONFIG_ADDRESS_MAX_BYTES];
};

struct serving {
    const struct serving_plan *plan;
    struct serving_texts texts;
    struct server_settings settings;
    struct supervision supervision;
    uv_signal_t terminate;
    uv_signal_t interrupt;
    uv_timer_t stop_limit; /* from the first signal */
    struct server *server; /* NULL until it listens */
    struct opening opening;
    bool is_asked_to_stop;
    bool has_failed; /* the crew could not be opened */
};

static void settings_make(struct serving *serving, unsigned connections_max);
static void public_add(struct serving *serving, unsigned connections_max);
static void admin_add(struct serving *serving);
static void metrics_add(struct serving *serving);
static void listener_add(struct serving *serving, struct listener_settings listener);
static void on_opened(struct opening *opening, enum error error);
static void signals_start(struct serving *serving, uv_loop_t *loop);
static void on_signal(uv_signal_t *handle, int signal_number);
static void on_stop_limit(uv_timer_t *limit);
static void signals_end(struct serving *serving);

int serving_run(uv_loop_t *loop, const struct serving_plan *plan, unsigned connections_max)
{
    struct serving serving = {.plan = plan};
    bool is_good = false;

    if (handed_socket_take(&serving.texts.handed) != OK) {
        return EXIT_FAILED;
    }
    settings_make(&serving, connections_max);
    signals_start(&serving, loop);
    supervision_start(&serving.supervision, loop);
    if (server_start(loop, &serving.settings, &serving.server) == OK) {
        supervision_listens(&serving.supervision, serving.server);
        opening_start(&serving.opening, loop, plan->config, plan->crew, on_opened);
        uv_run(loop, UV_RUN_DEFAULT);
        is_good = !server_finish(serving.server) && !serving.has_failed;
    }
    supervision_end(&serving.supervision);
    signals_end(&serving);
    /* Handles are gone once their close callbacks ran; also those of a start that failed. */
    uv_run(loop, UV_RUN_DEFAULT);
    return is_good ? EXIT_OK : EXIT_FAILED;
}

/* ---- settings -------------------------------------------------------------------------------- */

static void settings_make(struct serving *serving, unsigned connections_max)
{
    const struct config *config = serving->plan->config;
    struct crew *crew = serving->plan->crew;

    serving->settings = (struct server_settings){
        .head_timeout_ms = (unsigned)config_number(config, OPTION_HEAD_TIMEOUT_MS),
        .body_timeout_ms = (unsigned)config_number(config, OPTION_BODY_TIMEOUT_MS),
        .idle_timeout_ms = (unsigned)config_number(config, OPTION_IDLE_TIMEOUT_MS),
        .write_timeout_ms = (unsigned)config_number(config, OPTION_WRITE_TIMEOUT_MS),
        .drain_timeout_ms = (unsigned)config_number(config, OPTION_DRAIN_TIMEOUT_MS),
        .bodies_max_bytes = (size_t)config_number(config, OPTION_MAX_BODIES_BYTES),
        .loop_services = &crew->loop,
        .readiness = crew->loop.readiness,
        .traffic = &crew->traffic,
        .work = serving->plan->work,
        .changes = crew->changes,
        .reads_route = &api_event_reads_route,
    };
    public_add(serving, connections_max);
    admin_add(serving);
    metrics_add(serving);
}

static void public_add(struct serving *serving, unsigned connections_max)
{
    const struct config *config = serving->plan->config;
    struct serving_texts *texts = &serving->texts;
    bool is_given = texts->handed.socket >= 0;

    texts->cors.origins = texts->origins;
    texts->cors.origin_count =
        (unsigned)config_origins(config, texts->origins, &texts->cors.allows_all);
    listener_add(serving, (struct listener_settings){
                              .for_whom = "public",
                              .is_given = is_given,
                              .socket = texts->handed.socket,
                              .address = is_given ? texts->handed.address
                                                  : config_text(config, OPTION_LISTEN).ptr,
                              .port = (uint16_t)config_number(config, OPTION_PORT),
                              .admission = {.routes = api_routes, .cors = &texts->cors},
                              .connections_max = connections_max});
}

static void admin_add(struct serving *serving)
{
    if (config_admin_socket(serving->plan->config, serving->texts.admin_socket)) {
        listener_add(serving,
                     (struct listener_settings){
                         .for_whom = "admin",
                         .address = serving->texts.admin_socket,
                         .is_unix = true,
                         .is_optional = true,
                         .admission = {.routes = admin_routes, .cors = &serving->texts.no_cors},
                         .connections_max = ADMIN_CONNECTIONS_MAX});
    }
}

static void metrics_add(struct serving *serving)
{
    uint16_t port;

    if (config_endpoint(serving->plan->config, OPTION_METRICS_LISTEN,
                        serving->texts.metrics_address, &port)) {
        listener_add(serving,
                     (struct listener_settings){
                         .for_whom = "metrics",
                         .address = serving->texts.metrics_address,
                         .port = port,
                         .is_optional = true,
                         .admission = {.routes = metrics_routes, .cors = &serving->texts.no_cors},
                         .connections_max = METRICS_CONNECTIONS_MAX});
    }
}

static void listener_add(struct serving *serving, struct listener_settings listener)
{
    REQUIRE(serving->settings.listener_count < LISTENERS_MAX);
    listener.admission.body_max_bytes =
        (size_t)config_number(serving->plan->config, OPTION_MAX_BODY_BYTES);
    serving->settings.listeners[serving->settings.listener_count++] = listener;
}

static void on_opened(struct opening *opening, enum error error)
{
    struct serving *serving = container_of(opening, struct serving, opening);

    if (error == OK && !serving->is_asked_to_stop) {
        error = server_open_lanes(serving->server, serving->plan->crew->plans);
        if (error == OK) {
            supervision_ready(&serving->supervision);
            welcome_print(serving->plan->config, server_port(serving->server));
            return;
        }
    }
    serving->has_failed = error != OK && error != ERROR_DRAINING;
    supervision_stopping(&serving->supervision);
    server_drain(serving->server);
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
                   config_number(serving->plan->config, OPTION_DRAIN_TIMEOUT_MS) + STOP_EXTRA_MS,
                   0);
    supervision_stopping(&serving->supervision);
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
