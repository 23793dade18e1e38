/* serving.c - the server's settings, then the loop, then the signals that end it.
 *
 *   settings_make  → what listens where, with which routes and limits
 *   serving_run    → signals, server, the opening of the database on its thread; uv_run
 *   on_opened      → lanes: ready
 *   on_signal      → drains; a second one ends the process
 *   on_hangup      → reads the configuration again; all of it counts, or nothing
 */
#include "serving.h"

#include <assert.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "api/admin_routes.h"
#include "api/metrics_routes.h"
#include "api/routes.h"
#include "base/code_pages.h"
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
#define MESSAGE_MAX_BYTES ((size_t)64 * 1024)

/* What the settings point to. */
struct serving_texts {
    struct str origins[CONFIG_ORIGINS_MAX];
    struct cors_policy cors;
    struct cors_policy no_cors;
    struct proxies proxies;
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
    uv_signal_t hangup;
    struct config *reloaded; /* has the texts that plan->config points to; NULL before the first */
    bool is_at_terminal;
    bool is_asked_to_stop;
    bool has_failed; /* the crew could not be opened */
};

static void settings_make(struct serving *serving, unsigned connections_max);
static void limits_set(struct serving *serving, unsigned connections_max);
static void rates_set(const struct config *config, struct limits *limits);
static void public_add(struct serving *serving);
static void admin_add(struct serving *serving);
static void metrics_add(struct serving *serving);
static void listener_add(struct serving *serving, struct listener_settings listener);
static void on_opened(struct opening *opening, enum error error);
static void signals_start(struct serving *serving, uv_loop_t *loop);
static void on_signal(uv_signal_t *handle, int signal_number);
static void stop(struct serving *serving, int signal_number);
static const char *signal_name(int signal_number);
static void on_hangup(uv_signal_t *handle, int signal_number);
static void reload(struct serving *serving, struct config *fresh);
static void on_stop_limit(uv_timer_t *limit);
static void signals_end(struct serving *serving);
static void reloaded_release(struct serving *serving);

int serving_run(uv_loop_t *loop, const struct serving_plan *plan, unsigned connections_max)
{
    struct serving serving = {.plan = plan, .is_at_terminal = isatty(STDERR_FILENO) != 0};
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
    reloaded_release(&serving);
    return is_good ? EXIT_OK : EXIT_FAILED;
}

/* ---- settings -------------------------------------------------------------------------------- */

static void settings_make(struct serving *serving, unsigned connections_max)
{
    struct crew *crew = serving->plan->crew;

    serving->settings = (struct server_settings){
        .loop_services = &crew->loop,
        .readiness = crew->loop.readiness,
        .traffic = &crew->traffic,
        .work = serving->plan->work,
        .changes = crew->changes,
        .reads_route = &api_event_reads_route,
        .command_route = &api_websocket_command_route,
    };
    public_add(serving);
    admin_add(serving);
    metrics_add(serving);
    limits_set(serving, connections_max);
}

/* What a reload changes (CONFIG_RELOADABLE_MAP), from the configuration as it is now. */
static void limits_set(struct serving *serving, unsigned connections_max)
{
    const struct config *config = serving->plan->config;
    struct server_settings *settings = &serving->settings;
    struct cors_policy *cors = &serving->texts.cors;

    settings->head_timeout_ms = (unsigned)config_number(config, OPTION_HEAD_TIMEOUT_MS);
    settings->body_timeout_ms = (unsigned)config_number(config, OPTION_BODY_TIMEOUT_MS);
    settings->idle_timeout_ms = (unsigned)config_number(config, OPTION_IDLE_TIMEOUT_MS);
    settings->write_timeout_ms = (unsigned)config_number(config, OPTION_WRITE_TIMEOUT_MS);
    settings->drain_timeout_ms = (unsigned)config_number(config, OPTION_DRAIN_TIMEOUT_MS);
    settings->bodies_max_bytes = (size_t)config_number(config, OPTION_MAX_BODIES_BYTES);
    settings->listeners[0].connections_max = connections_max;
    for (unsigned i = 0; i < settings->listener_count; i++) {
        settings->listeners[i].admission.body_max_bytes =
            (size_t)config_number(config, OPTION_MAX_BODY_BYTES);
    }
    atomic_store(&serving->plan->crew->settings.signup, (int)config_number(config, OPTION_SIGNUP));
    rates_set(config, serving->plan->crew->limits);
    serving->texts.proxies.count =
        config_networks(config, OPTION_TRUSTED_PROXIES, serving->texts.proxies.networks);
    serving->texts.proxies.field =
        (enum proxy_field)config_number(config, OPTION_CLIENT_ADDRESS_FIELD);
    cors->origins = serving->texts.origins;
    cors->origin_count =
        (unsigned)config_origins(config, serving->texts.origins, &cors->allows_all);
}

static void rates_set(const struct config *config, struct limits *limits)
{
    static const enum option options[LIMIT_COUNT] = {
        [LIMIT_SIGNUP] = OPTION_SIGNUP_RATE, [LIMIT_LOGIN] = OPTION_LOGIN_RATE,
        [LIMIT_CLAIM] = OPTION_CLAIM_RATE,   [LIMIT_TYPING] = OPTION_TYPING_RATE,
        [LIMIT_SEND] = OPTION_SEND_RATE,     [LIMIT_READ] = OPTION_READ_RATE,
    };

    static_assert(CONFIG_NETWORKS_MAX == PROXY_NETWORKS_MAX, "what can be given has its place");
    for (enum limit limit = LIMIT_NONE + 1; limit < LIMIT_COUNT; limit++) {
        uint64_t rate = config_number(config, OPTION_RATE_LIMITS) == SWITCH_ON
                            ? config_number(config, options[limit])
                            : 0;

        limits_rate_set(limits, limit,
                        (struct limit_rate){.count = (uint32_t)(rate >> CONFIG_RATE_SHIFT),
                                            .seconds = (uint32_t)rate});
    }
}

static void public_add(struct serving *serving)
{
    const struct config *config = serving->plan->config;
    struct serving_texts *texts = &serving->texts;
    bool is_given = texts->handed.socket >= 0;

    listener_add(serving, (struct listener_settings){
                              .for_whom = "public",
                              .is_given = is_given,
                              .socket = texts->handed.socket,
                              .address = is_given ? texts->handed.address
                                                  : config_text(config, OPTION_LISTEN).ptr,
                              .port = (uint16_t)config_number(config, OPTION_PORT),
                              .admission = {.routes = api_routes,
                                            .cors = &texts->cors,
                                            .limits = serving->plan->crew->limits,
                                            .proxies = &texts->proxies,
                                            .peer_find = server_peer_find}});
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
            code_pages_release();
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
    uv_signal_t *const handles[] = {&serving->terminate, &serving->interrupt, &serving->hangup};
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};

    for (size_t i = 0; i < sizeof handles / sizeof handles[0]; i++) {
        REQUIRE(uv_signal_init(loop, handles[i]) == 0);
        handles[i]->data = serving;
        REQUIRE(uv_signal_start(handles[i], numbers[i] == SIGHUP ? on_hangup : on_signal,
                                numbers[i]) == 0);
        uv_unref((uv_handle_t *)handles[i]);
    }
    REQUIRE(uv_timer_init(loop, &serving->stop_limit) == 0);
    uv_unref((uv_handle_t *)&serving->stop_limit);
}

static void on_signal(uv_signal_t *handle, int signal_number)
{
    stop(handle->data, signal_number);
}

static void stop(struct serving *serving, int signal_number)
{
    log_event(LOG_INFO, serving->is_asked_to_stop ? "stopping_at_once" : "stopping",
              LOG_TEXT("signal", signal_name(signal_number)), LOG_END);
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

static const char *signal_name(int signal_number)
{
    if (signal_number == SIGHUP) {
        return "SIGHUP";
    }
    return signal_number == SIGTERM ? "SIGTERM" : "SIGINT";
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
    uv_close((uv_handle_t *)&serving->hangup, NULL);
}

/* ---- reload ---------------------------------------------------------------------------------- */

/* At a terminal it tells that the terminal is gone, and nobody would find the server again. */
static void on_hangup(uv_signal_t *handle, int signal_number)
{
    struct serving *serving = handle->data;
    const struct serving_plan *plan = serving->plan;
    struct buf message;

    if (serving->is_at_terminal) {
        stop(serving, signal_number);
        return;
    }
    if (serving->server == NULL || serving->is_asked_to_stop) {
        return;
    }
    supervision_reloading(&serving->supervision);
    struct config *fresh = calloc(1, sizeof *fresh);
    REQUIRE(fresh != NULL);
    buf_init(&message, MESSAGE_MAX_BYTES);
    bool is_good =
        config_read(plan->argc, plan->argv, plan->environment, fresh, &message) == CONFIG_READY;
    for (struct str rest = buf_str(&message); rest.len > 0;) {
        log_event(is_good ? LOG_WARN : LOG_ERROR, is_good ? "configuration" : "reload_refused",
                  LOG_STR("message", str_cut(&rest, '\n')), LOG_END);
    }
    buf_release(&message);
    if (is_good) {
        reload(serving, fresh);
    } else {
        config_release(fresh);
        free(fresh);
    }
    supervision_reloaded(&serving->supervision);
}

/* Nothing fails from here on, and nothing else runs on the loop meanwhile. */
static void reload(struct serving *serving, struct config *fresh)
{
    struct config *config = serving->plan->config;
    struct buf taken, left;

    buf_init(&taken, MESSAGE_MAX_BYTES);
    buf_init(&left, MESSAGE_MAX_BYTES);
    config_take(config, fresh, &taken, &left);
    limits_set(serving, descriptors_raise(config_number(config, OPTION_MAX_CONNECTIONS)));
    server_follow(serving->server, &serving->settings);
    reloaded_release(serving);
    serving->reloaded = fresh;
    if (left.len > 0) {
        log_event(LOG_WARN, "reload_needs_restart", LOG_STR("options", buf_str(&left)), LOG_END);
    }
    /* By the old level or the new one: a change of it is told in any case but from quiet to quiet.
     */
    bool is_told = log_is_on(LOG_INFO);
    if (is_told) {
        log_event(LOG_INFO, "reloaded", LOG_STR("options", buf_str(&taken)), LOG_END);
    }
    log_setup((enum log_level)config_number(config, OPTION_LOG_LEVEL),
              (enum log_form)config_number(config, OPTION_LOG_FORMAT));
    if (!is_told) {
        log_event(LOG_INFO, "reloaded", LOG_STR("options", buf_str(&taken)), LOG_END);
    }
    buf_release(&taken);
    buf_release(&left);
}

static void reloaded_release(struct serving *serving)
{
    if (serving->reloaded != NULL) {
        config_release(serving->reloaded);
        free(serving->reloaded);
        serving->reloaded = NULL;
    }
}
