/* Rows over pages: the pages together are the array, whatever the sizes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "api/list_page.h"
#include "http/response.h"

#define ROWS_MAX 64u
#define ROUNDS 200u
#define SLACK_BYTES 20u /* by which the room asked for is more than the row needs */

/* Row `i` in angle brackets: `len` bytes that tell their places. */
struct row {
    char *text;
    size_t len;
};

static void rows_make(struct row *rows, size_t count, const size_t *lens)
{
    for (size_t i = 0; i < count; i++) {
        rows[i].len = lens[i];
        rows[i].text = malloc(lens[i] + 1);
        assert_non_null(rows[i].text);
        for (size_t at = 0; at < lens[i]; at++) {
            rows[i].text[at] = (char)('a' + (at / 7 + i) % 26);
        }
    }
}

static enum list_row row_add(struct list_page *page, struct buf *body, const struct row *row)
{
    size_t room_bytes = row->len + 2 + SLACK_BYTES;
    char *at = list_page_row_begin(page, body, room_bytes);

    at[0] = '<';
    memcpy(at + 1, row->text, row->len);
    at[row->len + 1] = '>';
    return list_page_row_end(page, body, at + row->len + 2);
}

static void check_pages(const size_t *lens, size_t count)
{
    struct row rows[ROWS_MAX];
    struct list_page page = {0};
    struct buf expected;
    struct buf whole;
    struct buf body;
    size_t next = 0;
    bool is_cut = false;

    rows_make(rows, count, lens);
    buf_init(&expected, 64u << 20);
    buf_append_char(&expected, '[');
    for (size_t i = 0; i < count; i++) {
        buf_append_str(&expected, i == 0 ? STR("<") : STR(",<"));
        buf_append(&expected, rows[i].text, rows[i].len);
        buf_append_char(&expected, '>');
    }
    buf_append_char(&expected, ']');

    buf_init(&whole, 64u << 20);
    buf_init(&body, RESPONSE_PAGE_BYTES);
    for (;;) {
        enum list_row row = LIST_ROW_WRITTEN;

        buf_clear(&body);
        while (next < count) {
            row = row_add(&page, &body, &rows[next]);
            if (row != LIST_ROW_WRITTEN) {
                break;
            }
            next++;
        }
        if (next == count) {
            list_page_close(&page, &body);
        }
        assert_false(body.overflowed);
        assert_true(body.len > 0 && body.len <= RESPONSE_PAGE_BYTES);
        /* Only a row that is longer than a page is ever cut. */
        is_cut = next < count && row == LIST_ROW_CUT;
        assert_true(!is_cut || rows[next].len + 3 > RESPONSE_PAGE_BYTES - 1);
        buf_append_str(&whole, buf_str(&body));
        if (next == count) {
            break;
        }
    }
    assert_int_equal(whole.len, expected.len);
    assert_memory_equal(whole.ptr, expected.ptr, expected.len);
    for (size_t i = 0; i < count; i++) {
        free(rows[i].text);
    }
    buf_release(&expected);
    buf_release(&whole);
    buf_release(&body);
}

static void an_empty_list_is_two_brackets(void **state)
{
    struct list_page page = {0};
    struct buf body;

    (void)state;
    buf_init(&body, RESPONSE_PAGE_BYTES);
    list_page_close(&page, &body);
    assert_true(str_equal(buf_str(&body), STR("[]")));
    buf_release(&body);
}

static void rows_around_the_size_of_a_page_come_whole(void **state)
{
    (void)state;
    for (size_t len = RESPONSE_PAGE_BYTES - 8; len < RESPONSE_PAGE_BYTES + 8; len++) {
        check_pages((const size_t[]){len}, 1);
        check_pages((const size_t[]){len, 0, len}, 3);
        check_pages((const size_t[]){5, len, len, 5}, 4);
    }
}

static void rows_of_many_pages_come_whole(void **state)
{
    (void)state;
    check_pages((const size_t[]){RESPONSE_PAGE_BYTES * 6, 10, RESPONSE_PAGE_BYTES * 3 + 1}, 3);
    check_pages((const size_t[]){0, RESPONSE_PAGE_BYTES * 2 - 4, RESPONSE_PAGE_BYTES * 2 - 3}, 3);
}

static void rows_of_any_sizes_come_whole(void **state)
{
    unsigned short seed[3] = {20, 25, 11};
    size_t lens[ROWS_MAX];

    (void)state;
    for (unsigned round = 0; round < ROUNDS; round++) {
        size_t count = (size_t)nrand48(seed) % ROWS_MAX;

        for (size_t i = 0; i < count; i++) {
            lens[i] = (size_t)nrand48(seed) % (i % 9 == 8 ? 200000 : 9000);
        }
        check_pages(lens, count);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_list_is_two_brackets),
        cmocka_unit_test(rows_around_the_size_of_a_page_come_whole),
        cmocka_unit_test(rows_of_many_pages_come_whole),
        cmocka_unit_test(rows_of_any_sizes_come_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
