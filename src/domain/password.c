/* password.c - bcrypt, and why a wrong name costs what a wrong password costs.
 *
 * 1. The password is copied to a NUL-ended phrase of at most 72 bytes; phrase and scratch are
 *    wiped after every use.
 * 2. What does not match has taken the time of the cost asked for, the highest there is: without an
 *    account, or with a hash we cannot read, the same lines hash and compare; of a hash made with
 *    less it is hashed on. The answers are thrown away.
 * 3. The Rust server hashed a U+0000 as one more byte; crypt(3) cannot, so such a password, which
 *    is refused when it is set here, never matches.
 */
#include "domain/password.h"

#include <crypt.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "base/require.h"

/* "$2b$12$", 22 characters of salt, 31 of digest. */
#define HASH_LEN 60u
#define SETTING_LEN 29u
#define SALT_BYTES 16u

struct password_scratch {
    struct crypt_data crypt;
};

/* bcrypt's phrase: what it sees of the password. */
struct phrase {
    char text[PASSWORD_MAX_BYTES + 1];
    bool is_whole; /* no U+0000 in it */
};

static void phrase_init(struct phrase *phrase, struct str password);
static const char *phrase_hash(struct password_scratch *scratch, const struct phrase *phrase,
                               const char *setting);
static void time_spend(struct password_scratch *scratch, const struct phrase *phrase,
                       unsigned cost_spent, unsigned cost);
static bool hash_cost(struct str hash, unsigned *out_cost);
static bool is_salt_character(char c);
static void setting_without_account(unsigned cost, char out_setting[SETTING_LEN + 1]);
static bool bytes_equal(const char *a, const char *b, size_t len);

struct password_scratch *password_scratch_new(void)
{
    struct password_scratch *scratch = calloc(1, sizeof(*scratch));

    REQUIRE(scratch != NULL);
    return scratch;
}

void password_scratch_free(struct password_scratch *scratch)
{
    free(scratch);
}

enum error password_check(struct str password, unsigned min_bytes)
{
    if (password.len == 0) {
        return ERROR_PASSWORD_EMPTY;
    }
    if (memchr(password.ptr, '\0', password.len) != NULL) {
        return ERROR_PASSWORD_NOT_ALLOWED;
    }
    if (password.len < min_bytes) {
        return ERROR_PASSWORD_TOO_SHORT;
    }
    if (password.len > PASSWORD_MAX_BYTES) {
        return ERROR_PASSWORD_TOO_LONG;
    }
    return OK;
}

enum error password_hash(struct password_scratch *scratch, struct str password, unsigned cost,
                         struct arena *arena, struct str *out_hash)
{
    char salt[SALT_BYTES];
    char setting[CRYPT_GENSALT_OUTPUT_SIZE];
    struct phrase phrase;
    enum error error = password_check(password, 0);

    if (error != OK) {
        return error;
    }
    random_fill(salt, sizeof(salt));
    if (crypt_gensalt_rn("$2b$", cost, salt, sizeof(salt), setting, sizeof(setting)) == NULL) {
        return ERROR_INTERNAL;
    }
    phrase_init(&phrase, password);
    const char *hash = phrase_hash(scratch, &phrase, setting);

    if (hash != NULL && strlen(hash) == HASH_LEN) {
        *out_hash = arena_copy(arena, (struct str){hash, HASH_LEN});
    } else {
        error = ERROR_INTERNAL;
    }
    explicit_bzero(&phrase, sizeof(phrase));
    explicit_bzero(scratch, sizeof(*scratch));
    return error;
}

bool password_matches(struct password_scratch *scratch, struct str password, struct str hash,
                      unsigned cost)
{
    char setting[SETTING_LEN + 1];
    static const char nobodys[HASH_LEN];
    const char *wanted = nobodys;
    struct phrase phrase;
    unsigned cost_spent = password_hash_cost(hash);
    bool is_hash = cost_spent != 0;

    phrase_init(&phrase, password);
    if (is_hash) {
        wanted = hash.ptr;
        memcpy(setting, hash.ptr, SETTING_LEN);
        setting[SETTING_LEN] = '\0';
    } else {
        setting_without_account(cost, setting);
        cost_spent = cost;
    }
    const char *made = phrase_hash(scratch, &phrase, setting);
    bool is_equal = made != NULL && strlen(made) == HASH_LEN && bytes_equal(made, wanted, HASH_LEN);
    bool matches = is_equal && is_hash && phrase.is_whole;

    if (!matches) {
        time_spend(scratch, &phrase, cost_spent, cost);
    }
    explicit_bzero(&phrase, sizeof(phrase));
    explicit_bzero(scratch, sizeof(*scratch));
    return matches;
}

/* Each cost takes twice the time of the one before: h, h + 1, ... c - 1 after h make up c. */
static void time_spend(struct password_scratch *scratch, const struct phrase *phrase,
                       unsigned cost_spent, unsigned cost)
{
    char setting[SETTING_LEN + 1];

    for (unsigned step = cost_spent; step < cost; step++) {
        setting_without_account(step, setting);
        (void)phrase_hash(scratch, phrase, setting);
    }
}

static const char *phrase_hash(struct password_scratch *scratch, const struct phrase *phrase,
                               const char *setting)
{
    return crypt_rn(phrase->text, setting, &scratch->crypt, (int)sizeof(scratch->crypt));
}

unsigned password_hash_cost(struct str hash)
{
    unsigned cost;
    bool is_taken =
        hash_cost(hash, &cost) && cost >= PASSWORD_COST_MIN && cost <= PASSWORD_COST_MAX;

    return is_taken ? cost : 0;
}

bool password_hash_is_weak(struct str hash, unsigned cost)
{
    unsigned hash_made_with;

    return hash_cost(hash, &hash_made_with) && hash_made_with < cost;
}

const char *password_library_version(void)
{
    return "libxcrypt " XCRYPT_VERSION_STR;
}

static void phrase_init(struct phrase *phrase, struct str password)
{
    size_t seen_bytes = password.len < PASSWORD_MAX_BYTES ? password.len : PASSWORD_MAX_BYTES;

    if (seen_bytes > 0) {
        memcpy(phrase->text, password.ptr, seen_bytes);
    }
    phrase->text[seen_bytes] = '\0';
    phrase->is_whole =
        memchr(phrase->text, '\0', sizeof(phrase->text)) == phrase->text + seen_bytes;
}

/* False when it is not "$2a$", "$2b$" or "$2y$", two digits, "$" and 53 salt characters. */
static bool hash_cost(struct str hash, unsigned *out_cost)
{
    if (hash.len != HASH_LEN || hash.ptr[0] != '$' || hash.ptr[1] != '2' ||
        (hash.ptr[2] != 'a' && hash.ptr[2] != 'b' && hash.ptr[2] != 'y') || hash.ptr[3] != '$' ||
        hash.ptr[4] < '0' || hash.ptr[4] > '9' || hash.ptr[5] < '0' || hash.ptr[5] > '9' ||
        hash.ptr[6] != '$') {
        return false;
    }
    for (size_t i = 7; i < HASH_LEN; i++) {
        if (!is_salt_character(hash.ptr[i])) {
            return false;
        }
    }
    *out_cost = (unsigned)(hash.ptr[4] - '0') * 10 + (unsigned)(hash.ptr[5] - '0');
    return true;
}

static bool is_salt_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '/';
}

/* Any salt will do: what it gives is thrown away. */
static void setting_without_account(unsigned cost, char out_setting[SETTING_LEN + 1])
{
    REQUIRE(cost >= PASSWORD_COST_MIN && cost <= PASSWORD_COST_MAX);
    memcpy(out_setting, "$2b$00$......................", SETTING_LEN + 1);
    out_setting[4] = (char)('0' + cost / 10);
    out_setting[5] = (char)('0' + cost % 10);
}

/* Takes the same time wherever they differ. */
static bool bytes_equal(const char *a, const char *b, size_t len)
{
    unsigned char difference = 0;

    for (size_t i = 0; i < len; i++) {
        difference |= (unsigned char)(a[i] ^ b[i]);
    }
    return difference == 0;
}
