/* block_test.c - blocking, and that nothing of a blocked account reaches the blocker's side. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "domain/block.h"
#include "domain/key.h"
#include "domain/message.h"
#include "support/domain_fixture.h"

/* alice is 1, bob is 2, carl is 3; alice blocks bob in most tests. */
static void init_with_three(struct domain_fixture *f)
{
    domain_fixture_init(f);
    assert_int_equal(fixture_account(f, "alice"), 1);
    assert_int_equal(fixture_account(f, "bob"), 2);
    assert_int_equal(fixture_account(f, "carl"), 3);
}

static enum error block(struct domain_fixture *f, int64_t account_id, const char *username)
{
    return block_add(f->store, account_id, str_from(username), f->now_ms, &f->arena);
}

static enum error unblock(struct domain_fixture *f, int64_t account_id, const char *username)
{
    return block_remove(f->store, account_id, str_from(username), f->now_ms, &f->arena);
}

static size_t blocks_of(struct domain_fixture *f, int64_t account_id, struct block **out_blocks)
{
    size_t count = 0;

    assert_int_equal(store_block_list(f->store, account_id, &f->arena, out_blocks, &count), OK);
    return count;
}

/* ---- the list -------------------------------------------------------------------------------- */

static void a_second_block_keeps_the_first_time(void **state)
{
    struct domain_fixture f;
    struct block *blocks;

    (void)state;
    init_with_three(&f);
    int64_t first_ms = f.now_ms;

    assert_int_equal(block(&f, 1, "bob"), OK);
    f.now_ms += 1000;
    assert_int_equal(block(&f, 1, "BOB"), OK);
    assert_int_equal(block(&f, 1, "carl"), OK);
    assert_int_equal(blocks_of(&f, 1, &blocks), 2);
    assert_int_equal(blocks[0].other_id, 3);
    assert_int_equal(blocks[1].other_id, 2);
    assert_int_equal(blocks[1].since_ms, first_ms);
    assert_int_equal(blocks_of(&f, 2, &blocks), 0);
    domain_fixture_release(&f);
}

static void who_cannot_be_blocked_is_told(void **state)
{
    struct domain_fixture f;
    struct block *blocks;

    (void)state;
    init_with_three(&f);
    fixture_delete(&f, 3);
    assert_int_equal(block(&f, 1, "nobody"), ERROR_ACCOUNT_NOT_FOUND);
    assert_int_equal(block(&f, 1, "carl"), ERROR_ACCOUNT_NOT_FOUND);
    assert_int_equal(block(&f, 1, "deleted-3"), ERROR_ACCOUNT_NOT_FOUND);
    assert_int_equal(block(&f, 1, "alice"), ERROR_BLOCK_OF_ONESELF);
    assert_int_equal(unblock(&f, 1, "nobody"), ERROR_ACCOUNT_NOT_FOUND);
    assert_int_equal(unblock(&f, 1, "bob"), OK);
    assert_int_equal(unblock(&f, 1, "alice"), OK);
    assert_int_equal(blocks_of(&f, 1, &blocks), 0);
    domain_fixture_release(&f);
}

static void one_who_is_deleted_later_stays_listed_until_removed(void **state)
{
    struct domain_fixture f;
    struct block *blocks;

    (void)state;
    init_with_three(&f);
    assert_int_equal(block(&f, 1, "bob"), OK);
    assert_int_equal(block(&f, 2, "alice"), OK);
    fixture_delete(&f, 2);
    (void)fixture_run_chores(&f);
    assert_int_equal(blocks_of(&f, 1, &blocks), 1);
    assert_int_equal(blocks_of(&f, 2, &blocks), 0);
    assert_int_equal(unblock(&f, 1, "deleted-2"), OK);
    assert_int_equal(blocks_of(&f, 1, &blocks), 0);
    domain_fixture_release(&f);
}

static void the_list_has_a_limit_and_goes_on_below_it(void **state)
{
    struct domain_fixture f;
    struct block *blocks;

    (void)state;
    init_with_three(&f);
    for (int64_t i = 0; i < BLOCKS_MAX - 1; i++) {
        assert_int_equal(store_block_add(f.store, 1, 1000 + i, f.now_ms), OK);
    }
    assert_int_equal(block(&f, 1, "bob"), OK);
    assert_int_equal(block(&f, 1, "carl"), ERROR_BLOCKS_FULL);
    assert_int_equal(block(&f, 1, "bob"), OK); /* nothing new */
    assert_int_equal(blocks_of(&f, 1, &blocks), BLOCKS_MAX);
    assert_int_equal(block(&f, 2, "carl"), OK);
    assert_int_equal(unblock(&f, 1, "bob"), OK);
    assert_int_equal(block(&f, 1, "carl"), OK);
    assert_non_null(strstr(error_text(ERROR_BLOCKS_FULL), "10000 "));
    assert_int_equal(BLOCKS_MAX, 10000);
    domain_fixture_release(&f);
}

/* ---- what it does ---------------------------------------------------------------------------- */

static void a_blocked_message_is_the_senders_alone_for_ever(void **state)
{
    struct domain_fixture f;

    (void)state;
    init_with_three(&f);
    int64_t before = fixture_send(&f, 2, "alice", "before");
    assert_int_equal(block(&f, 1, "bob"), OK);
    int64_t withheld = fixture_send(&f, 2, "alice", "withheld");
    int64_t from_blocker = fixture_send(&f, 1, "bob", "mine");
    assert_int_equal(unblock(&f, 1, "bob"), OK);
    int64_t after = fixture_send(&f, 2, "alice", "after");

    assert_true(before + 1 == withheld && withheld + 1 == from_blocker &&
                from_blocker + 1 == after);
    assert_int_equal(fixture_head(&f, 2), 4);
    assert_int_equal(fixture_entry(&f, 2, 2).kind, ENTRY_MESSAGE_SENT);
    assert_int_equal(fixture_entry(&f, 2, 2).ref, withheld);
    assert_int_equal(fixture_entry(&f, 2, 2).chain, 1);
    assert_int_equal(fixture_conversation(&f, 2, 1).last_seq, 4);
    assert_int_equal(fixture_head(&f, 1), 3);
    assert_int_equal(fixture_entry(&f, 1, 1).ref, before);
    assert_int_equal(fixture_entry(&f, 1, 2).ref, from_blocker);
    assert_int_equal(fixture_entry(&f, 1, 3).ref, after);
    assert_int_equal(fixture_entry(&f, 1, 3).received, 2);
    assert_int_equal(fixture_conversation(&f, 1, 2).received, 2);
    assert_non_null(strstr(fixture_dump(&f).ptr, "withheld 2 2\n"));
    domain_fixture_release(&f);
}

static void a_replay_stays_what_it_was(void **state)
{
    struct domain_fixture f;
    struct message_sent first;
    struct message_sent again;

    (void)state;
    init_with_three(&f);
    struct message_draft draft = fixture_draft(&f, 2, "alice", "text", "key");

    assert_int_equal(block(&f, 1, "bob"), OK);
    assert_int_equal(message_send(f.store, &draft, &f.arena, &first), OK);
    assert_int_equal(unblock(&f, 1, "bob"), OK);
    assert_int_equal(message_send(f.store, &draft, &f.arena, &again), OK);
    assert_true(again.is_replay);
    assert_int_equal(again.message_id, first.message_id);
    assert_int_equal(fixture_head(&f, 1), 0);

    draft.key = STR("key2");
    assert_int_equal(message_send(f.store, &draft, &f.arena, &first), OK);
    assert_int_equal(block(&f, 1, "bob"), OK);
    assert_int_equal(message_send(f.store, &draft, &f.arena, &again), OK);
    assert_int_equal(again.message_id, first.message_id);
    assert_int_equal(fixture_head(&f, 1), 1);
    domain_fixture_release(&f);
}

static void reading_by_a_blocked_account_is_not_told(void **state)
{
    struct domain_fixture f;
    int64_t marked = 0;

    (void)state;
    init_with_three(&f);
    (void)fixture_send(&f, 1, "bob", "1");
    (void)fixture_send(&f, 1, "bob", "2");
    assert_int_equal(block(&f, 1, "bob"), OK);
    assert_int_equal(message_mark_read(f.store, 2, 1, 1, f.now_ms, &f.arena, &marked), OK);
    assert_int_equal(marked, 1);
    assert_int_equal(fixture_head(&f, 2), 3);
    assert_int_equal(fixture_entry(&f, 2, 3).kind, ENTRY_READ_BY_ME);
    assert_int_equal(fixture_head(&f, 1), 2);
    assert_int_equal(unblock(&f, 1, "bob"), OK);
    assert_int_equal(message_mark_read(f.store, 2, 1, 0, f.now_ms, &f.arena, &marked), OK);
    assert_int_equal(fixture_head(&f, 1), 3);
    assert_int_equal(fixture_entry(&f, 1, 3).kind, ENTRY_READ_BY_OTHER);
    domain_fixture_release(&f);
}

/* While the block stands neither; then the last of each, to whose lists show the account. */
static void new_names_and_keys_are_told_when_the_block_ends(void **state)
{
    static const struct key_bundle bundle = {
        .identity_key = {"i", 1}, .signed_prekey = {"s", 1}, .signed_prekey_signature = {"g", 1}};
    struct domain_fixture f;

    (void)state;
    init_with_three(&f);
    (void)fixture_send(&f, 2, "carl", "before");
    assert_int_equal(block(&f, 1, "bob"), OK);
    assert_int_equal(block(&f, 3, "bob"), OK);
    (void)fixture_send(&f, 2, "alice", "withheld");
    (void)fixture_send(&f, 2, "carl", "withheld");
    fixture_rename(&f, 2, "words");
    fixture_rename(&f, 2, "more words");
    assert_int_equal(key_publish(f.store, 2, &bundle, NULL, 0, f.now_ms), OK);
    (void)fixture_run_chores(&f);
    assert_int_equal(fixture_head(&f, 1), 0);
    assert_int_equal(fixture_head(&f, 3), 1);
    assert_int_equal(unblock(&f, 1, "more words"), OK);
    assert_int_equal(unblock(&f, 3, "more words"), OK);
    assert_int_equal(unblock(&f, 3, "more words"), OK);
    assert_int_equal(fixture_head(&f, 1), 0);
    assert_int_equal(fixture_head(&f, 3), 3);
    assert_int_equal(fixture_entry(&f, 3, 2).kind, ENTRY_ACCOUNT_RENAMED);
    assert_true(str_equal(fixture_entry(&f, 3, 2).text, STR("[\"bob\",\"more words\"]")));
    assert_int_equal(fixture_entry(&f, 3, 3).kind, ENTRY_KEYS_CHANGED);
    domain_fixture_release(&f);
}

static enum error step_block(struct domain_fixture *f)
{
    return block(f, 1, "carl");
}

static enum error step_unblock(struct domain_fixture *f)
{
    return unblock(f, 1, "bob");
}

static enum error step_send(struct domain_fixture *f)
{
    struct message_draft draft = fixture_draft(f, 2, "alice", "text", NULL);
    struct message_sent sent;

    return message_send(f->store, &draft, &f->arena, &sent);
}

static void every_store_failure_is_told_and_leaves_nothing(void **state)
{
    struct domain_fixture f;

    (void)state;
    init_with_three(&f);
    assert_int_equal(block(&f, 1, "bob"), OK);
    assert_int_equal(fixture_fail_each_call(&f, step_block), 4);
    assert_int_equal(store_block_note_untold(f.store, 1, 2, false, STR("[\"bert\",\"bob\"]")), OK);
    assert_int_equal(store_block_note_untold(f.store, 1, 2, true, (struct str){NULL, 0}), OK);
    assert_int_equal(fixture_fail_each_call(&f, step_unblock), 7);
    assert_int_equal(fixture_fail_each_call(&f, step_send), 8);
    domain_fixture_release(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_second_block_keeps_the_first_time),
        cmocka_unit_test(who_cannot_be_blocked_is_told),
        cmocka_unit_test(one_who_is_deleted_later_stays_listed_until_removed),
        cmocka_unit_test(the_list_has_a_limit_and_goes_on_below_it),
        cmocka_unit_test(a_blocked_message_is_the_senders_alone_for_ever),
        cmocka_unit_test(a_replay_stays_what_it_was),
        cmocka_unit_test(reading_by_a_blocked_account_is_not_told),
        cmocka_unit_test(new_names_and_keys_are_told_when_the_block_ends),
        cmocka_unit_test(every_store_failure_is_told_and_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
