/* message_test.c - one message in two logs, exactly-once keys, and what reading changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "domain/message.h"
#include "support/domain_fixture.h"

/* Two accounts: alice is 1, bob is 2. */
static void init_with_two(struct domain_fixture *f)
{
    domain_fixture_init(f);
    assert_int_equal(fixture_account(f, "alice"), 1);
    assert_int_equal(fixture_account(f, "bob"), 2);
}

static enum error send_with_key(struct domain_fixture *f, const char *to_username,
                                const char *content, const char *key, struct message_sent *out_sent)
{
    struct message_draft draft = fixture_draft(f, 1, to_username, content, key);

    return message_send(f->store, &draft, &f->arena, out_sent);
}

static enum error mark(struct domain_fixture *f, int64_t account_id, int64_t other_id,
                       int64_t up_to_seq, int64_t *out_marked)
{
    return message_mark_read(f->store, account_id, other_id, up_to_seq, f->now_ms, &f->arena,
                             out_marked);
}

static void expect_message(struct entry entry, enum entry_kind kind, int64_t other_id,
                           int64_t message_id, int64_t received, int64_t chain, const char *text)
{
    assert_int_equal(entry.kind, kind);
    assert_int_equal(entry.other_id, other_id);
    assert_int_equal(entry.ref, message_id);
    assert_int_equal(entry.received, received);
    assert_int_equal(entry.chain, chain);
    assert_str_equal(entry.text, text);
}

static void expect_conversation(struct conversation conversation, int64_t last_seq,
                                int64_t received, int64_t read)
{
    assert_int_equal(conversation.last_seq, last_seq);
    assert_int_equal(conversation.received, received);
    assert_int_equal(conversation.read, read);
}

/* ---- sending --------------------------------------------------------------------------------- */

static void a_message_is_in_both_logs_and_conversations(void **state)
{
    struct domain_fixture f;
    struct message_sent sent;

    (void)state;
    init_with_two(&f);
    struct message_draft draft = fixture_draft(&f, 2, "ALICE", "say \"hi\"", NULL);
    draft.content_json = STR("say \\\"hi\\\"");
    assert_int_equal(message_send(f.store, &draft, &f.arena, &sent), OK);
    assert_true(sent.message_id > 0);
    assert_int_equal(sent.created_at_ms, f.now_ms);
    assert_int_equal(sent.recipient_id, 1);
    assert_false(sent.is_replay);
    expect_message(fixture_entry(&f, 2, 1), ENTRY_MESSAGE_SENT, 1, sent.message_id, 0, 0,
                   "say \\\"hi\\\"");
    expect_message(fixture_entry(&f, 1, 1), ENTRY_MESSAGE_RECEIVED, 2, sent.message_id, 1, 0,
                   "say \\\"hi\\\"");
    assert_int_equal(fixture_entry(&f, 1, 1).created_at_ms, f.now_ms);
    expect_conversation(fixture_conversation(&f, 2, 1), 1, 0, 0);
    expect_conversation(fixture_conversation(&f, 1, 2), 1, 1, 0);
    domain_fixture_release(&f);
}

static void messages_are_chained_within_their_conversation(void **state)
{
    struct domain_fixture f;

    (void)state;
    init_with_two(&f);
    assert_int_equal(fixture_account(&f, "carl"), 3);
    int64_t first = fixture_send(&f, 1, "bob", "1");
    int64_t second = fixture_send(&f, 3, "alice", "2");
    int64_t third = fixture_send(&f, 2, "alice", "3");
    int64_t fourth = fixture_send(&f, 2, "alice", "4");
    int64_t fifth = fixture_send(&f, 1, "carl", "5");
    assert_true(first < second && second < third && third < fourth && fourth < fifth);
    expect_message(fixture_entry(&f, 1, 1), ENTRY_MESSAGE_SENT, 2, first, 0, 0, "1");
    expect_message(fixture_entry(&f, 1, 2), ENTRY_MESSAGE_RECEIVED, 3, second, 1, 0, "2");
    expect_message(fixture_entry(&f, 1, 3), ENTRY_MESSAGE_RECEIVED, 2, third, 1, 1, "3");
    expect_message(fixture_entry(&f, 1, 4), ENTRY_MESSAGE_RECEIVED, 2, fourth, 2, 3, "4");
    expect_message(fixture_entry(&f, 1, 5), ENTRY_MESSAGE_SENT, 3, fifth, 1, 2, "5");
    expect_conversation(fixture_conversation(&f, 1, 2), 4, 2, 0);
    expect_conversation(fixture_conversation(&f, 1, 3), 5, 1, 0);
    expect_conversation(fixture_conversation(&f, 2, 1), 3, 1, 0);
    domain_fixture_release(&f);
}

static void a_message_to_oneself_is_one_entry_and_never_unread(void **state)
{
    struct domain_fixture f;
    int64_t marked = -1;

    (void)state;
    init_with_two(&f);
    int64_t first = fixture_send(&f, 1, "alice", "note");
    int64_t second = fixture_send(&f, 1, "Alice", "another");
    assert_int_equal(fixture_head(&f, 1), 2);
    expect_message(fixture_entry(&f, 1, 1), ENTRY_MESSAGE_SENT, 1, first, 0, 0, "note");
    expect_message(fixture_entry(&f, 1, 2), ENTRY_MESSAGE_SENT, 1, second, 0, 1, "another");
    expect_conversation(fixture_conversation(&f, 1, 1), 2, 0, 0);
    assert_int_equal(mark(&f, 1, 1, 0, &marked), OK);
    assert_int_equal(marked, 0);
    marked = -1;
    assert_int_equal(mark(&f, 1, 1, 1, &marked), OK);
    assert_int_equal(marked, 0);
    assert_int_equal(mark(&f, 1, 1, 3, &marked), ERROR_SEQ_NOT_ALLOWED);
    assert_int_equal(fixture_head(&f, 1), 2);
    domain_fixture_release(&f);
}

/* Which stands first in the dump, in which entries are in the order they were written. */
static bool was_written_before(struct domain_fixture *f, const char *first, const char *second)
{
    struct str dump = fixture_dump(f);
    const char *first_at = strstr(dump.ptr, first);
    const char *second_at = strstr(dump.ptr, second);

    assert_non_null(first_at);
    assert_non_null(second_at);
    return first_at < second_at;
}

static void the_lower_account_is_written_first(void **state)
{
    struct domain_fixture f;
    int64_t marked;

    (void)state;
    init_with_two(&f);
    (void)fixture_send(&f, 1, "bob", "1");
    (void)fixture_send(&f, 2, "alice", "2");
    assert_int_equal(mark(&f, 1, 2, 0, &marked), OK);
    assert_int_equal(mark(&f, 2, 1, 0, &marked), OK);
    assert_true(was_written_before(&f, "\nentry 1 1 ", "\nentry 2 1 "));
    assert_true(was_written_before(&f, "\nentry 1 2 ", "\nentry 2 2 "));
    assert_true(was_written_before(&f, "\nentry 1 3 ", "\nentry 2 3 "));
    assert_true(was_written_before(&f, "\nentry 1 4 ", "\nentry 2 4 "));
    domain_fixture_release(&f);
}

static void what_cannot_be_sent_leaves_nothing(void **state)
{
    struct domain_fixture f;
    struct message_sent sent = {.message_id = -1};

    (void)state;
    init_with_two(&f);
    assert_int_equal(fixture_account(&f, "carl"), 3);
    fixture_rename(&f, 2, "robert");
    fixture_delete(&f, 3);
    struct str before = fixture_dump(&f);
    assert_int_equal(send_with_key(&f, "nobody", "", "k", &sent), ERROR_CONTENT_EMPTY);
    assert_int_equal(send_with_key(&f, "nobody", "hi", NULL, &sent), ERROR_RECIPIENT_NOT_FOUND);
    assert_int_equal(send_with_key(&f, "nobody", "hi", "k", &sent), ERROR_RECIPIENT_NOT_FOUND);
    assert_int_equal(send_with_key(&f, "bob", "hi", NULL, &sent), ERROR_RECIPIENT_NOT_FOUND);
    assert_int_equal(send_with_key(&f, "carl", "hi", NULL, &sent), ERROR_RECIPIENT_NOT_FOUND);
    assert_int_equal(send_with_key(&f, "deleted-3", "hi", NULL, &sent), ERROR_RECIPIENT_NOT_FOUND);
    assert_true(str_equal(fixture_dump(&f), before));
    assert_int_equal(sent.message_id, -1);
    domain_fixture_release(&f);
}

/* ---- exactly once ---------------------------------------------------------------------------- */

static void a_repeated_key_answers_the_first_message(void **state)
{
    struct domain_fixture f;
    struct message_sent first;
    struct message_sent again;

    (void)state;
    init_with_two(&f);
    assert_int_equal(send_with_key(&f, "bob", "hi", "key-1", &first), OK);
    assert_false(first.is_replay);
    f.now_ms += 5000;
    assert_int_equal(send_with_key(&f, "bob", "hi", "key-1", &again), OK);
    assert_true(again.is_replay);
    assert_int_equal(again.message_id, first.message_id);
    assert_int_equal(again.created_at_ms, first.created_at_ms);
    assert_int_equal(again.recipient_id, 0);
    assert_int_equal(fixture_head(&f, 1), 1);
    assert_int_equal(fixture_head(&f, 2), 1);
    domain_fixture_release(&f);
}

static void a_key_is_bound_to_its_body_as_sent(void **state)
{
    struct domain_fixture f;
    struct message_sent sent;

    (void)state;
    init_with_two(&f);
    assert_int_equal(send_with_key(&f, "bob", "hi", "k", &sent), OK);
    assert_int_equal(send_with_key(&f, "bob", "ho", "k", &sent), ERROR_KEY_REUSED);
    assert_int_equal(send_with_key(&f, "Bob", "hi", "k", &sent), ERROR_KEY_REUSED);
    assert_int_equal(send_with_key(&f, "bobh", "i", "k", &sent), ERROR_KEY_REUSED);
    assert_int_equal(send_with_key(&f, "bob", "hi", "K", &sent), OK);
    assert_false(sent.is_replay);
    assert_int_equal(fixture_head(&f, 1), 2);
    domain_fixture_release(&f);
}

/* Older versions kept a SHA-256 of the body; their keys go on being right. */
static void a_key_of_an_older_version_is_bound_to_its_body(void **state)
{
    const struct str body[] = {STR("bob"), STR("hi")};
    struct sent_key older = {.has_digest = true, .message_id = 99, .created_at_ms = 7};
    struct domain_fixture f;
    struct message_sent sent;

    (void)state;
    init_with_two(&f);
    sha256_of_parts(body, 2, &older.digest);
    assert_int_equal(store_sent_key_add(f.store, 1, STR("k"), &older), OK);
    assert_int_equal(send_with_key(&f, "bob", "ho", "k", &sent), ERROR_KEY_REUSED);
    assert_int_equal(send_with_key(&f, "bob", "hi", "k", &sent), OK);
    assert_true(sent.is_replay);
    assert_int_equal(sent.message_id, 99);
    domain_fixture_release(&f);
}

static void a_key_belongs_to_its_sender(void **state)
{
    struct domain_fixture f;
    struct message_sent sent;

    (void)state;
    init_with_two(&f);
    assert_int_equal(send_with_key(&f, "bob", "hi", "k", &sent), OK);
    struct message_draft draft = fixture_draft(&f, 2, "alice", "other", "k");
    assert_int_equal(message_send(f.store, &draft, &f.arena, &sent), OK);
    assert_false(sent.is_replay);
    domain_fixture_release(&f);
}

static void a_key_is_looked_up_before_the_recipient(void **state)
{
    struct domain_fixture f;
    struct message_sent first;
    struct message_sent again;

    (void)state;
    init_with_two(&f);
    assert_int_equal(send_with_key(&f, "bob", "hi", "k", &first), OK);
    fixture_rename(&f, 2, "robert");
    assert_int_equal(send_with_key(&f, "bob", "hi", "k", &again), OK);
    assert_int_equal(again.message_id, first.message_id);
    assert_int_equal(send_with_key(&f, "bob", "ho", "k", &again), ERROR_KEY_REUSED);
    domain_fixture_release(&f);
}

static void keys_are_1_to_64_visible_ascii_characters(void **state)
{
    struct domain_fixture f;
    struct message_sent sent;
    char key[66];

    (void)state;
    init_with_two(&f);
    memset(key, '~', 65);
    key[65] = '\0';
    assert_int_equal(send_with_key(&f, "bob", "hi", "", &sent), ERROR_KEY_NOT_ALLOWED);
    assert_int_equal(send_with_key(&f, "bob", "hi", key, &sent), ERROR_KEY_NOT_ALLOWED);
    assert_int_equal(send_with_key(&f, "bob", "hi", "a b", &sent), ERROR_KEY_NOT_ALLOWED);
    assert_int_equal(send_with_key(&f, "bob", "hi", "\x7f", &sent), ERROR_KEY_NOT_ALLOWED);
    assert_int_equal(send_with_key(&f, "bob", "hi", "\xc3\xab", &sent), ERROR_KEY_NOT_ALLOWED);
    assert_int_equal(fixture_head(&f, 1), 0);
    key[64] = '\0';
    assert_int_equal(send_with_key(&f, "bob", "hi", key, &sent), OK);
    assert_int_equal(send_with_key(&f, "bob", "hi", "!", &sent), OK);
    domain_fixture_release(&f);
}

/* ---- reading --------------------------------------------------------------------------------- */

static void marking_read_tells_both_logs_once(void **state)
{
    struct domain_fixture f;
    int64_t marked = -1;

    (void)state;
    init_with_two(&f);
    (void)fixture_send(&f, 2, "alice", "1");
    int64_t second = fixture_send(&f, 2, "alice", "2");
    f.now_ms += 1000;
    assert_int_equal(mark(&f, 1, 2, 0, &marked), OK);
    assert_int_equal(marked, 2);
    expect_conversation(fixture_conversation(&f, 1, 2), 2, 2, 2);
    expect_conversation(fixture_conversation(&f, 2, 1), 2, 0, 0);
    struct entry own = fixture_entry(&f, 1, 3);
    struct entry theirs = fixture_entry(&f, 2, 3);
    assert_int_equal(own.kind, ENTRY_READ_BY_ME);
    assert_int_equal(own.other_id, 2);
    assert_int_equal(own.ref, second);
    assert_int_equal(own.created_at_ms, f.now_ms);
    assert_int_equal(own.chain, 2);
    assert_int_equal(theirs.kind, ENTRY_READ_BY_OTHER);
    assert_int_equal(theirs.other_id, 1);
    assert_int_equal(theirs.ref, second);

    assert_int_equal(mark(&f, 1, 2, 0, &marked), OK);
    assert_int_equal(marked, 0);
    assert_int_equal(fixture_head(&f, 1), 3);
    assert_int_equal(fixture_head(&f, 2), 3);

    /* The next message chains to the last message, over the read entries. */
    (void)fixture_send(&f, 2, "alice", "3");
    assert_int_equal(fixture_entry(&f, 1, 4).chain, 2);
    domain_fixture_release(&f);
}

static void reading_goes_up_to_an_entry_and_never_back(void **state)
{
    struct domain_fixture f;
    int64_t marked = -1;

    (void)state;
    init_with_two(&f);
    int64_t first = fixture_send(&f, 2, "alice", "1"); /* alice: seq 1 */
    (void)fixture_send(&f, 2, "alice", "2");           /* 2 */
    int64_t reply = fixture_send(&f, 1, "bob", "3");   /* 3 */
    (void)fixture_send(&f, 2, "alice", "4");           /* 4 */

    assert_int_equal(mark(&f, 1, 2, 1, &marked), OK);
    assert_int_equal(marked, 1);
    assert_int_equal(fixture_entry(&f, 1, 5).ref, first);
    assert_int_equal(mark(&f, 1, 2, 3, &marked), OK); /* a message of one's own will do */
    assert_int_equal(marked, 1);
    assert_int_equal(fixture_entry(&f, 1, 6).ref, reply);
    assert_int_equal(mark(&f, 1, 2, 1, &marked), OK);
    assert_int_equal(marked, 0);
    expect_conversation(fixture_conversation(&f, 1, 2), 4, 3, 2);
    assert_int_equal(mark(&f, 1, 2, 4, &marked), OK);
    assert_int_equal(marked, 1);
    assert_int_equal(fixture_head(&f, 1), 7);
    assert_int_equal(fixture_head(&f, 2), 7);
    domain_fixture_release(&f);
}

static void only_a_message_of_the_conversation_can_be_read_up_to(void **state)
{
    struct domain_fixture f;
    int64_t marked = -1;

    (void)state;
    init_with_two(&f);
    assert_int_equal(fixture_account(&f, "carl"), 3);
    (void)fixture_send(&f, 2, "alice", "1"); /* alice: seq 1 */
    (void)fixture_send(&f, 3, "alice", "2"); /* 2 */
    fixture_rename(&f, 1, "alicia");         /* 3 */
    assert_int_equal(mark(&f, 1, 2, 2, &marked), ERROR_SEQ_NOT_ALLOWED);
    assert_int_equal(mark(&f, 1, 2, 3, &marked), ERROR_SEQ_NOT_ALLOWED);
    assert_int_equal(mark(&f, 1, 2, 4, &marked), ERROR_SEQ_NOT_ALLOWED);
    assert_int_equal(mark(&f, 2, 3, 1, &marked), ERROR_SEQ_NOT_ALLOWED);
    assert_int_equal(marked, -1);
    assert_int_equal(mark(&f, 2, 3, 0, &marked), OK);
    assert_int_equal(marked, 0);

    assert_int_equal(message_check_seq(f.store, 1, 2, 1), OK);
    assert_int_equal(message_check_seq(f.store, 1, 3, 1), ERROR_SEQ_NOT_ALLOWED);
    assert_int_equal(message_check_seq(f.store, 1, 1, 3), ERROR_SEQ_NOT_ALLOWED);
    assert_int_equal(message_check_seq(f.store, 1, 2, INT64_MAX), ERROR_SEQ_NOT_ALLOWED);
    domain_fixture_release(&f);
}

static void a_deleted_accounts_messages_are_read_in_the_own_log_only(void **state)
{
    struct domain_fixture f;
    int64_t marked = -1;

    (void)state;
    init_with_two(&f);
    (void)fixture_send(&f, 2, "alice", "1");
    fixture_delete(&f, 2);
    (void)fixture_run_chores(&f);
    assert_int_equal(fixture_resolve(&f, "deleted-2", true), 2);
    assert_int_equal(mark(&f, 1, 2, 0, &marked), OK);
    assert_int_equal(marked, 1);
    assert_int_equal(fixture_entry(&f, 1, 3).kind, ENTRY_READ_BY_ME);
    assert_int_equal(fixture_head(&f, 2), 0);
    domain_fixture_release(&f);
}

/* ---- failures -------------------------------------------------------------------------------- */

static enum error step_send(struct domain_fixture *f)
{
    struct message_sent sent = {.message_id = -1};
    enum error error = send_with_key(f, "bob", "hi", "new", &sent);

    assert_true((sent.message_id == -1) == (error != OK));
    return error;
}

static enum error step_send_back(struct domain_fixture *f)
{
    struct message_draft draft = fixture_draft(f, 2, "alice", "hi", NULL);
    struct message_sent sent;

    return message_send(f->store, &draft, &f->arena, &sent);
}

static enum error step_send_to_oneself(struct domain_fixture *f)
{
    struct message_sent sent;

    return send_with_key(f, "alice", "hi", NULL, &sent);
}

static enum error step_mark(struct domain_fixture *f)
{
    int64_t marked = -1;
    enum error error = mark(f, 1, 2, 0, &marked);

    assert_int_equal(marked, error == OK ? 1 : -1);
    return error;
}

static enum error step_check_seq(struct domain_fixture *f)
{
    return message_check_seq(f->store, 1, 2, 1);
}

static void every_store_failure_is_told_and_leaves_nothing(void **state)
{
    struct domain_fixture f;

    (void)state;
    init_with_two(&f);
    (void)fixture_send(&f, 2, "alice", "1");
    assert_int_equal(fixture_fail_each_call(&f, step_send), 12);
    assert_int_equal(fixture_fail_each_call(&f, step_send_back), 10);
    assert_int_equal(fixture_fail_each_call(&f, step_send_to_oneself), 6);
    assert_int_equal(fixture_fail_each_call(&f, step_mark), 7);
    assert_int_equal(fixture_fail_each_call(&f, step_check_seq), 1);
    domain_fixture_release(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_is_in_both_logs_and_conversations),
        cmocka_unit_test(messages_are_chained_within_their_conversation),
        cmocka_unit_test(a_message_to_oneself_is_one_entry_and_never_unread),
        cmocka_unit_test(the_lower_account_is_written_first),
        cmocka_unit_test(what_cannot_be_sent_leaves_nothing),
        cmocka_unit_test(a_repeated_key_answers_the_first_message),
        cmocka_unit_test(a_key_is_bound_to_its_body_as_sent),
        cmocka_unit_test(a_key_of_an_older_version_is_bound_to_its_body),
        cmocka_unit_test(a_key_belongs_to_its_sender),
        cmocka_unit_test(a_key_is_looked_up_before_the_recipient),
        cmocka_unit_test(keys_are_1_to_64_visible_ascii_characters),
        cmocka_unit_test(marking_read_tells_both_logs_once),
        cmocka_unit_test(reading_goes_up_to_an_entry_and_never_back),
        cmocka_unit_test(only_a_message_of_the_conversation_can_be_read_up_to),
        cmocka_unit_test(a_deleted_accounts_messages_are_read_in_the_own_log_only),
        cmocka_unit_test(every_store_failure_is_told_and_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
