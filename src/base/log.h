/* log.h - one line per event on stderr: text on a terminal and for systemd's journal, else JSON.
 *
 * An event is a name and named values: log_event(LOG_INFO, "listening", LOG_STR("address", a),
 * LOG_INT("port", p), LOG_END). JSON form: {"ts":"…Z","level":"info","event":"listening",
 * "address":"0.0.0.0","port":3000}. Text form: "12:00:00.123 info  listening address=… port=…".
 * Form for the journal: "<6>listening address=… port=…", where the number is the priority
 * (sd-daemon(3)) and the journal has the time. Values are escaped. Callers never pass a token, a
 * password or a message.
 *
 * Uses: base/clock, libc. Used by: everyone. Thread: any; a line is one write.
 */
#ifndef MIGCHAT_BASE_LOG_H
#define MIGCHAT_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

enum log_level { LOG_TRACE, LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR, LOG_OFF };
enum log_form { LOG_FORM_AUTO, LOG_FORM_TEXT, LOG_FORM_JSON, LOG_FORM_JOURNAL };

enum log_value_kind { LOG_VALUE_END, LOG_VALUE_STR, LOG_VALUE_INT };

struct log_value {
    enum log_value_kind kind;
    const char *name;
    struct str text;
    int64_t number;
};

#define LOG_STR(name, view) ((struct log_value){LOG_VALUE_STR, (name), (view), 0})
#define LOG_TEXT(name, zero_terminated)                                                            \
    ((struct log_value){LOG_VALUE_STR, (name), str_from(zero_terminated), 0})
#define LOG_INT(name, value) ((struct log_value){LOG_VALUE_INT, (name), {0}, (value)})
#define LOG_END ((struct log_value){LOG_VALUE_END, 0, {0}, 0})

/* At the start and whenever it should be otherwise; a line that another thread is writing keeps its
 * form. LOG_FORM_AUTO: JOURNAL for the journal's own socket, which $JOURNAL_STREAM names
 * (systemd.exec(5)), TEXT for a terminal, else JSON. */
void log_setup(enum log_level least, enum log_form form);
bool log_is_on(enum log_level level);
/* `values` ends with LOG_END. A line longer than 4 KiB is cut. */
void log_values(enum log_level level, const char *event, const struct log_value *values);

#define log_event(level, event, ...)                                                               \
    do {                                                                                           \
        if (log_is_on(level)) {                                                                    \
            log_values((level), (event), (const struct log_value[]){__VA_ARGS__});                 \
        }                                                                                          \
    } while (0)

/* "trace" … "error", "off", also "warning"; any case. False when it is none of them. */
bool log_level_from(struct str name, enum log_level *out_level);
const char *log_level_name(enum log_level level);

#endif
