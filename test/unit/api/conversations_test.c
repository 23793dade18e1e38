/* The conversation list over the loopback, on the fake store. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "domain/account.h"
#include "support/list_reference.h"
#include "support/store_fake.h"

static void no_conversations_are_an_empty_list(void **state)
{
    struct answer answer;

    (void)state;
    reference_ask("/api/conversations", NULL, &answer);
    assert_true(str_equal(buf_str(&answer.body), STR("[]")));
    answer_release(&answer);
}

/* More comes, and a name changes, in the middle of what is written. */
static void change_between(struct loopback *changed, unsigned page)
{
    struct arena arena;

    (void)changed;
    arena_init(&arena);
    assert_int_equal(store_batch_begin(reference.store), OK);
    reference_send(BEN_ID, ANNA_ID, STR("later"));
    if (page == 2) {
        store_unit_begin(reference.store, UNIT_SAVED);
        assert_int_equal(
            account_rename(reference.store, BEN_ID, STR("benjamin the longer"), 5, &arena), OK);
        assert_int_equal(store_unit_keep(reference.store), OK);
    }
    assert_int_equal(store_batch_commit(reference.store), OK);
    arena_release(&arena);
}

static void conversations_show_the_last_message_and_what_is_unread(void **state)
{
    struct answer answer;

    (void)state;
    reference_create_carl();
    reference_send_small(8);
    reference_ask("/api/conversations", NULL, &answer);
    assert_true(
        str_equal(buf_str(&answer.body),
                  STR("[{\"username\":\"ben\",\"last_message\":\"x\","
                      "\"last_message_time\":\"2025-11-03T12:00:07.007Z\",\"unread_count\":2},"
                      "{\"username\":\"carl \\\"c\\\"\",\"last_message\":\"\xf0\x9f\x98\x80\","
                      "\"last_message_time\":\"2025-11-03T12:00:04.004Z\",\"unread_count\":1},"
                      "{\"username\":\"anna\",\"last_message\":\"me\","
                      "\"last_message_time\":\"2025-11-03T12:00:03.003Z\",\"unread_count\":0}]")));
    answer_release(&answer);
    loopback_expect(&reference.loopback, "POST", "/api/messages/mark-read?with_user=ben",
                    reference.anna, NULL, 200, NULL);
    reference_ask("/api/conversations?limit=1", NULL, &answer);
    assert_string_equal(answer_member(&answer, "username"), "ben");
    assert_string_equal(answer_member(&answer, "unread_count"), "0");
    assert_null(memmem(answer.body.ptr, answer.body.len, "carl", 4));
    answer_release(&answer);
}

static void long_last_messages_come_over_many_pages(void **state)
{
    struct buf expected;
    struct answer answer;
    char time[TIME_RFC3339_LEN + 1];

    (void)state;
    reference_create_carl();
    assert_int_equal(store_batch_begin(reference.store), OK);
    reference_send(ANNA_ID, CARL_ID, STR("x"));
    reference_send(ANNA_ID, ANNA_ID, reference_text('"', SENT_TEXT_MAX_BYTES));
    reference_send(BEN_ID, ANNA_ID, reference_text('\x01', SENT_TEXT_MAX_BYTES));
    assert_int_equal(store_batch_commit(reference.store), OK);
    buf_init(&expected, LIST_MAX_BYTES);
    for (size_t i = reference.sent_count; i > 0; i--) {
        const struct sent *row = &reference.sent[i - 1];

        time_to_rfc3339(row->at_ms, time);
        buf_append_format(&expected, "%c{\"username\":\"%s\",\"last_message\":\"",
                          i == reference.sent_count ? '[' : ',',
                          reference_name(row->from_id == ANNA_ID ? row->to_id : row->from_id));
        buf_append_str(&expected, row->text);
        buf_append_format(&expected, "\",\"last_message_time\":\"%s\",\"unread_count\":%d}", time,
                          row->from_id == BEN_ID ? 1 : 0);
    }
    buf_append_char(&expected, ']');
    reference_ask("/api/conversations", change_between, &answer);
    assert_true(answer.page_count > 8);
    assert_true(answer.page_max_bytes <= RESPONSE_PAGE_BYTES);
    assert_true(str_equal(buf_str(&answer.body), buf_str(&expected)));
    assert_true(answer.arena_max_bytes <= 32u * 1024u);
    answer_release(&answer);
    buf_release(&expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define WITH_ACCOUNTS(test)                                                                        \
    cmocka_unit_test_setup_teardown(test, reference_set_up, reference_tear_down)
        WITH_ACCOUNTS(no_conversations_are_an_empty_list),
        WITH_ACCOUNTS(conversations_show_the_last_message_and_what_is_unread),
        WITH_ACCOUNTS(long_last_messages_come_over_many_pages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
