/* health.c - answered on the loop, from what net and main wrote down.
 *
 * /livez fails when a restart would help, /readyz also when traffic should go elsewhere for now.
 */
#include "api/answer.h"
#include "api/handlers.h"
#include "api/services.h"
#include "base/clock.h"

static bool writer_is_stuck(struct readiness *readiness);
static enum error answer_ok(struct exchange *exchange);

enum error api_health(struct exchange *exchange, struct services *services)
{
    (void)services;
    exchange->response.status = 200;
    exchange->response.type = CONTENT_TEXT;
    buf_append_str(&exchange->response.body, STR("OK"));
    return OK;
}

enum error api_livez(struct exchange *exchange, struct services *services)
{
    if (writer_is_stuck(services->readiness)) {
        return ERROR_WRITER_STUCK;
    }
    return answer_ok(exchange);
}

enum error api_readyz(struct exchange *exchange, struct services *services)
{
    struct readiness *readiness = services->readiness;

    if (atomic_load(&readiness->is_draining)) {
        return ERROR_DRAINING;
    }
    if (atomic_load(&readiness->is_migrating)) {
        return ERROR_MIGRATING;
    }
    if (writer_is_stuck(readiness)) {
        return ERROR_WRITER_STUCK;
    }
    if (atomic_load(&readiness->disk_is_low)) {
        return ERROR_DISK_LOW;
    }
    return answer_ok(exchange);
}

static bool writer_is_stuck(struct readiness *readiness)
{
    int64_t busy_since_ms = atomic_load(&readiness->writer_busy_since_ms);

    return busy_since_ms != 0 && clock_monotonic_ms() - busy_since_ms > WRITER_STUCK_AFTER_MS;
}

static enum error answer_ok(struct exchange *exchange)
{
    struct json_writer writer = answer_object(exchange);

    json_name(&writer, "status");
    json_text(&writer, STR("ok"));
    json_close(&writer, '}');
    return OK;
}
