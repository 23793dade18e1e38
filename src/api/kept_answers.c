/* kept_answers.c - a hash table of answers in the order of their last use.
 *
 * 1. The key is the token and the target: two spellings of one list are two answers. The target is
 *    kept byte for byte. Of the token there are 128 bits of a hash with a random seed, so that a
 *    core dump has no tokens; SHA-256 would be a sixth of such an answer. Who does not know the
 *    token cannot aim at its hash, nor see it.
 * 2. An answer that is found outdated is dropped at once; one nobody asks for any more is dropped
 *    when its room is needed.
 * 3. The fields of an answer begin with those of the moment it shows (ETag, MigChat-Cursor); a 304
 *    has only these.
 */
#include "api/kept_answers.h"

#include <stdlib.h>
#include <string.h>

#include "api/moment.h"
#include "base/fingerprint.h"
#include "base/list.h"
#include "base/random.h"
#include "base/require.h"
#include "domain/session.h"

#define BUCKETS 4096u /* a power of two; a chain holds a few at the default limit */
/* Longer targets are not kept: pages of long names, each asked for once. */
#define TARGET_MAX_BYTES 512u
#define SEED_BYTES 16u

struct answer_key {
    struct fingerprint token;
    struct str target;
    uint64_t hash; /* of both */
};

struct kept_answer {
    struct list node;         /* in kept_answers.used, latest last */
    struct kept_answer *next; /* in its bucket */
    uint64_t hash;
    struct fingerprint token;
    uint64_t change; /* the last commit it shows */
    int64_t account_id;
    int64_t hour;      /* of the session's use that is noted */
    size_t size_bytes; /* of this struct with its text */
    uint32_t target_len;
    uint32_t tag_len;
    uint32_t moment_len; /* of the fields, the first ones */
    uint32_t fields_len;
    uint32_t body_len;
    bool has_body;
    char text[]; /* target, tag, fields, body */
};

struct kept_answers {
    const struct changes *changes;
    char seed[SEED_BYTES];
    size_t max_bytes;
    size_t bytes;
    size_t count;
    struct list used;
    struct kept_answer *buckets[BUCKETS];
};

static bool key_of(const struct kept_answers *kept, const struct exchange *exchange,
                   struct answer_key *out_key);
static struct kept_answer *answer_find(const struct kept_answers *kept,
                                       const struct answer_key *key);
static bool answer_is_current(const struct kept_answers *kept, const struct kept_answer *answer,
                              int64_t now_ms);
static bool answer_give(const struct kept_answer *answer, struct exchange *exchange);
static bool fields_split(struct str fields, struct str *out_tag, size_t *out_moment_len);
static struct kept_answer *answer_new(const struct exchange *exchange,
                                      const struct answer_key *key);
static void answer_add(struct kept_answers *kept, struct kept_answer *answer);
static void answer_drop(struct kept_answers *kept, struct kept_answer *answer);

struct kept_answers *kept_answers_new(size_t max_bytes, const struct changes *changes)
{
    struct kept_answers *kept = calloc(1, sizeof *kept);

    REQUIRE(kept != NULL);
    kept->changes = changes;
    kept->max_bytes = max_bytes;
    random_fill(kept->seed, sizeof kept->seed);
    list_init(&kept->used);
    return kept;
}

void kept_answers_free(struct kept_answers *kept)
{
    if (kept == NULL) {
        return;
    }
    while (!list_is_empty(&kept->used)) {
        answer_drop(kept, container_of(kept->used.next, struct kept_answer, node));
    }
    free(kept);
}

size_t kept_answers_bytes(const struct kept_answers *kept)
{
    return kept->bytes;
}

size_t kept_answers_count(const struct kept_answers *kept)
{
    return kept->count;
}

/* ---- giving ----------------------------------------------------------------------------------*/

bool kept_answers_recall(struct kept_answers *kept, struct exchange *exchange, int64_t now_ms)
{
    struct answer_key key;

    if (exchange->request.method > METHOD_HEAD || !exchange->route->needs_token ||
        kept->count == 0 || !key_of(kept, exchange, &key)) {
        return false;
    }
    struct kept_answer *answer = answer_find(kept, &key);
    if (answer == NULL) {
        return false;
    }
    if (!answer_is_current(kept, answer, now_ms)) {
        answer_drop(kept, answer);
        return false;
    }
    list_remove(&answer->node);
    list_append(&kept->used, &answer->node);
    exchange->account_id = answer->account_id;
    return answer_give(answer, exchange);
}

static bool key_of(const struct kept_answers *kept, const struct exchange *exchange,
                   struct answer_key *out_key)
{
    const uint64_t fnv_prime = 1099511628211u;
    struct str target = request_target(&exchange->request);
    struct str token;

    if (target.len > TARGET_MAX_BYTES || request_token(&exchange->request, &token) != OK) {
        return false;
    }
    fingerprint_of_pair((struct str){kept->seed, sizeof kept->seed}, token, &out_key->token);
    uint64_t hash;
    memcpy(&hash, out_key->token.bytes, sizeof hash);
    for (size_t i = 0; i < target.len; i++) {
        hash = (hash ^ (unsigned char)target.ptr[i]) * fnv_prime;
    }
    out_key->target = target;
    out_key->hash = hash;
    return true;
}

static struct kept_answer *answer_find(const struct kept_answers *kept,
                                       const struct answer_key *key)
{
    struct kept_answer *answer = kept->buckets[key->hash & (BUCKETS - 1)];

    while (answer != NULL && !(answer->hash == key->hash && answer->target_len == key->target.len &&
                               memcmp(&answer->token, &key->token, sizeof key->token) == 0 &&
                               memcmp(answer->text, key->target.ptr, key->target.len) == 0)) {
        answer = answer->next;
    }
    return answer;
}

static bool answer_is_current(const struct kept_answers *kept, const struct kept_answer *answer,
                              int64_t now_ms)
{
    return answer->hour == now_ms / SESSION_USED_GRAIN_MS &&
           !changes_since(kept->changes, answer->account_id, answer->change);
}

/* False when only an If-None-Match could be answered and there is none that matches. */
static bool answer_give(const struct kept_answer *answer, struct exchange *exchange)
{
    struct response *response = &exchange->response;
    struct str tag = {answer->text + answer->target_len, answer->tag_len};
    const char *fields = tag.ptr + tag.len;

    if (if_none_match_has(&exchange->request, tag)) {
        response->status = 304;
        response->type = CONTENT_NONE;
        buf_append(&response->fields, fields, answer->moment_len);
    } else if (answer->has_body) {
        response->status = 200;
        response->type = CONTENT_JSON;
        buf_append(&response->fields, fields, answer->fields_len);
        buf_append(&response->body, fields + answer->fields_len, answer->body_len);
    } else {
        return false;
    }
    exchange->is_done = true;
    return true;
}

/* ---- keeping ---------------------------------------------------------------------------------*/

void kept_answers_take(struct kept_answers *kept, const struct exchange *exchange, int64_t now_ms)
{
    struct answer_key key;

    if (!exchange->may_be_kept || kept->max_bytes == 0 || !key_of(kept, exchange, &key)) {
        return;
    }
    struct kept_answer *before = answer_find(kept, &key);
    if (before != NULL) {
        /* A 304 says no more than what is kept, while that is current. */
        if (exchange->response.status == 304 && answer_is_current(kept, before, now_ms)) {
            return;
        }
        answer_drop(kept, before);
    }
    struct kept_answer *answer = answer_new(exchange, &key);
    if (answer == NULL) {
        return;
    }
    answer->change = exchange->change;
    answer->account_id = exchange->account_id;
    answer->hour = exchange->read_at_ms / SESSION_USED_GRAIN_MS;
    if (answer->size_bytes > kept->max_bytes / 4) {
        free(answer);
        return;
    }
    answer_add(kept, answer);
}

static struct kept_answer *answer_new(const struct exchange *exchange, const struct answer_key *key)
{
    const struct response *response = &exchange->response;
    struct str fields = buf_str(&response->fields);
    bool has_body = response->status == 200 && !response->has_more;
    struct str body = has_body ? buf_str(&response->body) : (struct str){"", 0};
    size_t moment_len = 0;
    struct str tag;

    if (!fields_split(fields, &tag, &moment_len)) {
        return NULL;
    }
    size_t text_len = key->target.len + tag.len + fields.len + body.len;
    struct kept_answer *answer = malloc(sizeof *answer + text_len);

    REQUIRE(answer != NULL);
    *answer = (struct kept_answer){
        .hash = key->hash,
        .token = key->token,
        .size_bytes = sizeof *answer + text_len,
        .target_len = (uint32_t)key->target.len,
        .tag_len = (uint32_t)tag.len,
        .moment_len = (uint32_t)moment_len,
        .fields_len = (uint32_t)fields.len,
        .body_len = (uint32_t)body.len,
        .has_body = has_body,
    };
    const struct str parts[] = {key->target, tag, fields, body};
    char *at = answer->text;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (parts[i].len > 0) {
            memcpy(at, parts[i].ptr, parts[i].len);
            at += parts[i].len;
        }
    }
    return answer;
}

/* moment_answer writes them: "ETag: TAG" and "MigChat-Cursor: CURSOR", a line each. */
static bool fields_split(struct str fields, struct str *out_tag, size_t *out_moment_len)
{
    const struct str name = STR("ETag: ");
    struct str rest = fields;

    if (!str_starts_with(fields, name)) {
        return false;
    }
    struct str tag = str_cut(&rest, '\r');
    struct str cursor = str_cut(&rest, '\r');
    if (rest.ptr == NULL || cursor.ptr == NULL) {
        return false;
    }
    *out_tag = (struct str){tag.ptr + name.len, tag.len - name.len};
    *out_moment_len = (size_t)(rest.ptr + 1 - fields.ptr);
    return true;
}

static void answer_add(struct kept_answers *kept, struct kept_answer *answer)
{
    struct kept_answer **bucket = &kept->buckets[answer->hash & (BUCKETS - 1)];

    while (kept->bytes + answer->size_bytes > kept->max_bytes) {
        answer_drop(kept, container_of(kept->used.next, struct kept_answer, node));
    }
    answer->next = *bucket;
    *bucket = answer;
    list_append(&kept->used, &answer->node);
    kept->bytes += answer->size_bytes;
    kept->count++;
}

static void answer_drop(struct kept_answers *kept, struct kept_answer *answer)
{
    struct kept_answer **link = &kept->buckets[answer->hash & (BUCKETS - 1)];

    while (*link != answer) {
        link = &(*link)->next;
    }
    *link = answer->next;
    list_remove(&answer->node);
    kept->bytes -= answer->size_bytes;
    kept->count--;
    free(answer);
}
