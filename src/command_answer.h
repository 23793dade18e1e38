/* command_answer.h - what the commands that ask the server share: asking, and showing the answer.
 *
 * Names may be anything, those of adopted accounts above all, and a terminal obeys what it is
 * shown: whatever goes to one goes through text_show or json_show.
 *
 * Uses:    admin_client, api/json.h, base.
 * Used by: the commands.
 * Thread:  main; it waits for the server.
 */
#ifndef MIGCHAT_COMMAND_ANSWER_H
#define MIGCHAT_COMMAND_ANSWER_H

#include <stdbool.h>

#include "api/json.h"
#include "base/attributes.h"
#include "base/buf.h"
#include "base/str.h"
#include "config.h"

/* Room for one page of a list, or any other answer as it is shown. */
#define COMMAND_TEXT_MAX_BYTES ((size_t)16 * 1024 * 1024)

/* Asks (see admin_ask). True with the JSON of a good answer in `out_body`; else one line on stderr
 * says why not, in the server's words where they are its. */
MUST_CHECK bool command_ask(const struct config *config, const char *method, const char *target,
                            struct str body, struct buf *out_body);
/* Writes it to stdout and empties it. */
MUST_CHECK bool command_print(struct buf *text);

/* Appends `text`, which need not be UTF-8, with \u{...} for each control and format character
 * (bytes that are no UTF-8: \x..). */
void text_show(struct buf *out, struct str text);
/* Appends well-formed JSON and a line end: the same JSON, such characters escaped. */
void json_show(struct buf *out, struct str json);
/* An answer that is one object. False, after a line on stderr, when it has other members. */
MUST_CHECK bool command_answer_read(struct str body, struct json_member *members, size_t count,
                                    struct arena *arena);
/* Reads it, and shows it: with --json as it came, else a line for each member that is there, under
 * its label. */
MUST_CHECK bool command_show(const struct config *config, struct str body,
                             struct json_member *members, const char *const *labels, size_t count,
                             struct buf *out);
/* The next element of a well-formed array; `*rest` begins as the whole array. False at its end. */
bool json_element_next(struct str *rest, struct str *out_element);
/* A list that is asked for in pages, so that neither side holds all of it. */
struct command_pages {
    const char *target;  /* a page's; ends in after=, and the last row's id follows */
    const char *heading; /* of the table */
    const char *rows;    /* what they are, in the plural */
    /* Appends the row, as a line or with is_json as JSON; false when it is none, or its id is not
     * above *id, which becomes its id. */
    bool (*show_row)(struct str element, int64_t *id, struct buf *out, bool is_json);
};
/* Prints each page as it comes; the last line is left in `out`. */
MUST_CHECK bool command_list(const struct config *config, const struct command_pages *pages,
                             struct buf *out);
/* "before", the text percent-encoded, "after". Ends in NUL. */
void target_append(struct buf *out, const char *before, struct str text, const char *after);
/* Whether it is UTF-8 and not empty, as a name has to be; else a line on stderr. */
MUST_CHECK bool name_is_asked(struct str name);

#endif
