/* scripted_run.c - the domain's own calls, chosen by the seed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fault/scripted_run.h"

#include <ftw.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "domain/account.h"
#include "domain/block.h"
#include "domain/chore.h"
#include "domain/key.h"
#include "domain/message.h"
#include "domain/session.h"
#include "fault/memory_disk.h"
#include "store/sqlite/check.h"
#include "store/sqlite/connection.h"

#define NOW_MS 1762171200123 /* 2025-11-03T12:00:00.123Z */
#define UNITS_MAX 6u
/* So that keys are moved all the time. */
#define RECENT_KEYS 3u
#define TEXT_MAX_BYTES 450000u
#define TEXT_LONG_BYTES 30000u
#define TEXT_USUAL_BYTES 300u
#define HASH "$2b$04$abcdefghijklmnopqrstuv"

/* What a visitor of the walk is given. */
struct run_visit {
    struct scripted_run *run;
    enum error error;
};

static int file_remove(const char *path, const struct stat *found, int kind, struct FTW *place);
static enum error unit_run(struct scripted_run *run);
static void done_take_back(struct scripted_run *run, const struct scripted_run *before);
static size_t kind_chosen(struct scripted_run *run);
static enum error account_make(struct scripted_run *run);
static enum error account_end(struct scripted_run *run);
static enum error account_name_change(struct scripted_run *run);
static enum error keys_upload(struct scripted_run *run);
static enum error prekey_claim(struct scripted_run *run);
static enum error session_change(struct scripted_run *run);
static enum error account_block(struct scripted_run *run);
static enum error account_unblock(struct scripted_run *run);
static enum error conversation_mark(struct scripted_run *run);
static enum error message_write(struct scripted_run *run);
static struct scripted_account *anybody(struct scripted_run *run);
static enum error walk_to_end(struct scripted_run *run);
static enum error visit_to_end(struct scripted_run *run);
static bool on_entry(void *argument, const struct entry *entry);
static void digest_add(uint64_t *digest, const void *bytes, size_t len);
static int digest_find(const struct scripted_run *run, uint64_t *out_digest);
static int digest_add_table(sqlite3 *database, const char *table, uint64_t *digest);

enum { KIND_MAKE, KIND_END };

static const struct {
    const char *name;
    unsigned chance; /* of a hundred; the last has the rest */
    enum error (*run)(struct scripted_run *run);
} kinds[RUN_KINDS] = {
    [KIND_MAKE] = {"accounts made", 4, account_make},
    [KIND_END] = {"deleted", 2, account_end},
    {"renamed", 4, account_name_change},
    {"keys uploaded", 3, keys_upload},
    {"claimed", 5, prekey_claim},
    {"sessions", 6, session_change},
    {"blocks", 6, account_block},
    {"unblocked", 4, account_unblock},
    {"marked read", 6, conversation_mark},
    {"messages", 0, message_write},
};

void run_init(struct scripted_run *run, uint64_t seed)
{
    const char *base = getenv("TMPDIR");

    memset(run, 0, sizeof *run);
    (void)snprintf(run->folder, sizeof run->folder, "%s/migchat-fault-XXXXXX",
                   base == NULL ? P_tmpdir : base);
    assert_non_null(mkdtemp(run->folder));
    (void)snprintf(run->path, sizeof run->path, "%s/test.db", run->folder);
    arena_init(&run->arena);
    run->chance = seed;
    run->cache_kib = 1024;
    run->now_ms = NOW_MS;
}

void run_release(struct scripted_run *run)
{
    run_close(run);
    run_folder_empty(run);
    (void)remove(run->folder);
    arena_release(&run->arena);
}

void run_folder_empty(const struct scripted_run *run)
{
    (void)nftw(run->folder, file_remove, 8, FTW_DEPTH | FTW_PHYS);
}

static int file_remove(const char *path, const struct stat *found, int kind, struct FTW *place)
{
    (void)found;
    (void)kind;
    return place->level == 0 ? 0 : remove(path);
}

enum error run_open(struct scripted_run *run)
{
    struct store_settings settings = {
        .path = run->path,
        .syncs_every_commit = true,
        .writer_cache_kib = run->cache_kib,
        .reader_cache_kib = run->cache_kib,
        .recent_keys_due = RECENT_KEYS,
    };
    bool in_memory = false;
    enum error error = store_home_open(&settings, &run->home, &in_memory);

    if (error == OK) {
        error = store_open(run->home, STORE_READ_WRITE, &run->writer);
    }
    if (error == OK) {
        error = store_open(run->home, STORE_READ_ONLY, &run->reader);
    }
    if (error != OK) {
        run_close(run);
    }
    return error;
}

void run_close(struct scripted_run *run)
{
    store_close(run->reader);
    store_close(run->writer);
    store_home_close(run->home);
    run->reader = NULL;
    run->writer = NULL;
    run->home = NULL;
}

/* ---- what it does ----------------------------------------------------------------------------*/

enum error run_batch(struct scripted_run *run)
{
    struct scripted_run before = *run;
    size_t count = 1 + (size_t)chance_below(&run->chance, UNITS_MAX);
    enum error error = store_batch_begin(run->writer);

    if (error != OK) {
        return error;
    }
    run->now_ms += 1000;
    for (size_t i = 0; i < count && error == OK; i++) {
        error = unit_run(run);
    }
    if (error == OK) {
        error = store_batch_commit(run->writer);
    } else {
        store_batch_rollback(run->writer);
    }
    arena_clear(&run->arena);
    if (error != OK) {
        done_take_back(run, &before);
    }
    return error;
}

/* As api/dispatch.c does it: one that fails is undone and the batch goes on, where that can be. */
static enum error unit_run(struct scripted_run *run)
{
    struct scripted_run before = *run;
    size_t kind = kind_chosen(run);
    enum unit_form form = chance_below(&run->chance, 2) == 0 ? UNIT_BARE : UNIT_SAVED;

    store_unit_begin(run->writer, form);
    enum error error = kinds[kind].run(run);

    if (error == OK) {
        run->done[kind] += store_unit_has_written(run->writer) ? 1 : 0;
        return store_unit_keep(run->writer);
    }
    if (store_batch_is_lost(run->writer) ||
        (form == UNIT_BARE && store_unit_has_written(run->writer))) {
        return error;
    }
    done_take_back(run, &before);
    return store_unit_undo(run->writer);
}

/* Another try may do something else: names and chance go on. */
static void done_take_back(struct scripted_run *run, const struct scripted_run *before)
{
    memcpy(run->accounts, before->accounts, sizeof run->accounts);
    run->account_count = before->account_count;
    memcpy(run->done, before->done, sizeof run->done);
}

static size_t kind_chosen(struct scripted_run *run)
{
    uint64_t act = chance_below(&run->chance, 100);
    size_t kind = 0;

    if (run->account_count < 3) {
        return KIND_MAKE;
    }
    while (kind < RUN_KINDS - 1 && act >= kinds[kind].chance) {
        act -= kinds[kind++].chance;
    }
    return kind == KIND_MAKE && run->account_count == RUN_ACCOUNTS_MAX ? KIND_END : kind;
}

void run_kinds_tell(const size_t *done)
{
    for (size_t i = 0; i < RUN_KINDS; i++) {
        print_message("%s%zu %s", i == 0 ? "units that wrote: " : ", ", done[i], kinds[i].name);
    }
    print_message("\n");
}

void run_kinds_check(const size_t *done)
{
    for (size_t i = 0; i < RUN_KINDS; i++) {
        if (done[i] == 0) {
            fail_msg("no unit did this: %s", kinds[i].name);
        }
    }
}

static enum error account_make(struct scripted_run *run)
{
    struct scripted_account *account = &run->accounts[run->account_count];
    struct session_issued issued;

    (void)snprintf(account->name, sizeof account->name, "name%u", ++run->names_given);
    enum error error = account_create(run->writer, str_from(account->name), STR(HASH), run->now_ms,
                                      &run->arena, &issued);

    if (error == OK) {
        account->id = issued.account_id;
        account->session_id = issued.session_id;
        run->account_count++;
    }
    return error;
}

static enum error account_end(struct scripted_run *run)
{
    struct scripted_account *account = anybody(run);
    enum error error =
        account_delete(run->writer, account->id, STR(HASH), run->now_ms, &run->arena);

    if (error == OK) {
        *account = run->accounts[--run->account_count];
    }
    return error;
}

static enum error account_name_change(struct scripted_run *run)
{
    struct scripted_account *account = anybody(run);
    char name[sizeof account->name];

    (void)snprintf(name, sizeof name, "name%u", ++run->names_given);
    enum error error =
        account_rename(run->writer, account->id, str_from(name), run->now_ms, &run->arena);

    if (error == OK) {
        memcpy(account->name, name, sizeof name);
    }
    return error == ERROR_NAMES_HELD ? OK : error;
}

static enum error message_write(struct scripted_run *run)
{
    static char text[TEXT_MAX_BYTES];
    struct scripted_account *sender = anybody(run);
    struct scripted_account *recipient = anybody(run);
    bool is_long = chance_below(&run->chance, 20) == 0;
    size_t len =
        1 + (size_t)chance_below(&run->chance, is_long ? TEXT_LONG_BYTES : TEXT_USUAL_BYTES);
    char key[24];
    struct message_sent sent;
    int64_t marked;

    if (run->writes_much) {
        len = TEXT_MAX_BYTES;
    }
    memset(text, (int)('a' + chance_below(&run->chance, 26)), len);
    (void)snprintf(key, sizeof key, "key%lld", (long long)chance_below(&run->chance, 1u << 30));
    struct message_draft draft = {
        .sender_id = sender->id,
        .to_username = str_from(recipient->name),
        .content = {text, len},
        .content_json = {text, len},
        .key = chance_below(&run->chance, 2) == 0 ? str_from(key) : (struct str){NULL, 0},
        .now_ms = run->now_ms,
    };
    enum error error = message_send(run->writer, &draft, &run->arena, &sent);

    if (error == OK && chance_below(&run->chance, 4) == 0) {
        error = message_mark_read(run->writer, recipient->id, sender->id, 0, run->now_ms,
                                  &run->arena, &marked);
    }
    return error;
}

static enum error keys_upload(struct scripted_run *run)
{
    struct scripted_account *account = anybody(run);
    struct key_bundle bundle = {STR("identity"), STR("prekey"), STR("signature")};
    struct str prekeys[20];
    char texts[20][24];

    for (size_t i = 0; i < 20; i++) {
        (void)snprintf(texts[i], sizeof texts[i], "k%llu",
                       (unsigned long long)chance_below(&run->chance, 1u << 30));
        prekeys[i] = str_from(texts[i]);
    }
    return key_publish(run->writer, account->id, &bundle, prekeys, 20, run->now_ms);
}

/* Of the first, from anybody on, who has keys. */
static enum error prekey_claim(struct scripted_run *run)
{
    size_t first = (size_t)chance_below(&run->chance, run->account_count);
    enum error error = ERROR_KEYS_NOT_FOUND;
    struct key_bundle bundle;
    struct str prekey;

    for (size_t i = 0; i < run->account_count && error == ERROR_KEYS_NOT_FOUND; i++) {
        const char *name = run->accounts[(first + i) % run->account_count].name;

        error = key_claim(run->writer, str_from(name), run->now_ms, &run->arena, &bundle, &prekey);
    }
    return error == ERROR_KEYS_NOT_FOUND ? OK : error;
}

static enum error session_change(struct scripted_run *run)
{
    struct scripted_account *account = anybody(run);
    struct session_issued issued;
    enum error error;

    if (account->session_id != 0) {
        error = session_end(run->writer, account->id, account->session_id, run->now_ms);
        account->session_id = error == OK ? 0 : account->session_id;
        return error;
    }
    error = session_issue(run->writer, account->id, str_from(account->name), STR("label"),
                          run->now_ms, &run->arena, &issued);
    account->session_id = error == OK ? issued.session_id : 0;
    return error;
}

static enum error account_block(struct scripted_run *run)
{
    struct scripted_account *account = anybody(run);
    struct scripted_account *other = anybody(run);
    enum error error =
        block_add(run->writer, account->id, str_from(other->name), run->now_ms, &run->arena);

    return error == ERROR_BLOCK_OF_ONESELF ? OK : error;
}

/* By the first, from anybody on, who blocks; also one who is deleted since. */
static enum error account_unblock(struct scripted_run *run)
{
    size_t first = (size_t)chance_below(&run->chance, run->account_count);
    const struct scripted_account *account = NULL;
    struct block *blocks = NULL;
    size_t count = 0;
    bool is_found = false;
    enum error error = OK;
    struct str name;

    for (size_t i = 0; i < run->account_count && error == OK && count == 0; i++) {
        account = &run->accounts[(first + i) % run->account_count];
        error = store_block_list(run->writer, account->id, &run->arena, &blocks, &count);
    }
    if (error != OK || count == 0) {
        return error;
    }
    error = store_account_name_find(run->writer, blocks[chance_below(&run->chance, count)].other_id,
                                    &run->arena, &is_found, &name);
    if (error != OK || !is_found) {
        return error;
    }
    return block_remove(run->writer, account->id, name, run->now_ms, &run->arena);
}

/* Where there is something unread, if anywhere: all of it, or up to an entry of the account's log,
 * which may be none of that conversation. */
static enum error conversation_mark(struct scripted_run *run)
{
    struct scripted_account *account = anybody(run);
    struct conversation_head *heads = NULL;
    size_t count = 0;
    bool is_found = false;
    int64_t marked;
    struct entry last;
    enum error error =
        store_conversation_list(run->writer, account->id, &run->arena, &heads, &count);

    if (error != OK || count == 0) {
        return error;
    }
    size_t chosen = (size_t)chance_below(&run->chance, count);

    for (size_t i = 0; i < count && heads[chosen].unread_count == 0; i++) {
        chosen = (chosen + 1) % count;
    }
    int64_t last_seq = heads[chosen].last_seq;

    error = store_entry_find(run->writer, account->id, last_seq, NULL, &is_found, &last);
    if (error != OK || !is_found || last_seq < 1) {
        return error;
    }
    int64_t up_to = chance_below(&run->chance, 2) == 0
                        ? 0
                        : 1 + (int64_t)chance_below(&run->chance, (uint64_t)last_seq);

    error = message_mark_read(run->writer, account->id, last.other_id, up_to, run->now_ms,
                              &run->arena, &marked);
    return error == ERROR_SEQ_NOT_ALLOWED ? OK : error;
}

static struct scripted_account *anybody(struct scripted_run *run)
{
    return &run->accounts[chance_below(&run->chance, run->account_count)];
}

enum error run_rest(struct scripted_run *run)
{
    bool more = false;
    enum error error = chore_run_slice(run->writer, &more);

    return error != OK ? error : store_rest(run->writer, true, &more);
}

/* ---- what it holds ---------------------------------------------------------------------------*/

uint64_t run_digest(const struct scripted_run *run)
{
    uint64_t digest = 0;

    assert_int_equal(digest_find(run, &digest), SQLITE_DONE);
    return digest;
}

bool run_digest_is(const struct scripted_run *run, uint64_t digest)
{
    uint64_t found = 0;

    return digest_find(run, &found) == SQLITE_DONE && found == digest;
}

/* SQLITE_DONE, or the error in the way. */
static int digest_find(const struct scripted_run *run, uint64_t *out_digest)
{
    sqlite3 *database = run->reader->database;
    sqlite3_stmt *tables = NULL;
    uint64_t digest = 0xcbf29ce484222325u;
    int code = sqlite3_prepare_v2(database,
                                  "SELECT name FROM sqlite_master WHERE type = 'table'"
                                  " ORDER BY name",
                                  -1, &tables, NULL);

    code = code == SQLITE_OK ? sqlite3_step(tables) : code;
    while (code == SQLITE_ROW) {
        code = digest_add_table(database, (const char *)sqlite3_column_text(tables, 0), &digest);
        code = code == SQLITE_DONE ? sqlite3_step(tables) : code;
    }
    (void)sqlite3_finalize(tables);
    *out_digest = digest;
    return code;
}

static int digest_add_table(sqlite3 *database, const char *table, uint64_t *digest)
{
    char sql[128];
    sqlite3_stmt *rows = NULL;
    int code;

    if (table == NULL) {
        return SQLITE_CORRUPT;
    }
    (void)snprintf(sql, sizeof sql, "SELECT * FROM \"%.90s\"", table);
    code = sqlite3_prepare_v2(database, sql, -1, &rows, NULL);
    digest_add(digest, table, strlen(table));
    while ((code = code == SQLITE_OK || code == SQLITE_ROW ? sqlite3_step(rows) : code) ==
           SQLITE_ROW) {
        for (int i = 0; i < sqlite3_column_count(rows); i++) {
            const void *bytes = sqlite3_column_blob(rows, i);
            size_t len = (size_t)sqlite3_column_bytes(rows, i);

            digest_add(digest, &len, sizeof len);
            if (len > 0) {
                digest_add(digest, bytes, len);
            }
        }
    }
    (void)sqlite3_finalize(rows);
    return code;
}

/* FNV-1a, eight bytes at once. */
static void digest_add(uint64_t *digest, const void *bytes, size_t len)
{
    const unsigned char *at = bytes;

    while (len > 0) {
        uint64_t word = 0;
        size_t part = len < sizeof word ? len : sizeof word;

        memcpy(&word, at, part);
        *digest = (*digest ^ word) * 0x100000001b3u;
        *digest ^= *digest >> 29;
        at += part;
        len -= part;
    }
}

enum error run_read_account(struct scripted_run *run, const struct scripted_account *account)
{
    struct store *store = run->reader;
    const struct message_walk messages = {.account_id = account->id, .before_seq = INT64_MAX};
    struct conversation_head *heads = NULL;
    struct session *sessions = NULL;
    struct block *blocks = NULL;
    struct account_totals totals;
    struct key_bundle bundle;
    struct account found;
    size_t count = 0;
    bool is_found = false;
    enum error error = store_account_find(store, account->id, &run->arena, &is_found, &found);

    if (error == OK) {
        error = store_conversation_list(store, account->id, &run->arena, &heads, &count);
    }
    if (error == OK) {
        error = store_session_list(store, account->id, &run->arena, &sessions, &count);
    }
    if (error == OK) {
        error = store_block_list(store, account->id, &run->arena, &blocks, &count);
    }
    if (error == OK) {
        error = store_key_bundle_find(store, account->id, &run->arena, &is_found, &bundle);
    }
    if (error == OK) {
        error = store_account_totals_find(store, account->id, &totals);
    }
    if (error == OK) {
        error = store_walk_begin(store, &messages);
    }
    if (error == OK) {
        error = walk_to_end(run);
    }
    if (error == OK) {
        error = store_walk_begin(store, &messages);
    }
    if (error == OK) {
        error = visit_to_end(run);
    }
    if (error == OK) {
        error = store_walk_begin_upwards(store, account->id, 0);
    }
    return error == OK ? walk_to_end(run) : error;
}

/* Every row, and the name of whom it is with. */
static enum error walk_to_end(struct scripted_run *run)
{
    bool is_found = true;
    struct entry entry;
    struct str name;
    enum error error = OK;

    while (error == OK && is_found) {
        error = store_walk_next(run->reader, &is_found, &entry);
        if (error == OK && is_found) {
            error =
                store_account_name_find(run->reader, entry.other_id, &run->arena, &is_found, &name);
            is_found = true;
        }
    }
    store_walk_end(run->reader);
    return error;
}

/* The same from within the walk's statement. */
static enum error visit_to_end(struct scripted_run *run)
{
    struct run_visit visit = {run, OK};
    enum error error = store_walk_each(run->reader, on_entry, &visit);

    store_walk_end(run->reader);
    return error == OK ? visit.error : error;
}

static bool on_entry(void *argument, const struct entry *entry)
{
    struct run_visit *visit = argument;
    struct scripted_run *run = visit->run;
    bool is_found = true;
    struct str name;

    visit->error =
        store_account_name_find(run->reader, entry->other_id, &run->arena, &is_found, &name);
    return visit->error == OK;
}

void run_verify(const struct scripted_run *run)
{
    struct store_summary summary;
    char reason[REASON_MAX_BYTES] = "";

    if (check_database(run->writer->database, &summary, reason) != OK) {
        fail_msg("not whole: %s", reason);
    }
}
