/* known.c - four tables of slots. A slot counts while it has its table's generation; forgetting is
 * the next generation.
 */
#include "store/sqlite/known.h"

#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "base/require.h"

struct head_slot {
    int64_t account_id;
    struct log_head head;
    uint64_t generation;
};

enum block_answer { BLOCK_NOT_ASKED, BLOCK_IS_NOT, BLOCK_IS };

struct conversation_slot {
    int64_t account_id;
    struct conversation conversation;
    uint64_t generation;
    enum block_answer block;
};

struct session_slot {
    struct sha256 token_digest;
    int64_t id;
    int64_t account_id;
    int64_t created_at_ms;
    int64_t last_used_at_ms;
    uint64_t generation;
};

struct name_slot {
    int64_t account_id;
    int64_t held_until_ms;
    uint64_t generation;
    uint8_t state;
    uint8_t len; /* of name and of folded */
    char name[KNOWN_NAME_BYTES];
    char folded[KNOWN_NAME_BYTES];
};

struct known {
    /* Never 0, which is what untouched slots have; 64 bits do not wrap. */
    uint64_t rows_generation; /* of heads and conversations */
    uint64_t sessions_generation;
    uint64_t names_generation;
    struct head_slot heads[KNOWN_HEADS];
    struct conversation_slot conversations[KNOWN_CONVERSATIONS];
    struct session_slot sessions[KNOWN_SESSIONS];
    struct name_slot names[KNOWN_NAMES];
};

static size_t conversation_place(int64_t account_id, int64_t other_id);
static bool slot_is_of(const struct known *known, const struct conversation_slot *slot,
                       int64_t account_id, int64_t other_id);
static size_t session_place(const struct sha256 *token_digest);
static size_t name_place(struct str folded);

struct known *known_new(void)
{
    struct known *known = calloc(1, sizeof *known);

    REQUIRE(known != NULL);
    known->rows_generation = 1;
    known->sessions_generation = 1;
    known->names_generation = 1;
    return known;
}

void known_free(struct known *known)
{
    free(known);
}

void known_forget(struct known *known)
{
    if (known != NULL) {
        known->rows_generation++;
        known->sessions_generation++;
        known->names_generation++;
    }
}

/* Once an hour a session, so a walk over all slots does. */
void known_forget_session(struct known *known, int64_t session_id)
{
    for (size_t i = 0; known != NULL && i < KNOWN_SESSIONS; i++) {
        if (known->sessions[i].id == session_id) {
            known->sessions[i].generation = 0;
        }
    }
}

void known_forget_names(struct known *known)
{
    if (known != NULL) {
        known->names_generation++;
    }
}

/* ---- heads -----------------------------------------------------------------------------------*/

bool known_head_find(const struct known *known, int64_t account_id, struct log_head *out_head)
{
    if (known == NULL) {
        return false;
    }
    const struct head_slot *slot = &known->heads[(uint64_t)account_id % KNOWN_HEADS];

    if (slot->generation != known->rows_generation || slot->account_id != account_id) {
        return false;
    }
    *out_head = slot->head;
    return true;
}

void known_head_set(struct known *known, int64_t account_id, const struct log_head *head)
{
    if (known != NULL) {
        known->heads[(uint64_t)account_id % KNOWN_HEADS] = (struct head_slot){
            .account_id = account_id, .head = *head, .generation = known->rows_generation};
    }
}

/* ---- conversations ---------------------------------------------------------------------------*/

bool known_conversation_find(const struct known *known, int64_t account_id, int64_t other_id,
                             struct conversation *out_conversation)
{
    if (known == NULL) {
        return false;
    }
    const struct conversation_slot *slot =
        &known->conversations[conversation_place(account_id, other_id)];

    if (!slot_is_of(known, slot, account_id, other_id)) {
        return false;
    }
    *out_conversation = slot->conversation;
    return true;
}

void known_conversation_set(struct known *known, int64_t account_id,
                            const struct conversation *conversation)
{
    if (known == NULL) {
        return;
    }
    struct conversation_slot *slot =
        &known->conversations[conversation_place(account_id, conversation->other_id)];

    if (!slot_is_of(known, slot, account_id, conversation->other_id)) {
        slot->account_id = account_id;
        slot->generation = known->rows_generation;
        slot->block = BLOCK_NOT_ASKED;
    }
    slot->conversation = *conversation;
}

bool known_block_find(const struct known *known, int64_t account_id, int64_t other_id,
                      bool *out_is_blocked)
{
    if (known == NULL) {
        return false;
    }
    const struct conversation_slot *slot =
        &known->conversations[conversation_place(account_id, other_id)];

    if (!slot_is_of(known, slot, account_id, other_id) || slot->block == BLOCK_NOT_ASKED) {
        return false;
    }
    *out_is_blocked = slot->block == BLOCK_IS;
    return true;
}

void known_block_set(struct known *known, int64_t account_id, int64_t other_id, bool is_blocked)
{
    if (known == NULL) {
        return;
    }
    struct conversation_slot *slot =
        &known->conversations[conversation_place(account_id, other_id)];

    if (slot_is_of(known, slot, account_id, other_id)) {
        slot->block = is_blocked ? BLOCK_IS : BLOCK_IS_NOT;
    }
}

static bool slot_is_of(const struct known *known, const struct conversation_slot *slot,
                       int64_t account_id, int64_t other_id)
{
    return slot->generation == known->rows_generation && slot->account_id == account_id &&
           slot->conversation.other_id == other_id;
}

/* Ids are small and dense; places should not be. */
static size_t conversation_place(int64_t account_id, int64_t other_id)
{
    return number_mixed(number_mixed((uint64_t)account_id) + (uint64_t)other_id) %
           KNOWN_CONVERSATIONS;
}

/* ---- sessions --------------------------------------------------------------------------------*/

bool known_session_find(const struct known *known, const struct sha256 *token_digest,
                        struct session *out_session)
{
    if (known == NULL) {
        return false;
    }
    const struct session_slot *slot = &known->sessions[session_place(token_digest)];

    if (slot->generation != known->sessions_generation ||
        memcmp(slot->token_digest.bytes, token_digest->bytes, SHA256_LEN) != 0) {
        return false;
    }
    *out_session = (struct session){
        .id = slot->id,
        .account_id = slot->account_id,
        .created_at_ms = slot->created_at_ms,
        .last_used_at_ms = slot->last_used_at_ms,
    };
    return true;
}

void known_session_set(struct known *known, const struct sha256 *token_digest,
                       const struct session *session)
{
    if (known != NULL) {
        known->sessions[session_place(token_digest)] =
            (struct session_slot){.token_digest = *token_digest,
                                  .id = session->id,
                                  .account_id = session->account_id,
                                  .created_at_ms = session->created_at_ms,
                                  .last_used_at_ms = session->last_used_at_ms,
                                  .generation = known->sessions_generation};
    }
}

static size_t session_place(const struct sha256 *token_digest)
{
    uint32_t start;

    memcpy(&start, token_digest->bytes, sizeof start);
    return start % KNOWN_SESSIONS;
}

/* ---- names -----------------------------------------------------------------------------------*/

bool known_name_find(const struct known *known, struct str folded, struct arena *arena,
                     struct name_row *out_row)
{
    if (known == NULL || folded.len > KNOWN_NAME_BYTES) {
        return false;
    }
    const struct name_slot *slot = &known->names[name_place(folded)];

    if (slot->generation != known->names_generation ||
        !str_equal((struct str){slot->folded, slot->len}, folded)) {
        return false;
    }
    *out_row = (struct name_row){
        .name = arena_copy(arena, (struct str){slot->name, slot->len}),
        .folded = arena_copy(arena, (struct str){slot->folded, slot->len}),
        .account_id = slot->account_id,
        .state = (enum name_state)slot->state,
        .held_until_ms = slot->held_until_ms,
    };
    return true;
}

void known_name_set(struct known *known, const struct name_row *row)
{
    if (known == NULL || row->folded.len > KNOWN_NAME_BYTES || row->name.len != row->folded.len) {
        return;
    }
    struct name_slot *slot = &known->names[name_place(row->folded)];

    slot->account_id = row->account_id;
    slot->held_until_ms = row->held_until_ms;
    slot->generation = known->names_generation;
    slot->state = (uint8_t)row->state;
    slot->len = (uint8_t)row->folded.len;
    memcpy(slot->name, row->name.ptr, row->name.len);
    memcpy(slot->folded, row->folded.ptr, row->folded.len);
}

static size_t name_place(struct str folded)
{
    uint64_t number = folded.len;

    for (size_t i = 0; i < folded.len; i++) {
        number = number * 31 + (unsigned char)folded.ptr[i];
    }
    return number_mixed(number) % KNOWN_NAMES;
}
