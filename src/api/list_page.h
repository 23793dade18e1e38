/* list_page.h - a JSON array written page by page into bodies of limited size.
 *
 * A row is written between list_page_row_begin and list_page_row_end: straight into the body where
 * there surely is room, so that its text is copied once, from the store's memory; elsewhere it is
 * made first and then added. A row that fits a page is never cut. A longer one is: the caller gives
 * the same bytes again on the next page, and what earlier pages hold is skipped.
 *
 * Uses:    base, http/response.h.
 * Used by: api.
 * Thread:  whoever holds the exchange.
 */
#ifndef MIGCHAT_API_LIST_PAGE_H
#define MIGCHAT_API_LIST_PAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"

struct list_page {
    bool has_rows;           /* at least one row is written whole */
    size_t row_offset_bytes; /* how much of the row being written earlier pages hold */
    struct buf made;         /* a row that might not fit, from its begin to its end; else empty */
};

enum list_row {
    LIST_ROW_WRITTEN,
    LIST_ROW_CUT,  /* the page is full; the same row again on the next one */
    LIST_ROW_LATER /* the page is full and has nothing of it */
};

/* Where a row of at most `max_bytes` is to be written; list_page_row_end, which must follow, takes
 * where it ended. */
char *list_page_row_begin(struct list_page *page, struct buf *body, size_t max_bytes);
enum list_row list_page_row_end(struct list_page *page, struct buf *body, const char *end);
/* Adds a row that is made already, and what separates it from the one before. */
enum list_row list_page_add(struct list_page *page, struct buf *body, struct str row);
/* Gives back what one page took from the arena behind `mark`. The texts that the row being cut was
 * made with are kept, since another rename must not shift what is left of it. */
void list_page_memory_end(const struct list_page *page, struct arena *arena, struct arena_mark mark,
                          struct str *texts, size_t count);
/* Ends the array; there is always room for it. */
void list_page_close(const struct list_page *page, struct buf *body);

#endif
