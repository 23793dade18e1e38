/* adopt_test.c - what becomes of a Rust database's rows. Failures are adopt_failure_test.c. */
#include "scratch.h"

#include "rust_schema.h"

#define AT(text) "'2025-11-03T12:00:" text "+00:00'"

static void make_rust(struct scratch *s, const char *schema, const char *rows)
{
    scratch_sql(s, schema);
    scratch_sql(s, RUST_USERS);
    scratch_sql(s, rows);
    assert_int_equal(chmod(s->path, 0600), 0);
}

static struct conversation conversation_of(struct scratch *s, int64_t account_id, int64_t other_id)
{
    struct conversation conversation = {0};
    bool found = false;

    assert_ok(store_conversation_find(s->writer, account_id, other_id, &found, &conversation));
    assert_true(found);
    return conversation;
}

static struct entry entry_of(struct scratch *s, int64_t account_id, int64_t seq)
{
    struct entry entry = {0};
    bool found = false;

    assert_ok(store_entry_find(s->writer, account_id, seq, &s->arena, &found, &entry));
    assert_true(found);
    return entry;
}

static bool file_holds(const struct scratch *s, const char *suffix, const char *text)
{
    FILE *file = fopen(scratch_path(s, suffix), "rb");
    long len = scratch_bytes(s, suffix);
    char *bytes = malloc((size_t)len);
    bool found;

    if (file == NULL || bytes == NULL) {
        abort();
    }
    assert_int_equal(fread(bytes, 1, (size_t)len, file), len);
    (void)fclose(file);
    found = memmem(bytes, (size_t)len, text, strlen(text)) != NULL;
    free(bytes);
    return found;
}

/* ---- accounts, names, sessions ---------------------------------------------------------------*/

static void accounts_names_and_tokens_stay(void **state)
{
    struct scratch *s = *state;
    struct account account = {0};
    struct name_row *rows = NULL;
    struct session session = {0};
    struct sha256 digest;
    size_t count = 0;
    bool found = false;

    make_rust(s, RUST_SCHEMA, "SELECT 1");
    scratch_open(s);
    assert_ok(store_account_find(s->writer, 2, &s->arena, &found, &account));
    assert_true(found);
    assert_str(account.name, "Bob Ärger?");
    assert_str(account.password_hash, "$2b$12$bob");
    assert_int_equal(account.created_at_ms, 1762171201000);
    unsigned cost = 0;
    assert_ok(store_password_cost_find(s->writer, &cost));
    assert_int_equal(cost, 12);
    assert_ok(store_account_find(s->writer, 5, &s->arena, &found, &account));
    assert_int_equal(account.created_at_ms, 1762171202000);
    assert_ok(store_account_find(s->writer, 1, &s->arena, &found, &account));
    assert_int_equal(account.created_at_ms, 1762171200123);

    assert_ok(store_name_list(s->writer, STR("ann"), &s->arena, &rows, &count));
    assert_int_equal(count, 2);
    assert_str(rows[0].name, "ANN");
    assert_int_equal(rows[0].account_id, 5);
    assert_int_equal(rows[0].state, NAME_CURRENT);
    assert_str(rows[1].name, "ann");
    assert_ok(store_name_list(s->writer, STR("bob \xC3\x84rger?"), &s->arena, &rows, &count));
    assert_int_equal(count, 1);

    sha256_of(STR(RUST_TOKEN_BOB), &digest);
    assert_ok(store_session_find(s->writer, &digest, &found, &session));
    assert_true(found);
    assert_int_equal(session.id, 4);
    assert_int_equal(session.account_id, 2);
    assert_int_equal(session.created_at_ms, 1762171200000);
}

static void tokens_in_clear_stay_in_the_copy_only(void **state)
{
    struct scratch *s = *state;

    make_rust(s, RUST_SCHEMA, "SELECT 1");
    assert_true(file_holds(s, "", RUST_TOKEN_ANN));
    scratch_open(s);
    scratch_close(s);
    assert_false(file_holds(s, "", RUST_TOKEN_ANN));
    assert_true(file_holds(s, ".rust-copy", RUST_TOKEN_ANN));
    assert_int_equal(scratch_mode(s, ".rust-copy"), 0600);
    assert_false(scratch_exists(s, "-journal"));
    assert_int_equal(scratch_number(s, ".rust-copy", "SELECT count(*) FROM users"), 3);
    assert_int_equal(scratch_number(s, "",
                                    "SELECT count(*) FROM sqlite_master WHERE tbl_name IN"
                                    " ('users', 'sessions', 'messages', 'user_keys',"
                                    " 'one_time_prekeys')"),
                     0);
    /* A second start finds our own database. */
    scratch_open(s);
    assert_false(scratch_exists(s, ".rust-copy-2"));
}

static void new_ids_start_above_every_id_ever_given(void **state)
{
    struct scratch *s = *state;
    struct sha256 digest;
    int64_t id = 0;

    make_rust(s, RUST_SCHEMA,
              "INSERT INTO messages VALUES (7, 1, 2, 'x', " AT(
                  "00") ", NULL);"
                        "UPDATE sqlite_sequence SET seq = 50 WHERE name = 'messages';"
                        "UPDATE sqlite_sequence SET seq = 2 WHERE name = 'sessions';");
    scratch_open(s);
    sha256_of(STR("t"), &digest);
    assert_ok(store_batch_begin(s->writer));
    assert_ok(store_message_id_take(s->writer, &id));
    assert_int_equal(id, 51);
    assert_ok(store_session_add(s->writer, 1, &digest, STR(""), 1, &id));
    assert_int_equal(id, 5);
    assert_ok(store_account_add(s->writer, STR("new"), STR("h"), 1, &id));
    assert_int_equal(id, 6);
    store_batch_rollback(s->writer);
}

static void others_are_shut_out_with_the_adoption(void **state)
{
    static const char *const modes[] = {"PRAGMA journal_mode=DELETE", "PRAGMA journal_mode=WAL"};
    struct scratch *s = *state;

    for (size_t i = 0; i < 2; i++) {
        sqlite3 *other = NULL;

        scratch_sql(s, modes[i]);
        make_rust(s, RUST_SCHEMA, "SELECT 1");
        assert_int_equal(chmod(s->path, 0664), 0);
        /* Somebody who still has it open keeps the WAL and its index there. */
        assert_int_equal(sqlite3_open(s->path, &other), SQLITE_OK);
        assert_int_equal(sqlite3_exec(other, "SELECT * FROM users", NULL, NULL, NULL), SQLITE_OK);
        scratch_open(s);
        assert_ok(store_batch_begin(s->writer));
        assert_ok(scratch_append(s->writer, 1, 10));
        assert_ok(store_batch_commit(s->writer));
        assert_int_equal(scratch_mode(s, ""), 0600);
        assert_int_equal(scratch_mode(s, "-wal"), 0600);
        assert_int_equal(scratch_mode(s, "-shm"), 0600);
        assert_int_equal(scratch_mode(s, ".rust-copy"), 0600);
        assert_int_equal(sqlite3_close(other), SQLITE_OK);
        scratch_close(s);
        assert_int_equal(unlink(s->path), 0);
        assert_int_equal(unlink(scratch_path(s, ".rust-copy")), 0);
    }
}

static void an_empty_name_is_a_name(void **state)
{
    struct scratch *s = *state;
    struct name_row *rows = NULL;
    struct account account = {0};
    size_t count = 0;
    bool found = false;

    make_rust(s, RUST_SCHEMA, "INSERT INTO users VALUES (9, '', 'hash', '2025-11-03 12:00:01')");
    scratch_open(s);
    assert_ok(store_account_find(s->writer, 9, &s->arena, &found, &account));
    assert_true(found);
    assert_int_equal(account.name.len, 0);
    assert_ok(store_name_list(s->writer, STR(""), &s->arena, &rows, &count));
    assert_int_equal(count, 1);
    assert_int_equal(rows[0].account_id, 9);
    assert_ok(store_batch_begin(s->writer));
    assert_ok(store_name_delete(s->writer, STR("")));
    assert_ok(store_name_list(s->writer, STR(""), &s->arena, &rows, &count));
    assert_int_equal(count, 0);
    store_batch_rollback(s->writer);
}

/* ---- messages --------------------------------------------------------------------------------*/

static void messages_become_two_logs_in_order_of_id(void **state)
{
    struct scratch *s = *state;
    struct message_walk walk = {1, 0, INT64_MAX, 0};
    struct entry entry = {0};
    bool found = false;
    static const int64_t ids[] = {40, 30, 20, 12, 10};

    /* Times run backwards: order is by id. Read and unread are mixed. */
    make_rust(
        s, RUST_SCHEMA,
        "INSERT INTO messages VALUES"
        " (10, 1, 2, 'one', " AT(
            "50") ", NULL),"
                  " (11, 5, 2, 'aside', " AT("45") ", " AT(
                      "46") "),"
                            " (12, 2, 1, 'two', " AT(
                                "40") ", NULL),"
                                      " (20, 2, 1, 'a \"b\" \\ ' || char(10, 1) || 'é', " AT(
                                          "30") ", " AT("31") "),"
                                                              " (30, 1, 1, 'self', " AT(
                                                                  "20") ", NULL),"
                                                                        " (40, 2, 1, 'five', " AT(
                                                                            "10.5") ", NULL);");
    scratch_open(s);
    assert_ok(store_walk_begin(s->writer, &walk));
    for (size_t i = 0; i < 5; i++) {
        assert_ok(store_walk_next(s->writer, &found, &entry));
        assert_true(found);
        assert_int_equal(entry.ref, ids[i]);
        assert_int_equal(entry.seq, 5 - (int64_t)i);
    }
    assert_ok(store_walk_next(s->writer, &found, &entry));
    assert_false(found);
    store_walk_end(s->writer);

    entry = entry_of(s, 1, 1);
    assert_int_equal(entry.kind, ENTRY_MESSAGE_SENT);
    assert_int_equal(entry.chain, 0);
    assert_int_equal(entry.received, 0);
    assert_int_equal(entry.created_at_ms, 1762171250000);
    entry = entry_of(s, 1, 3);
    assert_int_equal(entry.kind, ENTRY_MESSAGE_RECEIVED);
    assert_int_equal(entry.other_id, 2);
    assert_int_equal(entry.chain, 2);
    assert_int_equal(entry.received, 2);
    assert_str(entry.text, "a \\\"b\\\" \\\\ \\n\\u0001é");
    entry = entry_of(s, 1, 4);
    assert_int_equal(entry.kind, ENTRY_MESSAGE_SENT);
    assert_int_equal(entry.other_id, 1);
    assert_int_equal(entry.chain, 0);
    assert_int_equal(entry.received, 0);
    entry = entry_of(s, 1, 5);
    assert_int_equal(entry.chain, 3);
    assert_int_equal(entry.received, 3);
    assert_int_equal(entry.created_at_ms, 1762171210500);

    assert_int_equal(conversation_of(s, 1, 2).last_seq, 5);
    assert_int_equal(conversation_of(s, 1, 2).received, 3);
    assert_int_equal(conversation_of(s, 1, 2).read, 1);
    assert_int_equal(conversation_of(s, 1, 1).last_seq, 4);
    assert_int_equal(conversation_of(s, 1, 1).received, 0);
    assert_int_equal(conversation_of(s, 2, 1).received, 1);
    assert_int_equal(conversation_of(s, 2, 1).read, 0);
    assert_int_equal(conversation_of(s, 2, 1).last_seq, 5);
    assert_int_equal(conversation_of(s, 2, 5).read, 1);
    assert_int_equal(conversation_of(s, 5, 2).last_seq, 1);
}

static void an_old_file_without_read_marks_or_keys_has_all_unread(void **state)
{
    struct scratch *s = *state;
    bool found = true;
    struct key_bundle bundle;

    make_rust(s, RUST_SCHEMA_FIRST,
              "INSERT INTO messages VALUES (1, 1, 2, 'a', " AT(
                  "00") "),"
                        " (2, 1, 2, 'b', " AT("01") "), (3, 2, 2, 'c', " AT("02") ");");
    scratch_open(s);
    assert_int_equal(conversation_of(s, 2, 1).received, 2);
    assert_int_equal(conversation_of(s, 2, 1).read, 0);
    assert_int_equal(scratch_head(s->writer, 2), 3);
    assert_ok(store_key_bundle_find(s->writer, 1, &s->arena, &found, &bundle));
    assert_false(found);
}

static void an_empty_file_of_that_server_is_adopted(void **state)
{
    struct scratch *s = *state;
    int64_t id = 0;

    scratch_sql(s, RUST_SCHEMA);
    scratch_open(s);
    assert_ok(store_batch_begin(s->writer));
    assert_ok(store_account_add(s->writer, STR("a"), STR("h"), 1, &id));
    assert_int_equal(id, 1);
    assert_ok(store_batch_commit(s->writer));
}

static void a_time_that_cannot_be_read_is_that_of_the_message_before(void **state)
{
    struct scratch *s = *state;

    make_rust(s, RUST_SCHEMA,
              "INSERT INTO messages VALUES (1, 1, 2, 'a', 'soon', NULL),"
              " (2, 5, 2, 'b', " AT("07") ", NULL), (3, 1, 2, 'c', '', NULL),"
                                          " (4, 1, 2, 'd', 'never', NULL);");
    scratch_open(s);
    assert_int_equal(entry_of(s, 1, 1).created_at_ms, 0);
    assert_int_equal(entry_of(s, 2, 1).created_at_ms, 0);
    assert_int_equal(entry_of(s, 1, 2).created_at_ms, 1762171207000);
    assert_int_equal(entry_of(s, 2, 3).created_at_ms, 1762171207000);
    assert_int_equal(entry_of(s, 1, 3).created_at_ms, 1762171207000);
    assert_int_equal(
        scratch_number(s, "", "SELECT count(*) FROM sqlite_master WHERE name LIKE 'adopt%'"), 0);
}

static void text_that_is_not_utf8_is_repaired(void **state)
{
    struct scratch *s = *state;

    make_rust(s, RUST_SCHEMA,
              "INSERT INTO messages VALUES (1, 1, 2, CAST(x'61ff62c328' AS TEXT), " AT(
                  "00") ", NULL), (2, 1, 2, CAST(x'610062' AS TEXT), " AT("00") ", NULL);");
    scratch_open(s);
    assert_str(entry_of(s, 2, 1).text, "a\xEF\xBF\xBD"
                                       "b\xEF\xBF\xBD(");
    assert_str(entry_of(s, 2, 2).text, "a\\u0000b");
}

/* ---- keys ------------------------------------------------------------------------------------*/

static void used_prekeys_stay_used_and_the_rest_keep_their_order(void **state)
{
    struct scratch *s = *state;
    const struct str again[] = {STR("used"), STR("both"), STR("fresh")};
    struct key_bundle bundle;
    struct str key = {NULL, 0};
    bool found = false;
    int64_t count = 0;

    make_rust(
        s, RUST_SCHEMA,
        "INSERT INTO user_keys VALUES (2, 'ik', 'sp', 'sig', " AT(
            "00") ");"
                  "INSERT INTO one_time_prekeys VALUES (1, 2, 0, 'used', 1, " AT(
                      "00") "),"
                            " (2, 2, 1, 'z', 0, " AT("00") "), (3, 2, 2, 'a', 0, " AT(
                                "00") "),"
                                      " (4, 2, 3, 'z', 0, " AT("00") "), (5, 2, 4, 'both', 0, " AT(
                                          "00") "),"
                                                " (6, 2, 5, 'both', 1, " AT(
                                                    "00") "), (7, 1, 0, 'used', 0, " AT("00") ");");
    scratch_open(s);
    assert_ok(store_key_bundle_find(s->writer, 2, &s->arena, &found, &bundle));
    assert_true(found);
    assert_str(bundle.identity_key, "ik");
    assert_str(bundle.signed_prekey, "sp");
    assert_str(bundle.signed_prekey_signature, "sig");
    assert_ok(store_batch_begin(s->writer));
    assert_ok(store_prekey_count(s->writer, 2, &count));
    assert_int_equal(count, 2);
    assert_ok(store_prekey_count(s->writer, 1, &count));
    assert_int_equal(count, 1);
    assert_ok(store_prekey_take(s->writer, 2, &s->arena, &found, &key));
    assert_str(key, "z");
    assert_ok(store_prekey_take(s->writer, 2, &s->arena, &found, &key));
    assert_str(key, "a");
    assert_ok(store_prekeys_replace(s->writer, 2, again, 3));
    assert_ok(store_prekey_take(s->writer, 2, &s->arena, &found, &key));
    assert_str(key, "fresh");
    assert_ok(store_prekey_count(s->writer, 2, &count));
    assert_int_equal(count, 0);
    store_batch_rollback(s->writer);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        SCRATCH_CASE(accounts_names_and_tokens_stay),
        SCRATCH_CASE(tokens_in_clear_stay_in_the_copy_only),
        SCRATCH_CASE(new_ids_start_above_every_id_ever_given),
        SCRATCH_CASE(others_are_shut_out_with_the_adoption),
        SCRATCH_CASE(an_empty_name_is_a_name),
        SCRATCH_CASE(messages_become_two_logs_in_order_of_id),
        SCRATCH_CASE(an_old_file_without_read_marks_or_keys_has_all_unread),
        SCRATCH_CASE(an_empty_file_of_that_server_is_adopted),
        SCRATCH_CASE(a_time_that_cannot_be_read_is_that_of_the_message_before),
        SCRATCH_CASE(text_that_is_not_utf8_is_repaired),
        SCRATCH_CASE(used_prekeys_stay_used_and_the_rest_keep_their_order),
    };

    log_setup(LOG_OFF, LOG_FORM_TEXT);
    return cmocka_run_group_tests_name("adopt", cases, NULL, NULL);
}
