/* backup_test.c - backups of a database that is written meanwhile: each is one moment of it, whole.
 */
#include "scratch.h"

#include <pthread.h>

#include "base/clock.h"
#include "store/copies.h"

#define BACKUPS 12
/* Pages enough for many steps. */
#define FIRST_TEXT_BYTES ((size_t)3000)
#define FIRST_ENTRIES 700

struct writing {
    struct scratch *scratch;
    atomic_bool ends;
    atomic_int_least64_t committed; /* head of account 1, told after its commit */
    bool rolls_back;                /* every tenth batch */
};

struct backing_up {
    struct scratch *scratch;
    char path[340];
    atomic_bool stops;
    struct backup_progress progress;
    enum error error;
    char reason[REASON_MAX_BYTES];
};

static void accounts_add(struct scratch *s)
{
    static const char *const names[] = {"ann", "bob"};

    assert_ok(store_batch_begin(s->writer));
    for (size_t i = 0; i < 2; i++) {
        struct str name = str_from(names[i]);
        int64_t id = 0;

        assert_ok(store_account_add(s->writer, name, STR("hash"), 1, &id));
        assert_ok(store_name_set(
            s->writer, &(struct name_row){
                           .name = name, .folded = name, .account_id = id, .state = NAME_CURRENT}));
    }
    assert_ok(store_batch_commit(s->writer));
}

/* One message of account 1 to account 2, in both logs, and both conversations, as the domain does
 * it. */
static void message_add(struct store *store, size_t len)
{
    static char text[FIRST_TEXT_BYTES];
    int64_t id = 0;

    memset(text, 'x', sizeof text);
    assert_ok(store_message_id_take(store, &id));
    for (int64_t account_id = 1; account_id <= 2; account_id++) {
        struct conversation conversation = {.other_id = 3 - account_id};
        bool is_sender = account_id == 1;
        bool found = false;

        assert_ok(
            store_conversation_find(store, account_id, 3 - account_id, &found, &conversation));
        conversation.received += is_sender ? 0 : 1;
        struct entry entry = {.kind = is_sender ? ENTRY_MESSAGE_SENT : ENTRY_MESSAGE_RECEIVED,
                              .other_id = 3 - account_id,
                              .ref = id,
                              .received = conversation.received,
                              .created_at_ms = id,
                              .text = {text, len}};
        assert_ok(store_entry_append(store, account_id, &entry, conversation.last_seq,
                                     &conversation.last_seq));
        assert_ok(store_conversation_set(store, account_id, &conversation));
    }
}

static void first_fill(struct scratch *s)
{
    scratch_open(s);
    accounts_add(s);
    assert_ok(store_batch_begin(s->writer));
    for (int i = 0; i < FIRST_ENTRIES; i++) {
        message_add(s->writer, FIRST_TEXT_BYTES);
    }
    assert_ok(store_batch_commit(s->writer));
}

static void *write_on(void *argument)
{
    struct writing *writing = argument;
    struct store *writer = writing->scratch->writer;

    for (int round = 1; !atomic_load(&writing->ends); round++) {
        bool more = false;

        assert_ok(store_batch_begin(writer));
        message_add(writer, 100);
        message_add(writer, 100);
        if (writing->rolls_back && round % 10 == 0) {
            store_batch_rollback(writer);
            continue;
        }
        assert_ok(store_batch_commit(writer));
        atomic_fetch_add(&writing->committed, 2);
        assert_ok(store_rest(writer, round % 50 == 0, &more));
    }
    return NULL;
}

static void *back_up(void *argument)
{
    struct backing_up *backing = argument;
    struct store_summary summary;

    backing->error = store_backup(backing->scratch->home, backing->path, &backing->stops,
                                  &backing->progress, &summary, backing->reason);
    return NULL;
}

static void path_set(struct backing_up *backing, struct scratch *s, int number)
{
    backing->scratch = s;
    (void)snprintf(backing->path, sizeof backing->path, "%s/backup-%d.db", s->folder, number);
}

/* What the file holds, by SQLite alone. */
static int64_t number_in(const char *path, const char *sql)
{
    return file_number(path, SQLITE_OPEN_READONLY, sql);
}

static bool folder_has(const struct scratch *s, const char *name)
{
    char path[400];

    (void)snprintf(path, sizeof path, "%s/%s", s->folder, name);
    return access(path, F_OK) == 0;
}

static void backups_under_load(struct scratch *s, bool rolls_back)
{
    struct writing writing = {.scratch = s, .rolls_back = rolls_back};
    struct backing_up backing = {0};
    pthread_t writer;

    first_fill(s);
    atomic_store(&writing.committed, FIRST_ENTRIES);
    assert_int_equal(pthread_create(&writer, NULL, write_on, &writing), 0);
    for (int i = 0; i < BACKUPS; i++) {
        int64_t before = atomic_load(&writing.committed);

        path_set(&backing, s, i);
        back_up(&backing);
        int64_t after = atomic_load(&writing.committed);
        assert_string_equal(backing.reason, "");
        assert_ok(backing.error);

        int64_t head = number_in(backing.path, "SELECT max(seq) FROM log WHERE account_id = 1");
        /* All that was committed before it began, nothing of a batch in half, nothing later than
         * the batch that was open when it ended. */
        assert_true(head >= before);
        assert_true(head <= after + 2);
        assert_int_equal(head % 2, 0);
        assert_int_equal(number_in(backing.path, "SELECT count(*) FROM log WHERE account_id = 2"),
                         head);
        assert_int_equal(atomic_load(&backing.progress.pages_done),
                         atomic_load(&backing.progress.pages_total));
    }
    atomic_store(&writing.ends, true);
    assert_int_equal(pthread_join(writer, NULL), 0);
    assert_false(folder_has(s, "backup-0.db.partial"));
    assert_false(folder_has(s, "backup-0.db-wal"));
}

static void backups_of_a_busy_writer_are_moments_of_it(void **state)
{
    backups_under_load(*state, false);
}

static void a_writer_that_rolls_back_does_not_keep_a_backup_from_its_end(void **state)
{
    backups_under_load(*state, true);
}

static void a_backup_is_one_closed_file(void **state)
{
    struct scratch *s = *state;
    struct backing_up backing = {0};
    struct stat found;
    struct store_summary summary = {0};

    first_fill(s);
    path_set(&backing, s, 1);
    mode_t before = umask(0);
    back_up(&backing);
    (void)umask(before);
    assert_ok(backing.error);
    assert_int_equal(stat(backing.path, &found), 0);
    assert_int_equal(found.st_mode & 07777, 0600);
    assert_int_equal(number_in(backing.path, "SELECT count(*) FROM pragma_journal_mode"
                                             " WHERE journal_mode = 'delete'"),
                     1);
    assert_false(folder_has(s, "backup-1.db-wal"));
    assert_false(folder_has(s, "backup-1.db-shm"));
    assert_ok(store_verify(backing.path, &summary, backing.reason));
    assert_int_equal(summary.accounts, 2);
    assert_int_equal(summary.messages, FIRST_ENTRIES);
    assert_true(summary.made_at_ms > clock_wall_ms() - 600000);
    assert_int_equal(strlen(summary.epoch), EPOCH_LEN);
    /* The database itself is no backup. */
    scratch_close(s);
    assert_ok(store_verify(s->path, &summary, backing.reason));
    assert_int_equal(summary.made_at_ms, 0);
}

static void nothing_is_overwritten(void **state)
{
    struct scratch *s = *state;
    struct backing_up backing = {0};
    FILE *file;

    first_fill(s);
    path_set(&backing, s, 1);
    file = fopen(backing.path, "w");
    assert_non_null(file);
    (void)fclose(file);
    back_up(&backing);
    assert_int_not_equal(backing.error, OK);
    assert_non_null(strstr(backing.reason, "exists"));
    (void)snprintf(backing.path, sizeof backing.path, "relative.db");
    back_up(&backing);
    assert_int_not_equal(backing.error, OK);
    (void)snprintf(backing.path, sizeof backing.path, "%s/missing/backup.db", s->folder);
    back_up(&backing);
    assert_int_not_equal(backing.error, OK);
}

static void what_is_left_of_one_that_died_is_replaced(void **state)
{
    struct scratch *s = *state;
    struct backing_up backing = {0};
    char partial[400];
    FILE *file;

    first_fill(s);
    path_set(&backing, s, 1);
    (void)snprintf(partial, sizeof partial, "%s.partial", backing.path);
    file = fopen(partial, "w");
    assert_non_null(file);
    (void)fprintf(file, "half a page");
    (void)fclose(file);
    back_up(&backing);
    assert_ok(backing.error);
    assert_false(folder_has(s, "backup-1.db.partial"));
}

static void it_can_be_stopped(void **state)
{
    struct scratch *s = *state;
    struct backing_up backing = {.stops = true};

    first_fill(s);
    path_set(&backing, s, 1);
    back_up(&backing);
    assert_int_equal(backing.error, ERROR_DRAINING);
    assert_false(folder_has(s, "backup-1.db"));
    assert_false(folder_has(s, "backup-1.db.partial"));
}

/* The writer is closed while a backup waits at the gate, and while it copies. */
static void it_ends_when_the_writer_closes(void **state)
{
    struct scratch *s = *state;
    struct backing_up backing = {0};
    pthread_t thread;

    first_fill(s);
    path_set(&backing, s, 1);
    assert_ok(store_batch_begin(s->writer));
    assert_int_equal(pthread_create(&thread, NULL, back_up, &backing), 0);
    store_batch_rollback(s->writer);
    store_close(s->writer);
    s->writer = NULL;
    assert_int_equal(pthread_join(thread, NULL), 0);
    if (backing.error == OK) {
        /* It was quicker, on a machine with nothing else to do. */
        assert_true(folder_has(s, "backup-1.db"));
    } else {
        assert_int_equal(backing.error, ERROR_DRAINING);
        assert_false(folder_has(s, "backup-1.db"));
    }
    assert_false(folder_has(s, "backup-1.db.partial"));
    path_set(&backing, s, 2);
    back_up(&backing);
    assert_int_equal(backing.error, ERROR_DRAINING);
}

static void a_database_in_memory_is_backed_up(void **state)
{
    struct scratch *s = *state;
    struct backing_up backing = {0};

    (void)snprintf(s->path, sizeof s->path, ":memory:");
    first_fill(s);
    path_set(&backing, s, 1);
    back_up(&backing);
    assert_string_equal(backing.reason, "");
    assert_ok(backing.error);
    assert_int_equal(number_in(backing.path, "SELECT count(*) FROM log"), 2 * FIRST_ENTRIES);
}

int main(void)
{
    log_setup(LOG_OFF, LOG_FORM_JSON);
    const struct CMUnitTest tests[] = {
        SCRATCH_CASE(backups_of_a_busy_writer_are_moments_of_it),
        SCRATCH_CASE(a_writer_that_rolls_back_does_not_keep_a_backup_from_its_end),
        SCRATCH_CASE(a_backup_is_one_closed_file),
        SCRATCH_CASE(nothing_is_overwritten),
        SCRATCH_CASE(what_is_left_of_one_that_died_is_replaced),
        SCRATCH_CASE(it_can_be_stopped),
        SCRATCH_CASE(it_ends_when_the_writer_closes),
        SCRATCH_CASE(a_database_in_memory_is_backed_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
