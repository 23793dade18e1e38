/* store_contract_test.c - what every store promises about the rows it keeps: accounts, names,
 * sessions, conversations, sent keys. Keys and chores are keys_contract_test.c, the log and batches
 * log_contract_test.c. */
#include "contract.h"

static int64_t add_account(struct fixture *f, const char *name)
{
    int64_t id = 0;

    assert_ok(store_account_add(f->store, str_from(name), STR("$2b$hash"), 1000, &id));
    return id;
}

static void set_name(struct fixture *f, const char *name, const char *folded, int64_t account_id,
                     enum name_state state, int64_t held_until_ms)
{
    struct name_row row = {str_from(name), str_from(folded), account_id, state, held_until_ms};

    assert_ok(store_name_set(f->store, &row));
}

/* ---- accounts --------------------------------------------------------------------------------*/

static void an_account_is_found_as_it_was_added(void **state)
{
    struct fixture *f = *state;
    struct account account = {0};
    bool found = false;
    int64_t first;
    int64_t second;

    assert_ok(store_batch_begin(f->store));
    first = add_account(f, "ann");
    second = add_account(f, "Björn");
    assert_int_equal(first, 1);
    assert_int_equal(second, 2);
    fixture_commit_and_reopen(f);
    assert_ok(store_account_find(f->store, second, &f->arena, &found, &account));
    assert_true(found);
    assert_int_equal(account.id, second);
    assert_str(account.name, "Björn");
    assert_str(account.password_hash, "$2b$hash");
    assert_int_equal(account.created_at_ms, 1000);
    assert_false(account.is_deleted);
    assert_ok(store_account_find(f->store, 3, &f->arena, &found, &account));
    assert_false(found);
    assert_int_equal(add_account(f, "carl"), 3);
    store_batch_rollback(f->store);
}

static void an_account_changes_and_is_deleted(void **state)
{
    struct fixture *f = *state;
    struct account account = {0};
    struct str name = {NULL, 0};
    bool found = false;
    int64_t id;

    assert_ok(store_batch_begin(f->store));
    id = add_account(f, "ann");
    assert_ok(store_account_name_find(f->store, id, &f->arena, &found, &name));
    assert_str(name, "ann");
    assert_ok(store_account_set_name(f->store, id, STR("anna")));
    assert_ok(store_account_set_password(f->store, id, STR("other")));
    assert_ok(store_account_name_find(f->store, id, &f->arena, &found, &name));
    assert_str(name, "anna");
    assert_ok(store_account_find(f->store, id, &f->arena, &found, &account));
    assert_str(account.name, "anna");
    assert_str(account.password_hash, "other");
    assert_ok(store_account_set_deleted(f->store, id, STR("deleted-1"), 2000));
    assert_ok(store_account_find(f->store, id, &f->arena, &found, &account));
    assert_true(found);
    assert_true(account.is_deleted);
    assert_int_equal(account.password_hash.len, 0);
    assert_str(account.name, "deleted-1");
    assert_ok(store_account_name_find(f->store, id, &f->arena, &found, &name));
    assert_true(found);
    assert_str(name, "deleted-1");
    assert_ok(store_account_name_find(f->store, 99, &f->arena, &found, &name));
    assert_false(found);
    assert_ok(store_account_set_name(f->store, 99, STR("nobody")));
    assert_ok(store_batch_commit(f->store));
}

static void living_accounts_are_listed_by_id_with_their_sessions(void **state)
{
    struct fixture *f = *state;
    struct sha256 digest;
    struct account_line *lines;
    size_t count = 0;
    int64_t session_id;

    assert_ok(store_batch_begin(f->store));
    for (int i = 0; i < 5; i++) {
        (void)add_account(f, i % 2 == 0 ? "even" : "odd");
    }
    assert_ok(store_account_set_deleted(f->store, 3, STR("deleted-3"), 2000));
    for (int i = 0; i < 2; i++) {
        sha256_of(i == 0 ? STR("one") : STR("two"), &digest);
        assert_ok(store_session_add(f->store, 4, &digest, STR(""), 1000, &session_id));
    }
    fixture_commit_and_reopen(f);
    assert_ok(store_account_list(f->store, 0, 100, &f->arena, &lines, &count));
    assert_int_equal(count, 4);
    assert_int_equal(lines[0].id, 1);
    assert_str(lines[0].name, "even");
    assert_int_equal(lines[0].created_at_ms, 1000);
    assert_int_equal(lines[0].session_count, 0);
    assert_int_equal(lines[2].id, 4);
    assert_int_equal(lines[2].session_count, 2);
    assert_ok(store_account_list(f->store, 1, 2, &f->arena, &lines, &count));
    assert_int_equal(count, 2);
    assert_int_equal(lines[0].id, 2);
    assert_int_equal(lines[1].id, 4);
    assert_ok(store_account_list(f->store, 5, 2, &f->arena, &lines, &count));
    assert_int_equal(count, 0);
    store_batch_rollback(f->store);
}

static void an_accounts_totals_are_of_its_own_rows(void **state)
{
    struct fixture *f = *state;
    struct account_totals totals = {-1, -1, -1};
    struct conversation rows[] = {{2, 1, 5, 0}, {3, 2, 7, 7}};
    struct entry entry = {.kind = ENTRY_KEYS_CHANGED};
    int64_t seq;

    assert_ok(store_batch_begin(f->store));
    assert_ok(store_account_totals_find(f->store, 1, &totals));
    assert_int_equal(totals.conversations, 0);
    assert_int_equal(totals.messages_received, 0);
    assert_int_equal(totals.log_entries, 0);
    assert_ok(store_conversation_set(f->store, 1, &rows[0]));
    assert_ok(store_conversation_set(f->store, 1, &rows[1]));
    assert_ok(store_conversation_set(f->store, 2, &rows[0]));
    for (int i = 0; i < 3; i++) {
        assert_ok(store_entry_append(f->store, 1, &entry, 0, &seq));
    }
    assert_ok(store_entry_append(f->store, 2, &entry, 0, &seq));
    assert_ok(store_account_totals_find(f->store, 1, &totals));
    assert_int_equal(totals.conversations, 2);
    assert_int_equal(totals.messages_received, 12);
    assert_int_equal(totals.log_entries, 3);
    store_batch_rollback(f->store);
}

static void totals_are_of_the_whole_database(void **state)
{
    struct fixture *f = *state;
    struct store_totals totals = {-1, -1, -1};
    struct sha256 digest;
    int64_t id;

    assert_ok(store_batch_begin(f->store));
    assert_ok(store_totals_find(f->store, &totals));
    assert_int_equal(totals.accounts + totals.sessions + totals.messages, 0);
    for (int i = 0; i < 3; i++) {
        (void)add_account(f, "ann");
    }
    assert_ok(store_account_set_deleted(f->store, 2, STR("deleted-2"), 2000));
    sha256_of(STR("one"), &digest);
    assert_ok(store_session_add(f->store, 1, &digest, STR(""), 1000, &id));
    for (int i = 0; i < 5; i++) {
        assert_ok(store_message_id_take(f->store, &id));
    }
    fixture_commit_and_reopen(f);
    assert_ok(store_totals_find(f->store, &totals));
    assert_int_equal(totals.accounts, 2);
    assert_int_equal(totals.sessions, 1);
    assert_int_equal(totals.messages, 5);
    store_batch_rollback(f->store);
}

static void a_long_name_is_shown_whole(void **state)
{
    struct fixture *f = *state;
    char text[700];
    struct str name = {NULL, 0};
    bool found = false;
    int64_t id;

    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_ok(store_batch_begin(f->store));
    id = add_account(f, text);
    for (int i = 0; i < 2; i++) {
        assert_ok(store_account_name_find(f->store, id, &f->arena, &found, &name));
        assert_str(name, text);
    }
    assert_ok(store_batch_commit(f->store));
}

static void renames_are_counted_in_the_moment(void **state)
{
    struct fixture *f = *state;
    struct store_moment before = {0};
    struct store_moment after = {0};

    assert_ok(store_batch_begin(f->store));
    assert_ok(store_moment_find(f->store, 1, &before));
    assert_int_equal(strlen(before.epoch), EPOCH_LEN);
    assert_int_equal(before.head_seq, 0);
    assert_int_equal(before.names, 0);
    assert_ok(store_names_count(f->store));
    assert_ok(store_names_count(f->store));
    assert_ok(store_moment_find(f->store, 1, &after));
    assert_int_equal(after.names, 2);
    fixture_commit_and_reopen(f);
    assert_ok(store_moment_find(f->store, 1, &after));
    assert_int_equal(after.names, 2);
    assert_string_equal(after.epoch, before.epoch);
    store_batch_rollback(f->store);
}

/* ---- names -----------------------------------------------------------------------------------*/

static void names_are_listed_by_folded_form_and_by_account(void **state)
{
    struct fixture *f = *state;
    struct name_row *rows = NULL;
    size_t count = 99;

    assert_ok(store_batch_begin(f->store));
    set_name(f, "bob", "bob", 1, NAME_CURRENT, 0);
    set_name(f, "BOB", "bob", 2, NAME_CURRENT, 0);
    set_name(f, "Bo", "bo", 1, NAME_HELD, 5000);
    fixture_commit_and_reopen(f);
    assert_ok(store_name_list(f->store, STR("bob"), &f->arena, &rows, &count));
    assert_int_equal(count, 2);
    assert_str(rows[0].name, "BOB");
    assert_int_equal(rows[0].account_id, 2);
    assert_str(rows[1].name, "bob");
    assert_str(rows[1].folded, "bob");
    assert_int_equal(rows[1].state, NAME_CURRENT);
    assert_ok(store_name_list_of(f->store, 1, &f->arena, &rows, &count));
    assert_int_equal(count, 2);
    assert_ok(store_name_list(f->store, STR("bo"), &f->arena, &rows, &count));
    assert_int_equal(count, 1);
    assert_int_equal(rows[0].state, NAME_HELD);
    assert_int_equal(rows[0].held_until_ms, 5000);
    assert_ok(store_name_list(f->store, STR("BOB"), &f->arena, &rows, &count));
    assert_int_equal(count, 0);
    assert_ok(store_name_list_of(f->store, 3, &f->arena, &rows, &count));
    assert_int_equal(count, 0);
    store_batch_rollback(f->store);
}

static void a_name_set_again_replaces_its_row_and_is_deleted_alone(void **state)
{
    struct fixture *f = *state;
    struct name_row *rows = NULL;
    size_t count = 99;

    assert_ok(store_batch_begin(f->store));
    set_name(f, "Bob", "bob", 1, NAME_HELD, 5000);
    set_name(f, "bob", "bob", 3, NAME_CURRENT, 0);
    set_name(f, "Bob", "bob", 2, NAME_CURRENT, 0);
    assert_ok(store_name_list(f->store, STR("bob"), &f->arena, &rows, &count));
    assert_int_equal(count, 2);
    assert_int_equal(rows[0].account_id, 2);
    assert_int_equal(rows[0].state, NAME_CURRENT);
    assert_ok(store_name_list_of(f->store, 1, &f->arena, &rows, &count));
    assert_int_equal(count, 0);
    assert_ok(store_name_delete(f->store, STR("Bob")));
    assert_ok(store_name_delete(f->store, STR("nobody")));
    assert_ok(store_name_list(f->store, STR("bob"), &f->arena, &rows, &count));
    assert_int_equal(count, 1);
    assert_int_equal(rows[0].account_id, 3);
    assert_ok(store_batch_commit(f->store));
}

/* ---- sessions --------------------------------------------------------------------------------*/

static void a_session_is_found_by_its_token_only(void **state)
{
    struct fixture *f = *state;
    struct sha256 first = digest_of("first");
    struct sha256 second = digest_of("second");
    struct sha256 wrong = digest_of("wrong");
    struct session session = {0};
    struct session *list = NULL;
    size_t count = 0;
    bool found = false;
    int64_t first_id = 0;
    int64_t second_id = 0;

    assert_ok(store_batch_begin(f->store));
    assert_ok(store_session_add(f->store, 7, &first, (struct str){NULL, 0}, 100, &first_id));
    assert_ok(store_session_add(f->store, 7, &second, STR("phone"), 200, &second_id));
    assert_true(second_id > first_id);
    fixture_commit_and_reopen(f);
    assert_ok(store_session_find(f->store, &second, &found, &session));
    assert_true(found);
    assert_int_equal(session.id, second_id);
    assert_int_equal(session.account_id, 7);
    assert_int_equal(session.created_at_ms, 200);
    assert_int_equal(session.last_used_at_ms, 200);
    assert_ok(store_session_find(f->store, &wrong, &found, &session));
    assert_false(found);
    assert_ok(store_session_list(f->store, 7, &f->arena, &list, &count));
    assert_int_equal(count, 2);
    assert_int_equal(list[0].id, second_id);
    assert_str(list[0].label, "phone");
    assert_null(list[1].label.ptr);
    assert_ok(store_session_list(f->store, 8, &f->arena, &list, &count));
    assert_int_equal(count, 0);
    store_batch_rollback(f->store);
}

static void a_session_is_used_and_ended_by_its_account_only(void **state)
{
    struct fixture *f = *state;
    struct sha256 digest = digest_of("token");
    struct session session = {0};
    bool found = false;
    int64_t id = 0;

    assert_ok(store_batch_begin(f->store));
    assert_ok(store_session_add(f->store, 7, &digest, STR(""), 100, &id));
    assert_ok(store_session_set_used(f->store, 7, id, 900));
    assert_ok(store_session_set_used(f->store, 8, id, 950));
    assert_ok(store_session_find(f->store, &digest, &found, &session));
    assert_int_equal(session.last_used_at_ms, 900);
    assert_ok(store_session_delete(f->store, 8, id, &found));
    assert_false(found);
    assert_ok(store_session_delete(f->store, 7, id, &found));
    assert_true(found);
    assert_ok(store_session_delete(f->store, 7, id, &found));
    assert_false(found);
    assert_ok(store_session_find(f->store, &digest, &found, &session));
    assert_false(found);
    assert_ok(store_batch_commit(f->store));
}

/* ---- conversations ---------------------------------------------------------------------------*/

static void conversations_come_latest_first_and_contacts_in_order(void **state)
{
    struct fixture *f = *state;
    static const struct conversation rows[] = {{5, 10, 3, 1}, {2, 30, 0, 0}, {9, 20, 4, 4}};
    struct conversation changed = {5, 40, 6, 6};
    struct conversation one = {0};
    struct conversation_head *list = NULL;
    int64_t *ids = NULL;
    size_t count = 0;
    bool found = false;

    assert_ok(store_batch_begin(f->store));
    for (size_t i = 0; i < 3; i++) {
        assert_ok(store_conversation_set(f->store, 1, &rows[i]));
    }
    assert_ok(store_conversation_list(f->store, 1, &f->arena, &list, &count));
    assert_int_equal(count, 3);
    assert_int_equal(list[0].last_seq, 30);
    assert_int_equal(list[1].last_seq, 20);
    assert_int_equal(list[1].unread_count, 0);
    assert_int_equal(list[2].last_seq, 10);
    assert_int_equal(list[2].unread_count, 2);
    assert_ok(store_conversation_set(f->store, 1, &changed));
    fixture_commit_and_reopen(f);
    assert_ok(store_conversation_find(f->store, 1, 5, &found, &one));
    assert_true(found);
    assert_memory_equal(&one, &changed, sizeof one);
    assert_ok(store_conversation_find(f->store, 5, 1, &found, &one));
    assert_false(found);
    assert_ok(store_conversation_list(f->store, 1, &f->arena, &list, &count));
    assert_int_equal(list[0].last_seq, 40);
    assert_int_equal(list[0].unread_count, 0);
    assert_ok(store_contact_list(f->store, 1, 0, 2, &f->arena, &ids, &count));
    assert_int_equal(count, 2);
    assert_int_equal(ids[0], 2);
    assert_int_equal(ids[1], 5);
    assert_ok(store_contact_list(f->store, 1, 5, 2, &f->arena, &ids, &count));
    assert_int_equal(count, 1);
    assert_int_equal(ids[0], 9);
    assert_ok(store_contact_list(f->store, 4, 0, 2, &f->arena, &ids, &count));
    assert_int_equal(count, 0);
    store_batch_rollback(f->store);
}

/* ---- sent keys -------------------------------------------------------------------------------*/

static void a_sent_key_is_kept_for_its_sender(void **state)
{
    struct fixture *f = *state;
    struct sent_key sent = {fingerprint_of("to and text"), .message_id = 77, .created_at_ms = 1234};
    struct sent_key read = {0};
    bool found = false;

    assert_ok(store_batch_begin(f->store));
    assert_ok(store_sent_key_add(f->store, 3, STR("k-1"), &sent));
    fixture_commit_and_reopen(f);
    assert_ok(store_sent_key_find(f->store, 3, STR("k-1"), &found, &read));
    assert_true(found);
    assert_int_equal(read.message_id, 77);
    assert_int_equal(read.created_at_ms, 1234);
    assert_false(read.has_digest);
    assert_memory_equal(read.fingerprint.bytes, sent.fingerprint.bytes, FINGERPRINT_LEN);
    assert_ok(store_sent_key_find(f->store, 3, STR("K-1"), &found, &read));
    assert_false(found);
    assert_ok(store_sent_key_find(f->store, 4, STR("k-1"), &found, &read));
    assert_false(found);
    store_batch_rollback(f->store);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        CONTRACT_CASE(an_account_is_found_as_it_was_added),
        CONTRACT_CASE(an_account_changes_and_is_deleted),
        CONTRACT_CASE(totals_are_of_the_whole_database),
        CONTRACT_CASE(living_accounts_are_listed_by_id_with_their_sessions),
        CONTRACT_CASE(an_accounts_totals_are_of_its_own_rows),
        CONTRACT_CASE(a_long_name_is_shown_whole),
        CONTRACT_CASE(renames_are_counted_in_the_moment),
        CONTRACT_CASE(names_are_listed_by_folded_form_and_by_account),
        CONTRACT_CASE(a_name_set_again_replaces_its_row_and_is_deleted_alone),
        CONTRACT_CASE(a_session_is_found_by_its_token_only),
        CONTRACT_CASE(a_session_is_used_and_ended_by_its_account_only),
        CONTRACT_CASE(conversations_come_latest_first_and_contacts_in_order),
        CONTRACT_CASE(a_sent_key_is_kept_for_its_sender),
    };
    int failed = 0;

    CONTRACT_RUN("rows", cases, failed);
    return failed;
}
