/* sent_keys_test.c - an exactly-once key is found from its commit on, wherever it stands: among the
 * recent ones, while these move, and after it; across openings, rollbacks and deletions. */
#include "scratch.h"

#include "store/copies.h"
#include "store/sqlite/sent_keys.h"

#define DUE 40u
/* Of a batch; what was added since the last move began is at most 5/8 of what moves. */
#define IN_A_BATCH 7
#define BATCHES 60
#define ACCOUNTS 5

static void open_small(struct scratch *s)
{
    struct store_settings settings = {
        .path = s->path,
        .syncs_every_commit = false,
        .writer_cache_kib = 1024,
        .reader_cache_kib = 512,
        .recent_keys_due = DUE,
    };
    bool in_memory = false;

    assert_ok(store_home_open(&settings, &s->home, &in_memory));
    assert_ok(store_open(s->home, STORE_READ_WRITE, &s->writer));
}

/* What message `id` is sent with: accounts and keys come in no order. */
static int64_t account_of(int64_t id)
{
    return 1 + id * 3 % ACCOUNTS;
}

static struct str key_of(char key[24], int64_t id)
{
    (void)snprintf(key, 24, "%lld-key", (long long)(id * 7919 % 1009));
    return str_from(key);
}

static void key_add(struct store *store, int64_t id)
{
    struct sent_key sent = {.message_id = id, .created_at_ms = 1000 + id};
    char key[24];

    sent.fingerprint.bytes[0] = (uint8_t)id;
    assert_ok(store_sent_key_add(store, account_of(id), key_of(key, id), &sent));
}

static bool key_is_found(struct store *store, int64_t id)
{
    struct sent_key sent = {0};
    bool is_found = false;
    char key[24];

    assert_ok(store_sent_key_find(store, account_of(id), key_of(key, id), &is_found, &sent));
    if (is_found) {
        assert_int_equal(sent.message_id, id);
        assert_int_equal(sent.created_at_ms, 1000 + id);
        assert_int_equal(sent.fingerprint.bytes[0], (uint8_t)id);
        assert_false(sent.has_digest);
    }
    return is_found;
}

static void batch_add(struct scratch *s, int64_t *next_id)
{
    assert_ok(store_batch_begin(s->writer));
    for (int i = 0; i < IN_A_BATCH; i++) {
        key_add(s->writer, (*next_id)++);
    }
    assert_ok(store_batch_commit(s->writer));
}

static void all_are_found(struct scratch *s, int64_t next_id)
{
    assert_ok(store_batch_begin(s->writer));
    for (int64_t id = 1; id < next_id; id++) {
        assert_true(key_is_found(s->writer, id));
    }
    assert_false(key_is_found(s->writer, next_id));
    assert_ok(store_batch_commit(s->writer));
}

static int64_t number(struct scratch *s, const char *sql)
{
    int64_t value = 0;

    assert_ok(connection_int(s->writer->database, sql, &value));
    return value;
}

static void each_is_found_while_keys_move_and_few_are_recent(void **state)
{
    struct scratch *s = *state;
    int64_t next_id = 1;
    int64_t most = 0;
    int64_t in_both = 0;

    open_small(s);
    for (int i = 0; i < BATCHES; i++) {
        int64_t recent;

        batch_add(s, &next_id);
        all_are_found(s, next_id);
        recent = number(s, "SELECT count(*) FROM sent_key_recent");
        most = recent > most ? recent : most;
        in_both += number(s, "SELECT count(*) FROM sent_key_recent JOIN sent_key"
                             " USING (message_id)");
    }
    assert_in_range(most, DUE, 2 * DUE + IN_A_BATCH);
    assert_true(in_both > 0);
    assert_true(number(s, "SELECT count(*) FROM sent_key") > 8 * DUE);
    scratch_close(s);
}

static void each_is_found_after_an_opening_at_any_moment(void **state)
{
    struct scratch *s = *state;
    int64_t next_id = 1;
    int64_t most = 0;

    open_small(s);
    for (int i = 0; i < BATCHES; i++) {
        int64_t recent;

        batch_add(s, &next_id);
        recent = number(s, "SELECT count(*) FROM sent_key_recent");
        most = recent > most ? recent : most;
        /* Never for as long as a move takes; for some the index is asked for nothing else. */
        scratch_close(s);
        open_small(s);
        if (i % 2 == 0) {
            all_are_found(s, next_id);
        }
    }
    scratch_close(s);
    open_small(s);
    all_are_found(s, next_id);
    assert_in_range(most, DUE - IN_A_BATCH, 2 * DUE + IN_A_BATCH);
    assert_true(number(s, "SELECT count(*) FROM sent_key") > 0);
    assert_int_equal(number(s, "SELECT count(*) FROM (SELECT account_id, key FROM sent_key"
                               " UNION SELECT account_id, key FROM sent_key_recent)"),
                     next_id - 1);
    scratch_close(s);
}

/* Their ids are given again, to others. */
static void what_was_undone_is_not_found_and_takes_nothing_with_it(void **state)
{
    struct scratch *s = *state;
    int64_t next_id = 1;

    open_small(s);
    for (int i = 0; i < BATCHES; i++) {
        int64_t undone_id = 600 + i;
        struct sent_key sent = {.message_id = next_id, .created_at_ms = 1};
        char key[24];

        assert_ok(store_batch_begin(s->writer));
        store_unit_begin(s->writer, UNIT_SAVED);
        assert_ok(
            store_sent_key_add(s->writer, account_of(undone_id), key_of(key, undone_id), &sent));
        assert_ok(store_unit_undo(s->writer));
        assert_false(key_is_found(s->writer, undone_id));
        if (i % 2 == 1) {
            key_add(s->writer, next_id);
            store_batch_rollback(s->writer);
            assert_ok(store_batch_begin(s->writer));
            assert_false(key_is_found(s->writer, next_id));
        }
        for (int j = 0; j < IN_A_BATCH; j++) {
            key_add(s->writer, next_id++);
        }
        /* The last of a batch may be the last that moves. */
        sent.message_id = next_id;
        store_unit_begin(s->writer, UNIT_SAVED);
        assert_ok(
            store_sent_key_add(s->writer, account_of(undone_id), key_of(key, undone_id), &sent));
        assert_ok(store_unit_undo(s->writer));
        assert_ok(store_batch_commit(s->writer));
        all_are_found(s, next_id);
        assert_in_range(number(s, "SELECT count(*) FROM sent_key_recent"), 0, 2 * DUE + IN_A_BATCH);
    }
    assert_true(number(s, "SELECT count(*) FROM sent_key") > 0);
    scratch_close(s);
}

static void verify_finds_a_key_of_two_messages(void **state)
{
    static const char *const faults[] = {
        "INSERT INTO sent_key_recent VALUES(90, 1, 'k', x'', 0), (91, 1, 'k', x'', 0)",
        "INSERT INTO sent_key_recent VALUES(90, 1, 'k', x'', 0);"
        "INSERT INTO sent_key VALUES(1, 'k', x'', 91, 0)",
    };
    struct scratch *s = *state;
    struct store_summary summary;
    char reason[REASON_MAX_BYTES];

    open_small(s);
    scratch_close(s);
    /* One that is being moved, and others that only look alike. */
    scratch_sql(s, "INSERT INTO sent_key_recent VALUES(90, 1, 'k', x'', 0), (91, 1, 'K', x'', 0),"
                   " (92, 11, 'k', x'', 0); INSERT INTO sent_key VALUES(1, 'k', x'', 90, 0)");
    assert_ok(store_verify(s->path, &summary, reason));
    for (size_t i = 0; i < 2; i++) {
        scratch_sql(s, "DELETE FROM sent_key_recent; DELETE FROM sent_key");
        scratch_sql(s, faults[i]);
        assert_int_not_equal(store_verify(s->path, &summary, reason), OK);
        assert_non_null(strstr(reason, "exactly-once keys that two messages have"));
    }
}

static void a_deleted_account_leaves_none_while_keys_move(void **state)
{
    struct scratch *s = *state;
    const struct slice_limits limits = {5, 1u << 20};
    int64_t next_id = 1;
    int64_t of_it = 1;
    bool more = true;

    open_small(s);
    while (next_id < 3 * (int64_t)DUE) {
        batch_add(s, &next_id);
    }
    while (more) {
        size_t removed = 0;

        assert_ok(store_batch_begin(s->writer));
        assert_ok(store_remains_delete(s->writer, of_it, &limits, &removed, &more));
        assert_in_range(removed, 0, 5);
        /* Others go on, so that keys move meanwhile. */
        for (int i = 0; i < 2; i++, next_id++) {
            next_id += account_of(next_id) == of_it;
            key_add(s->writer, next_id);
        }
        assert_ok(store_batch_commit(s->writer));
    }
    assert_int_equal(number(s, "SELECT count(*) FROM sent_key WHERE account_id = 1"), 0);
    assert_int_equal(number(s, "SELECT count(*) FROM sent_key_recent WHERE account_id = 1"), 0);
    assert_true(number(s, "SELECT count(*) FROM sent_key") > 0);
    scratch_close(s);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        SCRATCH_CASE(each_is_found_while_keys_move_and_few_are_recent),
        SCRATCH_CASE(each_is_found_after_an_opening_at_any_moment),
        SCRATCH_CASE(what_was_undone_is_not_found_and_takes_nothing_with_it),
        SCRATCH_CASE(verify_finds_a_key_of_two_messages),
        SCRATCH_CASE(a_deleted_account_leaves_none_while_keys_move),
    };

    log_setup(LOG_OFF, LOG_FORM_JSON);
    return cmocka_run_group_tests(cases, NULL, NULL);
}
