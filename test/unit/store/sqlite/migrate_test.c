/* migrate_test.c - a file of an older server opens, copied first, with all its rows. */
#include "scratch.h"

#include "store/sqlite/connection.h"
#include "store/sqlite/migrate.h"

#define COPY ".before-0002"
#define COPY_OF_SCHEMA_2 ".before-0003"
#define COPY_OF_SCHEMA_3 ".before-0004"
#define COPY_OF_SCHEMA_4 ".before-0005"
#define COPY_OF_SCHEMA_5 ".before-0006"
#define NEWEST 6

/* What a server of schema 1 leaves: an account, its session, an entry. */
static void make_schema_1(struct scratch *s)
{
    scratch_sql(s, migration_list[0].sql);
    scratch_sql(s, "PRAGMA user_version=1;"
                   "INSERT INTO meta(key, value) VALUES('epoch', 'AAAABBBBCCCCDDDD'),"
                   " ('names', '0'), ('password_cost', '4'), ('next_account_id', '6'),"
                   " ('next_session_id', '8'), ('next_message_id', '1'), ('next_chore_id', '1');"
                   "INSERT INTO account VALUES(5, 'ann', 'hash', 1000, NULL);"
                   "INSERT INTO name VALUES('ann', 'ann', 5, 1, 0);"
                   "INSERT INTO session VALUES(zeroblob(32), 7, 5, 'phone', 10, 20);"
                   "INSERT INTO log VALUES(5, 1, 7, 0, 0, 6, 0, 30, NULL)");
}

static void a_file_of_schema_1_opens_and_is_copied_first(void **state)
{
    struct scratch *s = *state;
    struct sha256 digest = {.bytes = {0}};
    struct session session = {0};
    struct account account = {0};
    const struct invite invite = {.uses_left = 1};
    int64_t id = 0;
    bool is_found = false;

    make_schema_1(s);
    scratch_open(s);
    assert_ok(store_batch_begin(s->writer));
    assert_ok(store_account_find(s->writer, 5, &s->arena, &is_found, &account));
    assert_true(is_found);
    assert_str(account.name, "ann");
    assert_int_equal(account.disabled_at_ms, 0);
    assert_ok(store_session_find(s->writer, &digest, &is_found, &session));
    assert_true(is_found);
    assert_int_equal(session.id, 7);
    assert_int_equal(session.last_used_at_ms, 20);
    assert_false(session.is_barred);
    assert_ok(store_invite_add(s->writer, &digest, &invite, &id));
    assert_int_equal(id, 1);
    assert_ok(store_batch_commit(s->writer));
    assert_int_equal(scratch_head(s->writer, 5), 1);
    scratch_close(s);
    assert_int_equal(scratch_number(s, "", "PRAGMA user_version"), NEWEST);
    assert_int_equal(scratch_number(s, "", "SELECT count(*) FROM invite"), 1);
    assert_int_equal(scratch_number(s, COPY, "PRAGMA user_version"), 1);
    assert_int_equal(scratch_number(s, COPY, "SELECT count(*) FROM account"), 1);
    assert_int_equal(scratch_mode(s, COPY), 0600);
    assert_int_equal(scratch_number(s, COPY_OF_SCHEMA_2, "PRAGMA user_version"), 2);
}

/* Its blocks and notes are empty; an account may block from then on. */
static void a_file_of_schema_2_opens_and_is_copied_once(void **state)
{
    struct scratch *s = *state;
    bool is_blocked = true;

    make_schema_1(s);
    scratch_sql(s, migration_list[1].sql);
    scratch_sql(s, "PRAGMA user_version=2;"
                   "INSERT INTO invite VALUES(1, x'00', 3, 1, 2)");
    scratch_open(s);
    assert_ok(store_batch_begin(s->writer));
    assert_ok(store_block_find(s->writer, 5, 6, &is_blocked));
    assert_false(is_blocked);
    assert_ok(store_block_add(s->writer, 5, 6, 70));
    assert_ok(store_withheld_add(s->writer, 5, 6, 1));
    assert_ok(store_batch_commit(s->writer));
    assert_int_equal(scratch_head(s->writer, 5), 1);
    scratch_close(s);
    assert_int_equal(scratch_number(s, "", "PRAGMA user_version"), NEWEST);
    assert_int_equal(scratch_number(s, "", "SELECT uses_left FROM invite"), 3);
    assert_int_equal(scratch_number(s, "", "SELECT since_ms FROM block"), 70);
    assert_false(scratch_exists(s, COPY));
    assert_int_equal(scratch_number(s, COPY_OF_SCHEMA_2, "PRAGMA user_version"), 2);
    assert_int_equal(scratch_number(s, COPY_OF_SCHEMA_2, "SELECT count(*) FROM invite"), 1);
    assert_int_equal(scratch_mode(s, COPY_OF_SCHEMA_2), 0600);
}

/* Long messages in it stay in its logs, new ones stand once; both are read alike. */
static void a_file_of_schema_3_keeps_its_long_messages_in_the_logs(void **state)
{
    struct scratch *s = *state;
    struct str content = STR("");
    struct str text = {NULL, 0};
    struct entry entry = {0};
    bool is_found = false;

    make_schema_1(s);
    scratch_sql(s, migration_list[1].sql);
    scratch_sql(s, migration_list[2].sql);
    scratch_sql(s, "PRAGMA user_version=3;"
                   "INSERT INTO log VALUES(5, 2, 1, 5, 0, 1, 0, 40, hex(zeroblob(2000)));"
                   "UPDATE meta SET value = '2' WHERE key = 'next_message_id'");
    scratch_open(s);
    assert_ok(store_batch_begin(s->writer));
    assert_ok(store_entry_find(s->writer, 5, 2, &s->arena, &is_found, &entry));
    assert_true(is_found);
    content = entry.text;
    assert_int_equal(content.len, 4000);
    assert_ok(store_content_add(s->writer, 2, content, 1, &text));
    entry.ref = 2;
    entry.text = text;
    assert_ok(store_entry_append(s->writer, 5, &entry, 2, &entry.seq));
    for (int64_t seq = 2; seq <= 3; seq++) {
        assert_ok(store_entry_find(s->writer, 5, seq, &s->arena, &is_found, &entry));
        assert_true(is_found && entry.text.len == 4000);
        assert_memory_equal(entry.text.ptr, content.ptr, 4000);
    }
    assert_ok(store_batch_commit(s->writer));
    scratch_close(s);
    assert_int_equal(scratch_number(s, "", "PRAGMA user_version"), NEWEST);
    assert_int_equal(scratch_number(s, "", "SELECT count(text) FROM log"), 1);
    assert_int_equal(scratch_number(s, "", "SELECT count(*) FROM content"), 1);
    assert_int_equal(scratch_number(s, COPY_OF_SCHEMA_3, "PRAGMA user_version"), 3);
}

/* Its exactly-once keys stay where they are, and new ones are found beside them. */
static void a_file_of_schema_4_keeps_its_exactly_once_keys(void **state)
{
    struct scratch *s = *state;
    struct sent_key sent = {.message_id = 2, .created_at_ms = 50};
    bool is_found = false;

    make_schema_1(s);
    for (size_t i = 1; i < 4; i++) {
        scratch_sql(s, migration_list[i].sql);
    }
    scratch_sql(s, "PRAGMA user_version=4;"
                   "INSERT INTO sent_key VALUES(5, 'older', zeroblob(16), 1, 40)");
    scratch_open(s);
    assert_ok(store_batch_begin(s->writer));
    assert_ok(store_sent_key_add(s->writer, 5, STR("newer"), &sent));
    assert_ok(store_sent_key_find(s->writer, 5, STR("older"), &is_found, &sent));
    assert_true(is_found && sent.message_id == 1);
    assert_ok(store_sent_key_find(s->writer, 5, STR("newer"), &is_found, &sent));
    assert_true(is_found && sent.message_id == 2);
    assert_ok(store_batch_commit(s->writer));
    scratch_close(s);
    assert_int_equal(scratch_number(s, "", "PRAGMA user_version"), NEWEST);
    assert_int_equal(scratch_number(s, COPY_OF_SCHEMA_4, "PRAGMA user_version"), 4);
}

/* Its blocks have kept nothing back. */
static void a_file_of_schema_5_keeps_its_blocks(void **state)
{
    struct scratch *s = *state;
    struct block_untold untold = {.has_new_keys = true};
    bool is_blocked = false;

    make_schema_1(s);
    for (size_t i = 1; i < 5; i++) {
        scratch_sql(s, migration_list[i].sql);
    }
    scratch_sql(s, "PRAGMA user_version=5; INSERT INTO block VALUES(5, 6, 70, 3)");
    scratch_open(s);
    assert_ok(store_batch_begin(s->writer));
    assert_ok(store_block_find(s->writer, 5, 6, &is_blocked));
    assert_true(is_blocked);
    assert_ok(store_block_untold_find(s->writer, 5, 6, &s->arena, &untold));
    assert_true(untold.renamed.ptr == NULL && !untold.has_new_keys);
    assert_ok(store_block_note_untold(s->writer, 5, 6, true, (struct str){NULL, 0}));
    assert_ok(store_block_untold_find(s->writer, 5, 6, &s->arena, &untold));
    assert_true(untold.has_new_keys);
    assert_ok(store_batch_commit(s->writer));
    scratch_close(s);
    assert_int_equal(scratch_number(s, "", "PRAGMA user_version"), NEWEST);
    assert_int_equal(scratch_number(s, "", "SELECT withheld FROM block"), 3);
    assert_int_equal(scratch_number(s, COPY_OF_SCHEMA_5, "PRAGMA user_version"), 5);
}

static void a_migration_that_fails_leaves_the_file_as_it_was(void **state)
{
    struct scratch *s = *state;
    struct store_home *home = NULL;

    make_schema_1(s);
    scratch_sql(s, "CREATE TABLE invite(somebodys INTEGER)");
    assert_int_equal(scratch_open_home(s, &home), ERROR_STORE_FAILED);
    assert_int_equal(scratch_number(s, "", "PRAGMA user_version"), 1);
    assert_int_equal(scratch_number(s, "",
                                    "SELECT count(*) FROM pragma_table_info('account')"
                                    " WHERE name = 'disabled_at_ms'"),
                     0);
    scratch_sql(s, "DROP TABLE invite");
    assert_ok(scratch_open_home(s, &home));
    store_home_close(home);
    assert_int_equal(scratch_number(s, "", "PRAGMA user_version"), NEWEST);
}

static void a_new_file_is_not_copied(void **state)
{
    struct scratch *s = *state;

    scratch_open(s);
    scratch_close(s);
    assert_false(scratch_exists(s, COPY));
    assert_int_equal(scratch_number(s, "", "PRAGMA user_version"), NEWEST);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        SCRATCH_CASE(a_file_of_schema_1_opens_and_is_copied_first),
        SCRATCH_CASE(a_file_of_schema_2_opens_and_is_copied_once),
        SCRATCH_CASE(a_file_of_schema_3_keeps_its_long_messages_in_the_logs),
        SCRATCH_CASE(a_file_of_schema_4_keeps_its_exactly_once_keys),
        SCRATCH_CASE(a_file_of_schema_5_keeps_its_blocks),
        SCRATCH_CASE(a_migration_that_fails_leaves_the_file_as_it_was),
        SCRATCH_CASE(a_new_file_is_not_copied),
    };

    log_setup(LOG_OFF, LOG_FORM_TEXT);
    return cmocka_run_group_tests_name("migrate", cases, NULL, NULL);
}
