/* admin_backup.c - POST /backups begins one, GET /backups tells how the last one goes. */
#include "api/answer.h"
#include "api/backups.h"
#include "api/body.h"
#include "api/handlers.h"
#include "api/services.h"

enum error admin_backup_start(struct exchange *exchange, struct services *services)
{
    struct json_member member = {.name = "path", .form = JSON_TEXT};
    int64_t id = 0;

    enum error error = body_read(exchange, &member, 1);
    if (error != OK) {
        return error;
    }
    if (atomic_load(&services->readiness->is_draining)) {
        return ERROR_DRAINING;
    }
    /* The thread that opens the database writes `home` until then. */
    if (atomic_load(&services->readiness->is_migrating)) {
        return ERROR_MIGRATING;
    }
    if (member.text.len == 0 || member.text.ptr[0] != '/' || member.text.len >= PATH_MAX) {
        return ERROR_PATH_NOT_ALLOWED;
    }
    error = backups_start(services->backups, member.text, &id);
    if (error != OK) {
        return error;
    }
    struct json_writer writer = answer_object(exchange);
    json_name(&writer, "id");
    json_int(&writer, id);
    json_close(&writer, '}');
    return OK;
}

enum error admin_backup_find(struct exchange *exchange, struct services *services)
{
    static const char *const states[] = {"none", "running", "done", "failed"};
    struct backup_report report;

    backups_look(services->backups, &report);
    struct json_writer writer = answer_object(exchange);
    json_name(&writer, "id");
    json_int(&writer, report.id);
    json_name(&writer, "state");
    json_text(&writer, str_from(states[report.state]));
    json_name(&writer, "pages_done");
    json_int(&writer, report.pages_done);
    json_name(&writer, "pages_total");
    json_int(&writer, report.pages_total);
    if (report.state == BACKUP_DONE) {
        json_name(&writer, "accounts");
        json_int(&writer, report.summary.accounts);
        json_name(&writer, "messages");
        json_int(&writer, report.summary.messages);
    }
    if (report.state == BACKUP_FAILED) {
        json_name(&writer, "reason");
        json_text(&writer, str_from(report.reason));
    }
    json_close(&writer, '}');
    return OK;
}
