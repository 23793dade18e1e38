/* loopback.h - the whole API without a socket: request text in, response out.
 *
 * A request goes through the real parser, admission, dispatch and handlers on the store it is
 * given, each step with the services of its lane, one after the other on the calling thread.
 *
 * Uses:    http, api, the store that is linked.
 * Used by: unit tests of api.
 * Thread:  one.
 * Memory:  answers are owned by the caller (answer_release).
 */
#ifndef MIGCHAT_TEST_LOOPBACK_H
#define MIGCHAT_TEST_LOOPBACK_H

#include <stdbool.h>
#include <stddef.h>

#include "api/services.h"
#include "base/buf.h"
#include "base/list.h"
#include "http/exchange.h"

struct loopback {
    struct store *store;
    struct api_settings settings;
    struct readiness readiness;
    struct services services[LANE_COUNT];
    bool uses_write_lane_only; /* as with :memory: */
};

struct answer {
    int status;
    enum error error;
    struct buf fields; /* the response's own field lines */
    struct buf body;   /* all pages, a NUL behind them */
    unsigned page_count;
    size_t page_max_bytes;
    size_t arena_max_bytes; /* of the exchange, after any page */
    bool failed;            /* the stream ended without its end */
};

/* Called after each page but the last of an answer; may change what is stored. */
typedef void (*between_pages)(struct loopback *loopback, unsigned page);

/* Storage is the caller's, as is the store. Cost 4, messages up to 64 KiB. */
void loopback_init(struct loopback *loopback, struct store *store);
void loopback_release(struct loopback *loopback);

/* An exchange admitted and with its body, ready for its first step, or answered (is_done). */
struct exchange *loopback_admit(struct loopback *loopback, struct str request);
/* Runs the steps that `batch` (of exchanges for this lane) is waiting for. */
enum error loopback_run(struct loopback *loopback, enum lane lane, struct list *batch);

/* The whole way, to the last page. */
void loopback_ask(struct loopback *loopback, struct str request, between_pages between,
                  struct answer *out_answer);
/* METHOD, target, token (NULL: none), body (NULL: none) and more field lines (NULL: none), each
 * ended by CRLF. */
void loopback_request(struct loopback *loopback, const char *method, const char *target,
                      const char *token, const char *body, const char *fields,
                      struct answer *out_answer);
void answer_release(struct answer *answer);
/* The same; asserts the status (and the error's code where there is one) and releases. */
void loopback_expect(struct loopback *loopback, const char *method, const char *target,
                     const char *token, const char *body, int status, const char *code);
/* Creates an account with the password "secret". */
void loopback_account(struct loopback *loopback, const char *name, char out_token[TOKEN_LEN + 1]);

/* The text of a member of the answer's JSON, wherever it stands: what follows "name": without its
 * quotes, up to the closing quote, or up to what ends a number. In a static buffer. */
const char *answer_member(const struct answer *answer, const char *name);
bool answer_has_field(const struct answer *answer, const char *line);

#endif
