/* export_test.c - a Rust database that was adopted is exported again: row by row what it was. The
 * command and what a server adds to it are test/compat/export_test.py. */
#include "scratch.h"

#include "rust_schema.h"
#include "store/copies.h"
#include "store/sqlite/export_rows.h"

#define NUMBER_OF(path, sql) file_number(path, SQLITE_OPEN_READONLY, sql)

static const char *out_path(const struct scratch *s)
{
    static char path[400];

    (void)snprintf(path, sizeof path, "%s/rust.db", s->folder);
    return path;
}

static enum error export_to(const struct scratch *s, const char *path, struct buf *told)
{
    char reason[REASON_MAX_BYTES];
    enum error error;

    buf_init(told, 4096);
    error = store_export_rust(s->path, path, told, reason);
    if (error != OK) {
        print_message("%s\n", reason);
    }
    return error;
}

/* Adopts these rows, stops, and exports what became of them. */
static void there_and_back(struct scratch *s, const char *rows)
{
    struct buf told;

    scratch_sql(s, RUST_SCHEMA);
    scratch_sql(s, RUST_USERS);
    scratch_sql(s, rows);
    assert_int_equal(chmod(s->path, 0600), 0);
    scratch_open(s);
    scratch_close(s);
    assert_ok(export_to(s, out_path(s), &told));
    buf_release(&told);
}

static void messages_come_back_as_they_were(void **state)
{
    struct scratch *s = *state;

    there_and_back(s, "INSERT INTO messages VALUES"
                      " (5, 1, 2, 'a', '2025-11-03T12:00:00.25+00:00', NULL),"
                      " (6, 2, 1, CAST(x'6e756c00696e' AS TEXT), '2025-11-03T12:00:01+00:00',"
                      " '2025-11-03T13:00:00+00:00'),"
                      " (9, 1, 1, '\"\\' || char(10, 1, 31, 127), '2025-11-03T12:00:02+00:00',"
                      " NULL),"
                      " (11, 1, 2, '', '2025-11-03T12:00:03+00:00', NULL);"
                      "UPDATE sqlite_sequence SET seq = 700 WHERE name = 'messages';");
    assert_int_equal(NUMBER_OF(out_path(s), "SELECT count(*) FROM messages"), 4);
    assert_int_equal(
        NUMBER_OF(out_path(s),
                  "SELECT count(*) FROM messages WHERE (id, from_user_id, to_user_id, content,"
                  " created_at, read_at IS NULL) IN (VALUES"
                  " (5, 1, 2, 'a', '2025-11-03T12:00:00.250000005+00:00', 1),"
                  " (6, 2, 1, CAST(x'6e756c00696e' AS TEXT), '2025-11-03T12:00:01.000000006+00:00',"
                  " 0),"
                  " (9, 1, 1, '\"\\' || char(10, 1, 31, 127),"
                  " '2025-11-03T12:00:02.000000009+00:00', 1),"
                  " (11, 1, 2, '', '2025-11-03T12:00:03.000000011+00:00', 1))"),
        4);
    assert_int_equal(
        NUMBER_OF(out_path(s), "SELECT seq FROM sqlite_sequence WHERE name = 'messages'"), 700);
}

static void used_keys_are_gone_and_the_others_keep_their_order(void **state)
{
    struct scratch *s = *state;

    there_and_back(s, "INSERT INTO user_keys VALUES (1, 'i', 's', 'g', '2025-11-03T12:00:00Z');"
                      "INSERT INTO one_time_prekeys(user_id, key_id, public_key, used) VALUES"
                      " (1, 0, 'used', 1), (1, 1, 'z', 0), (1, 2, 'a', 0);");
    assert_int_equal(NUMBER_OF(out_path(s),
                               "SELECT count(*) FROM user_keys WHERE (user_id, identity_key,"
                               " signed_prekey, signed_prekey_signature, created_at) ="
                               " (1, 'i', 's', 'g', '2025-11-03T12:00:00.000000000+00:00')"),
                     1);
    assert_int_equal(NUMBER_OF(out_path(s),
                               "SELECT group_concat(public_key, '') = 'za' FROM"
                               " (SELECT public_key FROM one_time_prekeys WHERE used = FALSE"
                               " ORDER BY id)"),
                     1);
    assert_int_equal(NUMBER_OF(out_path(s), "SELECT count(*) FROM one_time_prekeys"), 2);
}

static void a_read_mark_says_when(void **state)
{
    struct scratch *s = *state;
    struct buf told;
    struct conversation conversation = {.other_id = 2, .last_seq = 5, .received = 3, .read = 2};
    const struct entry entries[] = {
        {.kind = ENTRY_MESSAGE_RECEIVED, .other_id = 2, .ref = 1, .received = 1, .text = STR("a")},
        {.kind = ENTRY_READ_BY_ME, .other_id = 2, .ref = 1, .created_at_ms = 1000},
        {.kind = ENTRY_MESSAGE_RECEIVED, .other_id = 2, .ref = 2, .received = 2, .text = STR("b")},
        {.kind = ENTRY_READ_BY_ME, .other_id = 2, .ref = 2, .created_at_ms = 2000},
        {.kind = ENTRY_MESSAGE_RECEIVED, .other_id = 2, .ref = 3, .received = 3, .text = STR("c")},
    };
    int64_t id = 0;
    int64_t seq = 0;

    scratch_open(s);
    assert_ok(store_batch_begin(s->writer));
    assert_ok(store_account_add(s->writer, STR("ann"), STR("h"), 1, &id));
    assert_ok(store_account_add(s->writer, STR("bob"), STR("h"), 1, &id));
    for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++) {
        assert_ok(store_entry_append(s->writer, 1, &entries[i], 0, &seq));
    }
    assert_ok(store_conversation_set(s->writer, 1, &conversation));
    assert_ok(store_batch_commit(s->writer));
    /* The writer still has it open: its last commit is read from the WAL. */
    assert_ok(export_to(s, out_path(s), &told));
    buf_release(&told);
    assert_int_equal(NUMBER_OF(out_path(s),
                               "SELECT count(*) FROM messages WHERE (id, read_at) IN (VALUES"
                               " (1, '1970-01-01T00:00:01.000000000+00:00'),"
                               " (2, '1970-01-01T00:00:02.000000000+00:00'))"),
                     2);
    assert_int_equal(NUMBER_OF(out_path(s), "SELECT id FROM messages WHERE read_at IS NULL"), 3);
}

static void who_is_disabled_gets_no_token(void **state)
{
    struct scratch *s = *state;
    struct buf told;
    sqlite3 *database = NULL;

    scratch_sql(s, RUST_SCHEMA);
    scratch_sql(s, RUST_USERS);
    scratch_open(s);
    scratch_close(s);
    assert_int_equal(sqlite3_open(s->path, &database), SQLITE_OK);
    assert_int_equal(sqlite3_exec(database,
                                  "UPDATE account SET disabled_at_ms = 7 WHERE id = 2;"
                                  "INSERT INTO invite(id, code_digest, uses_left, created_at_ms,"
                                  " expires_at_ms) VALUES(1, x'00', 1, 1, 0)",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_close(database), SQLITE_OK);
    assert_ok(export_to(s, out_path(s), &told));
    assert_non_null(memmem(told.ptr, told.len, "\n  1 accounts disabled", 22));
    assert_non_null(memmem(told.ptr, told.len, "\n  1 invites", 12));
    buf_release(&told);
    assert_int_equal(NUMBER_OF(out_path(s), "SELECT count(*) FROM users"), 3);
    assert_int_equal(NUMBER_OF(out_path(s), "SELECT group_concat(user_id, '') FROM sessions"), 15);
}

/* Neither to a recipient who is there, nor to one who is deleted, whose log is gone. */
static void what_a_block_withheld_is_not_exported(void **state)
{
    struct scratch *s = *state;
    struct buf told;
    int64_t seq = 0;

    scratch_sql(s, RUST_SCHEMA);
    scratch_sql(s, RUST_USERS);
    scratch_sql(s, "INSERT INTO messages VALUES (1, 1, 2, 'a', '2025-11-03T12:00:00Z', NULL),"
                   " (2, 1, 5, 'b', '2025-11-03T12:00:00Z', NULL)");
    scratch_open(s);
    assert_ok(store_batch_begin(s->writer));
    for (int64_t id = 3; id <= 4; id++) {
        const struct entry entry = {.kind = ENTRY_MESSAGE_SENT,
                                    .other_id = id == 3 ? 2 : 5,
                                    .ref = id,
                                    .text = STR("withheld")};

        assert_ok(store_entry_append(s->writer, 1, &entry, 0, &seq));
        assert_ok(store_block_add(s->writer, entry.other_id, 1, 7));
        assert_ok(store_withheld_add(s->writer, 1, entry.other_id, id));
    }
    assert_ok(store_account_set_deleted(s->writer, 5, STR("deleted-5"), 7));
    assert_ok(store_batch_commit(s->writer));
    scratch_close(s);
    assert_ok(export_to(s, out_path(s), &told));
    assert_non_null(memmem(told.ptr, told.len, "\n  2 blocks", 11));
    assert_non_null(memmem(told.ptr, told.len, "\n  2 messages that a block", 26));
    buf_release(&told);
    assert_int_equal(NUMBER_OF(out_path(s), "SELECT group_concat(id, '') FROM messages"), 12);
}

#define ONE_LONG                                                                                   \
    "INSERT INTO messages VALUES"                                                                  \
    " (5, 1, 2, hex(zeroblob(2000)), '2025-11-03T12:00:00+00:00', NULL);"
#define LONG_LENGTH "SELECT length(content) FROM messages WHERE id = 5"

/* Never with an empty text in its place. */
static void a_long_message_is_exported_or_nothing_is(void **state)
{
    struct scratch *s = *state;
    char second[400];
    struct buf told;

    there_and_back(s, ONE_LONG);
    assert_int_equal(NUMBER_OF(out_path(s), LONG_LENGTH), 4000);
    scratch_sql(s, "DELETE FROM content");
    (void)snprintf(second, sizeof second, "%s/second.db", s->folder);
    assert_int_equal(export_to(s, second, &told), ERROR_INTERNAL);
    buf_release(&told);
    assert_int_equal(access(second, F_OK), -1);
}

static void a_file_of_schema_3_is_exported(void **state)
{
    struct scratch *s = *state;
    char second[400];
    struct buf told;

    there_and_back(s, ONE_LONG);
    scratch_sql(s, "UPDATE log SET text = (SELECT text FROM content WHERE message_id = ref)"
                   " WHERE text IS NULL; DROP TABLE content; PRAGMA user_version=3");
    (void)snprintf(second, sizeof second, "%s/second.db", s->folder);
    assert_ok(export_to(s, second, &told));
    buf_release(&told);
    assert_int_equal(NUMBER_OF(second, LONG_LENGTH), 4000);
}

static void counts_that_do_not_agree_are_refused(void **state)
{
    struct scratch *s = *state;
    struct buf told;

    scratch_sql(s, RUST_SCHEMA);
    scratch_sql(s, RUST_USERS);
    scratch_sql(s, "INSERT INTO messages VALUES (1, 1, 2, 'a', '2025-11-03T12:00:00Z', NULL)");
    scratch_open(s);
    scratch_close(s);
    scratch_sql(s, "UPDATE conversation SET received = received + 1 WHERE account_id = 2");
    assert_int_not_equal(export_to(s, out_path(s), &told), OK);
    assert_int_equal(told.len, 0);
    buf_release(&told);
    assert_int_not_equal(access(out_path(s), F_OK), 0);
}

static void text_that_is_not_ours_is_refused(void **state)
{
    struct scratch *s = *state;
    struct buf told;

    scratch_sql(s, RUST_SCHEMA);
    scratch_sql(s, RUST_USERS);
    scratch_sql(s, "INSERT INTO messages VALUES (1, 1, 2, 'a', '2025-11-03T12:00:00Z', NULL)");
    scratch_open(s);
    scratch_close(s);
    scratch_sql(s, "UPDATE log SET text = 'broken \\x'");
    assert_int_not_equal(export_to(s, out_path(s), &told), OK);
    buf_release(&told);
    assert_int_not_equal(access(out_path(s), F_OK), 0);
}

static void times_sort_by_place_within_a_millisecond(void **state)
{
    char one[RUST_TIME_LEN + 1];
    char other[RUST_TIME_LEN + 1];

    (void)state;
    assert_str(rust_time(1762171200123, 456, one), "2025-11-03T12:00:00.123000456+00:00");
    assert_str(rust_time(1762171200123, 1000457, other), "2025-11-03T12:00:00.123000457+00:00");
    assert_true(strcmp(one, other) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH_CASE(messages_come_back_as_they_were),
        SCRATCH_CASE(used_keys_are_gone_and_the_others_keep_their_order),
        SCRATCH_CASE(a_read_mark_says_when),
        SCRATCH_CASE(who_is_disabled_gets_no_token),
        SCRATCH_CASE(what_a_block_withheld_is_not_exported),
        SCRATCH_CASE(a_long_message_is_exported_or_nothing_is),
        SCRATCH_CASE(a_file_of_schema_3_is_exported),
        SCRATCH_CASE(counts_that_do_not_agree_are_refused),
        SCRATCH_CASE(text_that_is_not_ours_is_refused),
        cmocka_unit_test(times_sort_by_place_within_a_millisecond),
    };

    log_setup(LOG_OFF, LOG_FORM_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
