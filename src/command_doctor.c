/* command_doctor.c - the checks that are about more than files: the server, what the database
 * holds, descriptors, the library, the clock.
 *
 * The server is asked where one answers; where none does, everything else is looked at all the
 * same.
 */
#include "command_doctor.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "admin_client.h"
#include "api/json.h"
#include "api/json_write.h"
#include "base/clock.h"
#include "command_answer.h"
#include "startup.h"
#include "store/copies.h"
#include "store/examination.h"

#define ABOUT_MAX_BYTES ((size_t)16 * 1024)
/* 2025-01-01 and 2100-01-01: a clock that was never set is far outside. */
#define YEAR_LEAST_MS INT64_C(1735689600000)
#define YEAR_MOST_MS INT64_C(4102444800000)
/* Two machines' clocks differ, and one is set now and then. */
#define CLOCK_LEEWAY_MS (INT64_C(60) * 1000)
#define CONNECTIONS_LEAST 256u

static bool server_check(struct doctor *doctor);
static bool socket_answers(const struct config *config);
static void descriptors_check(struct doctor *doctor, bool is_served);
static bool connections_max_ask(const struct config *config, uint64_t *out_max);
static void database_check(struct doctor *doctor);
static void library_check(struct doctor *doctor);
static void clock_check(struct doctor *doctor, int64_t newest_at_ms);

int command_doctor(const struct config *config, struct buf *out)
{
    struct doctor doctor = {.config = config, .out = out};

    bool is_served = server_check(&doctor);
    descriptors_check(&doctor, is_served);
    if (!config_is_in_memory(config)) {
        doctor_files_check(&doctor);
        database_check(&doctor);
    } else {
        clock_check(&doctor, 0);
    }
    library_check(&doctor);
    if (config->command_flags[FLAG_JSON]) {
        buf_append_format(out, "],\"is_good\":%s}\n", doctor.has_failed ? "false" : "true");
    }
    return doctor.has_failed ? EXIT_FAILED : EXIT_OK;
}

void doctor_tell(struct doctor *doctor, enum finding finding, const char *name, const char *advice,
                 const char *format, ...)
{
    static const char *const words[] = {"ok", "warn", "fail"};
    char about[ABOUT_MAX_BYTES];
    struct json_writer writer;
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(about, sizeof about, format, arguments);
    va_end(arguments);
    doctor->has_failed = doctor->has_failed || finding == FINDING_FAIL;
    if (!doctor->config->command_flags[FLAG_JSON]) {
        buf_append_format(doctor->out, "%-5s %-12s ", words[finding], name);
        text_show(doctor->out, str_from(about));
        if (advice != NULL) {
            buf_append_str(doctor->out, STR(": "));
            text_show(doctor->out, str_from(advice));
        }
        buf_append_char(doctor->out, '\n');
        return;
    }
    buf_append_str(doctor->out, doctor->has_findings ? STR(",\n") : STR("{\"checks\":["));
    doctor->has_findings = true;
    json_writer_init(&writer, doctor->out);
    json_open(&writer, '{');
    json_name(&writer, "finding");
    json_text(&writer, str_from(words[finding]));
    json_name(&writer, "name");
    json_text(&writer, str_from(name));
    json_name(&writer, "about");
    json_text(&writer, str_from(about));
    json_name(&writer, "advice");
    if (advice != NULL) {
        json_text(&writer, str_from(advice));
    } else {
        json_null(&writer);
    }
    json_close(&writer, '}');
}

/* ---- the server ------------------------------------------------------------------------------*/

static bool server_check(struct doctor *doctor)
{
    struct buf body;
    int status = 0;

    if (!socket_answers(doctor->config)) {
        doctor_tell(doctor, FINDING_WARN, "server", "start it, or give its database with --db",
                    "no server of this database answers you");
        return false;
    }
    buf_init(&body, ADMIN_ANSWER_MAX_BYTES);
    if (!admin_ask(doctor->config, "GET", "/readyz", (struct str){NULL, 0}, &status, &body)) {
        doctor_tell(doctor, FINDING_FAIL, "server", "see what listens at the admin socket",
                    "what listens does not answer as a MigChat server");
    } else if (status != 200) {
        doctor_tell(doctor, FINDING_FAIL, "server", "see its log", "it is not ready (%d): %.*s",
                    status, STR_ARGS(buf_str(&body)));
    } else {
        doctor_tell(doctor, FINDING_OK, "server", NULL, "it answers and is ready");
    }
    buf_release(&body);
    return status == 200;
}

/* Quietly: that there is none is nothing to complain of. */
static bool socket_answers(const struct config *config)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (!config_admin_socket(config, address.sun_path)) {
        return false;
    }
    int opened = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool answers =
        opened >= 0 && connect(opened, (const struct sockaddr *)&address, sizeof address) == 0;
    if (opened >= 0) {
        close(opened);
    }
    return answers;
}

/* The server's own limit where there is one: systemd and shells differ. */
static void descriptors_check(struct doctor *doctor, bool is_served)
{
    uint64_t wanted = config_number(doctor->config, OPTION_MAX_CONNECTIONS);
    uint64_t allowed = 0;
    bool is_its_own = is_served && connections_max_ask(doctor->config, &allowed);

    if (!is_its_own) {
        allowed = descriptors_allow();
    }
    if (allowed < wanted) {
        doctor_tell(doctor, FINDING_WARN, "descriptors",
                    "raise LimitNOFILE of the unit, or ulimit -n, or lower --max-connections",
                    "%s %" PRIu64 " connections at once, and --max-connections is %" PRIu64,
                    is_its_own ? "the server takes" : "a server started here could take", allowed,
                    wanted);
    } else {
        bool is_few = allowed < CONNECTIONS_LEAST;
        doctor_tell(doctor, is_few ? FINDING_WARN : FINDING_OK, "descriptors",
                    is_few ? "raise LimitNOFILE of the unit, or ulimit -n" : NULL,
                    "%s %" PRIu64 " connections at once",
                    is_its_own ? "the server takes" : "a server started here could take", allowed);
    }
}

static bool connections_max_ask(const struct config *config, uint64_t *out_max)
{
    struct json_member member = {.name = "connections_max", .form = JSON_INTEGER};
    struct arena arena;
    struct buf body;

    arena_init(&arena);
    buf_init(&body, ADMIN_ANSWER_MAX_BYTES);
    bool is_good = command_ask(config, "GET", "/stats", (struct str){NULL, 0}, &body) &&
                   json_read(buf_str(&body), &member, 1, &arena) == OK;
    *out_max = (uint64_t)member.integer;
    buf_release(&body);
    arena_release(&arena);
    return is_good;
}

/* ---- the database ----------------------------------------------------------------------------*/

static void database_check(struct doctor *doctor)
{
    const char *path = config_text(doctor->config, OPTION_DB).ptr;
    struct store_examination examination = {0};
    char reason[REASON_MAX_BYTES];

    if (access(path, F_OK) != 0) {
        doctor_tell(doctor, FINDING_WARN, "integrity", "the first start makes it",
                    "there is no database at %s", path);
    } else if (store_examine(path, &examination, reason) != OK) {
        doctor_tell(doctor, FINDING_FAIL, "integrity",
                    "keep the file and everything beside it, then restore a backup", "%s: %s", path,
                    reason);
    } else {
        doctor_tell(doctor, FINDING_OK, "integrity", NULL, "quick_check is ok, schema %lld",
                    (long long)examination.schema);
    }
    clock_check(doctor, examination.newest_at_ms);
}

/* The bug needs a second checkpointer: the server has none of its own. */
static void library_check(struct doctor *doctor)
{
    bool is_external = config_number(doctor->config, OPTION_CHECKPOINT) == CHECKPOINT_EXTERNAL;

    if (!store_library_has_wal_reset_bug()) {
        doctor_tell(doctor, FINDING_OK, "SQLite", NULL, "%s", store_library_version());
    } else if (is_external) {
        doctor_tell(doctor, FINDING_FAIL, "SQLite",
                    "leave checkpoints to the server, and back up with `backup` on a timer",
                    "%s has the WAL-reset bug, and checkpoints are left to another process",
                    store_library_version());
    } else {
        doctor_tell(doctor, FINDING_OK, "SQLite", NULL,
                    "%s has the WAL-reset bug: nothing else may checkpoint the database",
                    store_library_version());
    }
}

static void clock_check(struct doctor *doctor, int64_t newest_at_ms)
{
    char now[TIME_RFC3339_LEN + 1];
    char newest[TIME_RFC3339_LEN + 1];
    int64_t now_ms = clock_wall_ms();

    time_to_rfc3339(now_ms, now);
    time_to_rfc3339(newest_at_ms, newest);
    if (now_ms < YEAR_LEAST_MS || now_ms >= YEAR_MOST_MS) {
        doctor_tell(doctor, FINDING_FAIL, "clock", "set the clock, best by NTP", "it is %s here",
                    now);
    } else if (newest_at_ms > now_ms + CLOCK_LEEWAY_MS) {
        doctor_tell(doctor, FINDING_FAIL, "clock", "set the clock, best by NTP",
                    "it is %s here, before the newest entry of %s", now, newest);
    } else {
        doctor_tell(doctor, FINDING_OK, "clock", NULL, "it is %s", now);
    }
}
