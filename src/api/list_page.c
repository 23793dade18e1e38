/* list_page.c - one byte of every page is kept for the ']'. */
#include "api/list_page.h"

#include <string.h>

#include "base/require.h"
#include "http/response.h"

/* What rows and the brackets before them may take of a page. */
#define ROWS_MAX_BYTES (RESPONSE_PAGE_BYTES - 1u)

static void row_copy(char *at, struct str separator, const struct str *parts, size_t part_count);
static void part_append(struct str part, size_t *skipped_bytes, struct buf *body, size_t body_end);

enum list_row list_page_add(struct list_page *page, struct buf *body, const struct str *parts,
                            size_t part_count)
{
    struct str separator = page->has_rows ? STR(",") : STR("[");
    size_t row_bytes = separator.len;

    REQUIRE(body->len <= ROWS_MAX_BYTES);
    for (size_t i = 0; i < part_count; i++) {
        row_bytes += parts[i].len;
    }
    REQUIRE(page->row_offset_bytes < row_bytes);
    size_t left_bytes = row_bytes - page->row_offset_bytes;
    size_t room_bytes = ROWS_MAX_BYTES - body->len;
    if (left_bytes > room_bytes) {
        bool would_fit_a_page = row_bytes <= ROWS_MAX_BYTES;

        if (room_bytes == 0 || would_fit_a_page) {
            return LIST_ROW_LATER;
        }
        left_bytes = room_bytes;
    }
    size_t skipped_bytes = page->row_offset_bytes;
    size_t body_end = body->len + left_bytes;
    char *at = buf_reserve(body, left_bytes);
    REQUIRE(at != NULL);
    if (left_bytes == row_bytes) {
        row_copy(at, separator, parts, part_count);
        buf_grow(body, row_bytes);
        page->has_rows = true;
        return LIST_ROW_WRITTEN;
    }
    part_append(separator, &skipped_bytes, body, body_end);
    for (size_t i = 0; i < part_count && body->len < body_end; i++) {
        part_append(parts[i], &skipped_bytes, body, body_end);
    }
    page->row_offset_bytes += left_bytes;
    if (page->row_offset_bytes < row_bytes) {
        return LIST_ROW_CUT;
    }
    page->row_offset_bytes = 0;
    page->has_rows = true;
    return LIST_ROW_WRITTEN;
}

/* A whole row, as almost all are. */
static void row_copy(char *at, struct str separator, const struct str *parts, size_t part_count)
{
    *at = separator.ptr[0];
    at += separator.len;
    for (size_t i = 0; i < part_count; i++) {
        if (parts[i].len > 0) {
            memcpy(at, parts[i].ptr, parts[i].len);
            at += parts[i].len;
        }
    }
}

void list_page_close(const struct list_page *page, struct buf *body)
{
    buf_append_str(body, page->has_rows ? STR("]") : STR("[]"));
}

/* Without its first *skipped_bytes, and no further than `body_end`. */
static void part_append(struct str part, size_t *skipped_bytes, struct buf *body, size_t body_end)
{
    if (*skipped_bytes >= part.len) {
        *skipped_bytes -= part.len;
        return;
    }
    size_t len = part.len - *skipped_bytes;
    if (len > body_end - body->len) {
        len = body_end - body->len;
    }
    buf_append(body, part.ptr + *skipped_bytes, len);
    *skipped_bytes = 0;
}
