/* bare_loop.c - the statements of a send, and nothing else: what the database alone allows.
 *
 * usage: bare_loop DATABASE SENDS_PER_COMMIT SECONDS CONTENT_BYTES with-key|without-key
 *
 * DATABASE is one of the server's, with accounts in it. Sender and recipient are one of PAIRS pairs
 * of them, as in the requests the server gets. Each send runs what src/store/sqlite runs for it, in
 * that order, with WAL, synchronous FULL and checkpoints between commits: what the server's writer
 * remembers is remembered here too. No JSON, no hashing, no sockets. One send a commit is one
 * fsynced transaction.
 *
 * Two things are not the server's: files are written as SQLite writes them, where the server
 * gathers a commit's frames (store/sqlite/wal_buffer.h), and a checkpoint comes as late as the
 * server's may come, from the first on, where the server's finds out first how long one takes.
 */
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ACCOUNTS_MAX 16384
#define COMMITS_MAX 4000000
#define PAIRS 4000
#define FINGERPRINT_BYTES 16
#define CHECKPOINT_AT_FRAMES 32000   /* WAL_DUE_MAX_FRAMES of src/store/sqlite/connection.h */
#define RECENT_KEYS_DUE 8192         /* src/store/sqlite/recent_keys.h */
#define CONTENT_IN_LOG_MAX_BYTES 256 /* src/store/sqlite/content.h */

enum statement {
    BEGIN,
    SENT_KEY_FIND,
    CONVERSATION_FIND,
    HEAD_FIND,
    CONTENT_ADD,
    ENTRY_ADD,
    CONVERSATION_SET,
    RECENT_ADD,
    RECENT_COPY,
    RECENT_REMOVE,
    COUNTER_SET,
    COMMIT,
    STATEMENT_COUNT
};

static const char *const sql[STATEMENT_COUNT] = {
    [BEGIN] = "BEGIN IMMEDIATE",
    [SENT_KEY_FIND] = "SELECT digest, message_id, created_at_ms FROM sent_key"
                      " WHERE account_id = ?1 AND key = ?2",
    [CONVERSATION_FIND] = "SELECT last_seq, received, read FROM conversation"
                          " WHERE account_id = ?1 AND other_id = ?2",
    [HEAD_FIND] =
        "SELECT seq, kind, chain FROM log WHERE account_id = ?1 ORDER BY seq DESC LIMIT 1",
    [CONTENT_ADD] = "INSERT INTO content(message_id, entries, text) VALUES(?1, ?2, ?3)",
    [ENTRY_ADD] = "INSERT INTO log(account_id, seq, kind, other_id, chain, ref, received,"
                  " created_at_ms, text) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    [CONVERSATION_SET] =
        "INSERT OR REPLACE INTO conversation(account_id, other_id, last_seq, received, read)"
        " VALUES(?1, ?2, ?3, ?4, ?5)",
    [RECENT_ADD] = "INSERT INTO sent_key_recent(account_id, key, digest, message_id,"
                   " created_at_ms) VALUES(?1, ?2, ?3, ?4, ?5)",
    [RECENT_COPY] =
        "INSERT OR IGNORE INTO sent_key(account_id, key, digest, message_id, created_at_ms)"
        " SELECT account_id, key, digest, message_id, created_at_ms FROM sent_key_recent"
        " WHERE message_id = ?1",
    [RECENT_REMOVE] =
        "DELETE FROM sent_key_recent WHERE message_id IN (SELECT message_id FROM sent_key_recent"
        " WHERE message_id <= ?1 ORDER BY message_id LIMIT ?2)",
    [COUNTER_SET] = "UPDATE meta SET value = CAST(?2 AS TEXT) WHERE key = ?1",
    [COMMIT] = "COMMIT",
};

struct account {
    int64_t id;
    int64_t head_seq; /* of its log; -1 until it is asked for */
};

/* One account's conversation with another. */
struct side {
    struct account *own;
    int64_t other_id;
    int64_t last_seq; /* -1 until it is asked for */
    int64_t received;
    int64_t read;
};

struct pair {
    struct side sender;
    struct side recipient;
};

struct message {
    struct pair *pair;
    int64_t id;
    int64_t now_ms;
};

/* An exactly-once key, of this message. */
struct recent {
    int64_t account_id;
    int64_t message_id;
};

static sqlite3 *database;
static sqlite3_stmt *statements[STATEMENT_COUNT];
static struct account accounts[ACCOUNTS_MAX];
static size_t account_count;
static struct pair pairs[PAIRS];
static struct recent recent[2 * RECENT_KEYS_DUE];
static size_t recent_count;
static struct recent moving[2 * RECENT_KEYS_DUE]; /* of these, in the order of accounts */
static size_t moving_count;
static size_t moving_at;
static int64_t moving_to;
static char content[65536];
static bool content_is_long;
static bool has_key;
static int wal_frames;
static int wal_frames_copied;
static uint64_t commit_ns[COMMITS_MAX];
static uint64_t random_state = 0x9e3779b97f4a7c15U;

static void check(bool is_good, const char *what);
static void database_open(const char *path);
static void accounts_read(void);
static sqlite3_stmt *bound(enum statement statement, int64_t first, int64_t second);
static bool step(sqlite3_stmt *statement);
static void run(enum statement statement);
static void message_send(const struct message *message);
static void side_append(const struct message *message, struct side *side, bool is_sender);
static void keys_move(size_t added);
static int by_account(const void *left, const void *right);
static void commit(int64_t next_message_id, size_t added);
static void pairs_choose(void);
static size_t number_below(size_t limit);
static uint64_t clock_ns(clockid_t clock);
static int ascending(const void *left, const void *right);

int main(int argc, char **argv)
{
    check(argc == 6, "usage: bare_loop DATABASE SENDS_PER_COMMIT SECONDS CONTENT_BYTES with-key");
    unsigned sends_per_commit = (unsigned)strtoul(argv[2], NULL, 10);
    size_t content_len = strtoul(argv[4], NULL, 10);

    check(sends_per_commit > 0 && content_len < sizeof content, "a number out of range");
    memset(content, 'm', content_len);
    content_is_long = content_len > CONTENT_IN_LOG_MAX_BYTES;
    has_key = strcmp(argv[5], "with-key") == 0;
    database_open(argv[1]);
    accounts_read();
    pairs_choose();

    struct message message = {.id = 1};
    sqlite3_stmt *largest = NULL;

    check(sqlite3_prepare_v2(database,
                             "SELECT CAST(value AS INTEGER) FROM meta"
                             " WHERE key = 'next_message_id'",
                             -1, &largest, NULL) == SQLITE_OK &&
              sqlite3_step(largest) == SQLITE_ROW,
          "next_message_id");
    message.id = sqlite3_column_int64(largest, 0);
    (void)sqlite3_finalize(largest);

    uint64_t begun = clock_ns(CLOCK_MONOTONIC);
    uint64_t cpu_begun = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    uint64_t ends_at = begun + (uint64_t)(strtod(argv[3], NULL) * 1e9);
    uint64_t now = begun;
    size_t commits = 0;

    while (now < ends_at && commits < COMMITS_MAX) {
        run(BEGIN);
        message.now_ms = (int64_t)(clock_ns(CLOCK_REALTIME) / 1000000);
        for (unsigned i = 0; i < sends_per_commit; i++) {
            message.pair = &pairs[number_below(PAIRS)];
            message_send(&message);
            message.id++;
        }
        commit(message.id, sends_per_commit);
        uint64_t committed = clock_ns(CLOCK_MONOTONIC);

        commit_ns[commits] = committed - now;
        commits++;
        now = committed;
    }
    double seconds = (double)(now - begun) / 1e9;
    double cpu_ns = (double)(clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_begun);
    double sends = (double)commits * sends_per_commit;

    check(commits > 0, "no time to do anything");
    qsort(commit_ns, commits, sizeof *commit_ns, ascending);
    (void)printf("{\"seconds\": %.6f, \"requests\": %.0f, \"cpu_ns\": %.0f, \"p50_us\": %.1f, "
                 "\"p99_us\": %.1f}\n",
                 seconds, sends, cpu_ns, (double)commit_ns[commits / 2] / 1e3,
                 (double)commit_ns[commits - 1 - commits / 100] / 1e3);
    return 0;
}

static void check(bool is_good, const char *what)
{
    if (!is_good) {
        (void)fprintf(stderr, "bare_loop: %s: %s\n", what,
                      database == NULL ? "" : sqlite3_errmsg(database));
        exit(1);
    }
}

/* ---- the database ----------------------------------------------------------------------------*/

static int on_wal_commit(void *unused, sqlite3 *committed, const char *schema, int frames)
{
    (void)unused;
    (void)committed;
    (void)schema;
    if (frames < wal_frames) {
        wal_frames_copied = 0;
    }
    wal_frames = frames;
    return SQLITE_OK;
}

static void database_open(const char *path)
{
    (void)sqlite3_config(SQLITE_CONFIG_MULTITHREAD);
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    check(sqlite3_open_v2(path, &database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) ==
              SQLITE_OK,
          path);
    (void)sqlite3_wal_autocheckpoint(database, 0);
    (void)sqlite3_wal_hook(database, on_wal_commit, NULL);
    check(sqlite3_exec(database,
                       "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-16384;"
                       "PRAGMA cell_size_check=ON; PRAGMA secure_delete=ON;"
                       "PRAGMA temp_store=MEMORY",
                       NULL, NULL, NULL) == SQLITE_OK,
          "the pragmas");
    for (int i = 0; i < STATEMENT_COUNT; i++) {
        check(sqlite3_prepare_v3(database, sql[i], -1, SQLITE_PREPARE_PERSISTENT, &statements[i],
                                 NULL) == SQLITE_OK,
              sql[i]);
    }
}

static void accounts_read(void)
{
    sqlite3_stmt *rows = NULL;

    check(sqlite3_prepare_v2(database, "SELECT id FROM account", -1, &rows, NULL) == SQLITE_OK,
          "the accounts");
    while (account_count < ACCOUNTS_MAX && sqlite3_step(rows) == SQLITE_ROW) {
        accounts[account_count] =
            (struct account){.id = sqlite3_column_int64(rows, 0), .head_seq = -1};
        account_count++;
    }
    (void)sqlite3_finalize(rows);
    check(account_count >= 2, "too few accounts");
}

static void pairs_choose(void)
{
    for (size_t i = 0; i < PAIRS; i++) {
        struct account *sender = &accounts[number_below(account_count)];
        struct account *recipient = sender;

        while (recipient == sender) {
            recipient = &accounts[number_below(account_count)];
        }
        pairs[i].sender = (struct side){.own = sender, .other_id = recipient->id, .last_seq = -1};
        pairs[i].recipient =
            (struct side){.own = recipient, .other_id = sender->id, .last_seq = -1};
    }
}

static size_t number_below(size_t limit)
{
    /* xorshift */
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % limit;
}

/* ---- sending ---------------------------------------------------------------------------------*/

static void message_send(const struct message *message)
{
    struct pair *pair = message->pair;
    unsigned char fingerprint[FINGERPRINT_BYTES] = {0};
    char key[17];
    sqlite3_stmt *statement;

    (void)snprintf(key, sizeof key, "%016llx", (unsigned long long)message->id);
    if (has_key) {
        statement = bound(SENT_KEY_FIND, pair->sender.own->id, 0);
        (void)sqlite3_bind_text(statement, 2, key, -1, SQLITE_STATIC);
        check(!step(statement), "a key that is there");
        (void)sqlite3_reset(statement);
    }
    if (content_is_long) {
        statement = bound(CONTENT_ADD, message->id, 2);
        (void)sqlite3_bind_text(statement, 3, content, -1, SQLITE_STATIC);
        run(CONTENT_ADD);
    }
    if (pair->sender.own->id < pair->recipient.own->id) {
        side_append(message, &pair->sender, true);
        side_append(message, &pair->recipient, false);
    } else {
        side_append(message, &pair->recipient, false);
        side_append(message, &pair->sender, true);
    }
    if (has_key) {
        statement = bound(RECENT_ADD, pair->sender.own->id, 0);
        (void)sqlite3_bind_text(statement, 2, key, -1, SQLITE_STATIC);
        (void)sqlite3_bind_blob(statement, 3, fingerprint, FINGERPRINT_BYTES, SQLITE_STATIC);
        (void)sqlite3_bind_int64(statement, 4, message->id);
        (void)sqlite3_bind_int64(statement, 5, message->now_ms);
        run(RECENT_ADD);
        check(recent_count < sizeof recent / sizeof recent[0], "too many recent keys");
        recent[recent_count++] = (struct recent){pair->sender.own->id, message->id};
    }
}

/* Two pairs of the same accounts have two memories of one conversation, which is right but for
 * its numbers; the work is the same. */
static void side_append(const struct message *message, struct side *side, bool is_sender)
{
    struct account *own = side->own;
    sqlite3_stmt *statement;

    if (side->last_seq < 0) {
        statement = bound(CONVERSATION_FIND, own->id, side->other_id);
        side->last_seq = 0;
        if (step(statement)) {
            side->last_seq = sqlite3_column_int64(statement, 0);
            side->received = sqlite3_column_int64(statement, 1);
            side->read = sqlite3_column_int64(statement, 2);
        }
        (void)sqlite3_reset(statement);
    }
    if (own->head_seq < 0) {
        statement = bound(HEAD_FIND, own->id, 0);
        own->head_seq = step(statement) ? sqlite3_column_int64(statement, 0) : 0;
        (void)sqlite3_reset(statement);
    }
    side->received += is_sender ? 0 : 1;
    own->head_seq++;

    statement = bound(ENTRY_ADD, own->id, own->head_seq);
    (void)sqlite3_bind_int64(statement, 3, is_sender ? 1 : 2);
    (void)sqlite3_bind_int64(statement, 4, side->other_id);
    (void)sqlite3_bind_int64(statement, 5, side->last_seq);
    (void)sqlite3_bind_int64(statement, 6, message->id);
    (void)sqlite3_bind_int64(statement, 7, side->received);
    (void)sqlite3_bind_int64(statement, 8, message->now_ms);
    if (!content_is_long) {
        (void)sqlite3_bind_text(statement, 9, content, -1, SQLITE_STATIC);
    }
    run(ENTRY_ADD);
    side->last_seq = own->head_seq;

    statement = bound(CONVERSATION_SET, own->id, side->other_id);
    (void)sqlite3_bind_int64(statement, 3, side->last_seq);
    (void)sqlite3_bind_int64(statement, 4, side->received);
    (void)sqlite3_bind_int64(statement, 5, side->read);
    run(CONVERSATION_SET);
}

/* As sent_keys_move does it, with a commit that adds so many. */
static void keys_move(size_t added)
{
    if (moving_count == 0 && recent_count >= RECENT_KEYS_DUE) {
        memcpy(moving, recent, recent_count * sizeof recent[0]);
        moving_count = recent_count;
        moving_at = 0;
        moving_to = recent[recent_count - 1].message_id;
        recent_count = 0;
        qsort(moving, moving_count, sizeof moving[0], by_account);
    }
    for (size_t i = 0; moving_count > 0 && i < 2 * added; i++) {
        if (moving_at == moving_count) {
            (void)bound(RECENT_REMOVE, moving_to, (int64_t)(8 * added));
            run(RECENT_REMOVE);
            moving_count = sqlite3_changes(database) < (int)(8 * added) ? 0 : moving_count;
            return;
        }
        (void)bound(RECENT_COPY, moving[moving_at++].message_id, 0);
        run(RECENT_COPY);
    }
}

static int by_account(const void *left, const void *right)
{
    const struct recent *one = left;
    const struct recent *other = right;

    return (one->account_id > other->account_id) - (one->account_id < other->account_id);
}

static void commit(int64_t next_message_id, size_t added)
{
    sqlite3_stmt *statement = statements[COUNTER_SET];

    keys_move(has_key ? added : 0);
    (void)sqlite3_bind_text(statement, 1, "next_message_id", -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(statement, 2, next_message_id);
    run(COUNTER_SET);
    run(COMMIT);
    if (wal_frames - wal_frames_copied >= CHECKPOINT_AT_FRAMES) {
        check(sqlite3_wal_checkpoint_v2(database, NULL, SQLITE_CHECKPOINT_PASSIVE, &wal_frames,
                                        &wal_frames_copied) == SQLITE_OK,
              "checkpoint");
    }
}

static sqlite3_stmt *bound(enum statement statement, int64_t first, int64_t second)
{
    (void)sqlite3_bind_int64(statements[statement], 1, first);
    if (sqlite3_bind_parameter_count(statements[statement]) > 1) {
        (void)sqlite3_bind_int64(statements[statement], 2, second);
    }
    return statements[statement];
}

static bool step(sqlite3_stmt *statement)
{
    int code = sqlite3_step(statement);

    check(code == SQLITE_ROW || code == SQLITE_DONE, sqlite3_sql(statement));
    return code == SQLITE_ROW;
}

static void run(enum statement statement)
{
    check(!step(statements[statement]), sql[statement]);
    (void)sqlite3_reset(statements[statement]);
    (void)sqlite3_clear_bindings(statements[statement]);
}

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec now;

    (void)clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

static int ascending(const void *left, const void *right)
{
    uint64_t first = *(const uint64_t *)left;
    uint64_t second = *(const uint64_t *)right;

    return first < second ? -1 : first > second;
}
