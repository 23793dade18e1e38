/* invites.c - invites, found by the digest of their code, listed by id. */
#include "store/sqlite/connection.h"

static const char INVITE_ADD[] =
    "INSERT INTO invite(id, code_digest, uses_left, created_at_ms, expires_at_ms)"
    " VALUES(?1, ?2, ?3, ?4, ?5)";
static const char INVITE_FIND[] = "SELECT id, uses_left, created_at_ms, expires_at_ms FROM invite"
                                  " WHERE code_digest = ?1";
static const char INVITE_LIST[] = "SELECT id, uses_left, created_at_ms, expires_at_ms FROM invite"
                                  " WHERE id > ?1 ORDER BY id LIMIT ?2";
static const char INVITE_USE[] = "UPDATE invite SET uses_left = uses_left - 1 WHERE id = ?1";
static const char INVITE_IS_THERE[] = "SELECT 1 FROM invite WHERE id = ?1";
static const char INVITE_DELETE[] = "DELETE FROM invite WHERE id = ?1";

static struct invite invite_of(struct query *query);

enum error store_invite_add(struct store *store, const struct sha256 *code_digest,
                            const struct invite *invite, int64_t *out_id)
{
    struct query query;
    int64_t id = 0;
    enum error error = counter_take(store, COUNTER_INVITE, &id);

    if (error != OK) {
        return error;
    }
    query = query_write(store, INVITE_ADD);
    query_bind_int(&query, id);
    query_bind_bytes(&query, code_digest->bytes, sizeof code_digest->bytes);
    query_bind_int(&query, invite->uses_left);
    query_bind_int(&query, invite->created_at_ms);
    query_bind_int(&query, invite->expires_at_ms);
    error = query_run(&query);
    if (error == OK) {
        *out_id = id;
    }
    return error;
}

enum error store_invite_find(struct store *store, const struct sha256 *code_digest, bool *out_found,
                             struct invite *out_invite)
{
    struct query query = query_read(store, INVITE_FIND);
    struct invite invite = {0};
    bool is_found;
    enum error error;

    query_bind_bytes(&query, code_digest->bytes, sizeof code_digest->bytes);
    is_found = query_step(&query);
    if (is_found) {
        invite = invite_of(&query);
    }
    error = query_end(&query);
    if (error != OK) {
        return error;
    }
    *out_found = is_found;
    if (is_found) {
        *out_invite = invite;
    }
    return OK;
}

enum error store_invite_list(struct store *store, int64_t after_id, size_t max, struct arena *arena,
                             struct invite **out_invites, size_t *out_count)
{
    struct query query = query_read(store, INVITE_LIST);
    struct invite *invites = NULL;
    size_t count = 0;
    size_t capacity = 0;
    enum error error;

    query_bind_int(&query, after_id);
    query_bind_int(&query, (int64_t)max);
    while (query_step(&query)) {
        invites = rows_reserve(arena, invites, count, &capacity, sizeof *invites);
        invites[count++] = invite_of(&query);
    }
    error = query_end(&query);
    if (error != OK) {
        return error;
    }
    *out_invites = invites;
    *out_count = count;
    return OK;
}

static struct invite invite_of(struct query *query)
{
    return (struct invite){
        .id = query_int(query, 0),
        .uses_left = query_int(query, 1),
        .created_at_ms = query_int(query, 2),
        .expires_at_ms = query_int(query, 3),
    };
}

enum error store_invite_use(struct store *store, int64_t invite_id)
{
    struct query query = query_write(store, INVITE_USE);

    query_bind_int(&query, invite_id);
    return query_run(&query);
}

enum error store_invite_delete(struct store *store, int64_t invite_id, bool *out_found)
{
    struct query query = query_read(store, INVITE_IS_THERE);
    bool is_there;
    enum error error;

    query_bind_int(&query, invite_id);
    is_there = query_step(&query);
    error = query_end(&query);
    if (error == OK && is_there) {
        query = query_write(store, INVITE_DELETE);
        query_bind_int(&query, invite_id);
        error = query_run(&query);
    }
    if (error == OK) {
        *out_found = is_there;
    }
    return error;
}
