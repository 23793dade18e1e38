/* content_test.c - a long message stands once in the file, and goes with the last of its entries.
 */
#include "scratch.h"

#include "store/sqlite/content.h"

#define BYTES 5000u

static char text_bytes[BYTES];

static struct str long_content(void)
{
    memset(text_bytes, 'x', BYTES);
    return (struct str){text_bytes, BYTES};
}

static void entry_append(struct scratch *s, int64_t account_id, struct str text)
{
    struct entry entry = {.kind = account_id == 1 ? ENTRY_MESSAGE_SENT : ENTRY_MESSAGE_RECEIVED,
                          .other_id = 3 - account_id,
                          .ref = 7,
                          .text = text};
    int64_t seq = 0;

    assert_ok(store_entry_append(s->writer, account_id, &entry, 0, &seq));
}

static void send_one(struct scratch *s)
{
    struct str text = STR("before");

    assert_ok(store_batch_begin(s->writer));
    assert_ok(store_content_add(s->writer, 7, long_content(), 2, &text));
    assert_null(text.ptr);
    entry_append(s, 1, text);
    entry_append(s, 2, text);
    assert_ok(store_batch_commit(s->writer));
}

static void remains_remove(struct scratch *s, int64_t account_id)
{
    const struct slice_limits limits = {100, 1u << 20};
    size_t removed = 0;
    bool more = false;

    assert_ok(store_batch_begin(s->writer));
    assert_ok(store_remains_delete(s->writer, account_id, &limits, &removed, &more));
    assert_int_equal(removed, 1);
    assert_ok(store_batch_commit(s->writer));
}

static void it_stands_once_and_goes_with_the_last_entry(void **state)
{
    struct scratch *s = *state;

    scratch_open(s);
    send_one(s);
    assert_int_equal(scratch_number(s, "", "SELECT sum(length(text)) FROM content"), BYTES);
    assert_int_equal(scratch_number(s, "", "SELECT count(text) FROM log"), 0);
    remains_remove(s, 2);
    assert_int_equal(scratch_number(s, "", "SELECT sum(entries) FROM content"), 1);
    remains_remove(s, 1);
    assert_int_equal(scratch_number(s, "", "SELECT count(*) FROM content"), 0);
    scratch_close(s);
}

/* At the limit the content is in the log, and there is none elsewhere. */
static void one_at_the_limit_stands_in_the_log(void **state)
{
    struct scratch *s = *state;
    struct str content = long_content();
    struct str text = {NULL, 0};

    content.len = CONTENT_IN_LOG_MAX_BYTES;
    scratch_open(s);
    assert_ok(store_batch_begin(s->writer));
    assert_ok(store_content_add(s->writer, 7, content, 1, &text));
    assert_ptr_equal(text.ptr, content.ptr);
    content.len++;
    assert_ok(store_content_add(s->writer, 8, content, 1, &text));
    assert_null(text.ptr);
    assert_ok(store_batch_commit(s->writer));
    assert_int_equal(scratch_number(s, "", "SELECT max(message_id) FROM content"), 8);
    assert_int_equal(scratch_number(s, "", "SELECT count(*) FROM content"), 1);
    scratch_close(s);
}

static bool never_visited(void *argument, const struct entry *entry)
{
    (void)argument;
    (void)entry;
    fail();
    return false;
}

/* Damage: an error, and never a message without its text. */
static void an_entry_whose_content_is_gone_is_an_error(void **state)
{
    struct scratch *s = *state;
    struct message_walk walk = {.account_id = 1, .before_seq = INT64_MAX};
    struct entry entry = {0};
    bool is_found = false;

    scratch_open(s);
    send_one(s);
    scratch_sql(s, "DELETE FROM content");
    assert_ok(store_batch_begin(s->writer));
    assert_int_equal(store_entry_find(s->writer, 1, 1, &s->arena, &is_found, &entry),
                     ERROR_INTERNAL);
    assert_ok(store_walk_begin(s->writer, &walk));
    assert_int_equal(store_walk_next(s->writer, &is_found, &entry), ERROR_INTERNAL);
    store_walk_end(s->writer);
    assert_ok(store_walk_begin(s->writer, &walk));
    assert_int_equal(store_walk_each(s->writer, never_visited, NULL), ERROR_INTERNAL);
    store_walk_end(s->writer);
    store_batch_rollback(s->writer);
    /* The rest of the account still goes. */
    remains_remove(s, 1);
    scratch_close(s);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        SCRATCH_CASE(it_stands_once_and_goes_with_the_last_entry),
        SCRATCH_CASE(one_at_the_limit_stands_in_the_log),
        SCRATCH_CASE(an_entry_whose_content_is_gone_is_an_error),
    };

    return cmocka_run_group_tests(cases, NULL, NULL);
}
