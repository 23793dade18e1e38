/* command_stats.c - one question, a line a number. */
#include "command_stats.h"

#include "admin_client.h"
#include "command_answer.h"

int command_stats(const struct config *config, struct buf *out)
{
    static const char *const labels[] = {"version",
                                         "commit",
                                         "started",
                                         "up, seconds",
                                         "accounts",
                                         "sessions",
                                         "messages",
                                         "database, bytes",
                                         "WAL, bytes",
                                         "free disk, bytes",
                                         "connections",
                                         "at most",
                                         "requests in flight",
                                         "on lane read",
                                         "on lane write",
                                         "on lane hash",
                                         "memory, bytes"};
    struct json_member members[] = {
        {.name = "version", .form = JSON_TEXT},
        {.name = "commit", .form = JSON_TEXT},
        {.name = "started_at", .form = JSON_TEXT},
        {.name = "uptime_seconds", .form = JSON_INTEGER},
        {.name = "accounts", .form = JSON_INTEGER},
        {.name = "sessions", .form = JSON_INTEGER},
        {.name = "messages", .form = JSON_INTEGER},
        {.name = "database_bytes", .form = JSON_INTEGER},
        {.name = "wal_bytes", .form = JSON_INTEGER},
        {.name = "disk_free_bytes", .form = JSON_INTEGER},
        {.name = "connections", .form = JSON_INTEGER},
        {.name = "connections_max", .form = JSON_INTEGER},
        {.name = "requests_in_flight", .form = JSON_INTEGER},
        {.name = "read_lane_depth", .form = JSON_INTEGER},
        {.name = "write_lane_depth", .form = JSON_INTEGER},
        {.name = "hash_lane_depth", .form = JSON_INTEGER},
        {.name = "resident_bytes", .form = JSON_INTEGER, .is_optional = true}};
    struct buf body;

    buf_init(&body, ADMIN_ANSWER_MAX_BYTES);
    bool is_good = command_ask(config, "GET", "/stats", (struct str){NULL, 0}, &body) &&
                   command_show(config, buf_str(&body), members, labels,
                                sizeof labels / sizeof labels[0], out);
    buf_release(&body);
    return is_good ? EXIT_OK : EXIT_FAILED;
}
