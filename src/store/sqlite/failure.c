/* failure.c - which failures leave the outcome open.
 *
 * A failed fsync does: the kernel may mark the pages clean, so that trying again succeeds without
 * writing them. So does a COMMIT that fails after its frames were written, when SQLite enters them
 * into the shared index (IOERR_SHM…, NOMEM): a restart would find them in the WAL and count them.
 * A full disk while frames are written is no such case: the commit frame comes last.
 */
#include "store/sqlite/failure.h"

#include <errno.h>
#include <stdbool.h>

#include "base/log.h"

static bool leaves_outcome_open(int code, enum failure_moment moment);
static bool is_disk_full(int code, int system_error);

enum error failure_translate(sqlite3 *database, int code, enum failure_moment moment,
                             const char *doing)
{
    int system_error = database == NULL ? 0 : sqlite3_system_errno(database);
    enum error error = ERROR_STORE_FAILED;

    if (code == SQLITE_INTERRUPT) {
        return ERROR_DRAINING;
    }
    if (code == SQLITE_ABORT_ROLLBACK) {
        /* A statement still at work when another's failure, told already, took the transaction. */
        return ERROR_STORE_FAILED;
    }
    if (leaves_outcome_open(code, moment)) {
        error = ERROR_OUTCOME_UNKNOWN;
    } else if (is_disk_full(code, system_error)) {
        error = ERROR_DISK_FULL;
    }
    log_event(
        LOG_ERROR, "store_failed", LOG_TEXT("code", error_code(error)), LOG_TEXT("doing", doing),
        LOG_INT("sqlite_code", code),
        LOG_TEXT("reason", database == NULL ? sqlite3_errstr(code) : sqlite3_errmsg(database)),
        LOG_INT("errno", system_error), LOG_END);
    return error;
}

static bool leaves_outcome_open(int code, enum failure_moment moment)
{
    if (moment == FAILURE_ANYWHERE) {
        return false;
    }
    switch (code) {
    case SQLITE_IOERR_FSYNC:
    case SQLITE_IOERR_DIR_FSYNC:
        return true;
    case SQLITE_NOMEM:
    case SQLITE_IOERR_NOMEM:
    case SQLITE_IOERR_SHMOPEN:
    case SQLITE_IOERR_SHMSIZE:
    case SQLITE_IOERR_SHMLOCK:
    case SQLITE_IOERR_SHMMAP:
        return moment == FAILURE_IN_COMMIT;
    default:
        return false;
    }
}

static bool is_disk_full(int code, int system_error)
{
    return code == SQLITE_FULL ||
           ((code & 0xff) == SQLITE_IOERR && (system_error == ENOSPC || system_error == EDQUOT));
}
