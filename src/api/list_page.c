/* list_page.c - one byte of every page is kept for the ']'. */
#include "api/list_page.h"

#include "base/require.h"
#include "http/response.h"

/* What rows and the brackets before them may take of a page. */
#define ROWS_MAX_BYTES (RESPONSE_PAGE_BYTES - 1u)

static struct str separator_of(const struct list_page *page);
static void part_append(struct str part, size_t *skipped_bytes, struct buf *body, size_t body_end);

char *list_page_row_begin(struct list_page *page, struct buf *body, size_t max_bytes)
{
    char *at;

    REQUIRE(body->len <= ROWS_MAX_BYTES);
    if (max_bytes >= ROWS_MAX_BYTES - body->len) {
        buf_init(&page->made, max_bytes);
        at = buf_reserve(&page->made, max_bytes);
        REQUIRE(at != NULL);
        return at;
    }
    REQUIRE(page->row_offset_bytes == 0); /* a row that is cut is longer than a page */
    at = buf_reserve(body, max_bytes + 1);
    REQUIRE(at != NULL);
    *at = separator_of(page).ptr[0];
    return at + 1;
}

enum list_row list_page_row_end(struct list_page *page, struct buf *body, const char *end)
{
    if (page->made.ptr == NULL) {
        buf_grow(body, (size_t)(end - (body->ptr + body->len)));
        page->has_rows = true;
        return LIST_ROW_WRITTEN;
    }
    buf_grow(&page->made, (size_t)(end - page->made.ptr));
    enum list_row written = list_page_add(page, body, buf_str(&page->made));
    buf_release(&page->made);
    return written;
}

enum list_row list_page_add(struct list_page *page, struct buf *body, struct str row)
{
    struct str separator = separator_of(page);
    size_t row_bytes = separator.len + row.len;

    REQUIRE(body->len <= ROWS_MAX_BYTES);
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
    part_append(separator, &skipped_bytes, body, body_end);
    part_append(row, &skipped_bytes, body, body_end);
    page->row_offset_bytes += left_bytes;
    if (page->row_offset_bytes < row_bytes) {
        return LIST_ROW_CUT;
    }
    page->row_offset_bytes = 0;
    page->has_rows = true;
    return LIST_ROW_WRITTEN;
}

static struct str separator_of(const struct list_page *page)
{
    return page->has_rows ? STR(",") : STR("[");
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

/* What is kept is in what is given back, so it goes through the heap. */
void list_page_memory_end(const struct list_page *page, struct arena *arena, struct arena_mark mark,
                          struct str *texts, size_t count)
{
    struct buf kept;
    size_t at = 0;

    if (page->row_offset_bytes == 0) {
        arena_rewind(arena, mark);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        at += texts[i].len;
    }
    buf_init(&kept, at);
    for (size_t i = 0; i < count; i++) {
        buf_append_str(&kept, texts[i]);
    }
    at = 0;
    arena_rewind(arena, mark);
    struct str copy = arena_copy(arena, buf_str(&kept));
    for (size_t i = 0; i < count; i++) {
        texts[i].ptr = copy.ptr + at;
        at += texts[i].len;
    }
    buf_release(&kept);
}

void list_page_close(const struct list_page *page, struct buf *body)
{
    buf_append_str(body, page->has_rows ? STR("]") : STR("[]"));
}
