/* recent_keys.c - an array in the order of arrival, and a table of slots with open addressing. */
#include "store/sqlite/recent_keys.h"

#include <stdlib.h>
#include <string.h>

#include "base/fingerprint.h"
#include "base/random.h"
#include "base/require.h"

#define CAPACITY_FIRST 256u /* a power of two */
#define SLOTS_PER_KEY 2u
#define SECRET_BYTES 16u

struct recent_key {
    uint64_t hash; /* of account and key, seeded: clients choose keys */
    int64_t account_id;
    int64_t message_id;
};

struct recent_keys {
    struct recent_key *keys;
    uint32_t *slots; /* 1 + the place in `keys`, or 0 */
    size_t count;
    size_t capacity; /* a power of two, or 0 */
    size_t due;
    size_t added;
    bool is_loaded;
    bool is_just_loaded;
    char secret[SECRET_BYTES];

    struct recent_key *moving; /* NULL: none are */
    size_t moving_count;
    size_t moving_at;
    int64_t moving_to;
};

static void room_make(struct recent_keys *keys);
static void slots_fill(struct recent_keys *keys);
static void slot_take(struct recent_keys *keys, size_t at);
static uint64_t hash_of(const struct recent_keys *keys, int64_t account_id, struct str key);
static size_t slot_mask(const struct recent_keys *keys);
static int by_account(const void *one, const void *other);
static void moving_end(struct recent_keys *keys);

struct recent_keys *recent_keys_new(size_t due)
{
    struct recent_keys *keys = calloc(1, sizeof *keys);

    REQUIRE(keys != NULL);
    keys->due = due == 0 ? RECENT_KEYS_DUE : due;
    random_fill(keys->secret, sizeof keys->secret);
    return keys;
}

void recent_keys_free(struct recent_keys *keys)
{
    if (keys != NULL) {
        recent_keys_forget(keys);
        free(keys);
    }
}

void recent_keys_forget(struct recent_keys *keys)
{
    if (keys == NULL) {
        return;
    }
    moving_end(keys);
    free(keys->keys);
    free(keys->slots);
    keys->keys = NULL;
    keys->slots = NULL;
    keys->count = 0;
    keys->capacity = 0;
    keys->added = 0;
    keys->is_loaded = false;
}

bool recent_keys_is_loaded(const struct recent_keys *keys)
{
    return keys->is_loaded;
}

void recent_keys_set_loaded(struct recent_keys *keys)
{
    keys->is_loaded = true;
    keys->is_just_loaded = true;
    keys->added = 0;
}

bool recent_keys_take_loaded(struct recent_keys *keys)
{
    bool is_just_loaded = keys->is_just_loaded;

    keys->is_just_loaded = false;
    return is_just_loaded;
}

void recent_keys_add(struct recent_keys *keys, int64_t account_id, struct str key,
                     int64_t message_id)
{
    room_make(keys);
    keys->keys[keys->count] = (struct recent_key){
        .hash = hash_of(keys, account_id, key),
        .account_id = account_id,
        .message_id = message_id,
    };
    slot_take(keys, keys->count);
    keys->count++;
    keys->added++;
}

static void room_make(struct recent_keys *keys)
{
    if (keys->count < keys->capacity) {
        return;
    }
    size_t capacity = keys->capacity == 0 ? CAPACITY_FIRST : 2 * keys->capacity;
    struct recent_key *larger = realloc(keys->keys, capacity * sizeof *larger);
    uint32_t *slots = calloc(capacity * SLOTS_PER_KEY, sizeof *slots);

    REQUIRE(larger != NULL && slots != NULL);
    free(keys->slots);
    keys->keys = larger;
    keys->slots = slots;
    keys->capacity = capacity;
    slots_fill(keys);
}

static void slots_fill(struct recent_keys *keys)
{
    for (size_t i = 0; i < keys->count; i++) {
        slot_take(keys, i);
    }
}

static void slot_take(struct recent_keys *keys, size_t at)
{
    size_t place = keys->keys[at].hash & slot_mask(keys);

    while (keys->slots[place] != 0) {
        place = (place + 1) & slot_mask(keys);
    }
    keys->slots[place] = (uint32_t)at + 1;
}

static uint64_t hash_of(const struct recent_keys *keys, int64_t account_id, struct str key)
{
    char seed[SECRET_BYTES + sizeof account_id];
    struct fingerprint fingerprint;
    uint64_t hash;

    memcpy(seed, keys->secret, SECRET_BYTES);
    memcpy(seed + SECRET_BYTES, &account_id, sizeof account_id);
    fingerprint_of_pair((struct str){seed, sizeof seed}, key, &fingerprint);
    memcpy(&hash, fingerprint.bytes, sizeof hash);
    return hash;
}

static size_t slot_mask(const struct recent_keys *keys)
{
    return keys->capacity * SLOTS_PER_KEY - 1;
}

/* ---- looking ---------------------------------------------------------------------------------*/

struct recent_look recent_keys_look(const struct recent_keys *keys, int64_t account_id,
                                    struct str key)
{
    struct recent_look look = {0};

    if (keys->count > 0) {
        look.hash = hash_of(keys, account_id, key);
        look.place = look.hash & slot_mask(keys);
    }
    return look;
}

bool recent_keys_next(const struct recent_keys *keys, struct recent_look *look,
                      int64_t *out_message_id)
{
    while (keys->count > 0 && keys->slots[look->place] != 0) {
        const struct recent_key *found = &keys->keys[keys->slots[look->place] - 1];

        look->place = (look->place + 1) & slot_mask(keys);
        if (found->hash == look->hash) {
            *out_message_id = found->message_id;
            return true;
        }
    }
    return false;
}

/* ---- moving ----------------------------------------------------------------------------------*/

size_t recent_keys_take_added(struct recent_keys *keys)
{
    size_t added = keys->added;

    keys->added = 0;
    return added;
}

bool recent_keys_are_due(const struct recent_keys *keys)
{
    return keys->moving == NULL && keys->count >= keys->due;
}

void recent_keys_move(struct recent_keys *keys, int64_t last_message_id)
{
    REQUIRE(keys->moving == NULL && keys->count > 0);
    keys->moving = malloc(keys->count * sizeof *keys->moving);
    REQUIRE(keys->moving != NULL);
    keys->moving_count = 0;
    keys->moving_at = 0;
    keys->moving_to = last_message_id;
    for (size_t i = 0; i < keys->count; i++) {
        if (keys->keys[i].message_id <= last_message_id) {
            keys->moving[keys->moving_count++] = keys->keys[i];
        }
    }
    qsort(keys->moving, keys->moving_count, sizeof *keys->moving, by_account);
}

static int by_account(const void *one, const void *other)
{
    const struct recent_key *first = one;
    const struct recent_key *second = other;

    if (first->account_id != second->account_id) {
        return first->account_id < second->account_id ? -1 : 1;
    }
    return (first->message_id > second->message_id) - (first->message_id < second->message_id);
}

bool recent_keys_are_moving(const struct recent_keys *keys)
{
    return keys->moving != NULL;
}

int64_t recent_keys_moving_to(const struct recent_keys *keys)
{
    return keys->moving_to;
}

bool recent_keys_take_moving(struct recent_keys *keys, int64_t *out_message_id)
{
    if (keys->moving_at == keys->moving_count) {
        return false;
    }
    *out_message_id = keys->moving[keys->moving_at++].message_id;
    return true;
}

void recent_keys_drop_moved(struct recent_keys *keys)
{
    size_t kept = 0;

    for (size_t i = 0; i < keys->count; i++) {
        if (keys->keys[i].message_id > keys->moving_to) {
            keys->keys[kept++] = keys->keys[i];
        }
    }
    keys->count = kept;
    memset(keys->slots, 0, keys->capacity * SLOTS_PER_KEY * sizeof *keys->slots);
    slots_fill(keys);
    moving_end(keys);
}

static void moving_end(struct recent_keys *keys)
{
    free(keys->moving);
    keys->moving = NULL;
    keys->moving_count = 0;
    keys->moving_at = 0;
}
